"""The layout of Lodge's point keys (formats/program.md, Point keys): f is beta at alpha, else 0."""

from lodge.verification.comparison_function import Layout


class PointLayout(Layout):
    """Levels have no values, and cost more than their bytes, since all nodes are visited."""

    @property
    def level_value_bytes(self):
        return 0

    def cost(self, tail):
        return (self.value_bytes << tail) + 24 * (self.levels - tail)

    def words_at(self, place, generator, seed):
        """Those of all places follow each other, two to a block."""
        numbers = range(place * self.payload, (place + 1) * self.payload)
        return [generator.hashed(seed, 12 + 2 * (n // 2)) >> 64 * (n % 2) & 2**64 - 1 for n in numbers]

    @staticmethod
    def holds(alpha, x):
        return x == alpha
