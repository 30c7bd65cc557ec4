"""Runs an OPT checkpoint with gates in numpy and writes its logits: an independent reference.

Reads config.json, model.safetensors and gates.safetensors of a folder, as formats/gates.md says, and
computes in float64. With --loss it only tells the mean cross-entropy of the tokens after the first,
and the share of gates that are open.
"""

import argparse
import json
import os
import sys

import numpy as np

from lodge.references.gates import GatedOPT


def arguments():
    parser = argparse.ArgumentParser(
        prog="tools/development/gated-logits", description="Logits of an OPT checkpoint with gates, by numpy.",
        epilog="example: tools/development/gated-logits gated --tokens texts.json --out logits")
    add = parser.add_argument
    add("folder", metavar="FOLDER", help="with config.json, model.safetensors, gates.safetensors")
    add("--tokens", required=True, metavar="FILE", help="JSON array of token lists, or NPY")
    add("--out", metavar="DIR", help="folder for logits_N.npy, float32 [tokens, vocabulary]")
    add("--loss", action="store_true", help="print loss, perplexity and open gates instead")
    add("--closest", action="store_true", help="print the smallest magnitude of a score, too")
    return parser.parse_args()


def read(path):
    if path.endswith(".npy"):
        return np.load(path, allow_pickle=False).tolist()
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def main():
    options = arguments()
    if not options.loss and not options.out:
        print("gated-logits: error: --out or --loss is needed", file=sys.stderr)
        return 64
    model, losses, opened = GatedOPT(options.folder), [], {}
    closest = np.inf
    for number, text in enumerate(read(options.tokens)):
        logits, scores = model(text)
        for layer, values in scores.items():
            opened.setdefault(layer, []).append((values >= 0).mean())
            closest = min(closest, np.abs(values).min())
        if options.out:
            os.makedirs(options.out, exist_ok=True)
            np.save(
                os.path.join(options.out, f"logits_{number}.npy"), logits.astype(np.float32))
        if options.loss:
            largest = logits.max(-1, keepdims=True)
            sums = np.log(np.exp(logits - largest).sum(-1)) + largest[:, 0]
            chosen = logits[np.arange(len(text) - 1), text[1:]]
            losses += (sums[:-1] - chosen).tolist()
    if options.loss:
        loss = float(np.mean(losses))
        print(f"loss {loss:.6f}, perplexity {np.exp(loss):.4f}")
    for layer, shares in sorted(opened.items(), key=lambda entry: str(entry[0])):
        print(f"layer {layer}: {100 * np.mean(shares):.2f} % of the gates are open")
    if options.closest:
        print(f"smallest magnitude of a score: {closest:.2e}")
    return 0


sys.exit(main())
