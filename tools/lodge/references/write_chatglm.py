"""Writes a small ChatGLM checkpoint of seeded weights with reference outputs.

The forward pass below follows the published architecture of ChatGLM-6B (Du et al. 2022; Zeng et al.
2023, and the modelling code released with the weights) in numpy and float64, independently of the
graph that Lodge builds: scores are divided by the layer's number and multiplied by it again, the
residual is scaled by alpha, positions and the mask are built as index arrays.
Tests/Fixtures/chatglm-small holds what it writes:  write_chatglm.py Tests/Fixtures/chatglm-small
"""

import json
import os
import sys

import numpy
import safetensors.numpy

CONFIGURATION = {
    "architectures": ["ChatGLMModel"],
    "model_type": "chatglm",
    "vocab_size": 37,
    "hidden_size": 24,
    "inner_hidden_size": 40,
    "num_layers": 3,
    "num_attention_heads": 3,
    "max_sequence_length": 32,
    "layernorm_epsilon": 1e-05,
    "position_encoding_2d": True,
    "bos_token_id": 34,
    "mask_token_id": 30,
    "gmask_token_id": 31,
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
}
# Text, [gMASK], start, generated text; a mask in the middle; the start right after the mask; and texts that end
# in the start, which are continued.
PROMPTS = [
    [5, 8, 13, 31, 34],
    [5, 8, 13, 2, 21, 31, 34, 3, 17, 9, 9, 1],
    [7, 30, 19, 4, 34, 11, 6],
    [31, 34, 1],
    [21, 6, 0, 36, 14, 14, 27, 3, 31, 34],
    [30, 34],
]
NEW_COUNT = 8
CALIBRATION_COUNT = 40


def weights(configuration):
    random = numpy.random.default_rng(60)
    width, inner = configuration["hidden_size"], configuration["inner_hidden_size"]
    shapes = {"transformer.word_embeddings.weight": (configuration["vocab_size"], width)}
    for layer in range(configuration["num_layers"]):
        key = f"transformer.layers.{layer}."
        for name, outputs, inputs in [
            ("attention.query_key_value", 3 * width, width),
            ("attention.dense", width, width),
            ("mlp.dense_h_to_4h", inner, width),
            ("mlp.dense_4h_to_h", width, inner),
        ]:
            shapes[f"{key}{name}.weight"] = (outputs, inputs)
            shapes[f"{key}{name}.bias"] = (outputs,)
        for name in ["input_layernorm", "post_attention_layernorm"]:
            shapes[f"{key}{name}.weight"] = shapes[f"{key}{name}.bias"] = (width,)
    for name in ["weight", "bias"]:
        shapes[f"transformer.final_layernorm.{name}"] = (width,)
    shapes["lm_head.weight"] = (configuration["vocab_size"], width)
    result = {}
    for name, shape in shapes.items():
        values = random.standard_normal(shape)
        if "layernorm.weight" in name:
            values = 1 + 0.2 * values
        elif name.endswith("bias"):
            values = 0.2 * values
        elif "query_key_value" in name:
            values = 0.5 * values
        result[name] = values.astype(numpy.float32)
    for layer in range(configuration["num_layers"]):
        half = width // configuration["num_attention_heads"] // 2
        result[f"transformer.layers.{layer}.attention.rotary_emb.inv_freq"] = (
            1 / 10000 ** (numpy.arange(0, half, 2) / half)
        ).astype(numpy.float32)
    return result


def layer_norm(x, tensors, key, epsilon):
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) / numpy.sqrt(variance + epsilon) * tensors[key + ".weight"] + tensors[
        key + ".bias"
    ]


def linear(x, tensors, key):
    return x @ tensors[key + ".weight"].T + tensors[key + ".bias"]


def gelu(x):
    return 0.5 * x * (1 + numpy.tanh(0.7978845608028654 * x * (1 + 0.044715 * x * x)))


def positions(ids, configuration):
    """Two positions a token, and which positions each position may not see."""
    context = ids.index(configuration["bos_token_id"])
    mask = configuration["gmask_token_id"]
    if mask not in ids:
        mask = configuration["mask_token_id"]
    first = numpy.arange(len(ids))
    first[context:] = ids.index(mask)
    second = numpy.concatenate(
        [numpy.zeros(context, int), numpy.arange(len(ids) - context) + 1]
    )
    visible = numpy.tril(numpy.ones((len(ids), len(ids))))
    visible[:, :context] = 1
    return first, second, visible < 0.5


def rotate(x, places):
    """x [positions, heads, n]; angles of places times 10000^(-2i/n), element i with i + n/2."""
    n = x.shape[-1]
    frequencies = 1 / 10000 ** (numpy.arange(0, n, 2) / n)
    angles = numpy.outer(places, frequencies)
    angles = numpy.concatenate([angles, angles], -1)[:, None, :]
    turned = numpy.concatenate([-x[..., n // 2 :], x[..., : n // 2]], -1)
    return x * numpy.cos(angles) + turned * numpy.sin(angles)


def forward(ids, tensors, configuration):
    heads, layers = configuration["num_attention_heads"], configuration["num_layers"]
    width, epsilon = configuration["hidden_size"], configuration["layernorm_epsilon"]
    size = width // heads
    first, second, masked = positions(ids, configuration)
    x = tensors["transformer.word_embeddings.weight"][ids]
    alpha = (2 * layers) ** 0.5
    for layer in range(layers):
        key = f"transformer.layers.{layer}."
        attention_input = layer_norm(x, tensors, key + "input_layernorm", epsilon)
        mixed = linear(attention_input, tensors, key + "attention.query_key_value")
        query, keys, values = numpy.split(mixed.reshape(len(ids), heads, 3 * size), 3, -1)
        query, keys = (
            numpy.concatenate(
                [rotate(part[..., : size // 2], first), rotate(part[..., size // 2 :], second)], -1
            )
            for part in (query, keys)
        )
        coefficient = layer + 1
        scores = numpy.einsum("qhd,khd->hqk", query / (size**0.5 * coefficient), keys)
        scores = numpy.where(masked, -10000.0, scores) * coefficient
        power = numpy.exp(scores - scores.max(-1, keepdims=True))
        shares = power / power.sum(-1, keepdims=True)
        mix = numpy.einsum("hqk,khd->qhd", shares, values).reshape(len(ids), width)
        x = attention_input * alpha + linear(mix, tensors, key + "attention.dense")
        mlp_input = layer_norm(x, tensors, key + "post_attention_layernorm", epsilon)
        up = gelu(linear(mlp_input, tensors, key + "mlp.dense_h_to_4h"))
        x = mlp_input * alpha + linear(up, tensors, key + "mlp.dense_4h_to_h")
    final = layer_norm(x, tensors, "transformer.final_layernorm", epsilon)
    return final @ tensors["lm_head.weight"].T


def continuation(ids, tensors, configuration):
    """The likeliest tokens behind a prompt, one after the other."""
    ids = list(ids)
    for _ in range(NEW_COUNT):
        ids.append(int(forward(ids, tensors, configuration)[-1].argmax()))
    return ids[-NEW_COUNT:]


def calibration(configuration):
    """Random texts, each with markers somewhere in it."""
    random = numpy.random.default_rng(61)
    markers = [configuration["gmask_token_id"], configuration["bos_token_id"]]
    plain = [token for token in range(configuration["vocab_size"])
             if token not in markers + [configuration["mask_token_id"]]]
    texts = []
    for _ in range(CALIBRATION_COUNT):
        tokens = random.choice(plain, random.integers(8, 25)).tolist()
        end = int(random.integers(1, len(tokens)))
        texts.append(tokens[:end] + markers + tokens[end:])
    return texts


def main(folder):
    os.makedirs(os.path.join(folder, "reference"), exist_ok=True)
    tensors = weights(CONFIGURATION)
    safetensors.numpy.save_file(tensors, os.path.join(folder, "model.safetensors"))
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(CONFIGURATION, file, indent=2)
        file.write("\n")
    wide = {name: values.astype(numpy.float64) for name, values in tensors.items()}
    prompts = []
    for index, ids in enumerate(PROMPTS):
        prompts.append({"name": f"prompt {index}", "ids": ids})
        if ids[-1] == CONFIGURATION["bos_token_id"]:
            prompts[-1]["greedy"] = continuation(ids, wide, CONFIGURATION)
    for name, document in [
        (os.path.join("reference", "prompts.json"), prompts),
        ("calibration.json", calibration(CONFIGURATION)),
    ]:
        with open(os.path.join(folder, name), "w") as file:
            json.dump(document, file)
            file.write("\n")
    for index, ids in enumerate(PROMPTS):
        logits = forward(ids, wide, CONFIGURATION).astype(numpy.float32)
        numpy.save(os.path.join(folder, "reference", f"logits_{index}.npy"), logits)


if __name__ == "__main__":
    main(sys.argv[1])
