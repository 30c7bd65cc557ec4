"""Evaluates exported functions in torch, in double precision, with the code that finetune trains with.

    tools/evaluate-functions CASES.json

reads a JSON array of {"form": ..., "rows": [[...]]} and prints an array with the values of each case:
of an activation at each input, the weights of a row of scores, the factors of variances (with
"epsilon"). "allowed": [[true, ...]] says which scores take part. For tests of the torch code
against Lodge's own.
"""

import argparse
import json
import sys

import torch

from lodge.adaptation import checkpoint
from lodge.adaptation.errors import InputError
from lodge.adaptation.functions import exact_normalisation, function


def values(case, source):
    rows = torch.tensor(case["rows"], dtype=torch.float64)
    replacement = function(case["form"], source)
    kind = next(iter(case["form"]))
    if kind == "softmax":
        allowed = torch.tensor(case["allowed"]) if "allowed" in case else torch.ones_like(rows) > 0
        return replacement(rows, allowed).tolist()
    if kind == "normalisation":
        return (replacement or exact_normalisation)(rows, case["epsilon"]).tolist()
    return replacement(rows).tolist()


def main():
    parser = argparse.ArgumentParser(
        prog="tools/evaluate-functions", description="Evaluates exported functions in torch.",
        epilog="example: tools/evaluate-functions cases.json")
    parser.add_argument("cases", metavar="CASES", help="see evaluate_functions.py")
    options = parser.parse_args()
    try:
        cases = checkpoint.read_json(options.cases)
        try:
            result = [
                values(case, f"{options.cases}: case {index}") for index, case in enumerate(cases)
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(options.cases, f"is incomplete: {error}") from None
    except InputError as error:
        print(f"evaluate-functions: error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(result))
    return 0


sys.exit(main())
