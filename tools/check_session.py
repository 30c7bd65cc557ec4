#!/usr/bin/env python3
"""Checks the algebra of one dealt session from both parties' files, with no code of Lodge.

Written from formats/correlations.md and formats/program.md. Regenerates all masks from the two
seeds, adds the shares of correlated arrays and compares them with what they must add up to, and
evaluates comparison keys with a comparison function in Python: at every point where the domain is
small, else around the threshold and at random points. What is wrong is named by file, operation and
component. For tests and audits: whoever has both files could open every message of the session.

    check_session.py shares/party0.bundle shares/party1.bundle corr/party{0,1}/000000.corr
    check_session.py shares/dealer.bundle corr/party{0,1}/000000.corr --dealer corr/dealer.batch
"""

import argparse
import hashlib
import math
import re
import sys

import numpy as np

from bit_comparison import Circuit, from_tiles, to_tiles
from comparison_function import evaluate
from read_bundle import DealerBundle, FormatError, Pair, derived_seed, stream_words
from read_container import Container, ContainerError

MASK, CORRELATION, ROOT, COMPARISON_MASK = 0, 1, 2, 4
SMALL_DOMAIN_BITS = 6
HEADER = {"batch", "session", "party", "kind", "promptCapacity", "newCapacity", "conversion",
          "programDigest"}
U = np.uint64


class Algebra:
    """What the arrays of one session must add up to, from both seeds and the weights."""

    def __init__(self, program, weight, header, seeds):
        """`weight` gives the words of a weight by its number; `seeds` are those of both parties."""
        self.program, self.weight, self.header, self.seeds = program, weight, header, seeds
        self.values, self.nodes = program["values"], program["operations"]
        self.number = header["session"]
        self.rows = header["promptCapacity"] + max(header["newCapacity"] - 1, 0)
        self.last_rows = max(header["newCapacity"], 1)
        text = f"lodge/1/comparison/{self.number}/".encode() + bytes.fromhex(header["batch"])
        self.comparison_key = hashlib.sha256(text).digest()[:16]
        self.first_value, self.opener, self.viewed = [], {}, {}
        written = 0
        for index, node in enumerate(self.nodes):
            self.first_value.append(written)
            if node["name"] == "open":
                self.opener[written] = index
            if node["name"] == "view":
                self.viewed[written] = (node["reads"][0], node["shift"])
            written += node["writes"]

    def row_count(self, value):
        return self.last_rows if self.values[value]["rows"] == "last" else self.rows

    def runs(self, value):
        """(number of runs a row, their length in each row)."""
        kind, *numbers = self.values[value]["columns"]
        lengths = []
        for row in range(self.row_count(value)):
            keys = row + 1 if self.program["kind"] == "decoder" else self.rows
            if kind in ("keys", "pairs"):
                keys = -(-keys // 2 ** numbers[1])
            lengths.append({"fixed": numbers[0], "keys": keys, "pairs": keys // 2,
                            "sessionKeys": self.rows}[kind])
        return (1 if kind == "fixed" else numbers[0]), lengths

    def count(self, value):
        heads, lengths = self.runs(value)
        return heads * sum(lengths)

    def broadcast(self, words, narrow, wide):
        """Each word of a fixed-width value repeated over its run of `wide`."""
        if self.values[narrow] == self.values[wide] or len(words) == self.count(wide):
            return words
        width, lengths = self.values[narrow]["columns"][1], self.runs(wide)[1]
        fixed = self.values[wide]["columns"][0] == "fixed"
        return np.repeat(words, [n // width if fixed else n for n in lengths for _ in range(width)])

    # Randomness

    def stream(self, party, node, kind, index, count):
        return stream_words(self.seeds[party], self.number, party, node, kind, index, count)

    def mask(self, value):
        node, count = self.opener[value], self.count(value)
        return sum(self.stream(p, node, MASK, 0, count) for p in (0, 1))

    def parts(self, value):
        """r of an opened value; t and h of a view."""
        if value not in self.viewed:
            return [self.mask(value)]
        opened, shift = self.viewed[value]
        mask = self.mask(opened)
        return [mask >> U(shift), mask >> U(63)]

    def is_bits(self, index, component):
        """Whether an array is the dealt bits of comparisons by bits, the last of its operation."""
        node = self.nodes[index]
        return node.get("comparison") == "bits" and component == (5 if node["shift"] else 2)

    def comparison_masks(self, index, party):
        """The share of the mask bits [64 tiles, planes] of comparisons by bits."""
        circuit = Circuit(self.nodes[index])
        planes = circuit.mask_count * circuit.knots
        tiles = -(-self.count(self.nodes[index]["reads"][0]) // 64)
        return from_tiles(self.stream(party, index, COMPARISON_MASK, 0, tiles * planes), planes)

    # Expected arrays

    def expected(self, index):
        """What the correlated arrays of node `index` add up to, in order."""
        node, first = self.nodes[index], self.first_value[index]
        name, reads = node["name"], node["reads"]
        if name == "view":
            mask = self.mask(reads[0])
            return [mask >> U(node["shift"]), mask >> U(63)]
        if name == "linear":
            weight = self.program["weights"][node["weight"]]
            matrix = self.weight(node["weight"])
            matrix = matrix if weight["isTransposed"] else matrix.T
            return [(self.mask(reads[0]).reshape(-1, matrix.shape[0]) @ matrix).ravel()]
        if name == "scale":
            vector = self.weight(node["weight"]).ravel()
            return [(self.mask(reads[0]).reshape(-1, vector.size) * vector).ravel()]
        if name in ("scores", "mix"):
            return [self.attention(name, node["heads"], node["keyHeads"], reads, first)]
        if name == "multiply":
            right = [self.broadcast(p, reads[1], reads[0]) for p in self.parts(reads[1])]
            return [x * y for x in self.parts(reads[0]) for y in right]
        if name == "polynomial":
            degree = max(map(len, node["coefficients"])) - 1
            base, *top = self.parts(reads[0])
            powers = [base]
            while len(powers) < degree:
                powers.append(powers[-1] * base)
            return powers[1:] + [top[0] * power for power in powers[:degree - 1] if top]
        mask, shift = self.mask(reads[0]), node["shift"]
        parts = [np.ones_like(mask)] + ([mask >> U(shift), mask >> U(63)] if shift else [mask])
        if node.get("comparison") == "bits":
            circuit = Circuit(node)
            masks = self.comparison_masks(index, 0) ^ self.comparison_masks(index, 1)
            results = masks[:mask.size, circuit.mask_count - 1::circuit.mask_count].astype(U)
            return ([(part[:, None] * results).ravel() for part in parts]
                    + (parts[1:] if shift else [])
                    + [to_tiles(circuit.dealt(self.window(node, mask), masks))])
        top = self.window(node, mask) >> U(node["comparedBits"] - 1)
        return [part * top for part in parts] + (parts[1:] if shift else [])

    def attention(self, name, heads, key_heads, reads, result):
        first, second = self.mask(reads[0]), self.mask(reads[1])
        width = self.values[reads[1]]["columns"][1]
        second = second.reshape(-1, key_heads, width // key_heads)
        second = second.repeat(heads // key_heads, axis=1)
        output, place = [], 0
        for row, length in enumerate(self.runs(result if name == "scores" else reads[0])[1]):
            left = self.values[reads[0]]["columns"][1] if name == "scores" else heads * length
            rows = first[place:place + left].reshape(heads, -1)
            place += left
            output += [second[:length, h] @ rows[h] if name == "scores"
                       else rows[h] @ second[:length, h] for h in range(heads)]
        return np.concatenate(output)

    @staticmethod
    def window(node, words):
        return (words >> U(node["droppedBits"])) & U(2 ** node["comparedBits"] - 1)

    def array_count(self, index):
        """How many correlated arrays the operation has."""
        node, name = self.nodes[index], self.nodes[index]["name"]
        if name == "view":
            return 2
        if name in ("linear", "scale", "scores", "mix"):
            return 1
        if name == "multiply":
            return math.prod(2 if value in self.viewed else 1 for value in node["reads"])
        if name == "polynomial":
            degree = max(map(len, node["coefficients"])) - 1
            return (degree - 1) * (2 if node["reads"][0] in self.viewed else 1)
        if name == "piecewiseLinear":
            return (5 if node["shift"] else 2) + ("comparison" in node)
        return 0

    def array_size(self, index, component):
        """Words of a correlated array."""
        node, count = self.nodes[index], self.count(self.first_value[index])
        if node.get("comparison") == "bits":
            if self.is_bits(index, component):
                return Circuit(node).plane_count() * -(-count // 64)
            if component < (3 if node["shift"] else 2):
                return len(node["knots"]) * count
        return count

    def key_shape(self, index):
        """(keys, bytes of each) of a piecewiseLinear operation."""
        node = self.nodes[index]
        payload = 3 if node["shift"] else 2
        size = 8 + (node["comparedBits"] - 1) * (16 + 8 * payload) + 8 * payload
        return self.count(node["reads"][0]), size

    def layout(self, party):
        """Names, element types and shapes of the datasets in the file of `party`."""
        datasets = {"seed": ("u8", (32,))}
        for index, node in enumerate(self.nodes):
            for component in range(self.array_count(index)):
                if (index + component) % 2 == party:
                    datasets[f"operations/{index}/{component}"] = (
                        "u64", (self.array_size(index, component),))
            if node["name"] == "piecewiseLinear" and "comparison" not in node:
                datasets[f"operations/{index}/keys"] = ("u8", self.key_shape(index))
        return datasets

    def comparison(self, index, mask):
        """The thresholds alpha and payloads beta of the comparison keys, one list entry a key."""
        node = self.nodes[index]
        parts = [mask >> U(node["shift"]), mask >> U(63)] if node["shift"] else [mask]
        levels, entries = node["comparedBits"] - 1, []
        for element, window in enumerate(map(int, self.window(node, mask))):
            sign = 1 - 2 * (window >> levels)
            payload = [1] + [int(part[element]) for part in parts]
            entries.append((window % 2**levels, [sign * part % 2**64 for part in payload]))
        return entries


def check_header(header, party, pair, path):
    """Every member of the header of a session file, against the bundles."""
    if not isinstance(header, dict) or set(header) != HEADER:
        raise FormatError(f"{path}: header: must have exactly {sorted(HEADER)}")
    for key, value in {"party": party, "conversion": pair.conversion, "kind": pair.program["kind"],
                       "programDigest": pair.program_digest}.items():
        if header[key] != value:
            raise FormatError(f"{path}: {key}: {header[key]!r} is not {value!r}")
    decoder = header["kind"] == "decoder"
    for key, low, high in (("session", 0, 2**32 - 2), ("promptCapacity", 1, 2**24),
                           ("newCapacity", 1 if decoder else 0, 2**24 if decoder else 0)):
        if type(header[key]) is not int or not low <= header[key] <= high:
            raise FormatError(f"{path}: {key}: {header[key]!r} is not in {low}...{high}")
    if not isinstance(header["batch"], str) or not re.fullmatch("[0-9a-f]{32}", header["batch"]):
        raise FormatError(f"{path}: batch: is not 32 hexadecimal digits")


def check_file(file, party, pair):
    """One session file by itself: its header, and names, types and shapes of all its datasets."""
    check_header(file.header, party, pair, file.path)
    algebra = Algebra(pair.program, pair.weight, file.header, [])
    if algebra.rows > pair.program["maximumPositions"]:
        raise FormatError(f"{file.path}: promptCapacity: longer than the model's positions")
    expected = algebra.layout(party)
    for name in sorted(set(expected) | set(file)):
        if name not in expected:
            raise FormatError(f"{file.path}: {name}: does not belong into the file")
        if name not in file:
            raise FormatError(f"{file.path}: {name}: is missing")
        found = file.dataset(name)
        if (found.element_type, found.shape) != expected[name]:
            raise FormatError(f"{file.path}: {name}: is not {expected[name]}")


class Session(Algebra):
    """Both files of a session, and the checks of them."""

    def __init__(self, pair, paths):
        self.pair = pair
        self.files = [Container(path, kind="correlations") for path in paths]
        for party, file in enumerate(self.files):
            check_file(file, party, pair)
        first, second = (file.header for file in self.files)
        for key in ("batch", "session", "promptCapacity", "newCapacity"):
            if second[key] != first[key]:
                raise FormatError(f"{paths[1]}: {key}: {second[key]!r} is not {first[key]!r}")
        super().__init__(pair.program, pair.weight, first,
                         [file["seed"].tobytes() for file in self.files])

    def total(self, node, component):
        """Both shares of a correlated array added: one stored, one from a seed."""
        holder = (node + component) % 2
        stored = self.files[holder][f"operations/{node}/{component}"]
        streamed = self.stream(1 - holder, node, CORRELATION, component, stored.size)
        return stored ^ streamed if self.is_bits(node, component) else stored + streamed

    def error(self, party, index, component, cause):
        return FormatError(f"{self.files[party].path}: operations/{index}/{component}: operation "
                           f"{index} ({self.nodes[index]['name']}), component {component}: {cause}")

    def check_node(self, index):
        """Every correlated array of an operation."""
        if not self.array_count(index):
            return
        for component, expected in enumerate(self.expected(index)):
            total = self.total(index, component)
            if not np.array_equal(total, expected):
                place = int(np.argmax(total != expected))
                raise self.error((index + component) % 2, index, component,
                                 f"the shares of element {place} do not add up to what they must")

    def check_keys(self, index, generator, elements):
        """The keys of some elements: at all points of a small domain, else at telling ones."""
        node = self.nodes[index]
        mask, levels = self.mask(node["reads"][0]), node["comparedBits"] - 1
        keys = [file[f"operations/{index}/keys"] for file in self.files]
        payload = 3 if node["shift"] else 2
        if not np.array_equal(*keys):
            raise self.error(1, index, "keys", "is not the same in both files")
        roots = [self.stream(p, index, ROOT, 0, 2 * mask.size) for p in (0, 1)]
        comparison = self.comparison(index, mask)
        for element in generator.choice(mask.size, min(elements, mask.size), replace=False):
            alpha, beta = comparison[element]
            points = range(2**levels)
            if levels > SMALL_DOMAIN_BITS:
                random = generator.integers(0, 2**levels, 2, dtype=U, endpoint=False)
                points = {0, max(alpha - 1, 0), alpha, min(alpha + 1, 2**levels - 1),
                          2**levels - 1, *map(int, random)}
            for x in points:
                shares = [evaluate(self.comparison_key, p, keys[p][element].tobytes(),
                                   roots[p][2 * element:2 * element + 2].tobytes(), levels, payload, x)
                          for p in (0, 1)]
                if [sum(pair) % 2**64 for pair in zip(*shares)] != (beta if x < alpha else [0] * payload):
                    raise self.error(0, index, "keys",
                                     f"the comparison key of element {element} is wrong at the point {x}")


def check_dealer_seed(path, session):
    """That dealer.batch gives the seeds of both files."""
    container = Container(path, kind="batch")
    seed, batch = container["seed"].tobytes(), session.header["batch"]
    if derived_seed(seed, b"lodge/1/batch")[:16].hex() != batch or container.header["batch"] != batch:
        raise FormatError(f"{path}: batch: is not the batch of the sessions")
    for party in (0, 1):
        label = f"lodge/1/session/{session.number}/party/{party}".encode()
        if derived_seed(seed, label) != session.seeds[party]:
            raise FormatError(f"{session.files[party].path}: seed: is not derived from {path}")


def main():
    parser = argparse.ArgumentParser(prog="check-session", description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="+", metavar="FILE",
                        help="dealer.bundle or both party bundles, then both session files")
    parser.add_argument("--dealer", metavar="FILE", help="the dealer.batch of these files")
    parser.add_argument("--operations", type=int, default=4, help="checked of each kind (4)")
    parser.add_argument("--keys", type=int, default=4, help="comparison keys an operation (4)")
    parser.add_argument("--all", action="store_true", help="check all operations and keys")
    arguments = parser.parse_args()
    if len(arguments.files) not in (3, 4):
        parser.error("expected dealer.bundle or two party bundles, and two session files")
    limits = (sys.maxsize,) * 2 if arguments.all else (arguments.operations, arguments.keys)
    try:
        bundles, sessions = arguments.files[:-2], arguments.files[-2:]
        session = Session(DealerBundle(*bundles) if len(bundles) == 1 else Pair(*bundles), sessions)
        for file in session.files:
            file.verify()
        if arguments.dealer:
            check_dealer_seed(arguments.dealer, session)
        check_algebra(session, *limits, report=print)
        return 0
    except (FormatError, ContainerError, OSError, KeyError, ValueError, TypeError) as error:
        print(f"check-session: error: {error}", file=sys.stderr)
        return 1


def check_algebra(session, operations, keys, report=lambda text: None):
    """Checks `operations` operations of each kind, spread over the program, and `keys` keys each."""
    generator = np.random.default_rng(0)
    for kind in ("view", "linear", "scale", "scores", "mix", "multiply", "polynomial",
                 "piecewiseLinear"):
        nodes = [i for i, node in enumerate(session.nodes) if node["name"] == kind]
        chosen = nodes[::max(1, -(-len(nodes) // operations))]
        for index in chosen:
            session.check_node(index)
            if f"operations/{index}/keys" in session.files[0] and session.key_shape(index)[0]:
                session.check_keys(index, generator, keys)
        report(f"{kind}: {len(chosen)} of {len(nodes)} operations checked")


if __name__ == "__main__":
    sys.exit(main())
