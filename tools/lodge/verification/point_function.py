"""The layout of Lodge's point keys (formats/program.md, Point keys): f is beta at alpha, else 0."""

from dataclasses import dataclass
from functools import cached_property

from lodge.verification.comparison_function import Layout


@dataclass(frozen=True)
class PointLayout(Layout):
    """Levels have no values, and cost more than their bytes, since many nodes are visited."""

    # Levels whose nodes are groups of points, ascending, in keys whose outputs are summed.
    middle_levels: tuple = ()

    # Words of their nodes: 2, or 6 with a factor; 0 where there are no such levels.
    gamma_words: int = 0

    @property
    def level_value_bytes(self):
        return 0

    @cached_property
    def tail_bits(self):
        most = self.levels - (self.middle_levels[-1] if self.middle_levels else 1)
        return min(range(min(most, 6) + 1), key=lambda tail: (self.cost(tail), -tail))

    def cost(self, tail):
        return (self.value_bytes << tail) + 24 * (self.levels - tail)

    def words_at(self, place, generator, seed):
        """Those of all places follow each other, two to a block."""
        numbers = range(place * self.payload, (place + 1) * self.payload)
        return [generator.hashed(seed, 12 + 2 * (n // 2)) >> 64 * (n % 2) & 2**64 - 1 for n in numbers]

    @staticmethod
    def holds(alpha, x):
        return x == alpha
