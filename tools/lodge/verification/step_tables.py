"""Piecewise linear functions, exponentials and lookups."""

import numpy as np

from lodge.verification.bit_comparison import Circuit, from_tiles
from lodge.verification.comparison_function import evaluate, evaluate_all
from lodge.verification.exponential import Cells, Exponentials
from lodge.verification.lookup import Lookup
from lodge.verification.masked_words import U, word
from lodge.verification.session_algebra import ROOT


class Tables:
    """A part of `run_session.Run`."""

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
        lookup, keyed = Lookup(node), self.keyed(index, reads[0])
        opened, *factor = (self.masked[value] for value in reads)
        self.both(z, lambda p: lookup.share(opened.base, keyed[p], *factor))
