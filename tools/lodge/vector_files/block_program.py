"""A program whose gates decide which blocks of a layer run: for program.json."""

from lodge.vector_files.session import shape, weight

POOL = [300, 100]


def gated():
    """A decoder with a layer of two blocks of three columns."""
    two, six, blocks = ["fixed", 2], ["fixed", 6], ["blocks", 5, 2, 3, *POOL]
    operations, values = [], []

    def add(name, reads, *results, **members):
        values.extend(results)
        operations.append({"label": "vectors", "name": name, "reads": reads, "writes": len(results)} | members)
        return len(values) - 1

    def compared(opened_bits, *functions):
        return {"shift": 0, "droppedBits": 0, "comparedBits": 6, "knots": [0],
                "slopes": [[0, slope] for slope, _ in functions],
                "intercepts": [[0, intercept] for _, intercept in functions],
                "outputFractionalBits": [0 if intercept else 4 for _, intercept in functions],
                "openedBits": opened_bits}

    opened = add("open", [add("input", [], shape(two, bits=0))], shape(two, "opened", 0))
    scores = add("linear", [opened], shape(two), weight=0)
    seen = add("open", [scores], shape(two, "opened", ringBits=8), shift=0, bits=8)
    bits = add("piecewiseLinear", [seen], shape(two, bits=0, ringBits=1), resultBits=1, noise=20, comparison="bits",
               **compared(8, (0, 1)))
    gates = add("reveal", [bits], shape(two, "revealed", 0, pool=POOL), pool=POOL)
    up = add("blockLinear", [opened, gates], shape(blocks), weight=1)
    all_columns = add("linear", [opened], shape(six), weight=2)
    selected = add("selectBlocks", [all_columns, gates], shape(blocks))
    total = add("combine", [up, selected], shape(blocks), coefficients=[1, 1], constant=0)
    total = add("addWeight", [total], shape(blocks), weight=3)
    seen = add("open", [total], shape(blocks, "opened", ringBits=9), shift=0, bits=9)
    active = add("piecewiseLinear", [seen], shape(blocks, ringBits=9), **compared(9, (1, 0)))
    wide = add("combine", [active], shape(blocks, bits=59), coefficients=[2**55], constant=0)
    opened = add("openBlocks", [wide], shape(six, "opened", 0, ringBits=5), shift=59, bits=5)
    down = add("linear", [opened], shape(two, ringBits=5), weight=4)
    last = add("lastRow", [add("combine", [down], shape(two, bits=63 - 4), coefficients=[2**59],
                               constant=0)], shape(two, bits=63 - 4, rows="last"))
    add("output", [last])
    order = [["layers.0.gate", 2]]
    weights = [weight("scores", 2, 2), weight("up", 6, 2), weight("wide", 6, 2), weight("bias", 1, 6),
               weight("down", 2, 6)]
    for name, member in enumerate(("rowBlocks", "rowBlocks", "rowBlocks", "columnBlocks", "columnBlocks")):
        weights[name]["source"][member] = order[0]
    return {"version": 2, "family": "opt", "kind": "decoder", "clientInput": "oneHot",
            "vocabularySize": 2, "maximumPositions": 4, "values": values, "operations": operations,
            "weights": weights}
