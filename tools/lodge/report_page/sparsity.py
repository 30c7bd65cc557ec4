"""The page of `lodge-model sparsify --json`: what fires, what is computed, and what gates miss."""

from .markup import card, cards, chart, percent, section, table, text, whole

VERSION = 1


def page(document):
    layers = document["layers"]
    title = f"Sparsity of {len(layers)} feed-forward layers"
    body = [header(document, title), summary(layers), by_layer(layers), curves(layers), picture(layers)]
    return title, "\n".join(body)


def gated(layers):
    return [layer for layer in layers if layer["reason"] is None]


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else None


def header(document, title):
    layers = document["layers"]
    count = len(gated(layers))
    kind = "good" if count == len(layers) else "none" if count else "bad"
    verdict = f"{count} of {len(layers)} layers have gates that pay"
    return (
        f"<header><h1>{text(title)}</h1><p>Gates that keep {percent(document['mass'], 1)} of the mass of "
        f"activations, judged on {whole(layers[0]['positions'])} positions of text that they were not "
        f'fitted to.</p><div class="verdict {kind}">{verdict}</div></header>'
    )


def summary(layers):
    chosen = gated(layers)
    return cards([
        card("Neurons that fire", percent(mean(layer["density"] for layer in layers)), "at a position, all layers"),
        card("Never fire", whole(sum(layer["neverFiring"] for layer in layers)),
             f"of {whole(sum(layer['neurons'] for layer in layers))} neurons"),
        card("Open gates", percent(mean(layer["openShare"] for layer in chosen)), "where layers have gates"),
        card("Neurons computed", percent(mean(
            layer["computedShare"] if layer["reason"] is None else 1 for layer in layers)), "all layers"),
        card("Least mass kept", percent(min((layer["massKept"] for layer in chosen), default=None)),
             "of a layer with gates"),
    ])


def by_layer(layers):
    columns = [("layer", True), ("fire", True), ("never", True), ("blocks", True), ("active", True),
               ("open", True), ("computed", True), ("recall", True), ("mass", True),
               ("products", True), ("compared", True), ("opened", True)]
    rows = []
    for layer in layers:
        saved = layer["cost"]["ofSaved"]
        rows.append([
            whole(layer["layer"]), percent(layer["density"]), whole(layer["neverFiring"]),
            f"{whole(layer['blocks'])} of {whole(layer['blockWidth'])}", percent(layer["activeShare"]),
            percent(layer["openShare"]), percent(layer["computedShare"]), percent(layer["recall"]),
            percent(layer["massKept"]), percent(saved["products"], 1), percent(saved["comparisons"], 1),
            percent(saved["openings"], 1)])
    reasons = "".join(
        f"<p>Layer {whole(layer['layer'])} stays dense: {text(layer['reason'])}.</p>"
        for layer in layers if layer["reason"] is not None)
    note = ("<p>Fire: neurons at a position. Active: blocks in which one fires. Computed: neurons of open blocks. "
            "Recall and mass: what of both is kept. Products, compared and opened: what a gate costs of "
            "what it saves.</p>")
    bars = chart("gateDensity", "", 90 + 66 * len(layers))
    return section("Density by layer", bars + table(columns, rows) + reasons + note)


def choices(layers):
    return [(index, f"layer {layer['layer']}") for index, layer in enumerate(layers)]


def curves(layers):
    return section("Recall against open gates", chart(
        "gateCurve", "The line of recall counts neurons, that of mass their magnitudes; rings mark the threshold "
        "that was chosen.", 360, choices(layers), "Layer"))


def picture(layers):
    return section("Block by token", chart(
        "gatePicture", "Positions of held-out text from left to right, blocks from bottom to top.", 460,
        choices(layers), "Layer"))
