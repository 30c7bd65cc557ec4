"""What the programs of program.json take: rounds of their values and sizes of what is dealt for them."""

import hashlib
import json
import math
from pathlib import Path

from bit_comparison import Circuit
from session_algebra import Algebra

# Where the programs' texts are kept.
PROGRAMS = Path(__file__).parents[2] / "formats/vectors/program.json"

# Operations with correlated arrays as long as the result; those of the others are as long as what is read.
OF_THE_RESULT = ("linear", "scale", "scores", "mix")


def rounds(program):
    """The round of every value."""
    result = []
    for node in program["operations"]:
        number = max([result[value] for value in node["reads"]] or [0])
        if node["name"] == "open":
            number += 1
        if node["name"] == "permuted":
            number += 3
        if node.get("comparison") == "bits":
            number += 1 + len(Circuit(node).levels)
        result += [number] * node["writes"]
    return result


def dealt(algebra):
    """For each operation the elements of its mask and of its arrays, and the bytes of its keys."""
    entries = []
    for index, node in enumerate(algebra.nodes):
        entry = {}
        if node["name"] == "open":
            entry["masks"] = algebra.count(node["reads"][0])
        if arrays := algebra.array_count(index):
            value = algebra.first_value[index] if node["name"] in OF_THE_RESULT else node["reads"][0]
            entry["arrays"] = [algebra.count(value)] * arrays
        if algebra.has_keys(index):
            entry["keyBytes"] = math.prod(algebra.key_shape(index))
        entries.append(entry)
    return entries


def build(folder):
    """Writes program.json, with the texts that it has and everything else from them."""
    entries = []
    for old in json.loads(PROGRAMS.read_text())["programs"]:
        program = json.loads(old["canonical"])
        header = {"session": 0, "promptCapacity": old["promptCapacity"], "newCapacity": old["newCapacity"],
                  "batch": "00" * 16}
        entry = {name: old[name] for name in ("canonical", "newCapacity", "promptCapacity")} | {
            "digest": hashlib.sha256(old["canonical"].encode()).hexdigest(), "rounds": rounds(program),
            "dealt": dealt(Algebra(program, None, header, [bytes(32)] * 2))}
        entries.append(json.dumps(entry, separators=(",", ":"), sort_keys=True))
    (folder / "program.json").write_text('{"programs":[\n' + ",\n".join(entries) + "\n]}\n")
