"""What is dealt for `lookup`, and its result from the point function of an element.

Written from formats/program.md, Lookups.
"""

import math

import numpy as np

from lodge.verification.point_function import PointLayout

U = np.uint64


class Lookup:
    """Polynomials of degree 0 to 2 in some cells of 2^cellBits, and lines beside them."""

    def __init__(self, node):
        self.bits, self.opened_bits = node["cellBits"], node["openedBits"]
        self.coefficients, self.first = node["coefficients"], node["firstCell"]
        self.lines = [node["left"], node["right"]]
        self.layout = PointLayout(self.opened_bits - self.bits, len(self.coefficients),
                                  -(-node["resultBits"] // 8), has_middle=True)
        self.count, self.group_count = 2**self.layout.levels, 2**self.layout.middle_level
        self.group_size = self.count // self.group_count
        number = len(self.coefficients[0])
        self.end = self.first + number
        self.inside = min(self.group_count, -(-(number - 1) // self.group_size) + 1)
        self.left_end = min(self.group_count, max(
            self.inside, (self.count // 2 + self.end) // self.group_size))

    def dealt(self, mask):
        """alpha, and beta with gamma, of the point keys, one list entry a key."""
        whole = [int(r) % 2**self.opened_bits for r in mask]
        cells = [divmod(r, 2**self.bits) for r in whole]
        return [(cell, [low**q for q in range(self.layout.payload)] + [1, r])
                for r, (cell, low) in zip(whole, cells)]

    def coefficients_of(self, cell):
        """The coefficients of d^p in a cell with a signed number."""
        if self.first <= cell < self.end:
            return [row[cell - self.first] for row in self.coefficients]
        intercept, slope = self.lines[cell >= self.end]
        return [intercept + slope * cell * 2**self.bits, slope, 0][:self.layout.payload]

    def places(self, cell):
        """Where each group is, 0 inside, 1 left, 2 right, and i of its first point."""
        start = (cell - self.end + 1) % self.count
        for group in range(self.group_count):
            number = (group - start // self.group_size) % self.group_count
            point = group * self.group_size
            if number < self.inside:
                yield 0, cell - point
                continue
            is_past = start // self.group_size + number >= self.group_count
            distance = start + self.end - 1 - point - is_past * self.count
            yield (1, distance) if number < self.left_end else (2, distance + self.count)

    def share(self, opened, outputs, middles):
        """A party's share [elements] from opened words, its point functions [elements, cells, q], and the
        words of groups [elements, groups, 2]."""
        return np.array([self.element(int(word) % 2**self.opened_bits, *of)
                         for word, *of in zip(opened, outputs.tolist(), middles.tolist())], dtype=U)

    def element(self, word, outputs, middles):
        cell, low = divmod(word, 2**self.bits)
        sums = {(p, q): 0 for p in range(self.layout.payload) for q in range(p + 1)}
        total = 0
        for group, (side, distance) in enumerate(self.places(cell)):
            first = group * self.group_size
            if side:
                (intercept, slope), (one, mask) = self.lines[side - 1], middles[group]
                place = (distance + first) * 2**self.bits + low
                total += slope * (one * place - mask) + intercept * one
                continue
            for point in range(first, first + self.group_size):
                signed = (cell - point + self.count // 2) % self.count - self.count // 2
                for p, coefficient in enumerate(self.coefficients_of(signed)):
                    for q in range(p + 1):
                        sums[p, q] += outputs[point][q] * coefficient
        for (p, q), value in sums.items():
            total += math.comb(p, q) * (-1) ** q * low ** (p - q) * value
        return total % 2**64
