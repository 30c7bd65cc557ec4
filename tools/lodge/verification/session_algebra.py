"""What the arrays of a session must add up to, from formats/correlations.md and formats/program.md."""

import hashlib

import numpy as np

from lodge.verification.bit_comparison import Circuit, from_tiles, to_tiles
from lodge.verification.blocks import Columns, Tree
from lodge.verification.exponential import Cells
from lodge.verification.permuted import OF_RUNS, permutation
from lodge.verification.read_bundle import PROVIDER_USER, TWO_SERVER, stream_words
from lodge.verification.session_arrays import POINTS, Arrays

MASK, CORRELATION, ROOT, COMPARISON_MASK = 0, 1, 2, 4
NOISE = 11
PERMUTATION, PERMUTED_OPERAND, PERMUTED_RESULT, PERMUTED_FACTOR = 5, 6, 7, 12
BLOCK_ROOT = 9
U = np.uint64


def add_lanes(a, b):
    """The sum of words of four numbers of 16 bits each."""
    return (a.view("<u2") + b.view("<u2")).view("<u8")


def subtract_lanes(a, b):
    return (a.view("<u2") - b.view("<u2")).view("<u8")


def one_way_openings(program):
    """The operations that open what only products with weights read."""
    written, opened, others = 0, {}, set()
    for index, node in enumerate(program["operations"]):
        if node["name"] in ("open", "widen"):
            opened[written] = index
        if node["name"] not in ("linear", "scale"):
            others.update(node["reads"])
        written += node["writes"]
    return {index for value, index in opened.items() if value not in others}


def silent_openings(program):
    """By the openings of the whole result of a `permuted`: the operation that gives it."""
    written, results, silent = 0, {}, {}
    for index, node in enumerate(program["operations"]):
        if node["name"] == "permuted":
            results[written] = index
        if node["name"] == "open" and node["reads"][0] in results:
            ring = program["values"][node["reads"][0]].get("ringBits", 64)
            if node.get("shift", 0) == 0 and node.get("bits", 64) == ring:
                silent[index] = results[node["reads"][0]]
        written += node["writes"]
    return silent


class Algebra(Arrays):
    """What the arrays of one session must add up to, from both seeds and the weights."""

    def __init__(self, program, weight, header, seeds):
        """`weight` gives what the dealer has of a weight by its number; `seeds` are both parties'."""
        self.program, self.weight, self.header, self.seeds = program, weight, header, seeds
        self.noise_seed = None  # The dealer's, of this session.
        self.deployment = header.get("deployment", TWO_SERVER)
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
            if node["name"] in ("open", "openBlocks"):
                self.opener[written] = index
            if node["name"] == "widen":  # Under more bits of the same mask.
                self.opener[written] = self.opener[self.opened_value(node["reads"][0])]
            if node["name"] == "view":
                self.viewed[written] = (node["reads"][0], node["shift"])
            written += node["writes"]
        self.silent = silent_openings(program)

    def row_count(self, value):
        return self.last_rows if self.values[value]["rows"] == "last" else self.rows

    def window(self, value):
        kind, *numbers = self.values[value]["columns"]
        return numbers[-1] if len(numbers) > {"keys": 2, "pairs": 2}.get(kind, 1) else None

    def context(self, prompt):
        """The rows that see each other of a prompt of `prompt` rows."""
        return prompt - 1 if self.program["kind"] == "prefixDecoder" else 0

    def keys(self, row, count, window, prompt=None):
        """The keys that `row` attends to in a text of `count` rows, behind a prompt of `prompt`, in the
        dealt layout where that is left out."""
        if self.program["kind"] == "encoder":
            end = count
        else:
            end = max(row + 1, self.context(self.header["promptCapacity"] if prompt is None else prompt))
        return range(end) if window is None else range(
            max(row - window + 1, 0), min(row + window, end))

    def runs(self, value):
        """(number of runs a row, their length in each row)."""
        kind, *numbers = self.values[value]["columns"]
        lengths = []
        for row in range(self.row_count(value)):
            dealt = len(self.keys(row, self.rows, self.window(value)))
            keys = -(-dealt // 2 ** numbers[1]) if kind in ("keys", "pairs") else dealt
            lengths.append({"fixed": numbers[0], "keys": keys, "pairs": keys // 2,
                            "sessionKeys": dealt}[kind])
        return (1 if kind == "fixed" else numbers[0]), lengths

    def blocks(self, value):
        """The columns of a value of blocks, else None."""
        columns = self.values[value]["columns"]
        return Columns(columns) if columns[0] in ("blocks", "blockKeys") else None

    def dealt_keys(self, value):
        """The number of keys of every dealt row."""
        return [len(self.keys(row, self.rows, None)) for row in range(self.row_count(value))]

    def count(self, value):
        if columns := self.blocks(value):
            return columns.capacity(self.dealt_keys(value))
        heads, lengths = self.runs(value)
        return heads * sum(lengths)

    def broadcast(self, words, narrow, wide):
        """Each word of a fixed-width value repeated over its run of `wide`."""
        if self.values[narrow] == self.values[wide] or len(words) == self.count(wide):
            return words
        if columns := self.blocks(wide):
            return np.repeat(words, columns.width)
        width, lengths = self.values[narrow]["columns"][1], self.runs(wide)[1]
        fixed = self.values[wide]["columns"][0] == "fixed"
        return np.repeat(words, [n // width if fixed else n for n in lengths for _ in range(width)])

    # Randomness

    def stream(self, party, node, kind, index, count):
        return stream_words(self.seeds[party], self.number, party, node, kind, index, count)

    def mask_share(self, party, node, count):
        """A party's share of the mask of an opening; of a silent one party 1's takes away what it opens."""
        if party == 1 and node in self.silent:
            return U(0) - self.stream(1, self.silent[node], CORRELATION, 1, count)
        return self.stream(party, node, MASK, 0, count)

    def opened_value(self, value):
        """The opened value that a view is of; other values as they are."""
        return self.viewed[value][0] if value in self.viewed else value

    def ring_bits(self, value):
        return self.values[value].get("ringBits", 64)

    def mask(self, value):
        node, count = self.opener[value], self.count(value)
        if self.nodes[node]["name"] == "openBlocks":
            words = sum(np.concatenate(self.block_masks(p, node)) for p in (0, 1))
        else:
            words = sum(self.mask_share(p, node, count) for p in (0, 1))
        return words & U(2 ** self.ring_bits(value) - 1)

    def block_roots(self, party, node):
        """The root of the masks of every dealt row."""
        rows = self.row_count(self.nodes[node]["reads"][0])
        words = self.stream(party, node, BLOCK_ROOT, 0, 2 * rows)
        return [int(low) | int(high) << 64 for low, high in words.reshape(-1, 2)]

    def block_masks(self, party, node):
        """A party's share of the masks of what an openBlocks opens, by dealt row."""
        value = self.nodes[node]["reads"][0]
        columns = self.blocks(value)
        tree, widths = Tree(columns, self.comparison_key), columns.widths(self.dealt_keys(value))
        return [tree.row(root, width) for root, width in zip(self.block_roots(party, node), widths)]

    def parts(self, value):
        """r of an opened value; t and h of a view."""
        if value not in self.viewed:
            return [self.mask(value)]
        opened, shift = self.viewed[value]
        return self.view_parts(opened, shift)

    def view_parts(self, opened, shift):
        mask = self.mask(opened)
        return [mask >> U(shift), mask >> U(self.ring_bits(opened) - 1)]

    @staticmethod
    def is_viewed(node):
        """Whether the slopes of a piecewiseLinear act on a view."""
        return not Algebra.is_constant(node) and (node["shift"] > 0 or node.get("lifted", False))

    @staticmethod
    def is_constant(node):
        """Whether the pieces of a piecewiseLinear are constant."""
        return not any(map(any, node["slopes"]))

    def payload(self, node):
        """Words of a piecewiseLinear's payload: the bit, and the bit times the mask parts of y."""
        return 1 if self.is_constant(node) else 3 if self.is_viewed(node) else 2

    def has_quiet_array(self, node):
        """Whether there is an array of which elements are compared: with noise, by keys."""
        return "noise" in node and "comparison" not in node

    def quiet(self, index):
        """Of an operation with noise, 1 for every element that is compared, and 0 for others."""
        node = self.nodes[index]
        words = stream_words(self.noise_seed, self.number, 2, index, NOISE, 0, self.count(node["reads"][0]))
        return (words >= U(2**64 * node["noise"] // 1000)).astype(U)

    def windows(self, index, mask):
        """The compared windows of masks, 0 where noise lets nothing be below."""
        node = self.nodes[index]
        windows = self.compared(node, mask)
        return windows * self.quiet(index) if "noise" in node else windows

    def result_count(self, node):
        """Arrays of a piecewiseLinear that have its payload."""
        direct = node.get("comparison") == "bits" and node.get("resultBits") == 1
        return 0 if direct else self.payload(node)

    def shares_add(self, index, component):
        """How the shares of an array add up: modulo 2, 2^16 by lanes, or 2^64."""
        if self.is_bits(index, component):
            return np.bitwise_xor
        return add_lanes if self.nodes[index]["name"] == "coarseSteps" else np.add

    def is_bits(self, index, component):
        """Whether an array is the dealt bits of comparisons by bits, the last of its operation."""
        node = self.nodes[index]
        return (node.get("comparison") == "bits"
                and component == self.result_count(node) + 2 * self.is_viewed(node))

    def comparison_masks(self, index, party):
        """The share of the mask bits [64 tiles, planes] of comparisons by bits."""
        circuit = Circuit(self.nodes[index])
        planes = circuit.mask_count * circuit.knots
        tiles = -(-self.count(self.nodes[index]["reads"][0]) // 64)
        if not planes:
            return np.zeros((64 * tiles, 0), np.uint8)
        return from_tiles(self.stream(party, index, COMPARISON_MASK, 0, tiles * planes), planes)

    # Permutations

    def row_words(self, index, row):
        """The words from which party 0 draws the permutations of a dealt row, one after the other."""
        count = 64
        taken = 0
        while True:
            words = stream_words(self.seeds[0], self.number, 0, index, PERMUTATION, row, count)
            yield from map(int, words[taken:])
            taken, count = count, 2 * count

    def permutations(self, index, row, length):
        """The permutations of a row of `length` elements, for each of its permuted ranges."""
        node = self.nodes[index]
        kind, *numbers = self.values[node["reads"][0]]["columns"]
        ranges = 1
        if node["function"] in OF_RUNS:
            ranges = node.get("runs", 1) if kind == "fixed" else numbers[0]
        words = self.row_words(index, row)
        return [permutation(words, length // ranges) for _ in range(ranges)]

    def permutes_whole_text(self, index):
        """Whether one permutation holds all dealt rows."""
        node = self.nodes[index]
        return (self.program["kind"] == "encoder" and node["function"] not in OF_RUNS
                and self.values[node["reads"][0]]["rows"] == "step")

    def order(self, index, rows):
        """Where party 0 takes each element from, for `rows` of (dealt row, elements)."""
        places, start = [], 0
        if self.permutes_whole_text(index):
            rows = [(0, self.count(self.nodes[index]["reads"][0]))]
        for row, length in rows:
            for order in self.permutations(index, row, length):
                places += [start + element for element in order]
                start += len(order)
        return np.array(places, dtype=int)

    def permuted_masks(self, index):
        """pi(a) and pi^-1(r); with a factor pi^-1(s + r w), what takes c away, and pi(h)."""
        node = self.nodes[index]
        value = node["reads"][0]
        heads, lengths = self.runs(value)
        order = self.order(index, [(row, heads * length) for row, length in enumerate(lengths)])
        a, r = (self.stream(1, index, kind, 0, order.size)
                for kind in (PERMUTED_OPERAND, PERMUTED_RESULT))
        arrays = []
        if "factorBits" in node:
            bits = node["factorBits"]
            c, s = (self.stream(1, index, kind, 1, order.size) for kind in (PERMUTED_OPERAND, PERMUTED_RESULT))
            w, e = (self.stream(0, index, PERMUTED_FACTOR, number, order.size) for number in (0, 1))
            choice = self.stream(1, index, CORRELATION, 3, order.size) & U(1)
            c, r = (c & U(2**bits - 1))[order], s + r * w
            arrays = [((choice * e) << U(bits)) - c - w, c >> U(bits - 1)]
        unpermuted = np.empty_like(r)
        unpermuted[order] = r
        return [a[order], unpermuted] + arrays

    # Expected arrays

    def expected(self, index):
        """What the correlated arrays of node `index` add up to, in order."""
        node, first = self.nodes[index], self.first_value[index]
        name, reads = node["name"], node["reads"]
        if name == "view":
            return self.view_parts(reads[0], node["shift"])
        if name == "widen":
            bits, mask = self.ring_bits(reads[0]), self.mask(first)
            return [mask >> U(bits), (mask >> U(bits - 1)) & U(1)]
        if name in ("linear", "blockLinear"):
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
        if name == "permuted":
            return self.permuted_masks(index)
        mask = self.mask(reads[0])
        if name == "coarseSteps":
            return [Cells(node).dealt(mask)]
        viewed = self.is_viewed(node)
        parts = [np.ones_like(mask)] + ([] if self.is_constant(node) else self.view_parts(
            reads[0], node["shift"]) if viewed else [mask])
        if node.get("comparison") == "bits":
            circuit = Circuit(node)
            masks = self.comparison_masks(index, 0) ^ self.comparison_masks(index, 1)
            products = []
            if circuit.opens_result:
                results = masks[:mask.size, circuit.mask_count - 1::circuit.mask_count].astype(U)
                products = [(part[:, None] * results).ravel() for part in parts]
            return (products
                    + (parts[1:] if viewed else [])
                    + [to_tiles(circuit.dealt(self.windows(index, mask), masks,
                                              self.quiet(index) if circuit.is_noisy else None))])
        top = self.windows(index, mask) >> U(node["comparedBits"] - 1)
        return ([part * top for part in parts] + ([self.quiet(index)] if "noise" in node else [])
                + (parts[1:] if viewed else []))

    def attention(self, name, heads, key_heads, reads, result):
        first, second = self.mask(reads[0]), self.mask(reads[1])
        width = self.values[reads[1]]["columns"][1]
        second = second.reshape(-1, key_heads, width // key_heads)
        second = second.repeat(heads // key_heads, axis=1)
        output, place = [], 0
        scores = result if name == "scores" else reads[0]
        for row, length in enumerate(self.runs(scores)[1]):
            left = self.values[reads[0]]["columns"][1] if name == "scores" else heads * length
            rows = first[place:place + left].reshape(heads, -1)
            place += left
            keys = self.keys(row, self.rows, self.window(scores))
            output += [second[keys, h] @ rows[h] if name == "scores"
                       else rows[h] @ second[keys, h] for h in range(heads)]
        return np.concatenate(output)

    @staticmethod
    def compared(node, words):
        return (words >> U(node["droppedBits"])) & U(2 ** node["comparedBits"] - 1)

    def key_functions(self, index, mask):
        """alpha and beta of the keys, one list entry a key."""
        node = self.nodes[index]
        if self.has_points(index):
            factor = [part for value in node["reads"][1:] for part in self.parts(value)]
            return POINTS[node["name"]](node).dealt(mask, *factor)
        parts = ([] if self.is_constant(node)
                 else self.view_parts(node["reads"][0], node["shift"]) if self.is_viewed(node) else [mask])
        levels, entries = node["comparedBits"] - 1, []
        for element, window in enumerate(map(int, self.windows(index, mask))):
            sign = 1 - 2 * (window >> levels)
            payload = [1] + [int(part[element]) for part in parts]
            entries.append((window % 2**levels, [sign * part % 2**64 for part in payload]))
        return entries
