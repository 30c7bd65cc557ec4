"""The page of one validation: what is left of a model's accuracy, and where it went."""

from .markup import (
    card, cards, chart, duration, figure, percent, rate, section, signed_percent, size, table, text,
    whole,
)

VERSION = 1

STAGES = {
    "original": "Original, float",
    "approximated": "Replacements, float",
    "ring": "Fixed point",
    "secure": "Two parties",
}

# Criterion: title, how its figures are printed.
CRITERIA = {
    "maxPerplexityIncrease": ("Perplexity increase", percent),
    "minTop1": ("Top-1 agreement", percent),
    "minTop5": ("Top-5 agreement", percent),
    "maxMeanDivergence": ("Mean KL divergence, nats", figure),
    "maxMeanLogitError": ("Mean error of the output", figure),
    "maxLogitError": ("Largest error of the output", figure),
    "minCosine": ("Smallest cosine of an embedding", figure),
    "minSpearman": ("Spearman correlation", figure),
    "maxSpearmanDrop": ("Drop of the Spearman correlation", figure),
    "maxFixedPointError": ("Mean error of fixed point against float", figure),
    "minHeadroomBits": ("Headroom, bits", whole),
    "maxOutsideShare": ("Inputs outside a valid range", percent),
}


def page(document):
    model = document["model"]
    title = f"{model['file']}, recipe {model['recipe']['name']}"
    body = [
        header(document, title), summary(document), stages(document), thresholds(document),
        errors(document), functions(document), scatter(document), headroom(document),
        cost(document), definitions(document),
    ]
    return f"Validation of {title}", "\n".join(part for part in body if part)


def is_decoder(document):
    return document["model"]["kind"] != "encoder"


def stage(document, name):
    return next((entry for entry in document["stages"] if entry["stage"] == name), None)


def header(document, title):
    model, evaluation = document["model"], document["evaluation"]
    kept = [entry["isKept"] for entry in document["thresholds"]]
    faults = document.get("faults", [])
    if faults:
        verdict = f'<div class="verdict bad">{text("; ".join(faults))}</div>'
    elif not kept:
        verdict = '<div class="verdict none">No thresholds were given</div>'
    elif document["isPassed"]:
        what = "The threshold is" if len(kept) == 1 else f"All {len(kept)} thresholds are"
        verdict = f'<div class="verdict good">{what} kept</div>'
    else:
        missed = kept.count(False)
        what = "threshold" if missed == 1 else "thresholds"
        verdict = f'<div class="verdict bad">{missed} {what} missed</div>'
    pairs = evaluation["pairCount"]
    what = f"{whole(evaluation['textCount'])} texts, {whole(evaluation['tokenCount'])} tokens"
    if pairs:
        what = f"{whole(pairs)} scored pairs of texts, {whole(evaluation['tokenCount'])} tokens"
    return (
        f"<header><h1>Validation of {text(title)}</h1><p>{text(model['family'].upper())} "
        f"{text(model['kind'])} with {whole(model['parameterCount'])} parameters, "
        f"{model['recipe']['fractionalBits']} fractional bits, evaluated on {what}.</p>"
        f"{verdict}</header>"
    )


def summary(document):
    ring, original = stage(document, "ring"), stage(document, "original")
    items = []
    if is_decoder(document):
        items.append(
            card("Perplexity in fixed point", figure(ring["perplexity"]),
                 f"original {figure(original['perplexity'])}, "
                 f"{signed_percent(ring['perplexityIncrease'])}"))
        items.append(card("Same most likely token", percent(ring["top1"]), "of all positions"))
        items.append(
            card("Mean error of a logit", figure(ring["meanError"], 3),
                 f"largest {figure(ring['largestError'], 3)}"))
    else:
        if ring["spearman"] is not None:
            drop = ring["spearman"] - original["spearman"]
            items.append(
                card("Spearman correlation", f"{ring['spearman']:.4f}",
                     f"original {original['spearman']:.4f}, {drop:+.4f}".replace("-", "−")))
        items.append(
            card("Smallest cosine", f"{ring['smallestCosine']:.6f}",
                 "of an embedding with the original's"))
        items.append(
            card("Mean error of an element", figure(ring["meanError"], 3),
                 f"largest {figure(ring['largestError'], 3)}"))
    bits = document["headroom"]["tightest"]
    items.append(
        card("Headroom", "–" if bits is None else in_bits(bits["bits"]), "below 2<sup>62</sup>",
             "" if bits is None or bits["bits"] > 0 else "bad"))
    total = document["cost"]["total"]
    step = total["token" if is_decoder(document) else "prompt"]
    name = "a token" if is_decoder(document) else "a text"
    items.append(
        card(f"Cost of {name}", f"{whole(step['rounds'])} flights",
             f"{size(step['bytesPerParty'])} sent by each party"))
    items.append(
        card(f"Network time of {name}", duration(step["networkSeconds"]),
             network(document["cost"])))
    return cards(items)


def in_bits(count):
    return f"{count} bit" if count == 1 else f"{count} bits".replace("-", "−")


def network(cost):
    return f"{duration(cost['roundTripSeconds'])} round trip, {rate(cost['bitsPerSecond'])}"


def swatch(name):
    colours = {"original": "original", "approximated": "approximated"}
    return f'<span class="swatch" style="background:var(--{colours.get(name, "ring")})"></span>'


def stages(document):
    rows = []
    if is_decoder(document):
        columns = [("Stage", False)] + [
            (title, True) for title in (
                "Perplexity", "Increase", "Top-1", "Top-5", "Mean KL, nats", "Largest KL",
                "Mean logit error", "Largest")
        ]
        for entry in document["stages"]:
            is_original = entry["stage"] == "original"
            cells = [
                "sample" if entry["stage"] == "secure"
                else signed_percent(entry["perplexityIncrease"], 3), percent(entry["top1"]),
                percent(entry["top5"]), figure(entry["meanDivergence"], 3),
                figure(entry["largestDivergence"], 3), figure(entry["meanError"], 3),
                figure(entry["largestError"], 3),
            ]
            rows.append(
                [swatch(entry["stage"]) + STAGES[entry["stage"]], figure(entry["perplexity"], 5)]
                + ([""] * len(cells) if is_original else cells))
    else:
        is_scored = any("top1" in entry for entry in document["stages"])
        columns = [("Stage", False)] + [
            (title, True) for title in (["Top-1"] if is_scored else []) + [
                "Mean cosine", "Smallest cosine", "Spearman", "Pearson", "Mean error", "Largest"]
        ]
        for entry in document["stages"]:
            is_original = entry["stage"] == "original"
            cosines = [f"{entry['meanCosine']:.7f}", f"{entry['smallestCosine']:.7f}"]
            errors = [figure(entry["meanError"], 3), figure(entry["largestError"], 3)]
            agreement = "" if is_original or "top1" not in entry else percent(entry["top1"])
            rows.append(
                [swatch(entry["stage"]) + STAGES[entry["stage"]]]
                + ([agreement] if is_scored else [])
                + (["", ""] if is_original else cosines)
                + [figure(entry["spearman"], 5), figure(entry["pearson"], 5)]
                + (["", ""] if is_original else errors))
    fixed = document["fixedPointError"]
    note = (
        f'<p class="small">Fixed point against the replacements in float: mean error '
        f"{figure(fixed['mean'], 3)}, largest {figure(fixed['largest'], 3)}.{secure(document)}</p>"
    )
    return section("Accuracy by stage", table(columns, rows, "stages") + note)


def secure(document):
    found = document.get("secure")
    if not found:
        return ""
    return (
        f" Two parties over loopback gave the same {whole(found['wordCount'])} output words in "
        f"{whole(found['stepCount'])} steps of {whole(found['sessionCount'])} sessions, bit for bit."
    )


def thresholds(document):
    if not document["thresholds"]:
        return ""
    rows = []
    for entry in document["thresholds"]:
        title, show = CRITERIA[entry["name"]]
        side = "at least" if entry["name"].startswith("min") else "at most"
        limit = int(entry["limit"]) if show is whole else entry["limit"]
        value = int(entry["value"]) if show is whole else entry["value"]
        rows.append((
            "" if entry["isKept"] else "missed",
            [title, f"{side} {show(limit)}", show(value), "kept" if entry["isKept"] else "missed"],
        ))
    columns = [("Threshold", False), ("Limit", True), ("Found", True), ("", False)]
    return section("Thresholds", table(columns, rows, "thresholds"))


def errors(document):
    sentences = []
    for name, label in (("approximated", "With replacements in float"), ("ring", "In fixed point")):
        growth = document["firstGrowth"][name]
        if growth is None:
            sentences.append(f"{label} no node makes it jump.")
        else:
            sentences.append(
                f"{label} it first jumps at <b>{text(growth['node'])}</b>, from "
                f"{figure(growth['inputError'], 3)} to {figure(growth['error'], 3)}.")
    content = f"<p>{' '.join(sentences)}</p>" + chart(
        "nodes",
        "Relative error of every node's output against the original, in the Euclidean norm over all "
        "tokens; a circle marks the first node above 0.001 that has four times the error of all it reads.",
        360)
    return section("Error through the layers", content)


def functions(document):
    groups = {}
    for index, entry in enumerate(document["replacements"]):
        groups.setdefault((entry["function"], entry["replacement"]), []).append((index, entry))
    rows, figures = [], []
    for group, ((function, replacement), entries) in enumerate(groups.items()):
        count = sum(entry["inputCount"] for _, entry in entries)
        outside = sum(entry["outsideCount"] for _, entry in entries)
        mean = sum((entry["meanError"] or 0) * entry["inputCount"] for _, entry in entries)
        largest = max(entry["largestError"] or 0 for _, entry in entries)
        ranges = [entry["seenRange"] for _, entry in entries if entry["seenRange"]]
        seen = "–"
        if ranges:
            seen = (
                f"{figure(min(low for low, _ in ranges), 3)} … "
                f"{figure(max(high for _, high in ranges), 3)}")
        rows.append((
            "missed" if outside else "",
            [
                text(function), text(replacement), whole(len(entries)), whole(count), seen,
                percent(outside / count if count else 0), figure(mean / count if count else 0, 3),
                figure(largest, 3),
            ]))
        figures.append(
            f"<div><h3>{text(function)}</h3>"
            + chart(
                f"function-{group}",
                "The function and its replacement over how often each input occurred (bars: in this "
                "evaluation, thin line: in calibration), and their difference below.", 350,
                [(index, entry["node"]) for index, entry in entries], "at")
            + "</div>")
    columns = [
        ("Function", False), ("Replaced by", False), ("Nodes", True), ("Inputs", True),
        ("Seen", True), ("Outside range", True), ("Mean error", True), ("Largest", True),
    ]
    return section(
        "Replacements",
        table(columns, rows, "replacements") + f'<div class="grid">{"".join(figures)}</div>')


def scatter(document):
    what = "logit" if is_decoder(document) else "element of the last hidden state"
    content = '<div class="grid">' + chart(
        "scatter",
        f"A sample of {whole(len(document['points']['original']))} outputs, half of them among the "
        "five largest of their position; the line is where both are equal."
        if is_decoder(document)
        else f"A sample of {whole(len(document['points']['original']))} outputs; the line is where "
        "both are equal.", 380) + chart(
        "differences",
        f"How far the same sample is from the original, each {what} by itself.", 380) + "</div>"
    return section("Outputs", content)


def headroom(document):
    tightest = document["headroom"]["tightest"]
    if tightest is None:
        return ""
    count = len(document["headroom"]["parts"])
    content = (
        f"<p>Values in the ring must stay below 2<sup>{document['headroom']['limitBits']}</sup>; the "
        f"largest, at <b>{text(tightest['label'])}</b>, leaves {in_bits(tightest['bits'])}"
        ".</p>" + chart(
            "headroom",
            "Values by the bits of their magnitude, all layers of a part together (shades are "
            "logarithms of the share); what crosses the line would be wrong.",
            max(320, 90 + 19 * count)))
    return section("Headroom in the ring", content)


def cost(document):
    cost = document["cost"]
    decoder = is_decoder(document)
    session = (
        f"a prompt of {cost['promptCapacity']} tokens and {cost['newCapacity']} new ones"
        if decoder else f"a text of {cost['promptCapacity']} tokens")
    correlations = cost["total"]["correlations"]
    rows = []
    for key, name in (("prompt", "Prompt" if decoder else "Text"), ("token", "Last token")):
        if key == "token" and not decoder:
            continue
        step = cost["total"][key]
        rows.append([
            name, whole(step["rounds"]), size(step["bytesPerParty"]), whole(step["comparisons"]),
            duration(step["networkSeconds"]),
        ])
    columns = [
        ("Step", False), ("Flights", True), ("Sent by each party", True), ("Comparisons", True),
        ("Network time", True),
    ]
    options = [("token", "the last token"), ("prompt", "the prompt")] if decoder else [
        ("prompt", "the text")]
    content = (
        table(columns, rows, "cost")
        + f'<p class="small">For {session}: correlated randomness of '
        f"{size(correlations['party0Bytes'])} for party 0 and {size(correlations['party1Bytes'])} for "
        f"party 1. Network time is flights × {duration(cost['roundTripSeconds'] / 2)} and bytes at "
        f"{rate(cost['bitsPerSecond'])}.</p>"
        + chart(
            "cost",
            "By part of the model, all layers together; parts that share a flight are each given it, "
            "so that flights and times add up to more than the total.",
            120 + 20 * len(cost["parts"]), options, "of"))
    return section("Flights, bytes and time", content)


def definitions(document):
    evaluation = document["evaluation"]
    entries = [
        ("Original", "the model in single precision, before anything is replaced."),
        ("Replacements", "the same with the recipe's functions in double precision."),
        ("Fixed point", "the secure program modulo 2<sup>64</sup>, with the masks of a session: what "
         "two parties compute, bit for bit."),
    ]
    if is_decoder(document):
        entries += [
            ("Perplexity",
             "exp of the mean of −ln p(token | tokens before it in its window) over all tokens but "
             f"the first of each text; windows of at most {evaluation['window']} tokens begin every "
             f"{evaluation['stride']} tokens of a longer text, and every token is predicted once."),
            ("Top-1, top-5", "share of positions with the original's most likely token; mean shared "
             "part of both models' five most likely tokens."),
            ("KL", "Kullback-Leibler divergence of the stage from the original, per position."),
        ]
    else:
        entries += [
            ("Cosine", "of a text's embedding with the original's."),
            ("Spearman", "rank correlation of the pairs' cosines with the scores people gave; equal "
             "values share the mean of their ranks."),
        ]
    entries.append(
        ("Relative error", "|x − original| / |original| over all elements of all tokens."))
    items = "".join(f"<dt>{name}</dt><dd>{meaning}</dd>" for name, meaning in entries)
    return section("Definitions", f"<dl>{items}</dl>")
