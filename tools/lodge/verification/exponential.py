"""What is dealt for `exponential` and `coarseSteps`, and where an opened word lies among the cells.

Written from formats/program.md.
"""

import itertools

import numpy as np

from lodge.verification.point_function import PointLayout

U = np.uint64
UNIT = 2**62


class Cells:
    """Residues modulo 2^openedBits in cells of 2^cellBits."""

    def __init__(self, node):
        self.node, self.opened, self.bits = node, node["openedBits"], node["cellBits"]
        self.count = 2 ** (self.opened - self.bits)
        self.word_count = -(-self.count // 4)

    def place(self, opened, top):
        """(cell, offset) of a word."""
        return divmod((top - int(opened)) % 2**self.opened, 2**self.bits)

    def dealt(self, mask):
        """Whether the mask lies in each cell: numbers of 16 bits, four to a word."""
        lanes = np.zeros((mask.size, 4 * self.word_count), "<u2")
        lanes[np.arange(mask.size), (mask >> U(self.bits)).astype(int)] = 1
        return lanes.reshape(-1).view("<u8")

    def bits_of(self, lanes, cell):
        """From the numbers of an element the bits of every bound."""
        return [sum(int(lanes[(place - cell) % self.count]) for place in range(-1, bound)) % 2**16
                for bound in self.node["cells"]]


class Exponentials(Cells):
    """e^-d of the distance d from a top."""

    def __init__(self, node):
        super().__init__(node)
        self.layout = PointLayout(self.opened - self.bits, 1, 8)
        self.drop = 62 - node["factorBits"]
        high = [self.decay(cell << self.bits, range(self.bits, self.opened))
                for cell in range(self.count)]
        # Those before the first whose factors are all zero.
        self.high = list(itertools.takewhile(lambda decay: self.rounded(decay) > 0, high))

    def decay(self, distance, bits):
        product = UNIT
        for bit in bits:
            if distance >> bit & 1:
                product = product * self.node["decays"][bit] // UNIT
        return product

    def rounded(self, decay):
        return (decay + 2 ** (self.drop - 1)) >> self.drop

    def dealt(self, mask):
        """alpha and beta of the point keys, one list entry a key."""
        divisor, scale = self.node["decays"][self.bits], 2 ** self.node["payloadBits"]
        entries = []
        for cell, low in (divmod(int(r) % 2**self.opened, 2**self.bits) for r in mask):
            exact = self.decay(low, range(self.bits))
            entries.append((cell, [(exact * scale + divisor // 2) // divisor]))
        return entries

    def share(self, places, outputs):
        """A party's share from (cell, offset) of opened words and its point functions [elements, cells]."""
        results = []
        for (cell, offset), function in zip(places, outputs):
            low = self.decay(offset, range(self.bits))
            results.append(sum(
                int(function[(v - 1 - cell) % self.count]) * self.rounded(high * low // UNIT)
                for v, high in enumerate(self.high)) % 2**64)
        return np.array(results, dtype=U)
