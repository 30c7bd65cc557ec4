"""Sparsity training: blocks of neurons fall silent, then gates learn which and the model with them.

Stages: (1) distillation with a penalty on the norms of blocks (group lasso) or on single neurons
(L1, as ProSparse has it); (2) the gates alone, as classifiers of blocks that are not silent; (3)
gates and weights together, the gates hard, with a penalty on the share of open ones whose weight
follows the share that is wanted; (4) one number added to all biases, so that it is that share.
"""

import torch
import torch.nn.functional as F

from . import checkpoint
from .errors import InputError
from .sparsity import Activity, Gate, cluster, norms, sites
from .training import divergence, relative_error


POSITIVE = 6  # weight of a block that is not silent, in the training of the gates alone
ROUTER_RATE = 5e-3  # the learning rate there
PENALTY = 0.2  # first weight of the share of open gates


class Plain:
    """KL(original || student), or the relative squared error of an encoder's output."""

    def __call__(self, teacher, student, tokens, lengths):
        output, _ = student.run(tokens, lengths)
        return distillation(teacher, output, tokens, lengths)[0]


class Lasso:
    """KL(original || student) + weight * mean over layers, positions and blocks of the blocks' norms."""

    def __init__(self, gating, weight, single):
        self.gating = gating
        self.weight = weight
        self.single = single

    def __call__(self, teacher, student, tokens, lengths):
        gates = self.gating.gates
        output, kept = student.run(tokens, lengths, {gate.site.hidden for gate in gates})
        loss, present = distillation(teacher, output, tokens, lengths)
        for gate in gates:
            hidden = kept[gate.site.hidden][present]
            size = hidden.float().abs().mean() * gate.blocks.shape[1] ** 0.5 if self.single else (
                norms(hidden, gate.spread).mean())
            loss = loss + self.weight / len(gates) * size
        return loss


class Router:
    """Binary cross-entropy of the gates; a block is to be open where its norm is not 0.

    A position counts 1 for a silent block, and for another `positive` times its norm over the mean
    norm of blocks that are not silent, at most three times that mean.
    """

    def __init__(self, gating, positive):
        self.gating = gating
        self.positive = positive

    def __call__(self, teacher, student, tokens, lengths):
        gates = self.gating.gates
        names = {student.nodes[gate.source]["name"] for gate in gates}
        with torch.no_grad():
            _, kept = student.run(
                tokens, lengths, names | {gate.site.hidden for gate in gates})
        present = torch.arange(tokens.shape[1]) < lengths[:, None]
        loss = 0
        for gate in gates:
            size = norms(kept[gate.site.hidden][present], gate.spread)
            active = size > 1e-3
            mean = size[active].mean() if active.any() else 1
            weight = torch.where(active, self.positive * (size / mean).clamp(max=3), 1)
            score = gate.score(kept[student.nodes[gate.source]["name"]][present])
            loss = loss + F.binary_cross_entropy_with_logits(score, active.float(), weight)
        return loss / len(gates)


class Joint:
    """KL(original || student) + weight * mean over layers and blocks of logistic(score).

    After each step the weight grows or shrinks by up to `pace`, until the share of neurons that
    are computed is the wanted one.
    """

    def __init__(self, gating, weight, wanted, pace=0.02):
        self.gating = gating
        self.weight = weight
        self.wanted = wanted
        self.pace = pace
        self.shares = []

    def __call__(self, teacher, student, tokens, lengths):
        gates = self.gating.gates
        output, _ = student.run(tokens, lengths)
        loss, present = distillation(teacher, output, tokens, lengths)
        share = 0
        for gate in gates:
            score = gate.scores[present]
            part = score.shape[-1] * gate.blocks.shape[1] / gate.site.neurons
            loss = loss + self.weight / len(gates) * part * torch.sigmoid(score).mean()
            share += float((score >= 0).float().mean()) * part / len(gates)
        self.shares.append(share)
        self.weight *= 1 + self.pace * max(-1, min(1, share / self.wanted - 1))
        return loss


def distillation(teacher, output, tokens, lengths):
    """The distance from the original at the positions that are there, and which these are."""
    present = torch.arange(tokens.shape[1]) < lengths[:, None]
    with torch.no_grad():
        target, _ = teacher.run(tokens, lengths)
    distance = divergence if teacher.is_causal else relative_error
    return distance(output[present], target[present]), present


class Gating:
    """The gates of a student, from the first statistics to the finished model."""

    def __init__(self, trainer, texts, options, log):
        self.trainer = trainer
        self.texts = texts
        self.options = options
        self.log = log
        self.gates = []
        self.reasons = {}
        self.shares = []  # of the neurons that the joint stage computed, see Joint

    @torch.no_grad()
    def activity(self, count=64):
        """Statistics of all feed-forward parts over the first `count` training texts."""
        graph = self.trainer.student
        places = sites(graph)
        result = {site.layer: Activity(site.neurons) for site in places}
        for tokens, lengths in self.sample(count):
            present = torch.arange(tokens.shape[1]) < lengths[:, None]
            _, kept = graph.run(tokens, lengths, {site.hidden for site in places})
            for site in places:
                result[site.layer].add(kept[site.hidden][present])
        return places, result

    def sample(self, count):
        step = max(1, len(self.texts.lists) // count)
        lists = self.texts.lists[::step][:count]
        for start in range(0, len(lists), self.options.batch):
            yield self.texts.batch(lists[start:start + self.options.batch])

    def choose(self):
        """Blocks for every layer that is sparse enough; says why the others stay dense."""
        places, activity = self.activity()
        graph, options = self.trainer.student, self.options
        for site in places:
            counts = activity[site.layer].counts
            density = float(counts.sum()) / (activity[site.layer].positions * site.neurons)
            blocks = cluster(activity[site.layer].together, options.block_width)
            never = int((counts == 0).sum())
            label = f"layer {site.layer}: density {density:.4f}, {never} neurons never fire"
            if density > options.densest or not len(blocks):
                self.reasons[site.layer] = (
                    f"density {density:.4f} is above --densest" if len(blocks) else "nothing fires")
                self.log(f"{label}: stays dense")
                continue
            gate = Gate(graph, site, blocks)
            self.gates.append(gate)
            self.log(f"{label}, {len(blocks)} blocks")
        if not self.gates:
            raise InputError("--densest", "no layer is sparse enough", "train with ReLU first")

    @torch.no_grad()
    def activities(self):
        """{layer: share of positions at which each block is not silent}."""
        graph = self.trainer.student
        total, positions = {}, 0
        for tokens, lengths in self.sample(64):
            present = torch.arange(tokens.shape[1]) < lengths[:, None]
            _, kept = graph.run(tokens, lengths, {gate.site.hidden for gate in self.gates})
            positions += int(present.sum())
            for gate in self.gates:
                active = norms(kept[gate.site.hidden][present], gate.spread) > 1e-3
                layer = gate.site.layer
                total[layer] = total.get(layer, 0) + active.sum(0)
        return {layer: count / positions for layer, count in total.items()}

    def begin(self):
        """Drops blocks that are always silent and gives the others gates."""
        graph, generator = self.trainer.student, torch.Generator().manual_seed(self.options.seed)
        shares = self.activities()
        for gate in self.gates:
            share = shares[gate.site.layer]
            numbers = torch.nonzero(share > 0)[:, 0].numpy()
            if not len(numbers):
                numbers = share.argmax().reshape(1).numpy()
            gate.arrange(gate.blocks[numbers])
            width = graph.nodes[gate.source]["width"]
            rank = min(self.options.rank, width, len(numbers))
            gate.initialise(rank, width, share[torch.from_numpy(numbers)], generator)
            graph.gates[gate.site.down] = gate
            self.log(
                f"layer {gate.site.layer}: blocks not silent {float(share.mean()):.4f}, "
                f"{len(numbers)} of {len(share)} ever")

    @torch.no_grad()
    def measure(self, texts, prune=False):
        """{layer: share of gates that are open}; with `prune`, gates that never open are dropped."""
        graph, opened, positions = self.trainer.student, {}, 0
        for tokens, lengths in texts.in_order(self.options.batch):
            present = torch.arange(tokens.shape[1]) < lengths[:, None]
            graph.run(tokens, lengths)
            positions += int(present.sum())
            for gate in self.gates:
                layer = gate.site.layer
                opened[layer] = opened.get(layer, 0) + (gate.scores[present] >= 0).sum(0)
        for gate in self.gates if prune else []:
            numbers = torch.nonzero(opened[gate.site.layer] > 0)[:, 0].numpy()
            if len(numbers):
                gate.keep(numbers)
        return {layer: float(count.float().mean()) / positions for layer, count in opened.items()}

    @torch.no_grad()
    def settle(self, wanted):
        """Moves all biases by one number, with which the share of neurons that are computed over 256
        training texts is the wanted one; gives the number."""
        graph, scores = self.trainer.student, [[] for _ in self.gates]
        for tokens, lengths in self.sample(256):
            present = torch.arange(tokens.shape[1]) < lengths[:, None]
            graph.run(tokens, lengths)
            for gate, found in zip(self.gates, scores):
                found.append(gate.scores[present])
        # Every score with the share of a layer's neurons and positions that it opens: from the largest
        # score on they add up to the wanted share at the one that is to be 0.
        scores = [torch.cat(found) for found in scores]
        shares = [
            torch.full(found.shape, gate.blocks.shape[1] / gate.site.neurons / len(found), dtype=torch.float64)
            for gate, found in zip(self.gates, scores)]
        order = torch.cat([found.flatten() for found in scores]).sort(descending=True)
        computed = torch.cat([share.flatten() for share in shares])[order.indices].cumsum(0) / len(self.gates)
        last = min(int((computed < wanted).sum()), len(computed) - 1)
        shift = -float(order.values[last])
        for gate in self.gates:
            gate.parameters()[2].add_(shift)
        return shift

    def resume(self, tensors, source):
        """Takes the gates that an earlier run has written."""
        graph = self.trainer.student
        if any(".heads." in name for name in tensors):
            raise InputError(source, "holds gates of heads, which are not trained", "leave them out")
        for site in sites(graph):
            prefix = f"layers.{site.layer}."
            found = {name: tensors.get(prefix + name) for name in ("order", "low", "high", "bias")}
            if any(value is None for value in found.values()):
                self.reasons[site.layer] = "had no gate before"
                continue
            order, low, high, bias = found.values()
            inputs = graph.nodes[site.source]["width"]
            if (
                low.dim() != 2 or low.shape[1] != inputs or bias.dim() != 1 or not len(bias)
                or high.shape != (len(bias), len(low)) or order.dim() != 1
                or len(order) % len(bias) or len(set(order.tolist())) < len(order)
                or not 0 <= int(order.min()) <= int(order.max()) < site.neurons
            ):
                raise InputError(source, f"layer {site.layer} is not one of this model")
            gate = Gate(graph, site, order.reshape(len(bias), -1).numpy())
            for name, value in (("low", low), ("high", high), ("bias", bias)):
                graph.parameters[prefix + name] = value.float().clone().requires_grad_()
            self.gates.append(gate)
            graph.gates[site.down] = gate
        if not self.gates:
            raise InputError(source, "holds no gates of this model")

    def train(self):
        trainer, options, graph = self.trainer, self.options, self.trainer.student
        weights = set(graph.parameters)
        if options.start:
            self.resume(*checkpoint.read_gates(options.start))
        else:
            self.choose()
        losses = []

        def stage(name, objective, keys, steps, rate):
            trainer.objective = objective
            trainer.adapt(keys, steps, name, rate)
            losses.append([name, trainer.evaluate()])
            self.log(f"{name}: held-out loss {losses[-1][1]:.4f}")

        steps = options.steps
        if not options.start:
            single, quarter = options.regulariser == "l1", options.steps // 4
            stage("lasso", Lasso(self, options.lasso, single), weights, quarter, options.rate)
            self.begin()
            keys = {key for gate in self.gates for key in gate.keys}
            stage("gates", Router(self, POSITIVE), keys, quarter // 2, ROUTER_RATE)
            steps -= quarter + quarter // 2
        keys = {key for gate in self.gates for key in gate.keys}
        joint = Joint(self, PENALTY, options.open)
        if steps:
            stage("joint", joint, weights | keys, steps, options.rate)
        # Means of ten steps, as in the curve of the loss.
        self.shares = [
            sum(joint.shares[at:at + 10]) / len(joint.shares[at:at + 10])
            for at in range(0, len(joint.shares), 10)]
        self.log(f"biases moved by {self.settle(options.open):+.4f}")
        self.measure(self.texts, prune=True)
        losses.append(["settled", trainer.evaluate()])
        return losses

    def report(self, texts):
        """One entry a layer: shares of open gates of a layer's gates, and of its neurons computed."""
        shares = self.measure(texts)
        result = []
        for site in sites(self.trainer.student):
            entry = {"layer": site.layer, "neurons": site.neurons}
            gate = next((gate for gate in self.gates if gate.site.layer == site.layer), None)
            if gate is None:
                entry["reason"] = self.reasons[site.layer]
            else:
                kept = gate.blocks.size
                entry |= {
                    "kept": kept, "blockWidth": gate.blocks.shape[1],
                    "rank": gate.parameters()[0].shape[0], "open": shares[site.layer],
                    "computed": shares[site.layer] * kept / site.neurons}
            result.append(entry)
        return result

    def tensors(self):
        """What gates.safetensors holds."""
        result = {}
        for gate in self.gates:
            result[gate.prefix + "order"] = torch.from_numpy(gate.blocks.reshape(-1)).int()
            for name, value in zip(("low", "high", "bias"), gate.parameters()):
                result[gate.prefix + name] = value.detach().clone().contiguous()
        return result
