"""Measures all shipped recipes on models that come with evaluation sets, and prints the README's tables.

A decoder's folder has reference/eval_ids.npy, windows of token ids; an encoder's has
reference/sts_pairs.json, scored pairs of ids. Calibration texts are cut from the models' corpora and share no
window with the evaluation. Every conversion and every figure stays in the folder --work.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy
from tokenizers import Tokenizer

FOLDER = Path(__file__).resolve().parents[2]
WINDOW_COUNT = 64
PUBLISHED = ["puma", "bolt", "bumblebee"]
# Corpus of calibration texts, and whether all of it is one text.
CORPORA = {
    "opt-dickens-5m": ("dickens_valid.txt", True),
    "gpt2-dickens-6m": ("dickens_valid.txt", True),
    "stories260k": ("tinystories_sample.txt", False),
    "minilm-l6-v2": ("wikitext2_raw_test.txt", False),
}


def windows(ids, start, length):
    """`ids` cut into windows of `length` that begin with `start`."""
    step = length - 1
    return [[start] + ids[i : i + step] for i in range(0, len(ids), step)]


def decoder_sets(folder, corpus, is_whole, work):
    evaluation = numpy.load(folder / "reference" / "eval_ids.npy").tolist()
    start, length = evaluation[0][0], len(evaluation[0])
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    text = corpus.read_text()
    texts = [text] if is_whole else [line for line in text.split("\n") if line]
    seen = {tuple(window) for window in evaluation}
    cut = [
        window
        for text in texts
        for window in windows(tokenizer.encode(text, add_special_tokens=False).ids, start, length)
        if len(window) > 1 and tuple(window) not in seen
    ]
    calibration = cut[:: max(len(cut) // WINDOW_COUNT, 1)][:WINDOW_COUNT]
    tokens = work / "evaluation.json"
    tokens.write_text(json.dumps(evaluation))
    return calibration, ["--tokens", tokens]


def encoder_sets(folder, corpus, work):
    pairs = json.loads((folder / "reference" / "sts_pairs.json").read_text())
    written = [{"first": p["ids1"], "second": p["ids2"], "score": p["score"]} for p in pairs]
    path = work / "pairs.json"
    path.write_text(json.dumps(written))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(128)
    lines = [line for line in corpus.read_text().split("\n") if len(line) > 40]
    chosen = lines[:: len(lines) // WINDOW_COUNT][:WINDOW_COUNT]
    texts = [tokenizer.encode(line).ids for line in chosen]
    return texts, ["--pairs", path]


def measure(folder, corpora, work):
    """Runs compare-recipes; gives its document, and what approximate said of each recipe."""
    work.mkdir(parents=True, exist_ok=True)
    corpus, is_whole = CORPORA[folder.name]
    if (folder / "reference" / "eval_ids.npy").exists():
        texts, options = decoder_sets(folder, corpora / corpus, is_whole, work)
    else:
        texts, options = encoder_sets(folder, corpora / corpus, work)
    calibration = work / "calibration.json"
    calibration.write_text(json.dumps(texts))
    document = work / "comparison.json"
    subprocess.run(
        [FOLDER / "compare-recipes", folder, calibration, *options, "--out", document],
        env=os.environ | {"KEEP": str(work)}, check=True, stdout=subprocess.DEVNULL)
    comparison = json.loads(document.read_text())
    reports = {}
    for model in comparison["models"]:
        name = model["file"].removesuffix(".lodge")
        reports[name] = json.loads((work / f"{name}.json").read_text())
    return comparison, reports


def accuracy(comparison):
    """Perplexity or Spearman correlation by recipe, in fixed point, and how far from the original's."""
    cells = {}
    for model in comparison["models"]:
        stages = {stage["stage"]: stage for stage in model["stages"]}
        original, ring = stages["original"], stages["ring"]
        if comparison["kind"] == "encoder":
            before, after = original["spearman"], ring["spearman"]
            cells["original"] = f"{before:.5f}"
            text = f"{after:.5f} ({after - before:+.5f})"
        else:
            before, after = original["perplexity"], ring["perplexity"]
            cells["original"] = f"{before:.3f}"
            change = None if after is None else 100 * (after / before - 1)
            if change is None:
                text = "overflows"
            else:
                sign = "+" if change > 0.005 else ""
                text = f"{after:.3f} ({sign}{change:.2f} %)".replace("(-0.00", "(0.00")
        cells[recipe_text(model)] = text
    return cells


def costs(comparison):
    """Rounds and bytes of a token, or of an encoder's text, by recipe."""
    step = "token" if comparison["kind"] != "encoder" else "prompt"
    return {
        recipe_text(model): f"{model[step]['rounds']}, {byte_text(model[step]['bytesPerParty'])}"
        for model in comparison["models"]
    }


def recipe_text(model):
    return model["file"].removesuffix(".lodge").replace("-repaired", ", repaired")


def pivot(columns):
    """Rows of a table with one column a model, from cells by recipe."""
    names = list(dict.fromkeys(name for cells in columns for name in cells))
    return [[name] + [cells.get(name, "") for cells in columns] for name in names]


def byte_text(count):
    return f"{count / 1e6:.2f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def fitted_rows(name, reports):
    """Fitted against each published replacement, operation by operation."""
    rows = []
    fitted = {row["operation"]: row for row in reports["fitted"]["replacements"]}
    classes = list(dict.fromkeys(row["class"] for row in fitted.values()))
    for kind in classes:
        ours = [row for row in fitted.values() if row["class"] == kind]
        for recipe in PUBLISHED:
            if recipe not in reports:
                continue
            theirs = {row["operation"]: row for row in reports[recipe]["replacements"]}
            pairs = [(row, theirs[row["operation"]]) for row in ours]
            if all(mine["form"] == other["form"] for mine, other in pairs):
                continue
            better = sum(mine["meanError"] < other["meanError"] for mine, other in pairs)
            cheaper = sum(
                mine["rounds"] <= other["rounds"] and mine["bytes"] <= other["bytes"]
                for mine, other in pairs)
            both = [summary([pair[side] for pair in pairs]) for side in (0, 1)]
            rows.append(
                [name, kind, recipe, *both, f"{better} of {len(pairs)}", f"{cheaper} of {len(pairs)}"])
            name = ""
    return rows


def summary(rows):
    mean = sum(row["meanError"] for row in rows) / len(rows)
    largest = max(row["maximumError"] for row in rows)
    rounds = max(row["rounds"] for row in rows)
    count = max(row["bytes"] for row in rows)
    return f"{mean:.1e}, {largest:.1e}, {rounds}, {byte_text(count)}"


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(
        prog="tools/measure/recipes", description=__doc__.split("\n")[0],
        epilog="example: tools/measure/recipes models --work recipes")
    parser.add_argument("models", type=Path, help="folder of models, with their corpora/")
    parser.add_argument("--work", type=Path, required=True, help="folder for what is made")
    parser.add_argument("--model", action="append", help="only this one (several times)")
    arguments = parser.parse_args()
    comparisons, fitted = [], []
    names = arguments.model or list(CORPORA)
    for name in names:
        if name not in CORPORA or not (arguments.models / name).is_dir():
            parser.error(f"{arguments.models} has no model {name}")
        print(f"measure-recipes: {name}", file=sys.stderr)
        comparison, reports = measure(
            arguments.models / name, arguments.models / "corpora", arguments.work / name)
        comparisons.append(comparison)
        fitted += fitted_rows(name, reports)
    for cells in (accuracy, costs):
        print(table(["Recipe"] + names, pivot([cells(comparison) for comparison in comparisons])))
        print()
    print(table(
        ["Model", "Operation", "Published", "`fitted`: mean and largest error, rounds, bytes",
         "Published: the same", "Smaller error", "Not dearer"], fitted))


if __name__ == "__main__":
    main()
