"""Writes small random models of every family, and what transformers computes with them.

For each model a folder as `save_pretrained` leaves it, and outputs.npy: float32, the rows of all
texts in turn. index.json has the texts, and how far the outputs move when a setting is turned off;
it fails where that is less than ten times the tolerance of the tests. Needs the Python packages
torch, transformers 4.57 and gguf: set LODGE_TORCH_PYTHON to a Python that has them.

With --again, another version of transformers reads the folders that are there: outputs must be the
same, and the configuration is written as that version saves it where it names rotary positions in
another way: config-5.json of version 5.
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
    import transformers
    from lodge.references import checks, evaluation, gguf_files
except ImportError as error:
    print(f"write-references: error: {error}", file=sys.stderr)
    print(
        "write-references: hint: 'pip install transformers==4.57.6 gguf', or set "
        "LODGE_TORCH_PYTHON to a Python that has them", file=sys.stderr)
    sys.exit(69)

from safetensors.numpy import load_file

from lodge.references.decoders import DECODERS
from lodge.references.encoders import ENCODERS
from lodge.references.gated import GATED
from lodge.references.heads import HEADS
from lodge.references.sentences import write_modules

transformers.utils.logging.disable_progress_bar()
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
    if case.hasGGUF:
        with open(os.path.join(folder, "config.json")) as file:
            config = json.load(file)
        arrays = load_file(os.path.join(folder, "model.safetensors"))
        gguf_files.write(os.path.join(folder, "model.gguf"), case, config, arrays)
    numpy.save(os.path.join(folder, "outputs.npy"), expected.astype(numpy.float32))
    return {
        "name": case.name,
        "family": model.config.model_type,
        "architecture": case.architecture,
        "head": case.head,
        "gguf": case.hasGGUF,
        "texts": texts,
        "shape": list(expected.shape),
        "deviation": round(figures["deviation"], 3),
        "entropies": [round(value, 2) for value in figures["entropies"]],
        "settings": {name: float(f"{value:.3g}") for name, value in figures["settings"].items()},
    }


def again(folder, case, entry):
    """Computes the outputs of a folder with this version, and writes its kind of config.json."""
    model = evaluation.restored(case, folder)
    expected = numpy.load(os.path.join(folder, "outputs.npy"))
    difference = numpy.abs(evaluation.outputs(case, model, entry["texts"]) - expected).max()
    differs = f"transformers {transformers.__version__} differs by {difference:.3g}"
    checks.require(difference <= checks.TOLERANCE / 10, case, differs)
    print(f"{case.name}: {differs}", flush=True)
    config = model.config.to_dict()
    if "rope_parameters" in config:
        major = transformers.__version__.partition(".")[0]
        model.config.to_json_file(os.path.join(folder, f"config-{major}.json"))


def line(entry):
    """One row of the table: how far the outputs move without each setting."""
    moved = ", ".join(f"{name} {value:g}" for name, value in entry["settings"].items())
    entropies = " ".join(f"{value:.2f}" for value in entry["entropies"])
    deviation = f"deviation {entry['deviation']:.2f}, entropy {entropies}"
    return f"{entry['name']}: {deviation}; without {moved}"


def write_index(path, head, entries):
    """JSON with a model a line, so that a change of one is a change of its line."""
    rows = ",\n".join("    " + json.dumps(entry) for entry in entries)
    with open(path, "w") as file:
        file.write(json.dumps(head, indent=2)[:-2] + f',\n  "models": [\n{rows}\n  ]\n}}\n')


def main():
    parser = argparse.ArgumentParser(prog="tools/development/write-references", description=__doc__)
    parser.add_argument(
        "folder", metavar="FOLDER", help="folder to write, as Tests/Vectors/families")
    parser.add_argument("--seed", type=int, default=1, help="of weights and texts (default: 1)")
    parser.add_argument(
        "--only", metavar="NAME", nargs="+", choices=[case.name for case in CASES],
        help="write these models again, and keep the others")
    parser.add_argument(
        "--again", action="store_true", help="check the folders with this version of transformers")
    arguments = parser.parse_args()
    path = os.path.join(arguments.folder, "index.json")
    entries = {}
    if arguments.only or arguments.again:
        with open(path) as file:
            entries = {entry["name"]: entry for entry in json.load(file)["models"]}
    for case in CASES:
        if arguments.only and case.name not in arguments.only:
            continue
        folder = os.path.join(arguments.folder, case.name)
        try:
            if arguments.again:
                if not case.differsIn5:
                    again(folder, case, entries[case.name])
                continue
            entry = write(folder, case, arguments.seed)
        except checks.CheckError as error:
            print(f"write-references: error: {error}", file=sys.stderr)
            sys.exit(1)
        entries[case.name] = entry
        print(line(entry), flush=True)
    if arguments.again:
        return
    head = {"seed": arguments.seed, "transformers": transformers.__version__,
            "tolerance": checks.TOLERANCE}
    write_index(path, head, [entries[case.name] for case in CASES if case.name in entries])


if __name__ == "__main__":
    main()
