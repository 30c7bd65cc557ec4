"""Random weights at which every part of a model matters.

A usual initialisation makes outputs near zero, and attention uniform. Here a matrix's product with
a vector of unit variance deviates by its gain, norms are 1 and biases 0 up to 0.3, and tables of
tokens have the size at which the logits deviate by 3 or more.
"""

import math
import re

import numpy
import torch

QUERIES = (
    r"q_proj|k_proj|qkv|query_key_value|c_attn|Wqkv|q_lin|k_lin|query|\.key|\.q\.|\.k\."
    r"|attn\.q\b|attn\.k\b"
)
HEADS = r"lm_head|embed_out|classifier|decoder\.weight|out_proj\.weight$|score"


def randomise(model, case, seed):
    """Fills the parameters of `model`, each from numbers of its own."""
    seen = set()
    for module_name, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) in seen:
                continue
            seen.add(id(parameter))
            full_name = f"{module_name}.{name}" if module_name else name
            generator = case.generator(seed, full_name)
            value = draw(generator, case, model, module, full_name, tuple(parameter.shape))
            with torch.no_grad():
                parameter.copy_(torch.from_numpy(value.astype(numpy.float32)))


def draw(generator, case, model, module, name, shape):
    kind = type(module).__name__
    if "Norm" in kind:
        # Gemma's norms multiply by 1 plus their weight.
        middle = 1.0 if name.endswith("weight") and not kind.startswith("Gemma") else 0.0
        return generator.uniform(middle - 0.3, middle + 0.3, shape)
    if len(shape) == 1:
        return generator.uniform(-0.3, 0.3, shape)
    values = generator.standard_normal(shape)
    if "Embedding" in kind:
        output = model.get_output_embeddings()
        is_tied = output is not None and output.weight is module.weight
        return values * case.gain(name, 4 / math.sqrt(shape[1]) if is_tied else 1.0)
    fan_in = shape[0] if kind == "Conv1D" else shape[1]
    default = 1.3
    if re.search(HEADS, name) and not re.search(r"self_attn|attention", name):
        default = 4.0
    return values * case.gain(name, default) / math.sqrt(fan_in)
