"""Where the elements of a step lie, and what is dealt for them."""

import numpy as np

from lodge.verification.session_algebra import CORRELATION


class Layout:
    """A part of `run_session.Run`."""

    # Layout of the step: P4 and the tables of Shapes

    def rows(self, value):
        kind = self.session.values[value]["rows"]
        return {"step": self.count, "last": self.outputs, "session": self.session.rows}[kind]

    def keys(self, row, value):
        """The keys that row number `row` of the step has columns for: slots where columns are those that
        are dealt, else positions."""
        window = self.session.window(value)
        if self.session.values[value]["columns"][0] == "sessionKeys":
            return self.session.keys(self.row + row, self.session.rows, window)
        return self.session.keys(self.position + row, self.count, window, self.prompt)

    def columns(self, value, row):
        """The dealt columns of one run of row number `row`."""
        kind, *numbers = self.session.values[value]["columns"]
        if kind != "keys" or numbers[1]:
            return range(self.runs(value)[1][row])
        first = self.session.keys(self.row + row, self.session.rows, self.session.window(value)).start
        return [self.text[key] - first for key in self.keys(row, value)]

    def runs(self, value):
        """(runs a row, length of the runs of each row)."""
        kind, *numbers = self.session.values[value]["columns"]
        lengths = []
        for row in range(self.rows(value)):
            keys = len(self.keys(row, value))
            if kind in ("keys", "pairs"):
                keys = -(-keys // 2 ** numbers[1])
            lengths.append({"fixed": numbers[0], "keys": keys, "pairs": keys // 2,
                            "sessionKeys": keys}[kind])
        return (1 if kind == "fixed" else numbers[0]), lengths

    def key_counts(self, value):
        """The number of keys of every row of the step, without a window."""
        return [len(self.session.keys(position, self.count, None, self.prompt))
                for position in self.positions(value)]

    def block_places(self, value):
        """Where the elements of running blocks are among all columns of the step's rows."""
        columns = self.session.blocks(value)
        return columns.places(self.running[columns.gates], self.key_counts(value))

    def block_widths(self, value):
        """(block, columns) of every block that runs, row after row."""
        columns = self.session.blocks(value)
        return [(block, width) for width, blocks in zip(
            columns.widths(self.key_counts(value)), self.running[columns.gates]) for block in blocks]

    def places(self, value):
        """Where the elements of the step lie in the dealt layout."""
        if columns := self.session.blocks(value):
            count = sum(width for _, width in self.block_widths(value))
            used = self.used[columns.gates][1 if columns.of_keys else 0]
            return np.arange(used * columns.width, used * columns.width + count)
        heads, dealt = self.session.runs(value)
        first = self.index if self.session.values[value]["rows"] == "last" else (
            0 if self.session.values[value]["rows"] == "session" else self.row)
        places = []
        for row in range(self.rows(value)):
            start, columns = heads * sum(dealt[:first + row]), self.columns(value, row)
            places += [start + run * dealt[first + row] + k for run in range(heads) for k in columns]
        return np.array(places, dtype=int)

    def split(self, words, value, runs=None):
        """The words of a value as a list of runs, rows first; of blocks, one for each that runs."""
        if self.session.blocks(value):
            widths = [width for _, width in self.block_widths(value)]
            return np.split(words, np.cumsum(widths)[:-1]) if widths else []
        heads, lengths = self.runs(value)
        if runs is not None and self.session.values[value]["columns"][0] == "fixed":
            heads, lengths = runs, [n // runs for n in lengths]
        return np.split(words, np.cumsum([n for n in lengths for _ in range(heads)])[:-1])

    # Randomness of the step

    def stored(self, node, component):
        """Both parties' shares of a correlated array in the dealt layout."""
        s, holder = self.session, self.session.holder(node, component)
        shares = [None, None]
        shares[holder] = s.words_of(s.files[holder], node, component)
        shares[1 - holder] = s.stream(1 - holder, node, CORRELATION, component, shares[holder].size)
        return shares

    def array(self, node, component, value):
        """Both parties' shares of a correlated array with the shape of `value`."""
        return [share[self.places(value)] for share in self.stored(node, component)]
