"""What the programs of program.json take: rounds of their values, flights, and sizes of what is dealt."""

import hashlib
import json
import math
from pathlib import Path

from lodge.verification.bit_comparison import Circuit
from lodge.verification.read_bundle import PROVIDER_USER, TWO_SERVER
from lodge.verification.session_algebra import Algebra, one_way_openings, silent_openings
from lodge.vector_files.block_program import gated, skipping
from lodge.vector_files.container import canonical
from lodge.vector_files.session import shape, weight

# Where the programs' texts are kept.
PROGRAMS = Path(__file__).parents[3] / "formats/vectors/program.json"

# Those that lowering made; more are made here.
COUNT = 7

# Operations with correlated arrays as long as the result; those of the others are as long as what is read.
OF_THE_RESULT = ("linear", "scale", "scores", "mix")


def permuted_chain():
    """A decoder in which all that a user sends first is known to it before the step."""
    two, operations, values = ["fixed", 2], [], []

    def add(name, reads, *results, **members):
        values.extend(results)
        operations.append({"label": "vectors", "name": name, "reads": reads, "writes": len(results)} | members)
        return len(values) - 1

    activation = {"function": "gelu", "shift": 0, "bits": 24, "fractionalBits": 20, "resultBits": 30}
    opened = add("open", [add("input", [], shape(two, bits=0))], shape(two, "opened", 0))
    first = add("linear", [opened], shape(two), weight=0)
    active = add("permuted", [first], shape(two, bits=20, ringBits=30), **activation)
    opened = add("open", [active], shape(two, "opened", 20, ringBits=30), shift=0, bits=30)
    second = add("linear", [opened], shape(two, bits=24, ringBits=30), weight=1)
    total = add("combine", [first, second], shape(two), coefficients=[1, 2**34], constant=0)
    active = add("permuted", [total], shape(two, bits=20, ringBits=30), **activation)
    third = add("permuted", [active, total], shape(two, bits=24, ringBits=30), **activation,
                factorShift=0, factorBits=12)
    last = add("lastRow", [add("combine", [third], shape(two, bits=58), coefficients=[2**34],
                               constant=0)], shape(two, bits=58, rows="last"))
    add("output", [last])
    return {"version": 3, "family": "opt", "kind": "decoder", "clientInput": "oneHot",
            "vocabularySize": 2, "maximumPositions": 4, "values": values, "operations": operations,
            "weights": [weight("first", 2, 2), weight("second", 2, 2)]}


def rounds(program):
    """The round of every value."""
    result = []
    for node in program["operations"]:
        number = max([result[value] for value in node["reads"]] or [0])
        if node["name"] in ("open", "widen", "openBlocks", "reveal"):
            number += 1
        if node["name"] == "permuted":
            number += 3
        if node.get("comparison") == "bits":
            number += Circuit(node).round_count()
        result += [number] * node["writes"]
    return result


def lifted_openings(program):
    """The operations that open what is only widened or viewed, and then only truncated."""
    nodes, written, first = program["operations"], 0, []
    for node in nodes:
        first.append(written)
        written += node["writes"]

    def only_read(values, names):
        return values - {value for node in nodes if node["name"] not in names for value in node["reads"]}

    truncated = only_read(set(range(written)), ("truncate", "widen"))
    viewed = only_read(set(range(written)), ("view", "widen")) - {
        node["reads"][0] for index, node in enumerate(nodes)
        if node["name"] == "view" and first[index] not in truncated}
    return {index for index, node in enumerate(nodes) if node["name"] == "open" and first[index] in viewed}


def flights(program, deployment):
    """The messages of every flight: [operation, message, the party that sends it or null for both]."""
    is_user = deployment == PROVIDER_USER
    one_way, silent = one_way_openings(program) if is_user else (), silent_openings(program)
    known, found, lifted = [[], []], {}, lifted_openings(program)

    def send(flight, index, message, sender):
        found.setdefault(flight, []).append([index, message, sender])
        return flight
    for index, node in enumerate(program["operations"]):
        ready = [max([known[p][value] for value in node["reads"]] or [0]) for p in (0, 1)]
        results, name = list(ready), node["name"]
        if index in silent:
            later = 0 if index in one_way else max(ready[1], send(ready[0] + 1, index, 0, 0))
            results = [ready[0], later]
        elif index in one_way:
            results = [max(ready[0], send(ready[1] + 1, index, 0, 1)), 0]
        elif name in ("open", "widen"):
            if ready[0] < ready[1] or ready[1] < ready[0] and (name == "widen" or index in lifted):
                for p in (0, 1):
                    send(ready[p] + 1, index, 0, p)
                results = [max(ready[p], ready[1 - p] + 1) for p in (0, 1)]
            else:
                results = [send(max(ready) + 1, index, 0, None)] * 2
        elif name in ("openBlocks", "reveal"):
            results = [send(max(ready) + 1, index, 0, None)] * 2
        elif name in ("linear", "scale") and is_user:
            results[1] = 0
        elif node.get("comparison") == "bits":
            for message in range(Circuit(node).round_count()):
                results = [send(max(ready) + 1 + message, index, message, None)] * 2
        elif name == "permuted":
            flight = send(ready[1] + 1, index, 0, 1)
            flight = send(max(flight, ready[0]) + 1, index, 1, 0)
            results[0] = send(max(flight, ready[1]) + 1, index, 2, 1)
        for p in (0, 1):
            known[p] += [results[p]] * node["writes"]
    return [sorted(found.get(flight, []), key=lambda message: message[:2])
            for flight in range(1, max(found, default=0) + 1)]


def dealt(algebra):
    """For each operation the elements of its mask and of its arrays, and the bytes of its keys."""
    entries = []
    for index, node in enumerate(algebra.nodes):
        entry = {}
        if node["name"] == "open":
            entry["masks"] = algebra.count(node["reads"][0])
        if node["name"] == "openBlocks":
            entry["masks"] = algebra.count(algebra.first_value[index])
        if arrays := algebra.array_count(index):
            value = algebra.first_value[index] if node["name"] in OF_THE_RESULT else node["reads"][0]
            count = algebra.array_size(index, 0) if node["name"] == "blockLinear" else algebra.count(value)
            entry["arrays"] = [count] * arrays
        if algebra.has_keys(index):
            entry["keyBytes"] = math.prod(algebra.key_shape(index))
        entries.append(entry)
    return entries


def build(folder):
    """Writes program.json, with the texts that it has and everything else from them."""
    entries = []
    programs = json.loads(PROGRAMS.read_text())["programs"][:COUNT]
    chain = {"canonical": canonical(permuted_chain()), "promptCapacity": 2, "newCapacity": 2}
    blocks = {"canonical": canonical(gated()), "promptCapacity": 3, "newCapacity": 2}
    heads = {"canonical": canonical(skipping()), "promptCapacity": 3, "newCapacity": 2}
    for old in programs + [chain, blocks, heads]:
        program = json.loads(old["canonical"])
        header = {"session": 0, "promptCapacity": old["promptCapacity"], "newCapacity": old["newCapacity"],
                  "batch": "00" * 16}
        entry = {name: old[name] for name in ("canonical", "newCapacity", "promptCapacity")} | {
            "digest": hashlib.sha256(old["canonical"].encode()).hexdigest(), "rounds": rounds(program),
            "flights": {name: flights(program, name) for name in (TWO_SERVER, PROVIDER_USER)},
            "dealt": dealt(Algebra(program, None, header, [bytes(32)] * 2))}
        entries.append(json.dumps(entry, separators=(",", ":"), sort_keys=True))
    (folder / "program.json").write_text('{"programs":[\n' + ",\n".join(entries) + "\n]}\n")
