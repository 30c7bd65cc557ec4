#!/usr/bin/env python3
"""Rotary factors in integers, written from formats/program.md, section "Rotations".

Both parties must get the same integers, so nothing here is a float.

    rotation.py formats/vectors/rotation.json

checks the vectors.
"""

import json
import sys

ONE, HALF_PI = 1 << 62, 7244019458077122842


def sine(phase):
    """sin(2 pi phase / 2^64) in units of 2^-62, for 0 <= phase < 2^64."""
    quadrant, fraction = divmod(phase, ONE)
    x = fraction * HALF_PI >> 62
    half, odd = x * (x // 2) >> 62, quadrant % 2
    total = ONE
    for k in range(12, 0, -1):
        divisor = (2 * k - 1) * (2 * k) if odd else (2 * k) * (2 * k + 1)
        total = ONE - 2 * (half // divisor * total >> 62)
    value = total if odd else x * total >> 62
    return -value if quadrant >= 2 else value


def factors(position, turns, bits, magnitude=2**30):
    """Cosine and sine, words with `bits` fractional bits, of a pair at `position`."""
    phase, drop = position * turns % 2**64, 92 - bits
    return [(sine(p % 2**64) * magnitude + 2 ** (drop - 1) >> drop) % 2**64
            for p in (phase + ONE, phase)]


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        rotations, count = json.load(file)["rotations"], 0
    for rotation in rotations:
        for entry in rotation["factors"]:
            found = factors(entry["position"], rotation["turns"][entry["pair"]],
                            rotation["factorFractionalBits"], rotation.get("magnitude", 2**30))
            if found != [entry["cosine"] % 2**64, entry["sine"] % 2**64]:
                sys.exit(f"rotation: error: {entry} is not {found}")
            count += 1
    print(f"{count} factors checked")


if __name__ == "__main__":
    main()
