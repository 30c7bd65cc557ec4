"""Gates on blocks of feed-forward neurons: where they stand, what they compute, how blocks are made.

Layer I computes W2 (gate_block * hidden) + b2, hidden = act(W1 x + b1) or act(gate x) * (up x); the
gate of block b is 1 where (high (low s) + bias)_b >= 0, else 0, and s is what the layer's attention
reads. Neurons in no block are removed. See formats/gates.md.
"""

import numpy as np
import torch
import torch.nn.functional as F

from .errors import InputError


class Site:
    """The feed-forward part of a layer: its down-projection `down`, that node's input `hidden`, the
    value number `source` that a gate reads, and the number of neurons."""

    def __init__(self, layer, down, hidden, source, neurons):
        self.layer = layer
        self.down = down
        self.hidden = hidden
        self.source = source
        self.neurons = neurons


def sites(graph):
    """One site for each layer that has an attention and a single activation before a linear node."""
    nodes, result = graph.nodes, []
    sources = {
        graph.layer(node["name"]): source(nodes, node)
        for node in nodes if node["operation"] == "attention"}
    for node in nodes:
        layer = graph.layer(node["name"])
        if node["operation"] != "linear" or layer is None or sources.get(layer) is None:
            continue
        hidden = nodes[node["inputs"][0]]
        factors = [hidden]
        if hidden["operation"] == "multiply":
            factors = [nodes[number] for number in hidden["inputs"]]
        if any(factor["operation"] == "activation" for factor in factors):
            result.append(
                Site(layer, node["name"], hidden["name"], sources[layer], hidden["width"]))
    if len({site.layer for site in result}) < len(result):
        raise InputError(graph.export["source"], "has layers with several feed-forward parts")
    if not result:
        raise InputError(graph.export["source"], "has no layers with attention and activations")
    return result


def source(nodes, attention):
    """The number of the value that the query's projection reads, or None where there is none."""
    number = attention["inputs"][0]
    while nodes[number]["operation"] != "linear":
        if not nodes[number]["inputs"]:
            return None
        number = nodes[number]["inputs"][0]
    return nodes[number]["inputs"][0]


class Step(torch.autograd.Function):
    """1 where score >= 0, else 0; the gradient is that of the logistic function (straight-through)."""

    @staticmethod
    def forward(context, score):
        context.save_for_backward(score)
        return (score >= 0).to(score.dtype)

    @staticmethod
    def backward(context, gradient):
        score, = context.saved_tensors
        share = torch.sigmoid(score)
        return gradient * share * (1 - share)


class Gate:
    """The gates of a layer, whose parameters are the graph's own under `prefix`."""

    def __init__(self, graph, site, blocks):
        """`blocks`: neurons [blocks, block width]."""
        self.graph = graph
        self.site = site
        self.source = site.source
        self.prefix = f"layers.{site.layer}."
        self.arrange(blocks)
        self.scores = None

    def arrange(self, blocks):
        self.blocks = np.asarray(blocks)
        self.spread = torch.zeros(len(blocks), self.site.neurons)
        for number, block in enumerate(self.blocks):
            self.spread[number, torch.from_numpy(block)] = 1

    @property
    def keys(self):
        return {self.prefix + name for name in ("low", "high", "bias")}

    def parameters(self):
        return [self.graph.parameters[self.prefix + name] for name in ("low", "high", "bias")]

    def initialise(self, rank, width, openness, generator):
        """Random matrices; biases for which about the shares `openness` [blocks] are open."""
        low = torch.randn(rank, width, generator=generator) / width ** 0.5
        high = torch.randn(len(self.blocks), rank, generator=generator) * 0.1 / rank ** 0.5
        bias = torch.logit(openness.clamp(1e-3, 1 - 1e-3))
        for name, value in (("low", low), ("high", high), ("bias", bias)):
            self.graph.parameters[self.prefix + name] = value.clone().requires_grad_()

    def keep(self, numbers):
        """Leaves only the blocks with these numbers."""
        self.arrange(self.blocks[numbers])
        for name in ("high", "bias"):
            value = self.graph.parameters[self.prefix + name].detach()[numbers]
            self.graph.parameters[self.prefix + name] = value.clone().requires_grad_()

    def score(self, value):
        low, high, bias = self.parameters()
        with torch.autocast("cpu", enabled=False):
            return F.linear(F.linear(value.float(), low), high, bias)

    def __call__(self, hidden, value):
        self.scores = self.score(value)
        return hidden * (Step.apply(self.scores) @ self.spread).to(hidden.dtype)


def norms(hidden, spread):
    """The Euclidean norms [..., blocks] of the blocks of `hidden` [..., neurons]."""
    return (F.linear(hidden.float().square(), spread) + 1e-8).sqrt()


class Activity:
    """How often neurons fire, alone and together, over the texts added to it."""

    def __init__(self, neurons):
        self.positions = 0
        self.together = torch.zeros(neurons, neurons, dtype=torch.float64)

    def add(self, hidden):
        """`hidden` [positions, neurons]; a neuron fires where its value is not 0."""
        fires = (hidden != 0).float()
        self.positions += len(fires)
        self.together += (fires.T @ fires).double()

    @property
    def counts(self):
        return self.together.diagonal()


def cluster(together, width):
    """Blocks [blocks, width] of neurons that fire together, the rest being removed.

    Greedy: a block begins with the neuron that fires most often of those left, and takes the neuron
    with the largest mean Jaccard similarity to its members until it is full. Neurons that never fire
    are removed, and the rarest that fill no whole block.
    """
    together = together.numpy()
    counts = together.diagonal()
    order = np.argsort(-counts, kind="stable")
    firing = int((counts > 0).sum())
    kept = order[:firing // width * width]
    union = counts[:, None] + counts[None, :] - together
    similarity = together / np.maximum(union, 1)
    left = np.zeros(len(counts), dtype=bool)
    left[kept] = True
    blocks = []
    for neuron in kept:
        if not left[neuron]:
            continue
        left[neuron] = False
        block, total = [neuron], similarity[neuron].copy()
        while len(block) < width:
            best = int(np.where(left, total, -1).argmax())
            block.append(best)
            left[best] = False
            total += similarity[best]
        blocks.append(sorted(block))
    return np.array(blocks, dtype=np.int64).reshape(-1, width)
