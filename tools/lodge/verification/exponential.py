"""What is dealt for `exponential` and `coarseSteps`, and where an opened word lies among the cells.

Written from formats/program.md.
"""

import numpy as np

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

    def decay(self, distance, bits):
        product = UNIT
        for bit in bits:
            if distance >> bit & 1:
                product = product * self.node["decays"][bit] // UNIT
        return product

    def dealt(self, mask):
        low = [self.decay(place, range(self.bits)) for place in (int(r) % 2**self.bits for r in mask)]
        high = [self.decay(cell << self.bits, range(self.bits, self.opened))
                for cell in range(self.count)]
        divisor, scale = self.node["decays"][self.bits], 2 ** self.node["dealtBits"]
        words = []
        for r, factor in zip(mask, low):
            first = int(r) >> self.bits
            for cell in range(self.count):
                exact = factor * high[(first + cell + 1) % self.count] // UNIT
                words.append((exact * scale + divisor // 2) // divisor)
        return np.array(words, dtype=U)

    def factor(self, offset):
        """The public factor of a place in a cell."""
        drop = 62 - self.node["factorBits"]
        return (self.decay(offset, range(self.bits)) + 2 ** (drop - 1)) >> drop
