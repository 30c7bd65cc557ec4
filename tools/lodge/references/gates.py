"""An OPT model with gates in float64, in numpy alone: what formats/gates.md says, from the text."""

import json
import os

import numpy as np
from safetensors.numpy import load_file


class GatedOPT:
    """Reads config.json, model.safetensors and gates.safetensors of `folder`.

    LayerNorm before each part; the gate of block b is open where (high (low x) + bias)_b >= 0, x the
    output of the layer's first LayerNorm. For heads x is that of the second LayerNorm of the layer before.
    """

    def __init__(self, folder):
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
            self.config = json.load(file)
        read = load_file(os.path.join(folder, "model.safetensors"))
        self.weights = {
            key.removeprefix("model.decoder."): value.astype(np.float64)
            for key, value in read.items()}
        gates = load_file(os.path.join(folder, "gates.safetensors"))
        self.gates = {
            key: value if key.endswith(".order") else value.astype(np.float64)
            for key, value in gates.items()}

    def normalise(self, x, name):
        centred = x - x.mean(-1, keepdims=True)
        variance = (centred * centred).mean(-1, keepdims=True)
        return centred / np.sqrt(variance + 1e-5) * self.weights[f"{name}.weight"] + (
            self.weights[f"{name}.bias"])

    def linear(self, x, name):
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def heads(self, x, layer):
        """Scores of the heads of a layer, or None where it has no gates of heads."""
        prefix = f"layers.{layer}.heads."
        if prefix + "bias" not in self.gates:
            return None
        low, high, bias = (self.gates[prefix + name] for name in ("low", "high", "bias"))
        return x @ low.T @ high.T + bias

    def attention(self, x, name, running=None):
        heads, count = self.config["num_attention_heads"], len(x)
        query, key, value = (
            self.linear(x, f"{name}.{part}_proj").reshape(count, heads, -1).transpose(1, 0, 2)
            for part in "qkv")
        scores = query @ key.transpose(0, 2, 1) / np.sqrt(query.shape[-1])
        scores[:, np.triu(np.ones((count, count), dtype=bool), 1)] = -np.inf
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        mixed = (shares @ value).transpose(1, 0, 2)
        if running is not None:
            mixed = mixed * running[:, :, None]
        return self.linear(mixed.reshape(count, -1), f"{name}.out_proj")

    def gate(self, x, layer):
        """(0 or 1 for each neuron, scores of the blocks) of each position, or None where there is no
        gate but perhaps an order."""
        prefix, neurons = f"layers.{layer}.", self.config["ffn_dim"]
        order = self.gates.get(prefix + "order")
        if order is None:
            return np.ones((len(x), neurons)), None
        result = np.zeros((len(x), neurons))
        if prefix + "bias" not in self.gates:
            result[:, order] = 1
            return result, None
        low, high, bias = (self.gates[prefix + name] for name in ("low", "high", "bias"))
        scores = x @ low.T @ high.T + bias
        result[:, order] = np.repeat(scores >= 0, len(order) // len(bias), axis=1)
        return result, scores

    def __call__(self, tokens):
        """(logits [positions, vocabulary], {layer: scores [positions, blocks]}) of one text; scores of
        heads are those of "<layer> heads"."""
        table = self.weights["embed_tokens.weight"]
        hidden = table[tokens] + self.weights["embed_positions.weight"][2:2 + len(tokens)]
        scores, before = {}, None
        for layer in range(self.config["num_hidden_layers"]):
            name = f"layers.{layer}"
            read = self.normalise(hidden, f"{name}.self_attn_layer_norm")
            heads = self.heads(before, layer)
            if heads is not None:
                scores[f"{layer} heads"] = heads
            hidden = hidden + self.attention(
                read, f"{name}.self_attn", None if heads is None else heads >= 0)
            neurons, found = self.gate(read, layer)
            if found is not None:
                scores[layer] = found
            before = x = self.normalise(hidden, f"{name}.final_layer_norm")
            x = neurons * np.maximum(self.linear(x, f"{name}.fc1"), 0)
            hidden = hidden + self.linear(x, f"{name}.fc2")
        return self.normalise(hidden, "final_layer_norm") @ table.T, scores
