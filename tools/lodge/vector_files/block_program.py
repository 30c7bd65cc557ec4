"""Programs whose gates decide which blocks of a layer run, and which heads: for program.json."""

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
    return {"version": 3, "family": "opt", "kind": "decoder", "clientInput": "oneHot",
            "vocabularySize": 2, "maximumPositions": 4, "values": values, "operations": operations,
            "weights": weights}


def skipping():
    """A decoder with two heads of two columns, of which some run."""
    two, four, gates, heads = ["fixed", 2], ["fixed", 4], 5, 2
    blocks, ones, keys = (["blocks", gates, heads, 2, *POOL], ["blocks", gates, heads, 1, *POOL],
                          ["blockKeys", gates, heads, *POOL])
    operations, values = [], []

    def add(name, reads, *results, **members):
        values.extend(results)
        operations.append({"label": "vectors", "name": name, "reads": reads, "writes": len(results)} | members)
        return len(values) - 1

    def projected(number):
        return add("linear", [opened], shape(four), weight=number)

    opened = add("open", [add("input", [], shape(two, bits=0))], shape(two, "opened", 0))
    scores = add("linear", [opened], shape(two), weight=0)
    seen = add("open", [scores], shape(two, "opened", ringBits=8), shift=0, bits=8)
    bits = add("piecewiseLinear", [seen], shape(two, bits=0, ringBits=8), shift=0, droppedBits=0,
               comparedBits=6, knots=[0], slopes=[[0, 0]], intercepts=[[0, 1]], outputFractionalBits=[0],
               openedBits=8)
    assert add("reveal", [bits], shape(two, "revealed", 0, pool=POOL), pool=POOL) == gates
    query = add("selectBlocks", [projected(1), gates], shape(blocks))
    query = add("openBlocks", [query], shape(four, "opened", ringBits=20), shift=0, bits=20)
    key = add("open", [projected(2)], shape(four, "opened", ringBits=20), shift=0, bits=20)
    value = add("open", [projected(3)], shape(four, "opened"))
    scores = add("scores", [query, key], shape(["keys", heads, 0], bits=8, ringBits=20), heads=heads,
                 keyHeads=heads)
    scores = add("selectBlocks", [scores, gates], shape(keys, bits=8, ringBits=20))
    seen = add("open", [scores], shape(keys, "opened", 2, ringBits=8), shift=6, bits=8)
    weights = add("exponential", [seen], shape(keys, bits=12), openedBits=8, cellBits=5, tops=[40, 12],
                  decays=[2**62 - i * 2**58 for i in range(8)], payloadBits=4, factorBits=8)
    total = add("sum", [weights], shape(ones, bits=12), runs=heads)
    narrow = add("openBlocks", [weights], shape(["sessionKeys", heads], "opened", 8), shift=4, bits=60)
    values[narrow]["ringBits"] = 60
    mixed = add("mix", [narrow, value], shape(four, bits=12, ringBits=60), heads=heads, keyHeads=heads)
    mixed = add("selectBlocks", [mixed, gates], shape(blocks, bits=12, ringBits=60))
    left = add("open", [mixed], shape(blocks, "opened", 12, ringBits=60), shift=0, bits=60)
    right = add("open", [total], shape(ones, "opened", 12))
    result = add("multiply", [left, right], shape(blocks, bits=24, ringBits=60))
    spread = add("spreadBlocks", [result], shape(four, bits=24, ringBits=60))
    last = add("lastRow", [spread], shape(four, bits=24, ringBits=60, rows="last"))
    opened = add("open", [last], shape(four, "opened", 20, ringBits=40, rows="last"), shift=4, bits=40)
    lifted = add("view", [opened], shape(four, "view", 19, rows="last", shift=1), shift=1)
    result = add("truncate", [lifted], shape(four, bits=19, rows="last"))
    add("output", [result])
    names = (("scores", 2, 2), ("query", 4, 2), ("key", 4, 2), ("value", 4, 2))
    return {"version": 3, "family": "opt", "kind": "decoder", "clientInput": "oneHot",
            "vocabularySize": 2, "maximumPositions": 4, "values": values, "operations": operations,
            "weights": [weight(*name) for name in names]}
