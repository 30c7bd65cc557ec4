"""Evaluates Lodge's model graphs in torch, whatever the family: the graph is data.

Parameters are the checkpoint's own tensors; the weights of the graph are views of them, as the
bindings of `lodge-model functions` say. So tied and fused tensors are trained as what they are.
"""

import math

import torch
import torch.nn.functional as F

from .errors import InputError
from .functions import exact_normalisation, exact_softmax

EXACT_ACTIVATIONS = {
    "relu": torch.relu,
    "gelu": F.gelu,
    "geluTanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "tanh": torch.tanh,
}


class Graph:
    """A graph with parameters; `functions` maps names of nodes to what stands for their operation."""

    def __init__(self, export, tensors):
        model = export["model"]
        if "contextMarkers" in model:
            raise InputError(export["source"], "prefix decoders cannot be fine-tuned here yet")
        self.export = export
        self.nodes = model["nodes"]
        self.is_causal = model["kind"] == "decoder"
        self.vocabulary_size = model["vocabularySize"]
        self.maximum_positions = model["maximumPositions"]
        self.bindings = export["weights"]
        self.functions = {}
        self.gates = {}  # {name of a down-projection: Gate}, see sparsity.py
        self.parameters = {}
        for binding in self.bindings.values():
            for key, shape in self._tensors(binding):
                if key not in tensors:
                    raise InputError(
                        export["source"], f"names {key}, which the checkpoint does not have")
                if list(tensors[key].shape) != shape:
                    raise InputError(
                        export["source"], f"{key} has another shape in the checkpoint",
                        "write the functions of this checkpoint with lodge-model functions")
                self.parameters[key] = tensors[key].clone().requires_grad_()
        self._rotations = {}

    def copy(self):
        other = Graph(self.export, {k: p.detach() for k, p in self.parameters.items()})
        other.functions = dict(self.functions)
        return other

    def keys_of(self, name):
        """The parameters that the node `name` has."""
        node = next(node for node in self.nodes if node["name"] == name)
        kinds = ("tokens", "positions", "segments", "gamma", "beta", "weight", "bias", "biasTable")
        bindings = [self.bindings[node[kind]] for kind in kinds if kind in node]
        return {key for binding in bindings for key, _ in self._tensors(binding)}

    @staticmethod
    def _tensors(binding):
        """(key, shape) of every tensor that a weight is taken from."""
        keys = [binding["key"]] + binding.get("moreKeys", [])
        more = [binding["projection"]] if "projection" in binding else []
        return [(key, binding["storedShape"]) for key in keys] + [
            (matrix["key"], matrix["shape"]) for matrix in more]

    def weight(self, name):
        binding = self.bindings[name]
        value = self.parameters[binding["key"]]
        shape = binding["shape"]
        if "moreKeys" in binding:
            value = torch.cat([value] + [self.parameters[key] for key in binding["moreKeys"]])
        if "projection" in binding:
            value = F.linear(value, self.parameters[binding["projection"]["key"]])
        if binding.get("transposed"):
            value = value.reshape(shape[1], -1).T
        elif value.dim() != len(shape):
            value = value.reshape(shape if len(shape) > 1 else [-1])
        if "outputRanges" in binding:
            value = torch.cat([value[first:last] for first, last in binding["outputRanges"]])
        factor, addend = binding.get("factor", 1), binding.get("addend", 0)
        value = value if factor == 1 else value * factor
        return value if addend == 0 else value + addend

    def run(self, tokens, lengths, keep=(), cache=None):
        """(output, {name: value} of the nodes in `keep`) for tokens [texts, positions].

        Text i has lengths[i] tokens, and any ids behind them. With a `cache`, which is a dictionary
        that begins empty, a decoder's texts go on where they ended in the call before.
        """
        if cache is not None:
            return self._continue(tokens, cache), {}
        positions = torch.arange(tokens.shape[1])
        self._lengths = lengths
        allowed = (positions < lengths[:, None])[:, None, None, :]
        if self.is_causal:
            # Of the own position, so that no row is empty behind the end of a text.
            allowed = positions <= positions[:, None]
        else:
            allowed = allowed.expand(-1, -1, tokens.shape[1], -1)
        values, kept = [], {}
        for node in self.nodes:
            inputs = self._inputs(node, values)
            values.append(self._evaluate(node, inputs, tokens, allowed))
            if node["name"] in keep:
                kept[node["name"]] = values[-1]
        return values[-1], kept

    def _continue(self, tokens, cache):
        first = cache.get("count", 0)
        cache["count"] = first + tokens.shape[1]
        keys = torch.arange(cache["count"])
        allowed = keys <= keys[first:, None]
        values = []
        for node in self.nodes:
            inputs = self._inputs(node, values)
            if node["operation"] == "attention":
                if not first:
                    cache[node["name"]] = [
                        x.new_empty(x.shape[0], self.maximum_positions, x.shape[2])
                        for x in inputs[1:]]
                for past, x in zip(cache[node["name"]], inputs[1:]):
                    past[:, first:cache["count"]] = x
                inputs[1:] = [past[:, :cache["count"]] for past in cache[node["name"]]]
            values.append(self._evaluate(node, inputs, tokens, allowed, first))
        return values[-1]

    def _inputs(self, node, values):
        inputs = [values[i] for i in node["inputs"]]
        gate = self.gates.get(node["name"])
        return inputs if gate is None else [gate(inputs[0], values[gate.source])]

    def _evaluate(self, node, inputs, tokens, allowed, position=0):
        """The value of a node; `position` is that of the first token."""
        kind = node["operation"]
        replacement = self.functions.get(node["name"])
        if kind == "linear":
            bias = self.weight(node["bias"]) if "bias" in node else None
            return F.linear(inputs[0], self.weight(node["weight"]), bias)
        if kind == "add":
            return inputs[0] + inputs[1]
        if kind == "multiply":
            return inputs[0] * inputs[1]
        if kind == "activation":
            return (replacement or EXACT_ACTIVATIONS[node["function"]])(inputs[0])
        if kind == "attention":
            return self._attention(node, *inputs, allowed, replacement or exact_softmax, position)
        if kind in ("layerNorm", "rmsNorm"):
            return self._normalise(node, inputs[0], replacement or exact_normalisation)
        if kind == "rotary":
            return self._rotate(node, inputs[0], position)
        if kind == "embed":
            return self._embed(node, tokens, position)
        if kind == "scale":
            return inputs[0] * node["factor"]
        if kind == "softCap":
            return node["cap"] * torch.tanh(inputs[0] / node["cap"])
        if kind == "pool":
            return self._pool(node, inputs[0])
        raise InputError(self.export["source"], f"holds the unknown operation \"{kind}\"")

    def _embed(self, node, tokens, position):
        result = F.embedding(tokens, self.weight(node["tokens"]))
        if "positions" in node:
            first = node["positionOffset"] + position
            result = result + self.weight(node["positions"])[first:first + tokens.shape[1]]
        if "segments" in node:
            result = result + self.weight(node["segments"])[0]
        return result

    def _pool(self, node, value):
        """One row of the positions of each text."""
        if node["pooling"] == "first":
            return value[:, :1]
        inside = torch.arange(value.shape[1]) < self._lengths[:, None]
        return (value * inside[..., None]).sum(1, keepdim=True) / self._lengths[:, None, None]

    def _normalise(self, node, value, reciprocal_root):
        value = value.float() if value.dtype == torch.bfloat16 else value
        groups, shape = node.get("groupCount", 1), value.shape
        value = value.view(*shape[:2], groups, -1)
        if node["operation"] == "layerNorm":
            value = value - value.mean(-1, keepdim=True)
        variance = (value * value).mean(-1, keepdim=True)
        result = value * reciprocal_root(variance, node["epsilon"])

        def by_group(name):
            vector = self.weight(name)  # of a group, or of the row
            return vector if vector.numel() == value.shape[-1] else vector.view(groups, -1)
        if "gamma" in node:
            result = result * by_group(node["gamma"])
        if "beta" in node:
            result = result + by_group(node["beta"])
        return result.reshape(shape)

    def _bias(self, node, distances):
        """What is added to the scores [heads, queries, keys] at these distances, or None."""
        if "slopes" in node:
            return torch.tensor(node["slopes"])[:, None, None] * distances
        if "biasTable" not in node:
            return None
        half = node["bucketCount"] // 2
        exact, length = half // 2, distances.abs()
        grown = (torch.log(length.float().clamp(min=1) / exact)
                 / math.log(node["maximumDistance"] / exact) * (half - exact)).long() + exact
        buckets = torch.where(length < exact, length, grown.clamp(max=half - 1))
        buckets = buckets + half * (distances > 0)
        return self.weight(node["biasTable"])[buckets].permute(2, 0, 1)

    def _attention(self, node, query, key, value, allowed, softmax, position):
        heads, key_heads = node["headCount"], node["keyHeadCount"]
        width = query.shape[-1] // heads

        def split(x, count):
            x = x.view(*x.shape[:2], count, width).transpose(1, 2)
            return x if count == heads else x.repeat_interleave(heads // count, 1)

        scores = split(query, heads) @ split(key, key_heads).transpose(-1, -2) * node["scale"]
        scores = scores.float() if scores.dtype == torch.bfloat16 else scores
        if "softCap" in node:
            scores = node["softCap"] * torch.tanh(scores / node["softCap"])
        queries = torch.arange(position, position + query.shape[1])
        distances = torch.arange(key.shape[1]) - queries[:, None]
        bias = self._bias(node, distances)
        if bias is not None:
            scores = scores + bias
        if "window" in node:
            allowed = allowed & (distances.abs() < node["window"])
        result = softmax(scores, allowed).to(value.dtype) @ split(value, key_heads)
        return result.transpose(1, 2).reshape(query.shape)

    def _rotate(self, node, value, position):
        heads, layout = node["headCount"], node["layout"]
        if layout not in ("halves", "pairs"):
            raise InputError(self.export["source"], f"has the rotary layout {layout}")
        dimensions = 2 * len(node["frequencies"])
        cosine, sine = (
            table[position:position + value.shape[1]] for table in self._rotation(node))
        shape = value.shape
        value = value.view(*shape[:2], heads, -1)
        turned, rest = value[..., :dimensions], value[..., dimensions:]
        if layout == "halves":
            a, b = turned.chunk(2, -1)
            turned = torch.cat([a * cosine - b * sine, b * cosine + a * sine], -1)
        else:
            a, b = turned[..., 0::2], turned[..., 1::2]
            turned = torch.stack([a * cosine - b * sine, b * cosine + a * sine], -1).flatten(-2)
        return torch.cat([turned, rest], -1).reshape(shape)

    def _rotation(self, node):
        key = (*node["frequencies"], node.get("magnitude", 1))
        if key not in self._rotations:
            frequencies = torch.tensor(node["frequencies"], dtype=torch.float64)
            angles = torch.arange(self.maximum_positions)[:, None] * frequencies
            self._rotations[key] = tuple(
                (f(angles) * key[-1]).float()[:, None, :] for f in (torch.cos, torch.sin))
        return self._rotations[key]

    # Structure that schedules need.

    def layer(self, name):
        """The number in "layers.3.attention", or None outside the layers."""
        parts = name.split(".")
        return int(parts[1]) if parts[0] == "layers" and len(parts) > 2 else None

    def layer_ends(self):
        """The last node of each layer: the hidden states that distillation compares."""
        last = {}
        for node in self.nodes:
            if self.layer(node["name"]) is not None:
                last[self.layer(node["name"])] = node["name"]
        return [last[layer] for layer in sorted(last)]

    def residuals(self):
        """The nodes that write the residual stream."""
        return [node["name"] for node in self.nodes if node["operation"] == "add"]
