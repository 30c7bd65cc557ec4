"""Conversions of a program of a few operations, and one session of each, made from the texts."""

import hashlib
from pathlib import Path

import numpy as np

from lodge.verification.comparison_function import generate
from lodge.verification.read_bundle import (
    BLIND_DEALER, PROVIDER_USER, SEEDS, TWO_SERVER, WEIGHT_KIND, WEIGHT_MASK_KIND, WEIGHT_SESSION,
    derived_seed, is_narrow, stream_words)
from lodge.verification.session_algebra import CORRELATION, ROOT, Algebra, add_lanes, subtract_lanes
from lodge.vector_files.container import canonical, write

CONVERSIONS = {TWO_SERVER: "c0" * 16, BLIND_DEALER: "b0" * 16, PROVIDER_USER: "a0" * 16}
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


def program(is_narrow=False):
    """A decoder without use in which every operation that something is dealt for stands once, and
    maybe a product of few ring bits besides."""
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
    dealt = ["sessionKeys", 1]
    padded = add("padKeys", [shifted], shape(dealt, bits=6))
    weights = add("open", [padded], shape(dealt, "opened", 6))
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
    factor = add("view", [near], shape(two, "view", 7, shift=1), shift=1)
    lifted = add("piecewiseLinear", [near], shape(two, bits=17), shift=0, droppedBits=3,
                 comparedBits=10, knots=[5], slopes=[[0, 1]], intercepts=[[2, 0]],
                 outputFractionalBits=[17], openedBits=20, lifted=True)
    short = add("open", [mixed], shape(two, "opened", 6, ringBits=12), shift=4, bits=12)
    cells = {"openedBits": 12, "cellBits": 9, "tops": [100]}
    step = add("coarseSteps", [short], *[shape(two, bits=0, ringBits=16)] * 2, **cells,
               cells=[1, 3])
    decays = [int(2**62 * 0.99 ** (2**i)) for i in range(12)]
    power_of_e = add("exponential", [short], shape(two, bits=30), **cells, decays=decays,
                     payloadBits=10, factorBits=20)
    found = add("lookup", [short], shape(two, bits=30, ringBits=40), openedBits=12, cellBits=8,
                firstCell=-2, left=[-3, 2**12], right=[2**33, -2**15],
                coefficients=[[5 * 2**30, 2**39 - 1, -2**39], [1, -2**20, 3], [-1, 2**10, -2**16]],
                resultBits=40, fractionalBits=30)
    gelu = add("permuted", [mixed], shape(two, bits=20, ringBits=30), function="gelu", shift=3, bits=24,
               fractionalBits=20, resultBits=30)
    padded = add("padKeys", [scores], shape(dealt, bits=8))
    softmax = add("permuted", [padded], shape(dealt, bits=16, ringBits=20), function="softmax", shift=0,
                  bits=30, fractionalBits=16, resultBits=20)
    weighed = add("sum", [softmax], shape(["fixed", 1], bits=16, ringBits=20), runs=1)
    few = [add("linear", [near], shape(two, bits=12, ringBits=20), weight=3)] if is_narrow else []
    terms = {product: 1, power: 1, small: -1, large: 1, by_bits: 2, lifted: 5, step: 2**48,
             power_of_e: 7, found: 2**24, gelu: 2**34, weighed: 3 * 2**44} | {
                 value: 2**45 for value in few}
    total = add("combine", list(terms), shape(two, bits=17), coefficients=list(terms.values()),
                constant=9)
    opened = add("open", [total], shape(two, "opened", 17))
    scaled = add("scale", [opened], shape(two, bits=21), weight=2)
    gated = add("permuted", [mixed, placed], shape(two, bits=15, ringBits=44), function="silu", shift=3,
                bits=24, fractionalBits=12, resultBits=44, factorShift=1, factorBits=20)
    widened = add("widen", [near], shape(two, "opened", 8, ringBits=36), bits=36)
    wide = add("scale", [widened], shape(two, bits=12, ringBits=36), weight=2)
    seen = add("view", [near], shape(two, "view", 8, shift=0), shift=0)
    again = add("widen", [seen], shape(two, "opened", 8, ringBits=40), bits=40)
    wider = add("scale", [again], shape(two, bits=12, ringBits=40), weight=2)
    multiplied = add("lookup", [short, factor], shape(two, bits=13, ringBits=22), openedBits=12, cellBits=6,
                     firstCell=-2, left=[-3, 2**12], right=[2**17 - 5, -7],
                     coefficients=[[5, 2**16 - 1, -2**16, 900, -7777], [1, -2**12, 3, 0, 9],
                                   [-1, 2**10, -2**15, 4, 12345]],
                     resultBits=22, fractionalBits=6)
    total = add("combine", [scaled, gated, wide, wider, multiplied], shape(two, bits=21),
                coefficients=[1, 2**20, 2**28, 2**24, 2**42], constant=0)
    last = add("lastRow", [total], shape(two, bits=21, rows="last"))
    add("output", [last])
    return {"version": 3, "family": "opt", "kind": "decoder", "clientInput": "oneHot",
            "vocabularySize": 2, "maximumPositions": 4, "values": values, "operations": operations,
            "weights": [weight("wq", 2, 2), weight("positions", 4, 2), weight("gamma", 1, 2)]
            + [weight("wk", 2, 2) for _ in few]}


class Conversion:
    """The bundles of the program, one batch, and the session in it."""

    def __init__(self, deployment=TWO_SERVER):
        self.deployment, self.is_blind = deployment, deployment != TWO_SERVER
        self.program = program(self.is_blind)
        self.weights = [
            np.array([[16, -3], [300, 5]]), np.array([[1, 2], [3, 4], [-5, 6], [7, -8]]),
            np.array([[40000, -9]]), np.array([[2**40, -7], [3, -2**33]])][:len(self.program["weights"])]
        storages = [["full", "seed", "full", "seed"], ["seed", "full", "seed", "full"]]
        if deployment == PROVIDER_USER:
            storages = [["plain"] * 4, ["nothing"] * 4]
        self.storages = [names[:len(self.weights)] for names in storages]
        self.common = {
            "conversion": CONVERSIONS[deployment],
            "programDigest": hashlib.sha256(canonical(self.program).encode()).hexdigest()}
        # Elsewhere than in the parties' bundles it is left out where it is the oldest.
        self.named = self.common | ({"deployment": deployment} if self.is_blind else {})
        self.batch_seed = self.seed("batch")
        self.batch = derived_seed(self.batch_seed, b"lodge/1/batch")[:16].hex()
        self.seeds = [derived_seed(self.batch_seed, f"lodge/1/session/{SESSION}/party/{p}".encode())
                      for p in (0, 1)]

    def seed(self, name):
        """A seed of this conversion; no two have one in common."""
        return seed(f"{self.deployment}/{name}" if self.is_blind else name)

    def array(self, name):
        return np.frombuffer(self.seed(name), dtype="u1")

    def less(self, index, name, party, kind):
        """Words of weight `index` less those that a seed gives."""
        weight = self.weights[index].astype("i8").view("u8")
        words = stream_words(self.seed(name), WEIGHT_SESSION, party, index, kind, 0, weight.size)
        return weight - words.reshape(weight.shape)

    @staticmethod
    def narrow(weight):
        """The narrowest integers that hold all elements."""
        return next(weight.astype(kind) for kind in ("i2", "i4", "i8")
                    if np.array_equal(weight.astype(kind), weight))

    def bundle(self, party):
        """(kind, header, datasets) of a party's bundle."""
        header = self.common | {"party": party, "deployment": self.deployment, "program": self.program,
                                "storages": self.storages[party]}
        names = {"weightSeed": f"weights/{party}", "maskSeed": "mask"}
        datasets = {name: self.array(names[name]) for name in sorted(SEEDS[self.deployment])}
        for index, storage in enumerate(self.storages[party]):
            if storage == "full":
                datasets[f"weights/{index}"] = self.less(
                    index, f"weights/{1 - party}", 1 - party, WEIGHT_KIND)
            if storage == "plain":
                datasets[f"weights/{index}"] = self.narrow(self.weights[index])
        return "bundle", header, datasets

    def multiplied(self, index):
        """What the dealer has of a weight."""
        if not self.is_blind:
            return self.narrow(self.weights[index])
        words = self.less(index, "mask", 0, WEIGHT_MASK_KIND)
        return words.astype("u4").view("i4") if is_narrow(self.program, index) else words.view("i8")

    def dealer(self):
        header = self.named | {"program": self.program}
        multiplied = {node["weight"] for node in self.program["operations"]
                      if node["name"] in ("linear", "scale")}
        return "dealer", header, {
            f"weights/{index}": self.multiplied(index) for index in sorted(multiplied)} | {
            "salt": self.array("salt/dealer")}

    def client(self):
        """Tables of another conversion: this program's input is one-hot."""
        header = {"conversion": "c1" * 16, "programDigest": "d1" * 32}
        return "client", header, {"tokens": np.array([[1, 2], [-3, 4]], dtype="i4"),
                                  "positions": np.arange(8, dtype="i4").reshape(4, 2),
                                  "salt": np.frombuffer(seed("salt/client"), dtype="u1")}

    def session_header(self, party, session=SESSION):
        own = {PROVIDER_USER: {"user": self.seed("user").hex()}, BLIND_DEALER: {"keys": "once"}}
        return self.named | own.get(self.deployment, {}) | {"batch": self.batch, "session": session, "party": party,
                                    "kind": "decoder", "promptCapacity": 2, "newCapacity": 3}

    def dealer_batch(self):
        return ("batch", self.session_header(0, session=0),
                {"seed": np.frombuffer(self.batch_seed, dtype="u1")})

    def session(self, party):
        """A party's session file, as a dealer makes it."""
        algebra = Algebra(self.program, lambda index: self.multiplied(index).astype("i8").view("u8"),
                          self.session_header(0), self.seeds)
        datasets = {"seed": np.frombuffer(self.seeds[party], dtype="u1")}
        holders = algebra.key_holders()
        for index, node in enumerate(algebra.nodes):
            arrays = algebra.expected(index) if algebra.array_count(index) else []
            for component, words in enumerate(arrays):
                if algebra.holder(index, component) == party:
                    streamed = algebra.stream(1 - party, index, CORRELATION, component, words.size)
                    subtract = {np.bitwise_xor: np.bitwise_xor, add_lanes: subtract_lanes}.get(
                        algebra.shares_add(index, component), np.subtract)
                    size = algebra.word_bytes(index, component)
                    datasets[f"operations/{index}/{component}"] = subtract(
                        words, streamed).view("u1").reshape(-1, 8)[:, :size]
            if algebra.has_keys(index):
                keys = self.keys(algebra, index)
                has_digest = holders[index] == 1 - party
                name = f"operations/{index}/keysDigest" if has_digest else f"operations/{index}/keys"
                datasets[name] = np.frombuffer(hashlib.sha256(keys.tobytes()).digest(),
                                               dtype="u1") if has_digest else keys
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
        """Every valid file by its name, which begins with the deployment where that is not the oldest."""
        files = {"dealer.bundle": self.dealer(), "dealer.batch": self.dealer_batch()}
        if not self.is_blind:
            files["client.bundle"] = self.client()
        for party in (0, 1):
            role = ("provider", "user")[party] if self.deployment == PROVIDER_USER else f"party{party}"
            files[f"{role}.bundle"] = self.bundle(party)
            files[f"party{party}.corr"] = self.session(party)
        prefix = f"{self.deployment}." if self.is_blind else ""
        return {prefix + name: content for name, content in files.items()}


def all_files():
    """The valid files of all deployments."""
    return {name: content for deployment in CONVERSIONS
            for name, content in Conversion(deployment).files().items()}


def write_all(folder):
    for name, (kind, header, datasets) in all_files().items():
        write(Path(folder) / name, kind, header, datasets)
