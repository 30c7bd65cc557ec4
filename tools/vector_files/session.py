"""A conversion of a program of a few operations, and one session of it, made from the texts."""

import hashlib
from pathlib import Path

import numpy as np

from comparison_function import generate
from read_bundle import WEIGHT_KIND, WEIGHT_SESSION, derived_seed, stream_words
from session_algebra import CORRELATION, ROOT, Algebra, add_lanes, subtract_lanes
from vector_files.container import canonical, write

CONVERSION = "c0" * 16
SESSION = 3
WORD = 2**64


def seed(name):
    """A seed that depends on its name; real ones are random."""
    return hashlib.sha256(b"vectors of Lodge/" + name.encode()).digest()


def shape(columns, form="shared", bits=4, rows="step", **more):
    return {"rows": rows, "columns": columns, "form": form, "fractionalBits": bits} | more


def weight(name, rows, columns):
    return {"name": name, "rowCount": rows, "columnCount": columns, "fractionalBits": 4,
            "isTransposed": False, "source": {"factor": 1.0, "tensor": name}}


def program():
    """A decoder without use in which every operation that something is dealt for stands once."""
    operations, values = [], []

    def add(name, reads, *results, **members):
        first = len(values)
        values.extend(results)
        operations.append({"label": "vectors", "name": name, "reads": reads,
                           "writes": len(results)} | members)
        return first

    two, keys = ["fixed", 2], ["keys", 1, 0]
    x = add("input", [], shape(two, bits=0))
    opened = add("open", [x], shape(two, "opened", 0))
    product = add("linear", [opened], shape(two), weight=0)
    placed = add("addWeight", [product], shape(two), weight=1, positionOffset=0)
    y = add("open", [placed], shape(two, "opened"))
    scores = add("scores", [y, y], shape(keys, bits=8), heads=1, keyHeads=1)
    opened = add("open", [scores], shape(keys, "opened", 8))
    view = add("view", [opened], shape(keys, "view", 6, shift=2), shift=2)
    shifted = add("truncate", [view], shape(keys, bits=6))
    weights = add("open", [shifted], shape(keys, "opened", 6))
    mixed = add("mix", [weights, y], shape(two, bits=10), heads=1, keyHeads=1)
    z = add("open", [mixed], shape(two, "opened", 10))
    view = add("view", [z], shape(two, "view", 7, shift=3), shift=3)
    product = add("multiply", [view, z], shape(two, bits=17))
    power = add("polynomial", [view], shape(two, bits=17), coefficients=[[3, -2, 0, 1]])
    small = add("piecewiseLinear", [z], shape(two, bits=17), shift=2, droppedBits=50, comparedBits=5,
                knots=[0, 2**52], slopes=[[0, 1, 2]], intercepts=[[0, 0, -5]],
                outputFractionalBits=[17])
    large = add("piecewiseLinear", [z], shape(two, bits=17), shift=0, droppedBits=0,
                comparedBits=12, knots=[0], slopes=[[0, 1]], intercepts=[[0, 7]],
                outputFractionalBits=[17])
    by_bits = add("piecewiseLinear", [z], shape(two, bits=17), shift=3, droppedBits=40,
                  comparedBits=7, knots=[-5, 2**41], slopes=[[0, 1, 0]], intercepts=[[0, 7, 7]],
                  outputFractionalBits=[17], comparison="bits")
    near = add("open", [mixed], shape(two, "opened", 8, ringBits=20), shift=2, bits=20)
    add("view", [near], shape(two, "view", 7, shift=1), shift=1)
    lifted = add("piecewiseLinear", [near], shape(two, bits=17), shift=0, droppedBits=3,
                 comparedBits=10, knots=[5], slopes=[[0, 1]], intercepts=[[2, 0]],
                 outputFractionalBits=[17], openedBits=20, lifted=True)
    short = add("open", [mixed], shape(two, "opened", 6, ringBits=12), shift=4, bits=12)
    cells = {"openedBits": 12, "cellBits": 9, "tops": [100]}
    step = add("coarseSteps", [short], *[shape(two, bits=0, ringBits=16)] * 2, **cells,
               cells=[1, 3])
    decays = [int(2**62 * 0.99 ** (2**i)) for i in range(12)]
    power_of_e = add("exponential", [short], shape(two, bits=30), **cells, decays=decays,
                     dealtBits=20, factorBits=10)
    found = add("lookup", [short], shape(two, bits=30, ringBits=40), openedBits=12, cellBits=9,
                coefficients=[[5 * 2**30, -3, 0, 2**39 - 1, -2**39, 7, -1, 2**33],
                              [1, -2, 2**20, -2**20, 3, 0, -5, 8], [0, 1, -1, 2**10, 9, -2**16, 4, 6]],
                resultBits=40, fractionalBits=30)
    gelu = add("permuted", [mixed], shape(two, bits=20, ringBits=30), function="gelu", shift=3, bits=24,
               fractionalBits=20, resultBits=30)
    softmax = add("permuted", [scores], shape(keys, bits=16, ringBits=20), function="softmax", shift=0,
                  bits=30, fractionalBits=16, resultBits=20)
    weighed = add("sum", [softmax], shape(["fixed", 1], bits=16, ringBits=20), runs=1)
    terms = {product: 1, power: 1, small: -1, large: 1, by_bits: 2, lifted: 5, step: 2**48,
             power_of_e: 7, found: 2**24, gelu: 2**34, weighed: 3 * 2**44}
    total = add("combine", list(terms), shape(two, bits=17), coefficients=list(terms.values()),
                constant=9)
    opened = add("open", [total], shape(two, "opened", 17))
    scaled = add("scale", [opened], shape(two, bits=21), weight=2)
    last = add("lastRow", [scaled], shape(two, bits=21, rows="last"))
    add("output", [last])
    return {"version": 1, "family": "opt", "kind": "decoder", "clientInput": "oneHot",
            "vocabularySize": 2, "maximumPositions": 4, "values": values, "operations": operations,
            "weights": [weight("wq", 2, 2), weight("positions", 4, 2), weight("gamma", 1, 2)]}


class Conversion:
    """The bundles of the program, one batch, and the session in it."""

    weights = [np.array([[16, -3], [300, 5]]), np.array([[1, 2], [3, 4], [-5, 6], [7, -8]]),
               np.array([[40000, -9]])]
    storages = [["full", "seed", "full"], ["seed", "full", "seed"]]

    def __init__(self):
        self.program = program()
        self.common = {
            "conversion": CONVERSION,
            "programDigest": hashlib.sha256(canonical(self.program).encode()).hexdigest()}
        self.batch_seed = seed("batch")
        self.batch = derived_seed(self.batch_seed, b"lodge/1/batch")[:16].hex()
        self.seeds = [derived_seed(self.batch_seed, f"lodge/1/session/{SESSION}/party/{p}".encode())
                      for p in (0, 1)]

    def bundle(self, party):
        """(kind, header, datasets) of a party's bundle."""
        header = self.common | {"party": party, "deployment": "two-server", "program": self.program,
                                "storages": self.storages[party]}
        datasets = {"weightSeed": np.frombuffer(seed(f"weights/{party}"), dtype="u1")}
        for index, storage in enumerate(self.storages[party]):
            if storage == "full":
                words = stream_words(seed(f"weights/{1 - party}"), WEIGHT_SESSION, 1 - party, index,
                                     WEIGHT_KIND, 0, self.weights[index].size)
                shared = self.weights[index].astype("i8").view("u8") - words.reshape(
                    self.weights[index].shape)
                datasets[f"weights/{index}"] = shared
        return "bundle", header, datasets

    def dealer(self):
        header = self.common | {"program": self.program}
        return "dealer", header, {"weights/0": self.weights[0].astype("i2"),
                                  "weights/2": self.weights[2].astype("i4"),
                                  "salt": np.frombuffer(seed("salt/dealer"), dtype="u1")}

    def client(self):
        """Tables of another conversion: this program's input is one-hot."""
        header = {"conversion": "c1" * 16, "programDigest": "d1" * 32}
        return "client", header, {"tokens": np.array([[1, 2], [-3, 4]], dtype="i4"),
                                  "positions": np.arange(8, dtype="i4").reshape(4, 2),
                                  "salt": np.frombuffer(seed("salt/client"), dtype="u1")}

    def session_header(self, party, session=SESSION):
        return self.common | {"batch": self.batch, "session": session, "party": party,
                              "kind": "decoder", "promptCapacity": 2, "newCapacity": 2}

    def dealer_batch(self):
        return ("batch", self.session_header(0, session=0),
                {"seed": np.frombuffer(self.batch_seed, dtype="u1")})

    def session(self, party):
        """A party's session file, as a dealer makes it."""
        algebra = Algebra(self.program, lambda index: self.weights[index].astype("i8").view("u8"),
                          self.session_header(0), self.seeds)
        datasets = {"seed": np.frombuffer(self.seeds[party], dtype="u1")}
        for index, node in enumerate(algebra.nodes):
            arrays = algebra.expected(index) if algebra.array_count(index) else []
            for component, words in enumerate(arrays):
                if algebra.holder(index, component) == party:
                    streamed = algebra.stream(1 - party, index, CORRELATION, component, words.size)
                    subtract = {np.bitwise_xor: np.bitwise_xor, add_lanes: subtract_lanes}.get(
                        algebra.shares_add(index, component), np.subtract)
                    datasets[f"operations/{index}/{component}"] = subtract(words, streamed)
            if algebra.has_keys(index):
                datasets[f"operations/{index}/keys"] = self.keys(algebra, index)
        return "correlations", self.session_header(party), datasets

    @staticmethod
    def keys(algebra, index):
        mask = algebra.mask(algebra.nodes[index]["reads"][0])
        roots = [algebra.stream(p, index, ROOT, 0, 2 * mask.size) for p in (0, 1)]
        layout = algebra.key_layout(index)
        keys = [generate(algebra.comparison_key,
                         [roots[p][2 * e:2 * e + 2].tobytes() for p in (0, 1)], alpha, beta, layout)
                for e, (alpha, beta) in enumerate(algebra.key_functions(index, mask))]
        return np.frombuffer(b"".join(keys), dtype="u1").reshape(algebra.key_shape(index))

    def files(self):
        """Every valid file by its name."""
        files = {"dealer.bundle": self.dealer(), "client.bundle": self.client(),
                 "dealer.batch": self.dealer_batch()}
        for party in (0, 1):
            files[f"party{party}.bundle"] = self.bundle(party)
            files[f"party{party}.corr"] = self.session(party)
        return files

    def write(self, folder):
        for name, (kind, header, datasets) in self.files().items():
            write(Path(folder) / name, kind, header, datasets)
