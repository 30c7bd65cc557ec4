"""What is dealt for `lookup`, and its result from the point function of an element.

Written from formats/program.md, Lookups.
"""

import math

import numpy as np

from lodge.verification.point_function import PointLayout

U = np.uint64


class Lookup:
    """Polynomials of degree 0 to 2 in 2^levels cells of 2^cellBits."""

    def __init__(self, node):
        self.bits, self.coefficients = node["cellBits"], node["coefficients"]
        self.layout = PointLayout(node["openedBits"] - self.bits, len(self.coefficients),
                                  -(-node["resultBits"] // 8))
        self.count = 2**self.layout.levels

    def dealt(self, mask):
        """alpha and beta of the point keys, one list entry a key."""
        cells = (divmod(int(r), 2**self.bits) for r in mask)
        return [(cell, [low**q for q in range(self.layout.payload)]) for cell, low in cells]

    def share(self, opened, outputs):
        """A party's share [elements] from opened words and its point functions [elements, cells, q]."""
        cells = (opened >> U(self.bits)).astype(int)
        turned = (cells[:, None] - np.arange(self.count)) % self.count
        low, total = opened & U(2**self.bits - 1), np.zeros_like(opened)
        for p, row in enumerate(self.coefficients):
            table = np.array([c % 2**64 for c in row], dtype=U)[turned]
            for q in range(p + 1):
                factor = U(math.comb(p, q) * (-1) ** q % 2**64)
                total += factor * low ** U(p - q) * (outputs[:, :, q] * table).sum(axis=1, dtype=U)
        return total
