"""Programs that break one rule of formats/program.md each; the text of one that breaks none."""

import copy

from lodge.vector_files import prefix_program
from lodge.vector_files.container import canonical
from lodge.vector_files.session import program

MIDDLE = 14  # the product, which reads the values 13 and 12
GATED = 33  # the permuted function with a factor
WIDENED = 34
MULTIPLIED = 39  # the lookup with a factor


def edited(change):
    value = copy.deepcopy(program())
    change(value)
    return canonical(value)


def member(path, value):
    """The program with the member at `path` set, or removed where the value is None."""
    def change(root):
        *parents, last = path
        for key in parents:
            root = root[key]
        if value is None:
            del root[last]
        else:
            root[last] = value
    return edited(change)


def operation(index, **members):
    return edited(lambda root: root["operations"][index].update(members))


def value(index, **members):
    return edited(lambda root: root["values"][index].update(members))


def prefix(*path, **members):
    """The prefix decoder with members changed, or removed where None, of what stands at `path`."""
    root = part = prefix_program.program()
    for key in path:
        part = part[key]
    part.update(members)
    for key in [key for key, value in members.items() if value is None]:
        del part[key]
    return canonical(root)


def factor_of_keys(root):
    """A lookup of scores, with a view of them as the factor."""
    keys, place = {"columns": ["keys", 1, 0], "rows": "step"}, len(root["values"])
    root["values"] += [keys | {"form": "opened", "fractionalBits": 8, "ringBits": 12},
                       keys | {"form": "view", "fractionalBits": 7, "shift": 1},
                       keys | {"form": "shared", "fractionalBits": 13, "ringBits": 22}]
    root["operations"][-1:-1] = [
        {"label": "vectors", "name": "open", "reads": [5], "writes": 1, "shift": 0, "bits": 12},
        {"label": "vectors", "name": "view", "reads": [place], "writes": 1, "shift": 1},
        root["operations"][MULTIPLIED] | {"reads": [place, place + 1]}]


def without_input(root):
    root["operations"][0] = root["operations"][0] | {"name": "padRows", "reads": [0]}


def two_inputs(root):
    root["operations"].insert(1, dict(root["operations"][0]))
    root["values"].insert(0, dict(root["values"][0]))
    for node in root["operations"][2:]:
        node["reads"] = [read + 1 for read in node["reads"]]


def two_outputs(root):
    root["operations"].append(dict(root["operations"][-1]))


def output_first(root):
    root["operations"].insert(4, root["operations"].pop() | {"reads": [3]})


CASES = {
    "valid-read": canonical(program()),
    "P6-read-unknown": member(["comment"], "none"),
    "P6-read-unknown-operation": operation(MIDDLE, name="divide"),
    "P6-read-unknown-member": operation(MIDDLE, shift=2),
    "P6-read-missing": member(["family"], None),
    "P6-read-missing-member": member(["operations", 7, "shift"], None),
    "P6-read-duplicate": canonical(program())[:-1] + ',"version":3}',
    "P6-read-version": member(["version"], 2),
    "P6-read-vocabulary": member(["vocabularySize"], 0),
    "P6-read-fraction": member(["maximumPositions"], 4.5),
    "P6-read-scale": value(4, fractionalBits=63),
    "P6-read-shift": operation(7, shift=63),
    "P6-read-window": operation(16, droppedBits=60),
    "P6-read-knots": operation(16, knots=[2**52, 0]),
    "P12-read-knots": operation(16, knots=[-2**54, 2**54 - 2**50 + 1]),
    "P6-read-pieces": operation(16, slopes=[[0, 1]]),
    "P6-read-degree": operation(15, coefficients=[[1] * 10]),
    "P6-read-comparison": operation(18, comparison="words"),
    "P6-read-result-bits": operation(16, resultBits=0),
    "P6-read-noise": operation(16, noise=501),
    "P6-read-opened-bits": operation(19, bits=64),
    "P6-read-cells": operation(23, cellBits=12),
    "P6-read-bounds": operation(23, cells=[3, 3]),
    "P6-read-decays": operation(24, decays=[2**62] * 11),
    "P6-read-decay": operation(24, decays=[2**62] * 9 + [2**9] * 3),
    "P6-read-lookup-length": operation(25, coefficients=[[1] * 3, [1] * 2]),
    "P6-read-lookup-degree": operation(25, coefficients=[[1] * 3] * 4),
    "P6-read-lookup-no-degree": operation(25, coefficients=[]),
    "P6-read-lookup-one-cell": operation(25, cellBits=12, firstCell=0, coefficients=[[1]]),
    "P6-read-lookup-many-cells": operation(25, reads=[19], openedBits=20, cellBits=7,
                                           coefficients=[[0] * 2**12]),
    "P6-read-lookup-no-cell": operation(25, coefficients=[[]]),
    "P6-read-lookup-before-cells": operation(25, firstCell=-9),
    "P6-read-lookup-behind-cells": operation(25, firstCell=6),
    "P6-read-lookup-line": operation(25, left=[1]),
    "P6-read-lookup-slope": operation(25, coefficients=[[1] * 3]),
    "P6-read-lookup-no-result": operation(25, resultBits=0),
    "P6-read-lookup-long-result": operation(25, resultBits=65),
    "P6-read-lookup-operands": operation(MULTIPLIED, reads=[22, 20, 20]),
    "P6-read-permuted-function": operation(26, function="swish"),
    "P6-read-permuted-epsilon": operation(26, epsilon=0.5),
    "P6-read-permuted-no-epsilon": operation(26, function="layerNorm"),
    "P6-read-permuted-zero-epsilon": operation(26, function="layerNorm", epsilon=0.0),
    "P6-read-permuted-bits": operation(26, bits=63),
    "P6-read-permuted-one-run": operation(26, function="softmax", runs=1),
    "P6-read-factor-bits": operation(GATED, factorBits=64),
    "P6-read-factor-shift": operation(GATED, factorShift=63),
    "P6-read-factor-no-shift": member(["operations", GATED, "factorShift"], None),
    "P6-read-factor-no-bits": member(["operations", GATED, "factorBits"], None),
    "P6-read-factor-missing": operation(GATED, reads=[11]),
    "P6-read-word": operation(30, constant=2**63),
    "P7-read-later": operation(MIDDLE, reads=[13, 15]),
    "P7-read-absent": operation(MIDDLE, reads=[13, 99]),
    "P7-read-negative": operation(MIDDLE, reads=[13, -1]),
    "P7-read-form": value(14, form="opened"),
    "P7-read-shape": value(14, columns=["fixed", 3]),
    "P7-read-shared-operand": operation(MIDDLE, reads=[11, 12]),
    "P7-read-operands": operation(MIDDLE, reads=[7, 12]),
    "P7-read-weight": operation(32, weight=0),
    "P7-read-ring": value(19, ringBits=19),
    "P7-read-opening": operation(19, shift=50),
    "P7-read-lifted": operation(17, lifted=True),
    "P7-read-result-bits": operation(17, resultBits=1),
    "P7-read-noise": operation(17, noise=1),
    "P7-read-ring-of-sum": operation(30, coefficients=[1, 1, -1, 1, 2, 5, 1, 7, 2**24, 2**34, 2**44]),
    "P7-read-lookup-opened": operation(25, openedBits=13, cellBits=10),
    "P7-read-lookup-view": operation(25, reads=[20]),
    "P7-read-lookup-result": operation(25, resultBits=39),
    "P7-read-lookup-scale": operation(25, fractionalBits=29),
    "P7-read-lookup-factor-opened": operation(MULTIPLIED, reads=[22, 19], fractionalBits=5),
    "P7-read-lookup-factor-shared": operation(MULTIPLIED, reads=[22, 3], fractionalBits=9),
    "P7-read-lookup-factor-shape": operation(MULTIPLIED, reads=[22, 7], fractionalBits=7),
    "P7-read-lookup-factor-keys": edited(factor_of_keys),
    "P7-read-lookup-factor-scale": operation(MULTIPLIED, fractionalBits=13),
    "P7-read-permuted-runs": operation(26, runs=2),
    "P7-read-permuted-keys": operation(28, function="rmsNorm", epsilon=0.5),
    "P7-read-permuted-opened": operation(26, reads=[13]),
    "P7-read-permuted-opening": operation(26, shift=41),
    "P7-read-permuted-result": operation(26, resultBits=31),
    "P7-read-permuted-scale": operation(26, fractionalBits=19),
    "P6-read-widen-bits": operation(WIDENED, bits=65),
    "P6-read-widen-missing": member(["operations", WIDENED, "bits"], None),
    "P7-read-widen-narrow": operation(WIDENED, bits=21),
    "P7-read-widen-ring": value(35, ringBits=35),
    "P7-read-widen-shared": operation(WIDENED, reads=[11]),
    "P7-read-widen-shifted": operation(WIDENED, reads=[20]),
    "P6-read-output-bits": operation(42, bits=64),
    "P7-read-output-ring": operation(42, reads=[36]),
    "P7-read-factor-runs": operation(GATED, function="softmax"),
    "P7-read-factor-wide": operation(GATED, factorBits=44),
    "P7-read-factor-opening": operation(GATED, factorShift=45),
    "P7-read-factor-shape": operation(GATED, reads=[11, 5]),
    "P7-read-factor-opened": operation(GATED, reads=[11, 4]),
    "P7-read-factor-scale": operation(GATED, factorShift=2),
    "P7-read-heads": operation(5, keyHeads=2),
    "P7-read-never-written": edited(lambda root: root["values"].append(root["values"][-1])),
    "valid-read-prefix": prefix(),
    "P6-read-markers-missing": prefix(contextMarkers=None),
    "P6-read-markers": member(["contextMarkers"], {"startToken": 1, "maskTokens": [0]}),
    "P6-read-markers-none": prefix("contextMarkers", maskTokens=[]),
    "P6-read-markers-many": prefix("contextMarkers", maskTokens=[7] * 17),
    "P6-read-markers-start": prefix("contextMarkers", maskTokens=[7, 8]),
    "P6-read-markers-token": prefix("contextMarkers", startToken=2**24),
    "P6-read-markers-member": prefix("contextMarkers", endToken=5),
    "P6-read-positions": prefix("operations", 3, positions=1),
    "P6-read-positions-interleaved": prefix("operations", 3, interleaved=True),
    "P7-read-positions-kind": prefix(kind="decoder", contextMarkers=None),
    "P7-read-positions-pairs": prefix("operations", 3, turns=[1, 1]),
    "P7-read-padded": canonical(prefix_program.program(is_padded=False)),
    "P8-read-no-input": edited(without_input),
    "P8-read-two-inputs": edited(two_inputs),
    "P8-read-two-outputs": edited(two_outputs),
    "P8-read-no-output": edited(lambda root: root["operations"].pop()),
    "P8-read-output-first": edited(output_first),
}


def build(folder):
    """Writes every case as <name>.json."""
    for name, text in CASES.items():
        (folder / f"{name}.json").write_text(text)
