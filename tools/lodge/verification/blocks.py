"""Blocks that run in some rows, their pools, and the trees of their masks (formats/program.md, Blocks)."""

import math

import numpy as np

from lodge.verification.comparison_function import Generator

U = np.uint64


class Columns:
    """The columns of a value of blocks."""

    def __init__(self, columns):
        self.gates, self.count, self.width, self.expected, self.spare = columns[1:]

    def capacity(self, rows):
        """Elements of the pool for so many dealt rows."""
        root = math.isqrt(max(rows - 1, 0)) + 1 if rows else 0
        blocks = -(-(rows * self.expected + root * self.spare) // 256)
        return self.width * min(rows * self.count, blocks)

    def places(self, running):
        """Where the elements of running blocks are among all columns; `running` has a list a row."""
        starts = [(row * self.count + block) * self.width
                  for row, blocks in enumerate(running) for block in blocks]
        return np.array([start + i for start in starts for i in range(self.width)], dtype=int)


class Tree:
    """The masks of a row under one root."""

    def __init__(self, columns, key):
        self.columns, self.generator = columns, Generator(key, 1)
        self.depth = (columns.count - 1).bit_length()

    def below(self, node, level):
        """The words of all blocks below a node, places beyond the last block included."""
        nodes = [node]
        for _ in range(self.depth - level):
            nodes = [self.generator.hashed(node, side) for node in nodes for side in (0, 1)]
        words = []
        for leaf in nodes:
            pairs = [self.generator.hashed(leaf, 2 + i) for i in range(-(-self.columns.width // 2))]
            halves = [half for pair in pairs for half in (pair % 2**64, pair >> 64)]
            words += halves[:self.columns.width]
        return words

    def row(self, root):
        return np.array(self.below(root, 0)[:self.columns.count * self.columns.width], dtype=U)

    def cover(self, running, level=0, index=0):
        """(level, index) of the fewest nodes below which nothing runs and all else lies."""
        size = 2 ** (self.depth - level)
        if not any(index * size <= block < (index + 1) * size for block in running):
            return [(level, index)]
        if level == self.depth:
            return []
        return [node for side in (0, 1) for node in self.cover(running, level + 1, 2 * index + side)]

    def node(self, root, level, index):
        for bit in range(level - 1, -1, -1):
            root = self.generator.hashed(root, index >> bit & 1)
        return root
