"""Runs a LLaMA checkpoint in numpy and writes its logits: an independent reference for Lodge.

Reads a GGUF file with the gguf package, which dequantises its weights, or a PyTorch archive with
its config.json beside it. Everything is computed in float64; weights are what the file holds.
GGUF files keep the two elements that a rotary position turns next to each other, PyTorch's half a
head apart: each is turned as it is stored, so nothing is put back as Lodge does it.
"""

import argparse
import collections
import io
import json
import os
import pickle
import sys
import zipfile

import gguf
import numpy

DTYPES = {"FloatStorage": "<f4", "HalfStorage": "<f2", "BFloat16Storage": "<u2"}
PARTS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


class Model:
    """Weights in float64 by ggml's names, and settings."""

    def __init__(self, weights, layers, heads, key_heads, epsilon, base, adjacent):
        self.weights = {n: w.astype(numpy.float64) for n, w in weights.items()}
        self.layers, self.heads, self.key_heads = layers, heads, key_heads
        self.epsilon, self.base, self.adjacent = epsilon, base, adjacent


def read_gguf(path):
    reader = gguf.GGUFReader(path)

    def setting(key):
        return reader.fields["llama." + key].contents()

    weights = {}
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        weights[tensor.name] = values.reshape(tensor.shape[::-1])
    return Model(
        weights, setting("block_count"), setting("attention.head_count"),
        setting("attention.head_count_kv"), setting("attention.layer_norm_rms_epsilon"),
        setting("rope.freq_base"), adjacent=True)


class Unpickler(pickle.Unpickler):
    """Makes views of storages, and nothing else."""

    def __init__(self, data, storages):
        super().__init__(io.BytesIO(data))
        self.storages = storages

    def find_class(self, module, name):
        if name in DTYPES:
            return name
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return self.view
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed")

    def persistent_load(self, identifier):
        _, kind, key, _, _ = identifier
        return kind, numpy.frombuffer(self.storages(key), DTYPES[kind])

    @staticmethod
    def view(storage, offset, shape, strides, *_):
        kind, values = storage
        if kind == "BFloat16Storage":
            values = (values.astype(numpy.uint32) << 16).view(numpy.float32)
        steps = [s * values.itemsize for s in strides]
        return numpy.lib.stride_tricks.as_strided(values[offset:], shape, steps).copy()


def read_pytorch(path):
    with zipfile.ZipFile(path) as archive:
        pickled = next(n for n in archive.namelist() if n.endswith("/data.pkl"))
        prefix = pickled[: -len("data.pkl")]
        tensors = Unpickler(
            archive.read(pickled), lambda key: archive.read(f"{prefix}data/{key}")).load()
    with open(os.path.join(os.path.dirname(path), "config.json")) as file:
        config = json.load(file)
    weights = {
        "token_embd.weight": tensors["model.embed_tokens.weight"],
        "output_norm.weight": tensors["model.norm.weight"],
    }
    if "lm_head.weight" in tensors:
        weights["output.weight"] = tensors["lm_head.weight"]
    for layer in range(config["num_hidden_layers"]):
        for ours, theirs in PARTS.items():
            weights[f"blk.{layer}.{ours}.weight"] = tensors[f"model.layers.{layer}.{theirs}.weight"]
    return Model(
        weights, config["num_hidden_layers"], config["num_attention_heads"],
        config["num_key_value_heads"], config["rms_norm_eps"], config["rope_theta"],
        adjacent=False)


def norm(x, weight, epsilon):
    return x / numpy.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * weight


def turn(x, model):
    """Rotary positions of x [positions, heads, n]: pair i by position times base^(-2i/n)."""
    count, _, n = x.shape
    angles = numpy.outer(numpy.arange(count), model.base ** (-numpy.arange(0, n, 2) / n))[:, None]
    cosine, sine = numpy.cos(angles), numpy.sin(angles)
    result = numpy.empty_like(x)
    first = slice(0, n, 2) if model.adjacent else slice(0, n // 2)
    second = slice(1, n, 2) if model.adjacent else slice(n // 2, n)
    result[..., first] = x[..., first] * cosine - x[..., second] * sine
    result[..., second] = x[..., first] * sine + x[..., second] * cosine
    return result


def logits(model, tokens):
    weights, count = model.weights, len(tokens)
    x = weights["token_embd.weight"][tokens]
    hidden = numpy.triu(numpy.full((count, count), -numpy.inf), 1)
    for layer in range(model.layers):
        part = {name: weights[f"blk.{layer}.{name}.weight"] for name in PARTS}
        y = norm(x, part["attn_norm"], model.epsilon)
        query = turn((y @ part["attn_q"].T).reshape(count, model.heads, -1), model)
        key = turn((y @ part["attn_k"].T).reshape(count, model.key_heads, -1), model)
        value = (y @ part["attn_v"].T).reshape(count, model.key_heads, -1)
        group = model.heads // model.key_heads
        key, value = key.repeat(group, 1), value.repeat(group, 1)
        scores = numpy.einsum("qhd,khd->hqk", query, key) / query.shape[-1] ** 0.5 + hidden
        power = numpy.exp(scores - scores.max(-1, keepdims=True))
        mix = numpy.einsum("hqk,khd->qhd", power / power.sum(-1, keepdims=True), value)
        x = x + mix.reshape(count, -1) @ part["attn_output"].T
        y = norm(x, part["ffn_norm"], model.epsilon)
        gate = y @ part["ffn_gate"].T
        x = x + (gate / (1 + numpy.exp(-gate)) * (y @ part["ffn_up"].T)) @ part["ffn_down"].T
    output = weights.get("output.weight", weights["token_embd.weight"])
    return norm(x, weights["output_norm.weight"], model.epsilon) @ output.T


def main():
    parser = argparse.ArgumentParser(prog="tools/development/llama-logits", description=__doc__)
    parser.add_argument("checkpoint", help="a .gguf file, or a PyTorch archive")
    parser.add_argument("tokens", help="JSON array of lists of token ids")
    parser.add_argument("folder", help="where to write logits_0.npy and so on")
    options = parser.parse_args()
    read = read_gguf if options.checkpoint.endswith(".gguf") else read_pytorch
    model = read(options.checkpoint)
    with open(options.tokens) as file:
        texts = json.load(file)
    os.makedirs(options.folder, exist_ok=True)
    for index, tokens in enumerate(texts):
        values = logits(model, tokens).astype(numpy.float32)
        numpy.save(os.path.join(options.folder, f"logits_{index}.npy"), values)
    return 0


if __name__ == "__main__":
    sys.exit(main())
