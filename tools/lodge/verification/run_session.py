#!/usr/bin/env python3
"""Evaluates a session as both parties would, in one process and with no code of Lodge.

Written from formats/program.md. Slow, and it sees everything: for tests and audits of small models.

    run_session.py shares/party{0,1}.bundle corr/party{0,1}/000000.corr --tokens "[[5,7,1],[4]]"

prints the output words of each step, in hexadecimal, one row a line. The list has the tokens of each step, or
{"tokens": [4, 2], "kept": 3, "outputs": 2}: how many rows of the step before stay, and how many rows give outputs.
"""

import argparse
import json
import math
import sys

import numpy as np

from lodge.verification.blocks import Tree
from lodge.verification.bit_comparison import Circuit, from_tiles
from lodge.verification.check_session import Session
from lodge.verification.comparison_function import evaluate, evaluate_all, evaluate_middle
from lodge.verification.exponential import Cells, Exponentials
from lodge.verification.lookup import Lookup
from lodge.verification.permuted import Permuted
from lodge.verification.read_bundle import PROVIDER_USER, FormatError, Pair
from lodge.verification.read_container import ContainerError
from lodge.verification.rotation import factors
from lodge.verification.session_algebra import (
    CORRELATION, PERMUTED_FACTOR, PERMUTED_OPERAND, PERMUTED_RESULT, ROOT)

U = np.uint64


def word(x):
    return U(x % 2**64)


class Masked:
    """An opened value or a view: the public base, both parties' shares of the parts, and B."""

    def __init__(self, base, parts, lift=None):
        self.base, self.parts, self.lift = base, parts, lift

    def coefficients(self):
        minus = np.full_like(self.base, word(-1))
        return [minus] if self.lift is None else [minus, self.lift]

    def rest(self, p):
        return sum(c * part[p] for c, part in zip(self.coefficients(), self.parts))

    def share(self, p):
        return (self.base if p == 0 else U(0)) + self.rest(p)

    def map(self, change):
        parts = [[change(part) for part in pair] for pair in self.parts]
        return Masked(change(self.base), parts, None if self.lift is None else change(self.lift))


class Run:
    """The steps of one session; `shared` holds a pair of shares for each shared value."""

    def __init__(self, session):
        self.session, self.decoder = session, session.program["kind"] != "encoder"
        weights = range(len(session.program["weights"]))
        self.weights = [[b.share(i) for i in weights] for b in session.pair.bundles]
        attended = [n["reads"][1] for n in session.nodes if n["name"] in ("scores", "mix")]
        self.kept = {value: None for value in attended} if self.decoder else {}
        # The first slot and output of the step, and the slots of the text before and with it.
        self.row = self.index = self.prompt = self.outputs = 0
        self.text, self.last = [], range(0)
        self.used, self.running, self.run_keys = {}, {}, {}  # By the value that decides.

    # Layout of the step: P4 and the tables of Shapes

    def rows(self, value):
        kind = self.session.values[value]["rows"]
        return {"step": self.count, "last": self.outputs, "session": self.session.rows}[kind]

    def keys(self, row, value):
        """The keys that row number `row` of the step has columns for: slots where columns are those that
        are dealt, else positions."""
        window = self.session.window(value)
        if self.session.values[value]["columns"][0] == "sessionKeys":
            return self.session.keys(self.row + row, self.session.rows, window)
        return self.session.keys(self.position + row, self.count, window, self.prompt)

    def columns(self, value, row):
        """The dealt columns of one run of row number `row`."""
        kind, *numbers = self.session.values[value]["columns"]
        if kind != "keys" or numbers[1]:
            return range(self.runs(value)[1][row])
        first = self.session.keys(self.row + row, self.session.rows, self.session.window(value)).start
        return [self.text[key] - first for key in self.keys(row, value)]

    def runs(self, value):
        """(runs a row, length of the runs of each row)."""
        kind, *numbers = self.session.values[value]["columns"]
        lengths = []
        for row in range(self.rows(value)):
            keys = len(self.keys(row, value))
            if kind in ("keys", "pairs"):
                keys = -(-keys // 2 ** numbers[1])
            lengths.append({"fixed": numbers[0], "keys": keys, "pairs": keys // 2,
                            "sessionKeys": keys}[kind])
        return (1 if kind == "fixed" else numbers[0]), lengths

    def key_counts(self, value):
        """The number of keys of every row of the step, without a window."""
        return [len(self.session.keys(position, self.count, None, self.prompt))
                for position in self.positions(value)]

    def block_places(self, value):
        """Where the elements of running blocks are among all columns of the step's rows."""
        columns = self.session.blocks(value)
        return columns.places(self.running[columns.gates], self.key_counts(value))

    def block_widths(self, value):
        """(block, columns) of every block that runs, row after row."""
        columns = self.session.blocks(value)
        return [(block, width) for width, blocks in zip(
            columns.widths(self.key_counts(value)), self.running[columns.gates]) for block in blocks]

    def places(self, value):
        """Where the elements of the step lie in the dealt layout."""
        if columns := self.session.blocks(value):
            count = sum(width for _, width in self.block_widths(value))
            used = self.used[columns.gates][1 if columns.of_keys else 0]
            return np.arange(used * columns.width, used * columns.width + count)
        heads, dealt = self.session.runs(value)
        first = self.index if self.session.values[value]["rows"] == "last" else (
            0 if self.session.values[value]["rows"] == "session" else self.row)
        places = []
        for row in range(self.rows(value)):
            start, columns = heads * sum(dealt[:first + row]), self.columns(value, row)
            places += [start + run * dealt[first + row] + k for run in range(heads) for k in columns]
        return np.array(places, dtype=int)

    def split(self, words, value, runs=None):
        """The words of a value as a list of runs, rows first; of blocks, one for each that runs."""
        if self.session.blocks(value):
            widths = [width for _, width in self.block_widths(value)]
            return np.split(words, np.cumsum(widths)[:-1]) if widths else []
        heads, lengths = self.runs(value)
        if runs is not None and self.session.values[value]["columns"][0] == "fixed":
            heads, lengths = runs, [n // runs for n in lengths]
        return np.split(words, np.cumsum([n for n in lengths for _ in range(heads)])[:-1])

    # Randomness of the step

    def stored(self, node, component):
        """Both parties' shares of a correlated array in the dealt layout."""
        s, holder = self.session, self.session.holder(node, component)
        shares = [None, None]
        shares[holder] = s.words_of(s.files[holder], node, component)
        shares[1 - holder] = s.stream(1 - holder, node, CORRELATION, component, shares[holder].size)
        return shares

    def array(self, node, component, value):
        """Both parties' shares of a correlated array with the shape of `value`."""
        return [share[self.places(value)] for share in self.stored(node, component)]

    # Operations

    def step(self, inputs, kept=None, outputs=1, own=None):
        """Output words of the next rows; `inputs` are plaintext words [rows, width], `own` party 1's share."""
        self.count, self.outputs = len(inputs), outputs
        self.text = self.text[:len(self.text) - len(self.last)] + list(self.last)[:kept]
        self.position = len(self.text)
        self.last = range(self.row, self.row + self.count)
        self.text = self.text + list(self.last)
        if self.index == 0:
            self.prompt = self.count - outputs + 1
        if self.session.deployment == PROVIDER_USER:  # The user keeps all of it.
            own = inputs.ravel()
        if own is None:
            own = np.random.default_rng(1).integers(0, 2**64, inputs.size, dtype=U)
        self.openings = {}
        self.shared, self.masked = {0: [inputs.ravel() - own, own]}, {}
        for index, node in enumerate(self.session.nodes):
            if node["name"] == "output":
                self.output, bits = self.shared[node["reads"][0]], node.get("bits", 64)
            elif node["name"] != "input":
                getattr(self, "do_" + node["name"])(index, node, node["reads"],
                                                    self.session.first_value[index])
        self.row, self.index = self.row + self.count, self.index + outputs
        unused = U(64 - bits)
        return ((sum(self.output) << unused).view(np.int64) >> unused.astype(np.int64)).view(U)

    def both(self, result, function):
        self.shared[result] = [function(p) for p in (0, 1)]

    def do_open(self, index, node, reads, z):
        s, places = self.session, self.places(reads[0])
        masks = [s.mask_share(p, index, s.count(reads[0]))[places] for p in (0, 1)]
        shift, bits = node.get("shift", 0), node.get("bits", s.ring_bits(reads[0]))
        ring, kept = U(2 ** s.ring_bits(reads[0]) - 1), U(2**bits - 1)
        words = sum(((share & ring) >> U(shift)) + U(1 if shift and p == 0 else 0) + mask
                    for p, (share, mask) in enumerate(zip(self.shared[reads[0]], masks))) & kept
        self.opened(index, z, words, masks)

    def opened(self, index, z, words, masks):
        self.masked[z] = Masked(words, [masks])
        self.openings[index] = words
        if z in self.kept:
            old = self.kept[z]
            self.kept[z] = self.masked[z] if old is None else Masked(
                np.append(old.base, words), [[np.append(*m) for m in zip(old.parts[0], masks)]])

    def do_widen(self, index, node, reads, z):
        s, places, x = self.session, self.places(reads[0]), self.masked[reads[0]]
        bits, kept = s.ring_bits(s.opened_value(reads[0])), U(2 ** node["bits"] - 1)
        masks = [s.mask_share(p, s.opener[z], s.count(reads[0]))[places] for p in (0, 1)]
        if reads[0] in s.viewed:
            low = U(2**bits - 1)
            known, (first, second) = x.base & low, (x.share(p) + masks[p] for p in (0, 1))
            upper = (first >> U(bits)) + ((first & low) > known).astype(U) + (second >> U(bits))
        else:
            view, (rest, top) = self.viewed(x.base, bits, 0, []), (self.array(index, k, z) for k in (0, 1))
            known = view.base
            upper = sum(rest[p] + (view.lift >> U(bits)) * top[p] for p in (0, 1))
        self.opened(index, z, (known + (upper << U(bits))) & kept, masks)

    def viewed(self, base, bits, shift, parts):
        c = (base + U(2 ** (bits - 2))) & U(2**bits - 1)
        lift = (U(1) - (c >> U(bits - 1))) << U(bits - shift)
        return Masked((c >> U(shift)) - U(2 ** (bits - 2) >> shift), parts, lift)

    def do_view(self, index, node, reads, z):
        parts = [self.array(index, k, z) for k in (0, 1)]
        self.masked[z] = self.viewed(
            self.masked[reads[0]].base, self.session.ring_bits(reads[0]), node["shift"], parts)

    def do_truncate(self, index, node, reads, z):
        self.both(z, self.masked[reads[0]].share)

    def weighted(self, index, node, x, z, times, dealt=None):
        """Shares of a product with a weight, whose mask each party multiplies where the dealer is blind."""
        dealt, opened = self.array(index, 0, z) if dealt is None else dealt, self.masked[x]
        mask = self.session.pair.bundles[0].weight_mask(node["weight"])

        def share(p):
            masked = dealt[p] if mask is None else dealt[p] + times(opened.parts[0][p], mask)
            return times(opened.base, self.weights[p][node["weight"]]) - masked
        self.both(z, share)

    def do_linear(self, index, node, reads, z):
        transposed = self.session.program["weights"][node["weight"]]["isTransposed"]

        def times(words, w):
            w = w if transposed else w.T
            return (words.reshape(-1, w.shape[0]) @ w).ravel()
        self.weighted(index, node, reads[0], z, times)

    def do_scale(self, index, node, reads, z):
        self.weighted(index, node, reads[0], z,
                      lambda words, w: (words.reshape(-1, w.size) * w.ravel()).ravel())

    def attention(self, left, right, reads, z, node):
        scores, heads, key_heads = node["name"] == "scores", node["heads"], node["keyHeads"]
        width = self.session.values[reads[1]]["columns"][1]
        right = right.reshape(-1, key_heads, width // key_heads)
        right = right.repeat(heads // key_heads, axis=1)
        pieces = self.split(left, reads[0], heads)
        keys = [[self.text[key] for key in self.keys(row, z)] if scores and self.decoder
                else self.keys(row, z if scores else reads[0]) for row in range(self.count)]
        return np.concatenate([
            right[keys[row], h] @ pieces[row * heads + h] if scores
            else pieces[row * heads + h] @ right[keys[row], h]
            for row in range(self.count) for h in range(heads)])

    def do_scores(self, index, node, reads, z):
        left, product = self.masked[reads[0]], self.array(index, 0, z)
        right = self.kept.get(reads[1]) or self.masked[reads[1]]
        s, first = self.session, len(right.base)
        if node["name"] == "mix":
            # Rows to come: their weights are zero.
            width = s.values[reads[1]]["columns"][1]
            missing = self.keys(self.count - 1, reads[0]).stop * width - first
            if missing > 0:
                masks = [s.mask_share(p, s.opener[reads[1]], first + missing)[first:] for p in (0, 1)]
                right = Masked(np.append(right.base, np.zeros(missing, U)),
                               [[np.append(*pair) for pair in zip(right.parts[0], masks)]])

        def share(p):
            apply = lambda a, b: self.attention(a, b, reads, z, node)
            return apply(left.share(p), right.base) - apply(left.base, right.parts[0][p]) + product[p]
        self.both(z, share)

    do_mix = do_scores

    def do_multiply(self, index, node, reads, z):
        x, y = self.masked[reads[0]], self.masked[reads[1]]
        y = y.map(lambda words: self.broadcast(words, reads[1], reads[0]))
        arrays = [self.array(index, k, z) for k in range(len(x.parts) * len(y.parts))]
        pairs = [c * d for c in x.coefficients() for d in y.coefficients()]
        self.both(z, lambda p: (x.base * y.base if p == 0 else U(0)) + x.base * y.rest(p)
                  + y.base * x.rest(p) + sum(c * a[p] for c, a in zip(pairs, arrays)))

    def broadcast(self, words, narrow, wide):
        values = self.session.values
        if (values[narrow]["rows"], values[narrow]["columns"]) == (
                values[wide]["rows"], values[wide]["columns"]):
            return words
        pieces = self.split(np.empty(len(self.places(wide))), wide, values[narrow]["columns"][1])
        return np.repeat(words, [len(piece) for piece in pieces])

    def do_polynomial(self, index, node, reads, z):
        x, degree = self.masked[reads[0]], max(map(len, node["coefficients"])) - 1
        powers = [x.parts[0]] + [self.array(index, k, z) for k in range(degree - 1)]
        tops = [x.parts[1]] + [self.array(index, k, z) for k in range(degree - 1, 2 * degree - 2)] \
            if x.lift is not None else []

        def q(row, i, a):
            total = np.zeros_like(a)
            for k in range(len(row) - 1, i - 1, -1):
                total = total * a + word((-1) ** i * row[k] * math.comb(k, i))
            return total
        for output, row in enumerate(node["coefficients"], start=z):
            def share(p):
                total = q(row, 0, x.base) if p == 0 else np.zeros_like(x.base)
                for i, power in enumerate(powers, start=1):
                    total = total + q(row, i, x.base) * power[p]
                for i, top in enumerate(tops):
                    total = total + (q(row, i, x.base + x.lift) - q(row, i, x.base)) * top[p]
                return total
            self.both(output, share)

    def do_piecewiseLinear(self, index, node, reads, z):
        s, places, x = self.session, self.places(reads[0]), self.masked[reads[0]]
        viewed = s.is_viewed(node)
        payload = s.payload(node)
        results = s.result_count(node)
        parts = [self.array(index, k, z) for k in range(results, results + 2)] if viewed else []
        y = self.viewed(x.base, s.ring_bits(reads[0]), node["shift"], parts) if viewed else x
        compare = self.by_bits if "comparison" in node else self.by_keys
        flips, shares = compare(index, node, payload, places, x.base)
        steps = [[[word(a - b) for a, b in zip(row, row[1:])] for row in rows]
                 for rows in (node["slopes"], node["intercepts"])]
        for p in (0, 1):
            own = U(1 - p)
            # What a public bit counts: with noise not where it lets nothing be below.
            counted = self.array(index, 1, reads[0])[p] if s.has_quiet_array(node) else own
            for o, (slope, intercept) in enumerate(zip(node["slopes"], node["intercepts"])):
                self.shared.setdefault(z + o, []).append(
                    word(slope[-1]) * (own * y.base + y.rest(p)) + own * word(intercept[-1]))
            for k, knot in enumerate(node["knots"]):
                m, f = flips[k], shares[k][p]
                sign = U(1) - U(2) * m
                bit = counted * m + sign * f[:, 0]
                product = y.base * bit
                # Of constant pieces nothing is dealt for them.
                for j, (c, part) in enumerate(zip(y.coefficients(), y.parts), start=1):
                    if payload > 1:
                        product = product + c * (m * part[p] + sign * f[:, j])
                for o in range(len(node["slopes"])):
                    self.shared[z + o][p] = (self.shared[z + o][p] + steps[0][o][k] * product
                                             + steps[1][o][k] * bit)

    def keyed(self, index, value):
        """For both parties the key of every element of the step, with all that evaluations need."""
        s, count = self.session, self.session.count(value)
        keys = s.files[s.key_holders()[index] or 0][f"operations/{index}/keys"]
        layout = s.key_layout(index)
        roots = [s.stream(p, index, ROOT, 0, 2 * count) for p in (0, 1)]
        return [[(s.comparison_key, p, keys[e].tobytes(), roots[p][2 * e:2 * e + 2].tobytes(), layout)
                 for e in self.places(value)] for p in (0, 1)]

    def by_keys(self, index, node, payload, places, base):
        """For each knot M, and for both parties C_j + F_j as [elements, payload]."""
        s, arrays = self.session, [self.stored(index, k) for k in range(payload)]
        keyed, levels = self.keyed(index, node["reads"][0]), s.key_layout(index).levels
        windows = [s.compared(node, base - word(knot)) for knot in node["knots"]]
        return [window >> U(levels) for window in windows], [
            [np.array([evaluate(*key, int(w) % 2**levels) for key, w in zip(keyed[p], window)],
                      dtype=U).reshape(-1, payload)
             + np.stack([array[p][places] for array in arrays], axis=1) for p in (0, 1)]
            for window in windows]

    def by_bits(self, index, node, payload, places, base):
        """The same by bits: for each knot e, and for both parties C_j."""
        s, circuit, both = self.session, Circuit(node), (0, 1)
        arrays = [self.stored(index, k) for k in range(s.result_count(node))]
        words = self.stored(index, len(arrays) + 2 * s.is_viewed(node))
        dealt = [from_tiles(words[p], circuit.plane_count())[places] for p in both]
        masks = [s.comparison_masks(index, p)[places] for p in both]
        opened = [circuit.opened(s.compared(node, base - word(knot)), k, dealt, masks)
                  for k, knot in enumerate(node["knots"])]
        if not circuit.opens_result:  # Shares of exclusive or are shares modulo 2.
            return [np.zeros_like(base)] * circuit.knots, [
                [bits[p].astype(U).reshape(-1, 1) for p in both] for bits in opened]
        flips = [bits.astype(U) for bits in opened]
        return flips, [
            [np.stack([array[p].reshape(-1, circuit.knots)[places, k] for array in arrays], axis=1)
             for p in both] for k in range(circuit.knots)]

    def cell_places(self, node, cells, value):
        """(cell, offset) of every opened word, with the top of its run."""
        tops, base = node["tops"], self.masked[value].base
        if self.session.blocks(value):
            chosen = [tops[block % len(tops)] for block, n in self.block_widths(value) for _ in range(n)]
        else:
            heads, lengths = self.runs(value)
            chosen = [tops[run % len(tops)] for n in lengths for run in range(heads) for _ in range(n)]
        return [cells.place(word, top) for word, top in zip(base, chosen)]

    def do_exponential(self, index, node, reads, z):
        cells, keyed = Exponentials(node), self.keyed(index, reads[0])
        found = self.cell_places(node, cells, reads[0])
        self.both(z, lambda p: cells.share(
            found, np.array([evaluate_all(*key) for key in keyed[p]], dtype=U).reshape(-1, cells.count)))

    def do_coarseSteps(self, index, node, reads, z):
        cells, places = Cells(node), self.places(reads[0])
        found = self.cell_places(node, cells, reads[0])
        lanes = [w.view("<u2").reshape(-1, 4 * cells.word_count) for w in self.stored(index, 0)]
        for output, _ in enumerate(node["cells"]):
            self.both(z + output, lambda p: np.array(
                [cells.bits_of(lanes[p][place], cell)[output]
                 for place, (cell, _) in zip(places, found)], dtype=U))

    def do_lookup(self, index, node, reads, z):
        lookup, opened, keyed = Lookup(node), self.masked[reads[0]].base, self.keyed(index, reads[0])
        self.both(z, lambda p: lookup.share(opened, keyed[p]))

    def do_reveal(self, index, node, reads, z):
        bits = (self.shared[reads[0]][0] + self.shared[reads[0]][1]) & U(1)
        self.openings[index] = bits
        # Blocks that ran before this step, and each as often as its row has keys.
        blocks, keys = self.used.get(z, (0, 0))
        if z in self.running:
            blocks += sum(map(len, self.running[z]))
            keys += sum(n * len(row) for n, row in zip(self.run_keys[z], self.running[z]))
        self.used[z], self.run_keys[z] = (blocks, keys), self.key_counts(z)
        self.running[z] = [[int(b) for b in np.flatnonzero(row)]
                           for row in bits.reshape(-1, self.session.values[z]["columns"][1])]

    def do_blockLinear(self, index, node, reads, z):
        columns = self.session.blocks(z)
        places, width = self.block_places(z), columns.count * columns.width
        dealt = self.session.row_count(reads[0])
        first = self.index if self.session.values[reads[0]]["rows"] == "last" else self.row
        rows = slice(first, first + self.rows(reads[0]))
        arrays = [share.reshape(dealt, width)[rows].ravel()[places] for share in self.stored(index, 0)]
        self.weighted(index, node, reads[0], z, lambda words, w: (
            words.reshape(-1, w.shape[1]) @ w.T).ravel()[places], arrays)

    def do_selectBlocks(self, index, node, reads, z):
        places = self.block_places(z)
        self.both(z, lambda p: self.shared[reads[0]][p][places])

    def do_spreadBlocks(self, index, node, reads, z):
        columns, places = self.session.blocks(reads[0]), self.block_places(reads[0])
        count = columns.count * sum(columns.widths(self.key_counts(reads[0])))

        def share(p):
            words = np.zeros(count, U)
            words[places] = self.shared[reads[0]][p]
            return words
        self.both(z, share)

    def do_openBlocks(self, index, node, reads, z):
        s, columns, shift = self.session, self.session.blocks(reads[0]), node["shift"]
        running = self.running[columns.gates]
        places, tree = self.block_places(reads[0]), Tree(columns, s.comparison_key)
        widths = columns.widths(self.key_counts(reads[0]))
        first = self.index if s.values[reads[0]]["rows"] == "last" else self.row
        ring, kept = U(2 ** s.ring_bits(reads[0]) - 1), U(2 ** node["bits"] - 1)
        masks = [np.concatenate(s.block_masks(p, index)[first:first + len(running)]) for p in (0, 1)]
        opened = np.zeros_like(masks[0])
        for p in (0, 1):
            words = ((self.shared[reads[0]][p] & ring) >> U(shift)) + U(1 if shift and p == 0 else 0)
            opened[places] += words + masks[p][places]
            # What the other party makes of the nodes that are sent.
            at = 0
            for row, (blocks, width) in enumerate(zip(running, widths)):
                root = s.block_roots(p, index)[first + row]
                for level, number in tree.cover(blocks):
                    begin = number * 2 ** (tree.depth - level) * width
                    end = min(begin + 2 ** (tree.depth - level) * width, columns.count * width)
                    found = tree.below(tree.node(root, level, number), level, width)[:end - begin]
                    opened[at + begin:at + end] += np.array(found, dtype=U)
                at += columns.count * width
        self.openings[index] = opened & kept
        self.masked[z] = Masked(opened & kept, [masks])

    def shortened(self, value, shift):
        """Both shares without their lowest bits."""
        ring = U(2 ** self.session.ring_bits(value) - 1)
        return [((share & ring) >> U(shift)) + U(1 if shift and p == 0 else 0)
                for p, share in enumerate(self.shared[value])]

    def do_permuted(self, index, node, reads, z):
        s, places, x = self.session, self.places(reads[0]), reads[0]
        shift, bits = node["shift"], node["bits"]
        kept, result_kept = U(2**bits - 1), U(2 ** node["resultBits"] - 1)
        function = Permuted(node, s.values[x]["fractionalBits"] - shift)
        shares, count = self.shortened(x, shift), len(places)
        if s.permutes_whole_text(index):
            places = np.arange(s.count(x))
        for p, words in enumerate(shares):
            filler = U(function.absent if p == 0 else 0)
            words[self.absent(x)] = filler
            shares[p] = np.append(words, np.full(len(places) - count, filler))
        heads, lengths = self.runs(x)
        first = self.index if s.values[x]["rows"] == "last" else self.row
        order = s.order(index, [(row, heads * n) for row, n in enumerate(lengths, start=first)])
        a, r = (s.stream(1, index, kind, 0, s.count(x))[places]
                for kind in (PERMUTED_OPERAND, PERMUTED_RESULT))
        (delta, b), (epsilon, t), *of_factor = (
            [share[places] for share in self.stored(index, k)] for k in range(s.array_count(index)))
        # The three messages.
        first = (shares[1] - a) & kept
        self.openings[index] = (shares[0] + first) & kept
        second = (self.openings[index][order] + delta) & kept
        seen = (second + b) & kept
        runs = self.split(seen, x, node.get("runs", 1)) if function.takes_runs else [seen]
        results = np.array([word for run in runs for word in function.results(run)], dtype=U)
        third = (results - r) & result_kept
        if of_factor:
            third = self.with_factor(index, order, places, results, third, *of_factor)
        share = epsilon.copy()
        share[order] += third
        self.shared[z] = [share[:count], t[:count]]

    def with_factor(self, index, order, places, results, masked, correction, choices):
        """What party 0 has of the products of `results`, in permuted order, after three messages."""
        s, node = self.session, self.session.nodes[index]
        value, bits, kept = node["reads"][1], node["factorBits"], U(2 ** node["resultBits"] - 1)
        missing = np.zeros(len(places) - len(self.places(value)), U)
        own, other = (np.append(share, missing) for share in self.shortened(value, node["factorShift"]))
        total = s.count(value)
        c, product = (s.stream(1, index, kind, 1, total)[places]
                      for kind in (PERMUTED_OPERAND, PERMUTED_RESULT))
        pads, differences = (s.stream(0, index, PERMUTED_FACTOR, k, total)[places] for k in (0, 1))
        first = (other + c) & U(2**bits - 1)
        opened = (own + first) & U(2**bits - 1)
        self.openings[index] = np.append(self.openings[index], opened)
        view = self.viewed(opened[order], bits, 0, [])
        carry, choice = view.lift >> U(bits), choices[0] & U(1)
        word = (view.base + view.lift * choice + correction[0]) & kept
        difference = (carry * (U(1) - choice - choice) - differences) & (kept >> U(bits))
        seen = word + correction[1] + ((choices[1] & U(1)) * difference << U(bits))
        return masked * pads + ((results * seen - product) & kept)

    def absent(self, value):
        """Whether each element belongs to a key that the text does not have."""
        kind, heads = self.session.values[value]["columns"][:2]
        if kind != "sessionKeys":
            return np.zeros(len(self.places(value)), dtype=bool)
        window, marks = self.session.window(value), []
        for row in range(self.rows(value)):
            present = self.session.keys(self.position + row, self.count, window, self.prompt)
            slots = {self.text[key] if self.decoder else key for key in present}
            marks += heads * [slot not in slots for slot in self.keys(row, value)]
        return np.array(marks, dtype=bool)

    def do_combine(self, index, node, reads, z):
        def share(p):
            return sum((word(c) * self.broadcast(self.shared[v][p], v, reads[0])
                        for v, c in zip(reads, node["coefficients"])),
                       start=word(node["constant"]) if p == 0 else U(0))
        self.both(z, share)

    def positions(self, value):
        kind = self.session.values[value]["rows"]
        step = range(self.position, self.position + self.count)
        return {"step": step, "last": step[-self.outputs:], "session": range(self.session.rows)}[kind]

    def distances(self, value):
        """(head, distance) of every element of scores."""
        heads = self.runs(value)[0]
        return [(head, key - self.position - row) for row in range(self.count) for head in range(heads)
                for key in self.keys(row, value)]

    def do_addDistance(self, index, node, reads, z):
        bias = np.array([node["slopes"][head] * distance % 2**64
                         for head, distance in self.distances(reads[0])], dtype=U)
        self.both(z, lambda p: self.shared[reads[0]][p] + (bias if p == 0 else U(0)))

    def do_addWeight(self, index, node, reads, z):
        if "distanceRows" in node:
            chosen = [(node["distanceRows"][sum(border <= distance for border in node["distanceBorders"])],
                       head) for head, distance in self.distances(reads[0])]
            return self.both(z, lambda p: self.shared[reads[0]][p] + np.array(
                [self.weights[p][node["weight"]][place] for place in chosen], dtype=U))
        if columns := self.session.blocks(reads[0]):
            places = self.block_places(reads[0]) % (columns.count * columns.width)
            return self.both(z, lambda p: self.shared[reads[0]][p]
                             + self.weights[p][node["weight"]].ravel()[places])
        offset = node.get("positionOffset")
        rows = [0 if offset is None else p + offset for p in self.positions(reads[0])]
        self.both(z, lambda p: self.shared[reads[0]][p] + self.weights[p][node["weight"]][rows].ravel())

    def do_rotate(self, index, node, reads, z):
        bits, turns, magnitude = (
            node["factorFractionalBits"], node["turns"], node.get("magnitude", 2**30))
        streams = [list(self.positions(reads[0]))]
        if node.get("positions") == 2:
            context = self.session.context(self.prompt)
            streams = [[min(row, max(context - 1, 0)) for row in streams[0]],
                       [max(row - context + 1, 0) for row in streams[0]]]
        rotations = []
        for number, positions in enumerate(streams):
            words = np.array([[factors(position, turn % 2**64, bits, magnitude) for turn in turns]
                              for position in positions], dtype=U)
            columns = 2 * len(turns) * number + np.arange(2 * len(turns))
            pairs = columns.reshape(-1, 2).T if node["interleaved"] else np.split(columns, 2)
            rotations.append((*pairs, *np.moveaxis(words[:, None], -1, 0)))

        def share(p):
            x = self.shared[reads[0]][p].reshape(len(streams[0]), node["heads"], -1)
            result = x << U(bits)
            for first, second, cosine, sine in rotations:
                a, b = x[..., first], x[..., second]
                result[..., first], result[..., second] = a * cosine - b * sine, b * cosine + a * sine
            return result.ravel()
        self.both(z, share)

    def do_sum(self, index, node, reads, z):
        self.both(z, lambda p: np.array(
            [run.sum() for run in self.split(self.shared[reads[0]][p], reads[0], node["runs"])], dtype=U))

    def per_run(self, reads, z, function):
        self.both(z, lambda p: np.concatenate(
            [function(*runs) for runs in zip(*(self.split(self.shared[v][p], v) for v in reads))]))

    def do_pairDifference(self, index, node, reads, z):
        self.per_run(reads, z, lambda run: run[:len(run) // 2 * 2:2] - run[1::2])

    def do_pairMerge(self, index, node, reads, z):
        self.per_run(reads, z, lambda run, pairs: np.append(
            run[1::2] + pairs, run[-1:] if len(run) % 2 else run[:0]))

    def do_padKeys(self, index, node, reads, z):
        heads, padded = self.runs(z)

        def share(p):
            runs = []
            for number, run in enumerate(self.split(self.shared[reads[0]][p], reads[0])):
                row = number // heads
                runs.append(np.zeros(padded[row], U))
                runs[-1][list(self.columns(reads[0], row))] = run
            return np.concatenate(runs)
        self.both(z, share)

    def do_padRows(self, index, node, reads, z):
        self.both(z, lambda p: np.append(self.shared[reads[0]][p], np.zeros(
            len(self.places(z)) - len(self.shared[reads[0]][p]), U)))

    def do_firstRow(self, index, node, reads, z):
        width = self.session.values[z]["columns"][1]
        self.both(z, lambda p: self.shared[reads[0]][p][:width])

    def do_meanRow(self, index, node, reads, z):
        width, count = self.session.values[z]["columns"][1], self.count
        factor = word((2 ** node["factorFractionalBits"] + count // 2) // count)
        self.both(z, lambda p: self.shared[reads[0]][p].reshape(-1, width).sum(axis=0, dtype=U) * factor)

    def do_lastRow(self, index, node, reads, z):
        width = self.session.values[z]["columns"][1]
        self.both(z, lambda p: self.shared[reads[0]][p][-width * self.outputs:])


def steps_of(text):
    """The steps that are run, from JSON."""
    try:
        return json.loads(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            "is not JSON: give the tokens themselves, such as '[[2, 5, 7], [3]]'") from None


def main():
    parser = argparse.ArgumentParser(prog="run-session", description=__doc__.split("\n")[0])
    for name in ("bundle0", "bundle1", "session0", "session1"):
        parser.add_argument(name)
    parser.add_argument("--tokens", required=True, type=steps_of,
                        help="JSON: the list of tokens of each step")
    parser.add_argument("--openings", help="a JSON file for what each step opens, by operation")
    arguments = parser.parse_args()
    try:
        session = Session(
            Pair(arguments.bundle0, arguments.bundle1), [arguments.session0, arguments.session1])
        if session.program["clientInput"] != "oneHot":
            raise FormatError("this program's input needs client.bundle, which is not read")
        run = Run(session)
        np.seterr(over="ignore")
        openings = []
        for step in arguments.tokens:
            step = step if isinstance(step, dict) else {"tokens": step}
            rows = np.eye(session.program["vocabularySize"], dtype=U)[step.pop("tokens")]
            words = run.step(rows, **step)
            width = session.values[session.nodes[-1]["reads"][0]]["columns"][1]
            for row in words.reshape(-1, width):
                print(" ".join(f"{int(x):016x}" for x in row), flush=True)
            openings.append({node: [f"{int(x):016x}" for x in words]
                             for node, words in run.openings.items()})
        if arguments.openings:
            with open(arguments.openings, "w") as file:
                json.dump(openings, file)
        return 0
    except (FormatError, ContainerError, OSError, KeyError, ValueError, IndexError) as error:
        print(f"run-session: error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
