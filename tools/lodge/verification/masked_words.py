"""Opened values and views, as both parties have them."""

import numpy as np

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
