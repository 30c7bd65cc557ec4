"""Blocks that run in some rows, their pools, and the trees of their masks (formats/program.md, Blocks)."""

import math

import numpy as np

from lodge.verification.comparison_function import Generator

U = np.uint64


class Columns:
    """The columns of a value of blocks, or of blocks that have one for each key of their row."""

    def __init__(self, columns):
        kind, self.gates, self.count, *rest = columns
        self.of_keys = kind == "blockKeys"
        self.width, self.expected, self.spare = [1] * self.of_keys + rest

    def capacity(self, keys):
        """Elements of the pool for dealt rows of so many keys each."""
        units = keys if self.of_keys else [1] * len(keys)
        total, squares = sum(units), sum(unit * unit for unit in units)
        root = math.isqrt(max(squares - 1, 0)) + 1 if squares else 0
        blocks = -(-(total * self.expected + root * self.spare) // 256)
        return self.width * min(total * self.count, blocks)

    def widths(self, keys):
        """The columns of a block in rows of so many keys each."""
        return keys if self.of_keys else [self.width] * len(keys)

    def places(self, running, keys):
        """Where the elements of running blocks are among all columns; `running` has a list a row."""
        places, start = [], 0
        for width, blocks in zip(self.widths(keys), running):
            places += [start + block * width + i for block in blocks for i in range(width)]
            start += self.count * width
        return np.array(places, dtype=int)


class Tree:
    """The masks of a row under one root."""

    def __init__(self, columns, key):
        self.columns, self.generator = columns, Generator(key, 1)
        self.depth = (columns.count - 1).bit_length()

    def below(self, node, level, width):
        """The words of all blocks below a node, places beyond the last block included."""
        nodes = [node]
        for _ in range(self.depth - level):
            nodes = [self.generator.hashed(node, side) for node in nodes for side in (0, 1)]
        words = []
        for leaf in nodes:
            pairs = [self.generator.hashed(leaf, 2 + i) for i in range(-(-width // 2))]
            halves = [half for pair in pairs for half in (pair % 2**64, pair >> 64)]
            words += halves[:width]
        return words

    def row(self, root, width):
        return np.array(self.below(root, 0, width)[:self.columns.count * width], dtype=U)

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
