"""Writes small random models of every family, and what transformers computes with them.

For each model a folder as `save_pretrained` leaves it, and outputs.npy: float32, the rows of all
texts in turn. index.json has the texts, and how far the outputs move when a setting is turned off;
it fails where that is less than ten times the tolerance of the tests. Needs the Python packages
torch, transformers 4.57 and gguf: set LODGE_TORCH_PYTHON to a Python that has them.
"""

import argparse
import json
import os
import shutil
import sys

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy

try:
    import gguf  # noqa: F401
    import transformers
except ImportError as error:
    print(f"write-references: error: {error}", file=sys.stderr)
    print(
        "write-references: hint: 'pip install transformers==4.57.6 gguf', or set "
        "LODGE_TORCH_PYTHON to a Python that has them", file=sys.stderr)
    sys.exit(69)

from references import checks, evaluation
from references.decoders import DECODERS
from references.encoders import ENCODERS
from references.gated import GATED
from references.heads import HEADS
from references.sentences import write_modules

CASES = GATED + DECODERS + ENCODERS + HEADS


def write(folder, case, seed):
    """Writes one model, and returns what index.json says of it."""
    model = evaluation.original(case, seed)
    texts = case.texts(seed)
    expected = evaluation.outputs(case, model, texts)
    figures = checks.check(case, model, texts, expected)
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    restored = evaluation.restored(case, folder)
    checks.require(
        numpy.array_equal(evaluation.outputs(case, restored, texts), expected), case,
        "the folder gives other outputs than the model")
    generation = os.path.join(folder, "generation_config.json")
    if os.path.exists(generation):
        os.remove(generation)
    if case.head == "embedding":
        write_modules(folder, case, model.config.hidden_size)
    numpy.save(os.path.join(folder, "outputs.npy"), expected.astype(numpy.float32))
    return {
        "name": case.name,
        "family": model.config.model_type,
        "architecture": case.architecture,
        "head": case.head,
        "texts": texts,
        "shape": list(expected.shape),
        "deviation": round(figures["deviation"], 3),
        "entropies": [round(value, 2) for value in figures["entropies"]],
        "settings": {name: float(f"{value:.3g}") for name, value in figures["settings"].items()},
    }


def line(entry):
    """One row of the table: how far the outputs move without each setting."""
    moved = ", ".join(f"{name} {value:g}" for name, value in entry["settings"].items())
    entropies = " ".join(f"{value:.2f}" for value in entry["entropies"])
    return (
        f"{entry['name']}: deviation {entry['deviation']:.2f}, entropy {entropies}; without {moved}")


def write_index(path, head, entries):
    """JSON with a model a line, so that a change of one is a change of its line."""
    rows = ",\n".join("    " + json.dumps(entry) for entry in entries)
    with open(path, "w") as file:
        file.write(json.dumps(head, indent=2)[:-2] + f',\n  "models": [\n{rows}\n  ]\n}}\n')


def main():
    parser = argparse.ArgumentParser(prog="tools/write-references", description=__doc__)
    parser.add_argument("folder", metavar="FOLDER", help="folder to write, as Tests/Vectors/families")
    parser.add_argument("--seed", type=int, default=1, help="of weights and texts (default: 1)")
    parser.add_argument(
        "--only", metavar="NAME", nargs="+", choices=[case.name for case in CASES],
        help="write these models again, and keep the others")
    arguments = parser.parse_args()
    path = os.path.join(arguments.folder, "index.json")
    entries = {}
    if arguments.only:
        with open(path) as file:
            entries = {entry["name"]: entry for entry in json.load(file)["models"]}
    for case in CASES:
        if arguments.only and case.name not in arguments.only:
            continue
        try:
            entry = write(os.path.join(arguments.folder, case.name), case, arguments.seed)
        except checks.CheckError as error:
            print(f"write-references: error: {error}", file=sys.stderr)
            sys.exit(1)
        entries[case.name] = entry
        print(line(entry), flush=True)
    head = {"seed": arguments.seed, "transformers": transformers.__version__,
            "tolerance": checks.TOLERANCE}
    write_index(path, head, [entries[case.name] for case in CASES if case.name in entries])


if __name__ == "__main__":
    main()
