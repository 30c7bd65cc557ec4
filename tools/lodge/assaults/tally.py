"""What became of hostile inputs, counted by kind, and the table of it."""

import sys
import threading
import time

# Lines of a tool that has been through something it does not handle.
CRASH_MARKS = (b"Fatal error", b"*** ", b"AddressSanitizer", b"Stack dump")
# One hostile input may take this long; loaded machines get it once more (`Deployment.run`).
HANG_SECONDS = 10


class Row:
    """One kind of input. Everything but `tried`, `refused`, `passed` and `note` is a fault."""

    FAULTS = ("accepted", "crashed", "hung", "burned", "repeated")

    def __init__(self, name):
        self.name = name
        self.tried = self.refused = self.passed = 0
        self.accepted = self.crashed = self.hung = self.burned = self.repeated = 0
        self.note = ""
        self.seconds = 0.0

    @property
    def failed(self):
        return any(getattr(self, fault) for fault in self.FAULTS)


class Tally:
    """The rows of a run; faults are told on standard error as they are found."""

    MOST_REPORTS = 40

    def __init__(self):
        self.rows = []
        self.reports = 0
        self.lock = threading.Lock()

    def row(self, name):
        row = Row(name)
        self.rows.append(row)
        return row

    def add(self, row, column, count=1, why=""):
        with self.lock:
            setattr(row, column, getattr(row, column) + count)
            if column not in Row.FAULTS or not count:
                return
        self.tell(row, f"{column}: {why}")

    def tell(self, row, text):
        with self.lock:
            self.reports += 1
            if self.reports <= self.MOST_REPORTS:
                print(f"assault: {row.name}: {text}", file=sys.stderr, flush=True)

    @property
    def tried(self):
        return sum(row.tried for row in self.rows)

    @property
    def failed(self):
        return any(row.failed for row in self.rows)

    def text(self):
        """The table, one row for each kind and one for their sum."""
        heads = ["input", "tried", "refused", "no harm", "accepted", "crashed", "hung", "burned",
                 "masks twice", "seconds", ""]
        columns = ("tried", "refused", "passed") + Row.FAULTS
        lines = [[row.name] + [f"{getattr(row, c):,}" for c in columns]
                 + [f"{row.seconds:.0f}" if row.seconds else "", row.note] for row in self.rows]
        lines.append(["all"] + [f"{sum(getattr(row, c) for row in self.rows):,}" for c in columns]
                     + [f"{sum(row.seconds for row in self.rows):.0f}", ""])
        widths = [max(len(line[i]) for line in [heads] + lines) for i in range(len(heads))]

        def aligned(line):
            cells = [line[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(line[1:-1], widths[1:-1])]
            return "  ".join(cells + line[-1:]).rstrip()

        return "\n".join(map(aligned, [heads] + lines))


class Budget:
    """Bounds one kind of attack by time and number, whichever ends first."""

    def __init__(self, seconds, count):
        self.end = time.monotonic() + seconds
        self.left = count
        self.lock = threading.Lock()

    def take(self, count=1):
        """True while there is time and number for `count` more inputs."""
        with self.lock:
            if self.left < count or time.monotonic() >= self.end:
                return False
            self.left -= count
            return True


def shortened(text, length=300):
    """The end of a tool's messages on one line."""
    return " | ".join(bytes(text).decode("utf-8", "replace").split("\n"))[-length:]
