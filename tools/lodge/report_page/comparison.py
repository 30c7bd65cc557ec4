"""The page of a comparison: from which a user chooses a recipe."""

from .differences import differences
from .markup import (
    chart, duration, figure, percent, rate, section, signed_percent, size, table, text, whole,
)

VERSION = 1

# What counts as the original's answer: limits of `lodge-model convert` where none are given.
NEAR_PERPLEXITY = 0.005
NEAR_COSINE = 0.999


def page(document):
    count = len(document["models"])
    title = f"{count} recipe{'s' if count != 1 else ''} compared"
    body = [
        header(document, title), accuracy(document), cost(document), choice(document),
        recipes(document), leakage(document), definitions(document),
    ]
    return title, "\n".join(part for part in body if part)


def is_decoder(document):
    return document["kind"] != "encoder"


def stage(model, name):
    return next(entry for entry in model["stages"] if entry["stage"] == name)


def step(document, model):
    return model["token" if is_decoder(document) else "prompt"]


def what(document):
    if is_decoder(document):
        return (
            f"the last token after a prompt of {document['promptCapacity']} and "
            f"{document['newCapacity']} new ones")
    return f"a text of {document['promptCapacity']} tokens"


def header(document, title):
    evaluation = document["evaluation"]
    checkpoint = document["models"][0]["checkpoint"]
    pairs = evaluation["pairCount"]
    texts = (
        f"{whole(pairs)} scored pairs of texts" if pairs
        else f"{whole(evaluation['textCount'])} texts")
    return (
        f"<header><h1>{title}</h1><p>Conversions of {text(checkpoint)}, evaluated on {texts}, "
        f"{whole(evaluation['tokenCount'])} tokens, in exact fixed point; costs are of "
        f"{what(document)}.</p></header>"
    )


def is_near(document, model):
    """Whether the model answers as the original does, by the limits that `convert` has unless told."""
    ring = stage(model, "ring")
    if is_decoder(document):
        increase = ring["perplexityIncrease"]
        return increase is not None and increase <= NEAR_PERPLEXITY
    cosine = ring["smallestCosine"]
    return cosine is not None and cosine >= NEAR_COSINE


def best(values, shown, distance, eligible):
    """Indices of the values with the least distance; equal as printed is equal."""
    known = [
        (distance(value), index) for index, value in enumerate(values)
        if value is not None and index in eligible
    ]
    if not known or len({shown[index] for _, index in known}) < 2:
        return set()
    winner = shown[min(known)[1]]
    return {index for _, index in known if shown[index] == winner}


def with_best(document, columns):
    """Rows of a table of models; `columns` are (values, printed, distance from the best or None)."""
    models = document["models"]
    eligible = {index for index, model in enumerate(models) if is_near(document, model)}
    rows = [[f"<b>{text(model['title'])}</b>"] for model in models]
    for values, show, distance in columns:
        shown = [show(value) for value in values]
        winners = set() if distance is None else best(values, shown, distance, eligible)
        for index, row in enumerate(rows):
            cell = shown[index]
            row.append(f'<span class="best">{cell}</span>' if index in winners else cell)
    return rows


def smaller(value):
    return value


def larger(value):
    return -value


def legend(document):
    """What green means: never a cheap recipe with another answer."""
    limit = (
        f"whose perplexity is at most {percent(NEAR_PERPLEXITY, 1)} above the original's"
        if is_decoder(document)
        else f"whose embeddings have a cosine of at least {NEAR_COSINE} with the original's")
    return f"Green is the best of a column among recipes {limit}."


def accuracy(document):
    rings = [stage(model, "ring") for model in document["models"]]
    original = stage(document["models"][0], "original")

    def column(key, show, distance):
        return ([ring[key] for ring in rings], show, distance)

    def from_original(key):
        return lambda value: abs(value - original[key])

    outside = ([model["outsideShare"] for model in document["models"]], percent, smaller)
    headroom = ([model["headroomBits"] for model in document["models"]], whole, None)
    if is_decoder(document):
        titles = [
            "Perplexity", "Increase", "Top-1", "Top-5", "Mean KL, nats", "Mean logit error",
            "Outside range", "Headroom, bits",
        ]
        columns = [
            column("perplexity", lambda value: figure(value, 5), from_original("perplexity")),
            column("perplexityIncrease", signed_percent, None),
            column("top1", percent, larger), column("top5", percent, larger),
            column("meanDivergence", lambda value: figure(value, 3), smaller),
            column("meanError", lambda value: figure(value, 3), smaller), outside, headroom,
        ]
        first = ["Original, float", figure(original["perplexity"], 5)]
    else:
        titles = [
            "Mean cosine", "Smallest cosine", "Spearman", "Mean error", "Outside range",
            "Headroom, bits",
        ]
        columns = [
            column("meanCosine", lambda value: f"{value:.7f}", larger),
            column("smallestCosine", lambda value: f"{value:.7f}", larger),
            column("spearman", lambda value: figure(value, 5), from_original("spearman")),
            column("meanError", lambda value: figure(value, 3), smaller), outside, headroom,
        ]
        first = ["Original, float", "", "", figure(original["spearman"], 5)]
    rows = [first + [""] * (len(titles) + 1 - len(first))] + with_best(document, columns)
    return section(
        "Accuracy",
        table([("Recipe", False)] + [(title, True) for title in titles], rows, "accuracy")
        + f'<p class="small">{legend(document)}</p>')


def cost(document):
    steps = [step(document, model) for model in document["models"]]
    columns = [
        ([entry["rounds"] for entry in steps], whole, smaller),
        ([entry["bytesPerParty"] for entry in steps], size, smaller),
    ]
    has_user = document.get("deployment") == "provider-user"
    titles = ["Flights", "Sent in turn" if has_user else "Sent by each party"]
    for index, network in enumerate(document["networks"]):
        columns.append(([entry["networkSeconds"][index] for entry in steps], duration, smaller))
        titles.append(text(network["name"]))
    columns.append(
        ([model["correlationBytesPerToken"] for model in document["models"]], size, smaller))
    titles.append("Correlations a token")
    networks = "; ".join(
        f"{text(network['name'])}: {duration(network['roundTripSeconds'])} round trip, "
        f"{rate(network['bitsPerSecond'])}" for network in document["networks"])
    return section(
        "Cost",
        table([("Recipe", False)] + [(title, True) for title in titles],
              with_best(document, columns), "cost")
        + f'<p class="small">Network time of {what(document)} with '
        f"{'a provider and its user' if has_user else 'two servers'}. {networks}.</p>")


def choice(document):
    measure = (
        "mean KL divergence from the original" if is_decoder(document)
        else "one minus the mean cosine with the original")
    networks = [
        (index, network["name"]) for index, network in enumerate(document["networks"])
    ]
    content = '<div class="grid">' + chart(
        "tradeoff",
        f"Further left is faster, further down is nearer to the original ({measure}).", 400,
        networks, "network") + chart(
        "recipes",
        f"Flights, bytes sent by each party and correlated randomness, each of "
        f"{'a token' if is_decoder(document) else 'a text or its token'}.", 400) + "</div>"
    return section("Accuracy against time", content)


def recipes(document):
    rows = differences(document)
    if not rows:
        return section(
            "What differs", "<p>For the nodes of this model nothing: the recipes differ in their "
            "names, or in functions that it does not have.</p>")
    columns = [("Setting", False)] + [(text(model["title"]), False) for model in document["models"]]
    return section("What differs", table(columns, rows, "settings"))


def leakage(document):
    order, holders = [], {}
    for model in document["models"]:
        for entry in model["leakage"]:
            key = (entry["role"], entry["operations"], entry["learns"])
            if key not in holders:
                order.append(key)
            holders.setdefault(key, []).append(model["title"])
    rows = []
    for role, operations, learns in order:
        titles = holders[(role, operations, learns)]
        who = "all" if len(titles) == len(document["models"]) else ", ".join(titles)
        rows.append([text(role), text(operations), text(learns), text(who)])
    columns = [("Role", False), ("Operations", False), ("Learns", False), ("Recipes", False)]
    return section("Leakage", table(columns, rows, "leakage"))


def definitions(document):
    evaluation = document["evaluation"]
    entries = [
        ("Fixed point", "the secure program modulo 2<sup>64</sup>, with the masks of a session: what "
         "two parties compute, bit for bit."),
        ("Network time", "flights times half the round trip, and bytes at the bandwidth; computing "
         "takes its time besides."),
        ("Outside range", "largest share of inputs that a replacement saw outside the range it is "
         "meant for."),
        ("Correlations", "correlated randomness of a session, both parties' files together, by its "
         "tokens."),
    ]
    if is_decoder(document):
        entries.insert(1, (
            "Perplexity",
            "exp of the mean of −ln p(token | tokens before it in its window) over all tokens but "
            f"the first of each text; windows of at most {evaluation['window']} tokens begin every "
            f"{evaluation['stride']} tokens of a longer text."))
    items = "".join(f"<dt>{name}</dt><dd>{meaning}</dd>" for name, meaning in entries)
    return section("Definitions", f"<dl>{items}</dl>")
