"""A prefix decoder without use: scores of a context, padded weights, and rotations by two positions."""

from lodge.vector_files.session import shape, weight


def program(is_padded=True):
    """Without padding the weights have no columns for rows to come, which breaks a rule."""
    operations, values = [], []

    def add(name, reads, *results, **members):
        first = len(values)
        values.extend(results)
        operations.append({"label": "vectors", "name": name, "reads": reads,
                           "writes": len(results)} | members)
        return first

    eight, keys, padded = ["fixed", 8], ["keys", 2, 0], ["sessionKeys", 2]
    x = add("input", [], shape(eight))
    opened = add("open", [x], shape(eight, "opened"))
    product = add("linear", [opened], shape(eight, bits=8), weight=0)
    turned = add("rotate", [product], shape(eight, bits=14), heads=2, interleaved=False,
                 factorFractionalBits=6, turns=[2**61 + 1], positions=2)
    query = add("open", [turned], shape(eight, "opened", 14))
    scores = add("scores", [query, query], shape(keys, bits=28), heads=2, keyHeads=2)
    weights = scores
    if is_padded:
        weights = add("padKeys", [scores], shape(padded, bits=28))
    else:
        padded = keys
    shifted = add("combine", [weights], shape(padded, bits=28), coefficients=[1], constant=-2**20)
    weights = add("open", [shifted], shape(padded, "opened", 8, ringBits=40), shift=20, bits=40)
    mixed = add("mix", [weights, opened], shape(eight, bits=12, ringBits=40), heads=2, keyHeads=2)
    near = add("open", [mixed], shape(eight, "opened", 12, ringBits=40), shift=0, bits=40)
    view = add("view", [near], shape(eight, "view", 8, shift=4), shift=4)
    short = add("truncate", [view], shape(eight, bits=8))
    last = add("lastRow", [short], shape(eight, bits=8, rows="last"))
    add("output", [last])
    return {"version": 3, "family": "chatglm", "kind": "prefixDecoder", "clientInput": "embedding",
            "vocabularySize": 9, "maximumPositions": 8, "values": values, "operations": operations,
            "weights": [weight("w", 8, 8)], "contextMarkers": {"startToken": 8, "maskTokens": [7, 6]}}
