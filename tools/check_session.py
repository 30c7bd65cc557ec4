#!/usr/bin/env python3
"""Checks the algebra of one dealt session from both parties' files, with no code of Lodge.

Written from formats/correlations.md and formats/program.md. Regenerates all masks from the two
seeds, adds the shares of correlated arrays and compares them with what they must add up to, and
evaluates comparison keys with a comparison function in Python. For tests and audits: whoever has
both files could open every message of the session.

    check_session.py shares/party0.bundle shares/party1.bundle corr/party{0,1}/000000.corr
"""

import argparse
import hashlib
import sys

import numpy as np

from bit_comparison import Circuit, from_tiles, to_tiles
from comparison_function import evaluate
from read_bundle import FormatError, Pair, derived_seed, stream_words
from read_container import Container, ContainerError

MASK, CORRELATION, ROOT, COMPARISON_MASK = 0, 1, 2, 4
HEADER = {"batch", "session", "party", "kind", "promptCapacity", "newCapacity", "conversion",
          "programDigest"}
U = np.uint64


class Session:
    """Masks, correlated arrays and keys of one session, both parties together."""

    def __init__(self, pair, paths):
        self.program, self.pair = pair.program, pair
        self.values, self.nodes = pair.program["values"], pair.program["operations"]
        self.files = [Container(path, kind="correlations") for path in paths]
        headers = [file.header for file in self.files]
        for party, (file, header) in enumerate(zip(self.files, headers)):
            if set(header) != HEADER:
                raise FormatError(f"{file.path}: header: must have exactly {sorted(HEADER)}")
            expected = {"party": party, "conversion": pair.conversion, "kind": self.program["kind"],
                        "programDigest": pair.program_digest, "batch": headers[0]["batch"],
                        "session": headers[0]["session"]}
            for key, value in expected.items():
                if header[key] != value:
                    raise FormatError(f"{file.path}: {key}: {header[key]!r} is not {value!r}")
        self.header, self.number = headers[0], headers[0]["session"]
        self.rows = headers[0]["promptCapacity"] + max(headers[0]["newCapacity"] - 1, 0)
        self.last_rows = max(headers[0]["newCapacity"], 1)
        self.seeds = [file["seed"].tobytes() for file in self.files]
        text = f"lodge/1/comparison/{self.number}/".encode() + bytes.fromhex(self.header["batch"])
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

    def total(self, node, component, count):
        """Both shares of a correlated array added: one stored, one from a seed."""
        holder = (node + component) % 2
        name = f"operations/{node}/{component}"
        if name in self.files[1 - holder]:
            raise FormatError(f"{self.files[1 - holder].path}: {name}: belongs to the other party")
        stored = self.files[holder][name]
        if stored.dtype != U or stored.shape != (count,):
            raise FormatError(f"{self.files[holder].path}: {name}: expected {count} u64")
        streamed = self.stream(1 - holder, node, CORRELATION, component, count)
        return stored ^ streamed if self.is_bits(node, component) else stored + streamed

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
            matrix = self.pair.weight(node["weight"])
            matrix = matrix if weight["isTransposed"] else matrix.T
            return [(self.mask(reads[0]).reshape(-1, matrix.shape[0]) @ matrix).ravel()]
        if name == "scale":
            vector = self.pair.weight(node["weight"]).ravel()
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

    def check_node(self, index):
        for component, expected in enumerate(self.expected(index)):
            total = self.total(index, component, expected.size)
            if not np.array_equal(total, expected):
                place = int(np.argmax(total != expected))
                raise FormatError(
                    f"operation {index} ({self.nodes[index]['name']}), component {component}: the "
                    f"shares of element {place} do not add up to what they must")

    def check_keys(self, index, generator, elements):
        """Evaluates the keys of some elements around alpha and at random points."""
        node, value = self.nodes[index], self.nodes[index]["reads"][0]
        mask, levels = self.mask(value), node["comparedBits"] - 1
        keys = [file[f"operations/{index}/keys"] for file in self.files]
        payload = 3 if node["shift"] else 2
        size = 8 + levels * (16 + 8 * payload) + 8 * payload
        if keys[0].shape != (mask.size, size) or not np.array_equal(*keys):
            raise FormatError(f"operation {index}: the parties' comparison keys differ")
        roots = [self.stream(p, index, ROOT, 0, 2 * mask.size) for p in (0, 1)]
        windows = self.window(node, mask)
        for element in generator.choice(mask.size, min(elements, mask.size), replace=False):
            alpha = int(windows[element]) % 2**levels
            h = int(windows[element]) >> levels
            parts = [1] + ([int(mask[element]) >> node["shift"], int(mask[element]) >> 63]
                           if payload == 3 else [int(mask[element])])
            beta = [(1 - 2 * h) * part % 2**64 for part in parts]
            random = [int(x) for x in generator.integers(0, 2**levels, 2, dtype=U, endpoint=False)]
            for x in {max(alpha - 1, 0), alpha, min(alpha + 1, 2**levels - 1), *random}:
                shares = [evaluate(self.comparison_key, p, keys[p][element].tobytes(),
                                   roots[p][2 * element:2 * element + 2].tobytes(), levels, payload, x)
                          for p in (0, 1)]
                if [sum(pair) % 2**64 for pair in zip(*shares)] != (beta if x < alpha else [0] * payload):
                    raise FormatError(f"operation {index} (piecewiseLinear): the comparison key of "
                                      f"element {element} is wrong at the point {x}")


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
    for name in ("bundle0", "bundle1", "session0", "session1"):
        parser.add_argument(name)
    parser.add_argument("--dealer", metavar="FILE", help="the dealer.batch of these files")
    parser.add_argument("--operations", type=int, default=4, help="checked of each kind (4)")
    parser.add_argument("--keys", type=int, default=4, help="comparison keys an operation (4)")
    arguments = parser.parse_args()
    try:
        session = Session(
            Pair(arguments.bundle0, arguments.bundle1), [arguments.session0, arguments.session1])
        for file in session.files:
            file.verify()
        if arguments.dealer:
            check_dealer_seed(arguments.dealer, session)
        generator = np.random.default_rng(0)
        for kind in ("view", "linear", "scale", "scores", "mix", "multiply", "polynomial",
                     "piecewiseLinear"):
            nodes = [i for i, node in enumerate(session.nodes) if node["name"] == kind]
            chosen = nodes[::max(1, -(-len(nodes) // arguments.operations))] if nodes else []
            for index in chosen:
                session.check_node(index)
                node = session.nodes[index]
                if (kind == "piecewiseLinear" and "comparison" not in node
                        and session.count(node["reads"][0])):
                    session.check_keys(index, generator, arguments.keys)
            print(f"{kind}: {len(chosen)} of {len(nodes)} operations checked")
        return 0
    except (FormatError, ContainerError, OSError, KeyError, ValueError, TypeError) as error:
        print(f"check-session: error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
