"""Sums and other operations on shares alone."""

import numpy as np

from lodge.verification.masked_words import U, word
from lodge.verification.rotation import factors


class Local:
    """A part of `run_session.Run`."""

    def do_combine(self, index, node, reads, z):
        def share(p):
            return sum((word(c) * self.broadcast(self.shared[v][p], v, reads[0])
                        for v, c in zip(reads, node["coefficients"])),
                       start=word(node["constant"]) if p == 0 else U(0))
        self.both(z, share)

    def positions(self, value):
        kind = self.session.values[value]["rows"]
        step = range(self.position, self.position + self.count)
        return {"step": step, "last": step[-self.outputs:], "session": range(self.session.rows)}[kind]

    def distances(self, value):
        """(head, distance) of every element of scores."""
        heads = self.runs(value)[0]
        return [(head, key - self.position - row) for row in range(self.count) for head in range(heads)
                for key in self.keys(row, value)]

    def do_addDistance(self, index, node, reads, z):
        bias = np.array([node["slopes"][head] * distance % 2**64
                         for head, distance in self.distances(reads[0])], dtype=U)
        self.both(z, lambda p: self.shared[reads[0]][p] + (bias if p == 0 else U(0)))

    def do_addWeight(self, index, node, reads, z):
        if "distanceRows" in node:
            chosen = [(node["distanceRows"][sum(border <= distance for border in node["distanceBorders"])],
                       head) for head, distance in self.distances(reads[0])]
            return self.both(z, lambda p: self.shared[reads[0]][p] + np.array(
                [self.weights[p][node["weight"]][place] for place in chosen], dtype=U))
        if columns := self.session.blocks(reads[0]):
            places = self.block_places(reads[0]) % (columns.count * columns.width)
            return self.both(z, lambda p: self.shared[reads[0]][p]
                             + self.weights[p][node["weight"]].ravel()[places])
        offset = node.get("positionOffset")
        rows = [0 if offset is None else p + offset for p in self.positions(reads[0])]
        self.both(z, lambda p: self.shared[reads[0]][p] + self.weights[p][node["weight"]][rows].ravel())

    def do_rotate(self, index, node, reads, z):
        bits, turns, magnitude = (
            node["factorFractionalBits"], node["turns"], node.get("magnitude", 2**30))
        streams = [list(self.positions(reads[0]))]
        if node.get("positions") == 2:
            context = self.session.context(self.prompt)
            streams = [[min(row, max(context - 1, 0)) for row in streams[0]],
                       [max(row - context + 1, 0) for row in streams[0]]]
        rotations = []
        for number, positions in enumerate(streams):
            words = np.array([[factors(position, turn % 2**64, bits, magnitude) for turn in turns]
                              for position in positions], dtype=U)
            columns = 2 * len(turns) * number + np.arange(2 * len(turns))
            pairs = columns.reshape(-1, 2).T if node["interleaved"] else np.split(columns, 2)
            rotations.append((*pairs, *np.moveaxis(words[:, None], -1, 0)))

        def share(p):
            x = self.shared[reads[0]][p].reshape(len(streams[0]), node["heads"], -1)
            result = x << U(bits)
            for first, second, cosine, sine in rotations:
                a, b = x[..., first], x[..., second]
                result[..., first], result[..., second] = a * cosine - b * sine, b * cosine + a * sine
            return result.ravel()
        self.both(z, share)

    def do_sum(self, index, node, reads, z):
        self.both(z, lambda p: np.array(
            [run.sum() for run in self.split(self.shared[reads[0]][p], reads[0], node["runs"])], dtype=U))

    def per_run(self, reads, z, function):
        self.both(z, lambda p: np.concatenate(
            [function(*runs) for runs in zip(*(self.split(self.shared[v][p], v) for v in reads))]))

    def do_pairDifference(self, index, node, reads, z):
        self.per_run(reads, z, lambda run: run[:len(run) // 2 * 2:2] - run[1::2])

    def do_pairMerge(self, index, node, reads, z):
        self.per_run(reads, z, lambda run, pairs: np.append(
            run[1::2] + pairs, run[-1:] if len(run) % 2 else run[:0]))

    def do_padKeys(self, index, node, reads, z):
        heads, padded = self.runs(z)

        def share(p):
            runs = []
            for number, run in enumerate(self.split(self.shared[reads[0]][p], reads[0])):
                row = number // heads
                runs.append(np.zeros(padded[row], U))
                runs[-1][list(self.columns(reads[0], row))] = run
            return np.concatenate(runs)
        self.both(z, share)

    def do_padRows(self, index, node, reads, z):
        self.both(z, lambda p: np.append(self.shared[reads[0]][p], np.zeros(
            len(self.places(z)) - len(self.shared[reads[0]][p]), U)))

    def do_firstRow(self, index, node, reads, z):
        width = self.session.values[z]["columns"][1]
        self.both(z, lambda p: self.shared[reads[0]][p][:width])

    def do_meanRow(self, index, node, reads, z):
        width, count = self.session.values[z]["columns"][1], self.count
        factor = word((2 ** node["factorFractionalBits"] + count // 2) // count)
        self.both(z, lambda p: self.shared[reads[0]][p].reshape(-1, width).sum(axis=0, dtype=U) * factor)

    def do_lastRow(self, index, node, reads, z):
        width = self.session.values[z]["columns"][1]
        self.both(z, lambda p: self.shared[reads[0]][p][-width * self.outputs:])
