"""Makes one self-contained HTML page of what lodge-check validate or compare, or lodge-model sparsify, wrote as JSON.

The page holds its data, its style, its scripts and plotly.js (from the PyPI package plotly, which
is not imported): it needs no network, and says so to the browser.
"""

import argparse
import importlib.metadata
import json
import os
import sys

from lodge.report_page import comparison, sparsity, validation
from lodge.report_page.markup import page


class InputError(Exception):
    """Something from outside is wrong; printed as one line."""


class Parser(argparse.ArgumentParser):
    """argparse with the messages and the exit status of Lodge's other tools."""

    def error(self, message):
        print(f"report: error: {message}", file=sys.stderr)
        print("report: hint: see 'tools/report --help'", file=sys.stderr)
        sys.exit(64)


KINDS = {"lodge-validation": validation, "lodge-comparison": comparison, "lodge-sparsity": sparsity}


def arguments():
    parser = Parser(
        prog="tools/report",
        description="One HTML page of a validation, a comparison, or the gates of sparsify.",
        epilog="example: lodge-check validate opt.lodge --tokens eval.json --out opt.json && "
        "tools/report opt.json --out opt.html",
    )
    parser.add_argument("file", metavar="FILE", help="JSON written by lodge-check or lodge-model sparsify")
    parser.add_argument("--out", required=True, metavar="FILE", help="HTML file to write")
    return parser.parse_args()


def read(path):
    """The document at `path` and the module that draws it."""

    def refuse(text):
        raise ValueError(f"{text} is no JSON")

    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file, parse_constant=refuse)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{path}: is not JSON: {error}") from None
    kind = KINDS.get(document.get("format")) if isinstance(document, dict) else None
    if kind is None:
        raise InputError(f"{path}: is no validation, comparison or sparsification")
    if document.get("version") != kind.VERSION:
        raise InputError(
            f"{path}: version: {document.get('version')}, this tool draws {kind.VERSION}"
        )
    return document, kind


def plotly():
    """The text of plotly.min.js inside the installed package plotly."""
    try:
        files = importlib.metadata.files("plotly") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "plotly.min.js":
            with open(file.locate(), encoding="utf-8") as script:
                return script.read()
    raise InputError("plotly: the Python package is missing: run tools/setup again")


def write(text, path):
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        try:
            os.unlink(temporary)
        except OSError:
            pass
        raise InputError(f"{path}: {error.strerror}") from None


def main():
    options = arguments()
    try:
        document, kind = read(options.file)
        try:
            title, body = kind.page(document)
        except (KeyError, TypeError, IndexError, ValueError) as error:
            raise InputError(
                f"{options.file}: is not as it was written: {type(error).__name__} {error}"
            ) from None
        write(page(title, body, document, plotly()), options.out)
    except InputError as error:
        message = str(error).replace("\n", " ")
        print(f"report: error: {message}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


sys.exit(main())
