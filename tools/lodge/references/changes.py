"""Changes that turn settings off: of config.json, of weights, and of the functions of a model."""

import re
import sys

import numpy
import torch

from lodge.references.case import Change


def config(**keys):
    return Change(config=keys)


def weights(pattern, function):
    """Replaces every tensor whose name holds `pattern` by `function` of it."""

    def change(arrays):
        names = [name for name in arrays if re.search(pattern, name)]
        assert names, f"no tensor is named like {pattern}"
        for name in names:
            arrays[name] = function(arrays[name])

    return Change(weights=change)


def zero(pattern):
    return weights(pattern, lambda array: array * 0)


def biases():
    return zero(r"(?<!norm)(?<!layernorm)(?<!LayerNorm)\.bias$")


def tied(head, embedding):
    """As if the output matrix were the embedding table."""

    def change(arrays):
        arrays[head] = arrays[embedding].copy()

    return Change(weights=change)


def patched(function):
    return Change(patch=function)


def without(pattern):
    """Replaces the modules whose names match by the identity."""

    def change(model):
        names = [name for name, _ in model.named_modules() if re.search(pattern, name)]
        assert names, f"no module is named like {pattern}"
        for name in names:
            model.set_submodule(name, torch.nn.Identity())

    return Change(patch=change)


def hooked(pattern, function):
    """Passes the outputs of the modules whose names match through `function`."""

    def change(model):
        modules = [module for name, module in model.named_modules() if re.search(pattern, name)]
        assert modules, f"no module is named like {pattern}"
        for module in modules:
            module.register_forward_hook(lambda module, inputs, output: function(output))

    return Change(patch=change)


def replaced(name, function):
    """Puts `function` in the place of the global function `name` of the model's source file."""

    def change(model):
        module = sys.modules[type(model).__module__]
        original = getattr(module, name)
        model.restore = lambda: setattr(module, name, original)
        setattr(module, name, function)

    return Change(patch=change)


def tiled_heads():
    """Key heads in the order 0 1 0 1 where they are 0 0 1 1."""
    return replaced("repeat_kv", lambda states, count: states.repeat(1, count, 1, 1))


def rotate_pairs(x):
    """Of neighbours, as GPT-J turns them."""
    return torch.stack((-x[..., 1::2], x[..., ::2]), dim=-1).flatten(-2)


def neighbours():
    """Turns neighbouring elements by the angles of the halves."""
    return replaced("rotate_half", rotate_pairs)


def rolled(pattern, count):
    """As if rows of a table were counted from `count` rows further."""
    return weights(pattern, lambda array: numpy.roll(array, count, axis=0))


def repeated_row(array, count, first):
    """`array` whose rows past `first` of each half are alike."""
    array = array.copy()
    for start in (0, count // 2):
        array[start + first:start + count // 2] = array[start + first]
    return array
