"""Forged containers by the hundred thousand, in the reader itself: calls tools/development/forge-containers."""

import re
import subprocess
import time
from pathlib import Path

from lodge.assaults.tally import shortened

TOOL = Path(__file__).resolve().parents[2] / "development/forge-containers"


def attack(tally, random, count):
    row = tally.row("forged containers, in the reader")
    start = time.monotonic()
    seed = random.getrandbits(31)
    outcome = subprocess.run([TOOL, "-n", str(count), "-s", str(seed)], capture_output=True,
                             stdin=subprocess.DEVNULL)
    found = re.search(rb"tried (\d+), *refused (\d+), .* (\d+),? most", outcome.stdout)
    if found:
        row.tried, row.refused, row.passed = map(int, found.groups())
    tally.add(row, "crashed", outcome.returncode != 0 or not found,
              why=shortened(outcome.stderr + outcome.stdout))
    row.seconds = time.monotonic() - start
