"""Writes checkpoints of published shapes with seeded weights, for tools/measure/shapes.

Weights are normal, and scaled so that activations look like those of trained models: what enters a normalisation
or leaves it has a standard deviation near 1, queries and keys are of 8 magnitudes among the heads, so that scores
of a head have a standard deviation of 1 to 4, and the residual stream grows with depth. Gains are 1.
"""

import json
import math
import os
import statistics
import struct
from dataclasses import dataclass

import numpy


@dataclass(frozen=True)
class Shape:
    """A model's family and sizes; `prompt` and `new` are the tokens of the session that is measured."""

    family: str
    layers: int
    width: int
    inner: int
    heads: int
    vocabulary: int
    prompt: int
    new: int
    title: str
    # What tools/measure/shapes measures of it unless told otherwise.
    depths: tuple
    recipes: tuple = ("accurate",)
    has_link: bool = False

    @property
    def is_decoder(self):
        return self.family != "bert"

    @property
    def positions(self):
        return max(512, self.prompt + self.new)


SHAPES = {
    "bert-tiny": Shape("bert", 2, 128, 512, 2, 30522, 128, 1, "BERT-tiny, a text of 128", (2,)),
    "bert-base": Shape("bert", 12, 768, 3072, 12, 30522, 128, 1, "BERT-base, a text of 128", (12,)),
    "gpt2-small": Shape("gpt2", 12, 768, 3072, 12, 50257, 32, 2, "GPT-2 small, a token after 32", (12,),
                        has_link=True),
    "llama-7b": Shape("llama", 32, 4096, 11008, 32, 32000, 8, 2, "LLaMA-7B, a token after 8", (2,)),
    "opt-1.3b": Shape("opt", 24, 2048, 8192, 32, 50272, 64, 2, "OPT-1.3B, a token after 64", (2, 3)),
    "opt-6.7b": Shape("opt", 32, 4096, 16384, 32, 50272, 64, 2, "OPT-6.7B, a token after 64", (2, 3)),
    "chatglm-6b": Shape("chatglm", 28, 4096, 16384, 32, 130528, 64, 2, "ChatGLM-6B, a token after 64",
                        (2, 3), ("accurate", "fitted", "pcft")),
}


# Tokens of ChatGLM-6B that stand for no text: [MASK], [gMASK], and the one that generation begins with. Ids of text are
# below them.
MASK, GLOBAL_MASK, START = 130000, 130001, 130004


def configuration(shape, layers):
    """What config.json says of the shape."""
    if shape.family == "bert":
        return {
            "model_type": "bert", "architectures": ["BertModel"], "hidden_size": shape.width,
            "intermediate_size": shape.inner, "num_attention_heads": shape.heads,
            "num_hidden_layers": layers, "vocab_size": shape.vocabulary, "type_vocab_size": 2,
            "max_position_embeddings": shape.positions, "layer_norm_eps": 1e-12, "hidden_act": "gelu",
        }
    if shape.family == "chatglm":
        return {
            "model_type": "chatglm", "architectures": ["ChatGLMModel"], "hidden_size": shape.width,
            "inner_hidden_size": shape.inner, "num_attention_heads": shape.heads, "num_layers": layers,
            "vocab_size": shape.vocabulary, "max_sequence_length": shape.positions,
            "layernorm_epsilon": 1e-5, "position_encoding_2d": True, "bos_token_id": START,
            "mask_token_id": MASK, "gmask_token_id": GLOBAL_MASK, "tie_word_embeddings": True,
        }
    if shape.family == "opt":
        return {
            "model_type": "opt", "hidden_size": shape.width, "ffn_dim": shape.inner,
            "num_attention_heads": shape.heads, "num_hidden_layers": layers,
            "vocab_size": shape.vocabulary, "max_position_embeddings": shape.positions,
            "word_embed_proj_dim": shape.width, "activation_function": "relu",
            "do_layer_norm_before": True,
        }
    if shape.family == "gpt2":
        return {
            "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_embd": shape.width,
            "n_inner": shape.inner, "n_head": shape.heads, "n_layer": layers,
            "vocab_size": shape.vocabulary, "n_positions": shape.positions,
            "layer_norm_epsilon": 1e-5, "activation_function": "gelu_new", "tie_word_embeddings": True,
        }
    return {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": shape.width,
        "intermediate_size": shape.inner, "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.heads, "num_hidden_layers": layers, "vocab_size": shape.vocabulary,
        "max_position_embeddings": shape.positions, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "hidden_act": "silu", "tie_word_embeddings": False,
    }


class Tensors:
    """Names, shapes and fills of a checkpoint, in the order in which they are written."""

    def __init__(self, shape):
        self.shape, self.entries = shape, []
        # Scores of a head are products of queries and keys, both of this magnitude.
        self.magnitudes = numpy.repeat(
            2 ** (numpy.arange(shape.heads) % 8 / 7), shape.width // shape.heads).astype(numpy.float32)

    def add(self, name, dimensions, deviation, gains=None):
        self.entries.append((name, dimensions, deviation, gains))

    def linear(self, name, outputs, inputs, gain, gains=None, has_bias=True, is_transposed=False):
        """A weight whose outputs have `gain` times the deviation of its inputs, and a small bias."""
        weight = (inputs, outputs) if is_transposed else (outputs, inputs)
        if gains is not None and not is_transposed:
            gains = gains[:, None]
        self.add(f"{name}.weight", weight, gain / math.sqrt(inputs), gains)
        if has_bias:
            self.add(f"{name}.bias", (outputs,), 0.02)

    def norm(self, name, has_bias=True):
        self.add(f"{name}.weight", (self.shape.width,), None)
        if has_bias:
            self.add(f"{name}.bias", (self.shape.width,), 0.02)

    def table(self, name, rows, gain):
        self.add(name, (rows, self.shape.width), gain / math.sqrt(self.shape.width))


def bert(shape, layers):
    t, width = Tensors(shape), shape.width
    t.table("embeddings.word_embeddings.weight", shape.vocabulary, 1)
    t.table("embeddings.position_embeddings.weight", shape.positions, 0.5)
    t.table("embeddings.token_type_embeddings.weight", 2, 0.2)
    t.norm("embeddings.LayerNorm")
    for layer in range(layers):
        key = f"encoder.layer.{layer}."
        t.linear(key + "attention.self.query", width, width, 1, t.magnitudes)
        t.linear(key + "attention.self.key", width, width, 1, t.magnitudes)
        t.linear(key + "attention.self.value", width, width, 1)
        t.linear(key + "attention.output.dense", width, width, 1)
        t.norm(key + "attention.output.LayerNorm")
        t.linear(key + "intermediate.dense", shape.inner, width, 1.2)
        t.linear(key + "output.dense", width, shape.inner, 0.7)
        t.norm(key + "output.LayerNorm")
    return t.entries


def gpt2(shape, layers):
    t, width = Tensors(shape), shape.width
    gains = numpy.concatenate([t.magnitudes, t.magnitudes, numpy.ones(width, numpy.float32)])
    t.table("wte.weight", shape.vocabulary, 2)
    t.table("wpe.weight", shape.positions, 0.5)
    for layer in range(layers):
        key = f"h.{layer}."
        t.norm(key + "ln_1")
        t.linear(key + "attn.c_attn", 3 * width, width, 1, gains, is_transposed=True)
        t.linear(key + "attn.c_proj", width, width, 1, is_transposed=True)
        t.norm(key + "ln_2")
        t.linear(key + "mlp.c_fc", shape.inner, width, 1.2, is_transposed=True)
        t.linear(key + "mlp.c_proj", width, shape.inner, 0.7, is_transposed=True)
    t.norm("ln_f")
    return t.entries


def opt(shape, layers):
    t, width = Tensors(shape), shape.width
    t.table("model.decoder.embed_tokens.weight", shape.vocabulary, 2)
    t.table("model.decoder.embed_positions.weight", shape.positions + 2, 0.5)
    for layer in range(layers):
        key = f"model.decoder.layers.{layer}."
        t.norm(key + "self_attn_layer_norm")
        for name, gains in [("q", t.magnitudes), ("k", t.magnitudes), ("v", None), ("out", None)]:
            t.linear(f"{key}self_attn.{name}_proj", width, width, 1, gains)
        t.norm(key + "final_layer_norm")
        t.linear(key + "fc1", shape.inner, width, 1.2)
        t.linear(key + "fc2", width, shape.inner, 0.7)
    t.norm("model.decoder.final_layer_norm")
    return t.entries


def llama(shape, layers):
    t, width = Tensors(shape), shape.width
    t.table("model.embed_tokens.weight", shape.vocabulary, 2)
    for layer in range(layers):
        key = f"model.layers.{layer}."
        t.norm(key + "input_layernorm", has_bias=False)
        for name, gains in [("q", t.magnitudes), ("k", t.magnitudes), ("v", None), ("o", None)]:
            t.linear(f"{key}self_attn.{name}_proj", width, width, 1, gains, has_bias=False)
        t.norm(key + "post_attention_layernorm", has_bias=False)
        t.linear(key + "mlp.gate_proj", shape.inner, width, 1.2, has_bias=False)
        t.linear(key + "mlp.up_proj", shape.inner, width, 1, has_bias=False)
        t.linear(key + "mlp.down_proj", width, shape.inner, 0.7, has_bias=False)
    t.norm("model.norm", has_bias=False)
    t.linear("lm_head", shape.vocabulary, width, 2, has_bias=False)
    return t.entries


def chatglm(shape, layers):
    t, width = Tensors(shape), shape.width
    # Queries, keys and values of a head stand next to each other.
    magnitudes = t.magnitudes.reshape(shape.heads, -1)
    gains = numpy.concatenate([magnitudes, magnitudes, numpy.ones_like(magnitudes)], 1).ravel()
    t.table("transformer.word_embeddings.weight", shape.vocabulary, 2)
    for layer in range(layers):
        key = f"transformer.layers.{layer}."
        t.norm(key + "input_layernorm")
        t.linear(key + "attention.query_key_value", 3 * width, width, 1, gains)
        t.linear(key + "attention.dense", width, width, 1)
        t.norm(key + "post_attention_layernorm")
        t.linear(key + "mlp.dense_h_to_4h", shape.inner, width, 1.2)
        t.linear(key + "mlp.dense_4h_to_h", width, shape.inner, 0.7)
    t.norm("transformer.final_layernorm")
    return t.entries


FAMILIES = {"bert": bert, "gpt2": gpt2, "opt": opt, "llama": llama, "chatglm": chatglm}
PART = 1 << 22


def rows_of(dimensions, deviation, gains, random):
    """A tensor as arrays of F16, some rows at a time."""
    rows, row = dimensions[0], math.prod(dimensions[1:])
    if deviation is None:
        yield numpy.ones(dimensions, numpy.float16)
        return
    step = max(1, PART // row)
    for start in range(0, rows, step):
        count = min(step, rows - start)
        part = random.standard_normal((count, row), numpy.float32) * numpy.float32(deviation)
        if gains is not None:
            part *= gains if gains.ndim == 1 else gains[start:start + count]
        yield part.astype(numpy.float16)


def write_checkpoint(folder, shape, layers, seed):
    """Writes config.json, model.safetensors (F16) and calibration.json; returns the number of weights."""
    os.makedirs(folder)
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(configuration(shape, layers), file, indent=2)
    entries, header, offset = FAMILIES[shape.family](shape, layers), {}, 0
    for name, dimensions, _, _ in entries:
        length = 2 * math.prod(dimensions)
        header[name] = {"dtype": "F16", "shape": dimensions, "data_offsets": [offset, offset + length]}
        offset += length
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    random = numpy.random.default_rng(seed)
    with open(os.path.join(folder, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, dimensions, deviation, gains in entries:
            for part in rows_of(dimensions, deviation, gains, random):
                file.write(part.data)
    length = shape.prompt + shape.new
    is_prefix = shape.family == "chatglm"
    texts = random.integers(0, MASK if is_prefix else shape.vocabulary, (max(4, 256 // length), length))
    if is_prefix:
        texts[:, shape.prompt - 2:shape.prompt] = GLOBAL_MASK, START
    with open(os.path.join(folder, "calibration.json"), "w") as file:
        json.dump(texts.tolist(), file)
    return offset // 2


def write_gates(path, shape, layers, density, block_width, rank, seed):
    """Writes gates of all layers, each of which opens at a share `density` of positions.

    What attention reads has a variance of 1, so that a score is normal, with that of high low low^T high^T.
    """
    random, tensors = numpy.random.default_rng(seed), {}
    threshold = statistics.NormalDist().inv_cdf(1 - density)
    count = shape.inner // block_width
    for layer in range(layers):
        low = random.standard_normal((rank, shape.width)) / math.sqrt(shape.width)
        high = random.standard_normal((count, rank)) / math.sqrt(rank)
        deviations = numpy.linalg.norm(high @ low, axis=1)
        tensors |= {f"layers.{layer}.order": numpy.arange(count * block_width, dtype="<i4"),
                    f"layers.{layer}.low": low.astype("<f4"), f"layers.{layer}.high": high.astype("<f4"),
                    f"layers.{layer}.bias": (-threshold * deviations).astype("<f4")}
    header, offset = {"__metadata__": {"format": "lodge-gates", "version": "1"}}, 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": "I32" if name.endswith("order") else "F32", "shape": tensor.shape,
                        "data_offsets": [offset, offset + tensor.nbytes]}
        offset += tensor.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(tensor.tobytes())
