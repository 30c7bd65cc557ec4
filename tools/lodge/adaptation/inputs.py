"""Reads what training begins with: texts, their split, and the functions of a recipe."""

import sys

import numpy as np

from . import checkpoint
from .errors import InputError
from .training import Texts


def read_lists(path):
    if path.endswith(".npy"):
        try:
            array = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise InputError(path, str(error)) from None
        if array.ndim != 2 or not np.issubdtype(array.dtype, np.integer):
            raise InputError(path, "expected integers [texts, tokens]")
        return array.tolist()
    value = checkpoint.read_json(path)
    if isinstance(value, list) and value and all(type(token) is int for token in value):
        value = [value]
    if not isinstance(value, list) or not all(
        isinstance(text, list) and all(type(token) is int for token in text) for text in value
    ):
        raise InputError(path, "expected a JSON array of lists of token ids")
    return value


def windows(lists, length):
    """The texts, those of more than `length` tokens in parts that all begin with the first token."""
    result = []
    for text in lists:
        if len(text) <= length:
            result.append(text)
            continue
        parts = [text[:1] + text[at:at + length - 1] for at in range(1, len(text), length - 1)]
        result += [part for part in parts if len(part) > 1]
    return result


def split(options, graph):
    """Texts to train on, to decide with, and to measure with or None; no text is in two of them."""
    length = graph.maximum_positions

    def read(path):
        return windows(read_lists(path), length) if graph.is_causal else read_lists(path)

    test = read(options.test) if options.test else []
    held_out = {tuple(text) for text in test}
    training = read(options.tokens)
    if options.validation:
        validation = read(options.validation)
        held_out |= {tuple(text) for text in validation}
    kept = [text for text in training if tuple(text) not in held_out]
    if not options.validation:
        step = options.hold_out
        validation = kept[step // 2::step]
        held_out = {tuple(text) for text in validation}
        kept = [text for text in kept if tuple(text) not in held_out]
    if len(kept) < len(training):
        print(
            f"finetune: {len(training) - len(kept)} of {len(training)} training texts are held out "
            "and not trained on", file=sys.stderr)
    return (
        Texts(kept, options.tokens, graph),
        Texts(validation, options.validation or options.tokens, graph),
        Texts(test, options.test, graph) if test else None,
    )


def read_export(path):
    export = checkpoint.read_json(path)
    members = {"model", "weights", "functions", "recipe"}
    missing = members - set(export) if isinstance(export, dict) else members
    if missing:
        raise InputError(
            path, f"has no member \"{min(missing)}\"", "write it with lodge-model functions")
    export["source"] = path
    return export
