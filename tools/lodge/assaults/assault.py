#!/usr/bin/env python3
"""Attacks the built executables on this machine and counts what breaks.

Strangers and floods on TLS, clients and parties that send what may not come, kills at random
moments with a proxy that watches for masks used twice, full and read-only disks, forged and altered
files. Everything is bounded in time and number and stays on 127.0.0.1. The inputs follow from the
seed, the moments do not. The exit status is 1 when anything was accepted that must not be, crashed,
took longer than ten seconds, burned a session that strangers or a machine's fault may not burn, or
used a mask twice; 2 when the run itself could not be made.
"""

import argparse
import random
import signal
import sys
import time
from pathlib import Path

from lodge.assaults import clients, containers, disks, files, kills, peers, strangers, users
from lodge.assaults.deployment import Broken, Deployment
from lodge.assaults.tally import Tally

ROOT = Path(__file__).resolve().parents[3]
# Each with its parts of the time and of the number of inputs.
ATTACKS = {"strangers": (strangers, 0.17, 0.2), "clients": (clients, 0.15, 0.25),
           "peers": (peers, 0.1, 0.05), "users": (users, 0.05, 0.05), "kills": (kills, 0.17, 0.02),
           "disks": (disks, 0.05, 0.02), "files": (files, 0.31, 0.41)}


def main():
    parser = argparse.ArgumentParser(
        prog="tools/development/assault", description=__doc__.split("\n\n")[0],
        epilog="example: tools/development/assault --seconds 300 --seed 7")
    parser.add_argument("--seconds", type=float, default=300,
                        help="time for all attacks together (default 300; setting up comes before)")
    parser.add_argument("--count", type=int, default=200_000,
                        help="inputs at most (default 200000)")
    parser.add_argument("--short", action="store_true",
                        help="what the tests run: 10 s, 1500 inputs, some of every kind")
    parser.add_argument("--seed", type=int, help="of the inputs (default: random, and printed)")
    parser.add_argument("--tools", type=Path, default=ROOT / ".build/release", metavar="DIR",
                        help="folder of the executables (default .build/release)")
    parser.add_argument("--only", choices=ATTACKS, action="append",
                        help="this kind of attack alone; may be given more than once")
    parser.add_argument("--forge", type=int, default=0, metavar="N",
                        help="forges N containers more, in the reader itself, by "
                        "tools/development/forge-containers, which builds the tests for that")
    arguments = parser.parse_args()
    seconds, count = (10, 1500) if arguments.short else (arguments.seconds, arguments.count)
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().getrandbits(32)
    chosen = {name: ATTACKS[name] for name in ATTACKS if name in (arguments.only or ATTACKS)}
    print(f"assault: seed {seed}, {seconds:g} s, at most {count:,} inputs", file=sys.stderr)
    # Whoever ends the run ends its parties and removes its files.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    tally = Tally()
    deployment = None
    start = time.monotonic()
    try:
        deployment = Deployment(arguments.tools, seed, tally)
        parts = [sum(part) for part in zip(*(chosen[name][1:] for name in chosen))]
        for name, (module, time_part, count_part) in chosen.items():
            module.attack(deployment, random.Random(f"{seed} {name}"),
                          seconds * time_part / parts[0], int(count * count_part / parts[1]),
                          arguments.short)
        if arguments.forge:
            containers.attack(tally, random.Random(f"{seed} forge"), arguments.forge)
    except (Broken, OSError) as error:
        print(f"assault: error: {error}", file=sys.stderr)
        return 2
    finally:
        if deployment:
            deployment.close()
        if tally.rows:
            print(tally.text())
    if tally.failed:
        print(f"assault: error: faults were found; --seed {seed} gives the same inputs",
              file=sys.stderr)
        return 1
    print(f"assault: {tally.tried:,} inputs in {time.monotonic() - start:.0f} s, no fault",
          file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
