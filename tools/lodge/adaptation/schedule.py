"""In which order operations are replaced, and which replacements are taken back."""

import torch


class Stage:
    """Nodes that are replaced together or layer by layer."""

    def __init__(self, name, nodes):
        self.name = name
        self.nodes = nodes


def stages(graph, names):
    """Activations, softmax, first and second normalisations of the layers, other normalisations.

    The order of PCFT (Liu & Liu 2023). `names` are the nodes with a replacement that is not exact.
    """
    groups = {"activation": [], "softmax": [], "layerNorm1": [], "layerNorm2": [], "outerNorm": []}
    seen = {}
    for node in graph.nodes:
        name, kind = node["name"], node["operation"]
        if kind in ("layerNorm", "rmsNorm"):
            layer = graph.layer(name)
            seen[layer] = seen.get(layer, 0) + 1
            kind = "outerNorm" if layer is None else f"layerNorm{min(seen[layer], 2)}"
        elif kind == "attention":
            kind = "softmax"
        if name in names:
            groups[kind].append(name)
    return [Stage(name, nodes) for name, nodes in groups.items() if nodes]


class Outcome:
    """What a schedule did, for the report."""

    def __init__(self):
        self.reverted = []
        self.losses = []

    def add(self, what, loss):
        self.losses.append([what, loss])


def at_once(trainer, functions, log):
    """All nodes in one stage."""
    trainer.student.functions.update(functions)
    outcome = Outcome()
    outcome.add("all replaced", trainer.evaluate())
    trainer.adapt(set(trainer.student.parameters), trainer.options.steps, "all")
    outcome.add("all adapted", trainer.evaluate())
    log(f"loss {outcome.losses[0][1]:.4f}, adapted {outcome.losses[1][1]:.4f}")
    return outcome


def together(trainer, functions, log):
    """Stage after stage, each with all its nodes at once; nothing is reverted."""
    graph, outcome = trainer.student, Outcome()
    plan = stages(graph, functions)
    for number, stage in enumerate(plan):
        graph.functions.update({name: functions[name] for name in stage.nodes})
        outcome.add(f"{stage.name} replaced", trainer.evaluate())
        # The last stage has all replacements in place and gets what the others leave.
        early = trainer.options.steps // 6 // max(1, len(plan) - 1)
        last = trainer.options.steps - early * (len(plan) - 1)
        steps = last if number == len(plan) - 1 else early
        trainer.adapt(set(graph.parameters), steps, stage.name)
        outcome.add(f"{stage.name} adapted", trainer.evaluate())
        log(f"{stage.name}: loss {outcome.losses[-2][1]:.4f}, adapted {outcome.losses[-1][1]:.4f}")
    return outcome


def staged(trainer, functions, log):
    """PCFT's schedule: in each stage (a) the parameters of each replaced node alone, with only that
    node replaced; (b) from the last layer to the first, the replacement joins, the layers from
    there on adapt, and it is taken back where held-out loss has risen by more than the allowance;
    (c) all parameters.
    """
    graph, outcome = trainer.student, Outcome()
    plan = stages(graph, functions)
    for stage in plan:
        # A third of a stage's steps each; a step of (b) is shared among the layers.
        budget = max(1, trainer.options.steps // len(plan) // 3)
        share = max(1, budget // len(stage.nodes))
        alone = {}
        for name in stage.nodes:
            keys = graph.keys_of(name)
            if not keys:
                continue
            before = snapshot(graph)
            graph.functions[name] = functions[name]
            trainer.adapt(keys, share, f"{stage.name}, {name} alone")
            alone[name] = {key: graph.parameters[key].detach().clone() for key in keys}
            del graph.functions[name]
            restore(graph, before)
        for name in reversed(stage.nodes):
            before, loss = snapshot(graph), trainer.evaluate()
            graph.functions[name] = functions[name]
            with torch.no_grad():
                for key, value in alone.get(name, {}).items():
                    graph.parameters[key].copy_(value)
            trainer.adapt(keys_from(graph, graph.layer(name)), share, f"{stage.name}, {name}")
            after = trainer.evaluate()
            if after > loss + trainer.options.allowance or trainer.deadline.passed:
                del graph.functions[name]
                restore(graph, before)
                outcome.reverted.append(name)
                log(f"{name}: loss {loss:.4f} -> {after:.4f}, reverted")
            else:
                log(f"{name}: loss {loss:.4f} -> {after:.4f}")
        trainer.adapt(set(graph.parameters), budget, f"{stage.name}, all")
        outcome.add(stage.name, trainer.evaluate())
        log(f"{stage.name}: loss {outcome.losses[-1][1]:.4f}")
    return outcome


def keys_from(graph, layer):
    """Parameters of the nodes from `layer` on; of all for a node outside the layers that begins."""
    if layer is None:
        return set(graph.parameters)
    keys, inside = set(), False
    for node in graph.nodes:
        number = graph.layer(node["name"])
        inside = inside or number == layer
        if inside and (number is None or number >= layer):
            keys |= graph.keys_of(node["name"])
    return keys


def snapshot(graph):
    return {key: value.detach().clone() for key, value in graph.parameters.items()}


def restore(graph, values):
    with torch.no_grad():
        for key, value in values.items():
            graph.parameters[key].copy_(value)
