"""What is dealt for `lookup`, and its result from the point function of an element.

Written from formats/program.md, Lookups.
"""

import math

import numpy as np

from lodge.verification.comparison_function import Walk
from lodge.verification.point_function import PointLayout

U = np.uint64


def groups_inside(number, levels, level):
    """How many groups of a level hold `number` cells, wherever they begin."""
    return min(2**level, -(-(number - 1) // 2**(levels - level)) + 1)


def middle_levels(levels, first, number):
    """The levels whose groups are taken together where `number` cells from `first` on have coefficients."""
    best = {}
    for above in reversed(range(levels)):
        nodes = groups_inside(number, levels, above)
        best[above] = 2 * nodes * 2**(levels - above), ()
        if above and nodes * 2**(levels - above) > 2**(levels - 1) + first + number:
            continue
        for level in range(max(above + 1, min(4, levels - 1)), levels):
            if groups_inside(number, levels, level) == 2**level:
                continue
            weight, further = best[level]
            weight += nodes * (3 * 2**(level - above) - 2) + 64
            if weight < best[above][0]:
                best[above] = weight, (level, *further)
    return best[0][1]


class Lookup:
    """Polynomials of degree 0 to 2 in some cells of 2^cellBits, and lines beside them; maybe times a factor."""

    def __init__(self, node):
        self.bits, self.opened_bits = node["cellBits"], node["openedBits"]
        self.coefficients, self.first = node["coefficients"], node["firstCell"]
        self.lines = [node["left"], node["right"]]
        self.number, levels = len(self.coefficients[0]), self.opened_bits - self.bits
        self.count, self.end = 2**levels, self.first + self.number
        # With a factor, beta and gamma come two more times, times its mask parts.
        self.powers, self.sums = len(self.coefficients), 3 if len(node["reads"]) == 2 else 1
        chosen = middle_levels(levels, self.first, self.number)
        self.layout = PointLayout(levels, self.powers * self.sums, -(-node["resultBits"] // 8), chosen,
                                  2 * self.sums if chosen else 0)

    def dealt(self, mask, *parts):
        """alpha, and beta with gamma, of the point keys, one list entry a key; `parts` are those of the factor's
        mask."""
        entries = []
        for r, *scales in zip(mask, *parts):
            whole = int(r) % 2**self.opened_bits
            cell, low = divmod(whole, 2**self.bits)
            scales = [1, *map(int, scales)]
            beta = [scale * low**q for scale in scales for q in range(self.powers)]
            gamma = [scale * word for scale in scales for word in (1, whole)]
            entries.append((cell, beta + gamma[:self.layout.gamma_words]))
        return entries

    def coefficients_of(self, cell):
        """The coefficients of d^p in a cell with a signed number."""
        if self.first <= cell < self.end:
            return [row[cell - self.first] for row in self.coefficients]
        intercept, slope = self.lines[cell >= self.end]
        return [intercept + slope * cell * 2**self.bits, slope, 0][:self.powers]

    def share(self, opened, keyed, factor=None):
        """A party's share [elements] from opened words, and what its point functions are walked with; `factor` is a
        view."""
        public = [np.ones_like(opened)] if factor is None else [factor.base, *factor.coefficients()]
        return np.array([
            sum(int(words[element]) * self.element(int(word) % 2**self.opened_bits, Walk(*arguments), place)
                for place, words in enumerate(public)) % 2**64
            for element, (word, arguments) in enumerate(zip(opened, keyed))], dtype=U)

    def element(self, word, walk, place=0):
        """The share of f, or in place 1 and 2 that of f times a mask part of the factor."""
        (cell, low), levels = divmod(word, 2**self.bits), self.layout.levels
        start = (cell - self.end + 1) % self.count
        nodes, above, total = [(0, walk.root)], 0, 0
        for level in self.layout.middle_levels:
            nodes, size = walk.below(nodes, above, level), 2**(levels - level)
            first, inside = start // size, groups_inside(self.number, levels, level)
            left_end = max(inside, (self.count // 2 + self.end) // size)
            kept = []
            for group, node in nodes:
                number = (group - first) % 2**level
                if number < inside:
                    kept.append((group, node))
                    continue
                if above:
                    is_right = number >= 2**level - first % 2**(level - above)
                else:
                    is_right = number >= left_end
                is_past = first + number >= 2**level
                intercept, slope = self.lines[is_right]
                one, mask = walk.middle_share(node, level)[2 * place:2 * place + 2]
                x = (start + self.end - 1 + (is_right - is_past) * self.count) * 2**self.bits + low
                total += slope * (one * x - mask) + intercept * one
            nodes, above = kept, level
        sums = {(p, q): 0 for p in range(self.powers) for q in range(p + 1)}
        for number, node in walk.below(nodes, above, self.layout.depth):
            for leaf in range(2**self.layout.tail_bits):
                point = (number << self.layout.tail_bits) + leaf
                signed = (cell - point + self.count // 2) % self.count - self.count // 2
                outputs = walk.share(node, leaf)[place * self.powers:]
                for p, coefficient in enumerate(self.coefficients_of(signed)):
                    for q in range(p + 1):
                        sums[p, q] += outputs[q] * coefficient
        for (p, q), value in sums.items():
            total += math.comb(p, q) * (-1) ** q * low ** (p - q) * value
        return total % 2**64
