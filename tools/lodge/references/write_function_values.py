"""Writes values of GeLU, SiLU and exp, computed to 30 digits, for the tests of replacements.

Each file is float32 [points, 4]: the argument and the value as sums of two floats, which are exact
to 48 bits. Points are a grid, and both sides of every knot that a published replacement has.
"""

import argparse
import os

import numpy
from mpmath import mp, mpf

KNOTS = [1.95, 2.7, 3, 3.5, 4, 8, 10]


def gelu(x):
    return x * (1 + mp.erf(x / mp.sqrt(2))) / 2


def gelu_tanh(x):
    return x / 2 * (1 + mp.tanh(mp.sqrt(2 / mp.pi) * (x + mpf("0.044715") * x**3)))


def silu(x):
    return x / (1 + mp.exp(-x))


def points(low, high):
    result = set(numpy.arange(low * 128, high * 128 + 1) / 128)
    for knot in KNOTS + [-knot for knot in KNOTS]:
        for side in [numpy.float64(knot) - 2.0**-30, numpy.float64(knot)]:
            if low <= side <= high:
                result.add(side)
    return sorted(result)


def pair(value):
    """The two nearest float32 that add up to `value`."""
    first = numpy.float32(float(value))
    return first, numpy.float32(float(mpf(value) - mpf(float(first))))


def write(path, function, low, high):
    rows = []
    for x in points(low, high):
        # The argument is what the two floats say, so that nothing is lost in reading.
        argument = pair(mpf(float(x)))
        exact = mpf(float(argument[0])) + mpf(float(argument[1]))
        rows.append(argument + pair(function(exact)))
    numpy.save(path, numpy.array(rows, numpy.float32))


def main():
    parser = argparse.ArgumentParser(
        prog="tools/development/write-function-values", description=__doc__.split("\n")[0])
    parser.add_argument("folder", help="folder to write")
    folder = parser.parse_args().folder
    mp.dps = 30
    os.makedirs(folder, exist_ok=True)
    for name, function, low, high in [
        ("gelu", gelu, -12, 12), ("geluTanh", gelu_tanh, -12, 12), ("silu", silu, -12, 12),
        ("exponential", mp.exp, -16, 1),
    ]:
        write(os.path.join(folder, f"{name}.npy"), function, low, high)


if __name__ == "__main__":
    main()
