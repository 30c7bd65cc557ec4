"""Blocks that run, and what is made of them."""

import numpy as np

from lodge.verification.blocks import Tree
from lodge.verification.masked_words import Masked, U


class Blocks:
    """A part of `run_session.Run`."""

    def do_reveal(self, index, node, reads, z):
        bits = (self.shared[reads[0]][0] + self.shared[reads[0]][1]) & U(1)
        self.openings[index] = bits
        # Blocks that ran before this step, and each as often as its row has keys.
        blocks, keys = self.used.get(z, (0, 0))
        if z in self.running:
            blocks += sum(map(len, self.running[z]))
            keys += sum(n * len(row) for n, row in zip(self.run_keys[z], self.running[z]))
        self.used[z], self.run_keys[z] = (blocks, keys), self.key_counts(z)
        self.running[z] = [[int(b) for b in np.flatnonzero(row)]
                           for row in bits.reshape(-1, self.session.values[z]["columns"][1])]

    def do_blockLinear(self, index, node, reads, z):
        columns = self.session.blocks(z)
        places, width = self.block_places(z), columns.count * columns.width
        dealt = self.session.row_count(reads[0])
        first = self.index if self.session.values[reads[0]]["rows"] == "last" else self.row
        rows = slice(first, first + self.rows(reads[0]))
        arrays = [share.reshape(dealt, width)[rows].ravel()[places] for share in self.stored(index, 0)]
        self.weighted(index, node, reads[0], z, lambda words, w: (
            words.reshape(-1, w.shape[1]) @ w.T).ravel()[places], arrays)

    def do_selectBlocks(self, index, node, reads, z):
        places = self.block_places(z)
        self.both(z, lambda p: self.shared[reads[0]][p][places])

    def do_spreadBlocks(self, index, node, reads, z):
        columns, places = self.session.blocks(reads[0]), self.block_places(reads[0])
        count = columns.count * sum(columns.widths(self.key_counts(reads[0])))

        def share(p):
            words = np.zeros(count, U)
            words[places] = self.shared[reads[0]][p]
            return words
        self.both(z, share)

    def do_openBlocks(self, index, node, reads, z):
        s, columns, shift = self.session, self.session.blocks(reads[0]), node["shift"]
        running = self.running[columns.gates]
        places, tree = self.block_places(reads[0]), Tree(columns, s.comparison_key)
        widths = columns.widths(self.key_counts(reads[0]))
        first = self.index if s.values[reads[0]]["rows"] == "last" else self.row
        ring, kept = U(2 ** s.ring_bits(reads[0]) - 1), U(2 ** node["bits"] - 1)
        masks = [np.concatenate(s.block_masks(p, index)[first:first + len(running)]) for p in (0, 1)]
        opened = np.zeros_like(masks[0])
        for p in (0, 1):
            words = ((self.shared[reads[0]][p] & ring) >> U(shift)) + U(1 if shift and p == 0 else 0)
            opened[places] += words + masks[p][places]
            # What the other party makes of the nodes that are sent.
            at = 0
            for row, (blocks, width) in enumerate(zip(running, widths)):
                root = s.block_roots(p, index)[first + row]
                for level, number in tree.cover(blocks):
                    begin = number * 2 ** (tree.depth - level) * width
                    end = min(begin + 2 ** (tree.depth - level) * width, columns.count * width)
                    found = tree.below(tree.node(root, level, number), level, width)[:end - begin]
                    opened[at + begin:at + end] += np.array(found, dtype=U)
                at += columns.count * width
        self.openings[index] = opened & kept
        self.masked[z] = Masked(opened & kept, [masks])
