"""What a reference model must be like: outputs far from zero, and every setting felt."""

import dataclasses

import numpy
import torch

from lodge.references import evaluation

TOLERANCE = 1e-3
# A setting that is turned off moves some output by this at least.
MOVEMENT = 10 * TOLERANCE
LARGEST_OUTPUT = 30.0
# Of logits; states are normalised, and deviate by about 1.
LEAST_DEVIATION = {"states": 0.5, "embedding": 0.05}
ENTROPY = (0.25, 0.95)


class CheckError(Exception):
    """A reference model that would let a wrong reader pass."""


def require(condition, case, message):
    if not condition:
        raise CheckError(f"{case.name}: {message}")


def window(config):
    """Tokens that the layers with a window see."""
    return config.get("sliding_window") or config.get("local_attention")


def movement(case, model, change, texts, expected):
    """Largest difference that `change` makes to any output."""
    model = evaluation.changed(case, model, change)
    case = dataclasses.replace(case, **change.case)
    try:
        return float(numpy.abs(evaluation.outputs(case, model, texts) - expected).max())
    finally:
        getattr(model, "restore", lambda: None)()


def check(case, model, texts, expected):
    """Figures of a model for the table; `CheckError` where one of them would hide a fault."""
    largest, deviation = float(numpy.abs(expected).max()), float(expected.std())
    require(largest <= LARGEST_OUTPUT, case, f"outputs reach {largest:.3g}")
    least = LEAST_DEVIATION.get(case.head, 3.0)
    require(deviation >= least, case, f"outputs deviate by {deviation:.3g}, not {least}")
    config = model.config.to_dict()
    for limit in window(config), (config.get("rope_scaling") or {}).get(
        "original_max_position_embeddings"):
        require(max(map(len, texts)) > (limit or 0), case, f"no text is longer than {limit}")
    single = evaluation.outputs(case, model, texts, torch.float32)
    noise = float(numpy.abs(single - expected).max())
    require(noise <= TOLERANCE / 10, case, f"float32 is off by {noise:.3g}")
    entropies = evaluation.entropies(case, model, texts)
    for value in entropies:
        require(ENTROPY[0] <= value <= ENTROPY[1], case, f"attention has entropy {entropies}")
    moved = {}
    for name, change in case.settings.items():
        moved[name] = movement(case, model, change, texts, expected)
        require(
            moved[name] >= MOVEMENT, case, f"without {name} outputs move by {moved[name]:.3g} only")
    return {"largest": largest, "deviation": deviation, "noise": noise, "entropies": entropies,
            "settings": moved}
