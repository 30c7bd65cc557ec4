#!/usr/bin/env python3
"""Writes the files of formats/vectors: valid ones, and for every requirement files that break it.

Written from formats/ with no code of Lodge, so that a reader that takes the valid files reads what
the texts say. The same files come out every time.

    write_vectors.py formats/vectors
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from lodge.vector_files import (
    comparison, container_cases, permuted_values, program_cases, program_sizes, session_cases,
    wire_cases)
from lodge.vector_files.session import write_all


def main():
    parser = argparse.ArgumentParser(
        prog="tools/development/write-vectors", description=__doc__.split("\n")[0],
        epilog="example: tools/development/write-vectors formats/vectors")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    np.seterr(over="ignore")
    try:
        for name, build in (("container", container_cases.build), ("valid", write_all),
                            ("session", session_cases.build), ("program", program_cases.build)):
            place = folder / name
            place.mkdir(parents=True, exist_ok=True)
            for old in place.iterdir():
                old.unlink()
            build(place)
        comparison.build(folder)
        program_sizes.build(folder)
        permuted_values.build(folder)
        wire_cases.build(folder)
        return 0
    except OSError as error:
        print(f"write-vectors: error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
