"""Trains a model with replaced operations, or with gates, until it works with them (adaptation).

Reads a checkpoint and the functions that `lodge-model functions` writes for it, puts the replacements
in place of the exact operations, and trains the weights against the original model. Writes a
checkpoint of the same layout with recipe.json, which `lodge-model approximate --recipe` takes:
every replacement with the coefficients it was trained with, and the exact operation where one was
reverted. finetune.json has the figures.

With --sparsity the model keeps the operations that the functions state, and gets gates that skip
blocks of feed-forward neurons; they are written beside the weights, as gates.safetensors.
"""

import argparse
import json
import math
import os
import sys
import time

import torch

from lodge.adaptation import checkpoint
from lodge.adaptation.errors import InputError
from lodge.adaptation.functions import function
from lodge.adaptation.gating import Gating, Plain
from lodge.adaptation.graph import Graph
from lodge.adaptation.inputs import read_export, split
from lodge.adaptation.schedule import at_once, staged, together
from lodge.adaptation.training import Deadline, Trainer, samples


STORAGE = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class Parser(argparse.ArgumentParser):
    """argparse with the messages and the exit status of Lodge's other tools."""

    def error(self, message):
        print(f"finetune: error: {message}", file=sys.stderr)
        print("finetune: hint: see 'tools/finetune --help'", file=sys.stderr)
        sys.exit(64)


def number(low, high, kind=float):
    def parse(text):
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not from {low} to {high}")
        return value
    return parse


def arguments():
    parser = Parser(
        prog="tools/finetune",
        description="Trains a model with replaced operations (adaptation).",
        epilog="example: lodge-model functions opt --recipe pcft --tokens cal.json --out pcft.json; "
        "tools/finetune opt --functions pcft.json --tokens train.json --out adapted; "
        "lodge-model approximate adapted --recipe adapted/recipe.json --tokens cal.json "
        "--out adapted.lodge; "
        "tools/finetune opt --functions accurate.json --tokens train.json --sparsity --samples 1024 "
        "--steps 2000 --rate 3e-4 --out gated",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("checkpoint", metavar="CHECKPOINT", help="folder with config.json and weights")
    add("--functions", required=True, metavar="FILE", help="written by lodge-model functions")
    add("--tokens", required=True, metavar="FILE", help="training texts: JSON array of token lists")
    add("--validation", metavar="FILE",
        help="held-out texts, JSON or NPY, that decide what is reverted; not trained on (default: "
        "every --hold-out-th of the training texts)")
    add("--hold-out", type=number(2, 10**6, int), default=18, metavar="N", help="see --validation")
    add("--test", metavar="FILE", help="texts that are only measured, before and after; not trained on")
    add("--out", required=True, metavar="DIR", help="folder to write")
    add("--continue", dest="start", metavar="DIR",
        help="begin with the weights of an earlier run with the same functions, all replaced at once; "
        "with --sparsity, with its gates as well, which are trained on together with the weights")
    add("--schedule", choices=["staged", "together"], default="together",
        help="layer by layer with reverting (PCFT), or class by class")
    add("--loss", choices=["distil", "task"], default="distil",
        help="match the original's outputs, or predict the next token")
    add("--steps", type=number(0, 10**7, int), default=600, metavar="N",
        help="optimiser steps; 0 with --sparsity and --continue: only what is open is set anew")
    add("--minutes", type=number(0, 10**5), default=60, metavar="X", help="most time to train for")
    add("--samples", type=number(0, 10**6, int), default=0, metavar="N",
        help="texts that the original model (a decoder) writes itself, trained on as well")
    add("--batch", type=number(1, 4096, int), default=8, metavar="N", help="texts a step")
    add("--rate", type=number(0, 1), default=1e-3, metavar="X", help="largest learning rate")
    add("--decay", type=number(0, 1), default=0.01, metavar="X", help="weight decay")
    add("--hidden", type=number(0, 1000), default=1.0, metavar="X",
        help="weight of the hidden states in the distillation")
    add("--penalty", type=number(0, 1000), default=0.05, metavar="X",
        help="weight of residual values beyond --bound")
    add("--bound", type=number(0, 1e6), default=16, metavar="X", help="see --penalty")
    add("--allowance", type=number(-100, 100), default=0.01, metavar="X",
        help="rise of the held-out loss at which the staged schedule reverts a layer")
    add("--precision", choices=["float32", "bfloat16"], default="float32",
        help="of matrix products in training; evaluations are in float32")
    add("--threads", type=number(1, 1024, int), default=1, metavar="N",
        help="threads; more than the free cores are slower than one")
    add("--seed", type=number(0, 2**31 - 1, int), default=1, metavar="N", help="of the order of texts")
    add("--storage", choices=["float32", "float16", "bfloat16"], default="float32",
        help="of the weights that are written; measured as written")
    add("--json", action="store_true", help="print the figures as one JSON document")
    add = parser.add_argument_group("gates on blocks of feed-forward neurons").add_argument
    add("--sparsity", action="store_true",
        help="train gates; takes most of the options above, and distils")
    add("--block-width", type=number(1, 64, int), default=16, metavar="N", help="neurons of a block")
    add("--rank", type=number(1, 1024, int), default=32, metavar="N",
        help="of the product that computes a layer's gates")
    add("--open", type=number(0.001, 1), default=0.06, metavar="X",
        help="share of the gated layers' neurons to compute, on average")
    add("--densest", type=number(0, 1), default=0.15, metavar="X",
        help="share of neurons that fire above which a layer gets no gates")
    add("--lasso", type=number(0, 1000), default=0.3, metavar="X",
        help="weight of the blocks' norms before there are gates")
    add("--regulariser", choices=["group", "l1"], default="group",
        help="norms of blocks, or absolute values of single neurons (ProSparse)")
    add("--plain", type=number(0, 10**7, int), default=0, metavar="N",
        help="for comparison, first measure N steps of distillation without gates, of a copy")
    return parser.parse_args()


def adapted_recipe(export, reverted):
    """The recipe with the exact operation at the reverted nodes."""
    recipe = json.loads(json.dumps(export["recipe"]))
    recipe["name"] = f"{recipe['name']}-finetuned"
    for name in reverted:
        entry = export["functions"][name]
        recipe.setdefault("nodes", {})[name] = {entry["class"]: entry["exact"]}
    return recipe


def measure(loss, is_decoder):
    return {"loss": loss, "perplexity": math.exp(min(loss, 700))} if is_decoder else {"error": loss}


class Progress:
    """At most one line every few seconds, on standard error."""

    def __init__(self):
        self.last = 0.0

    def __call__(self, trainer, label, loss):
        now = time.monotonic()
        if now - self.last < 10:
            return
        self.last = now
        print(
            f"finetune: {label}: step {trainer.step_count} of {trainer.options.steps}, "
            f"loss {loss:.4f}, {trainer.deadline.seconds:.0f} s", file=sys.stderr)


def run(options):
    torch.manual_seed(options.seed)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(options.threads)
    if os.path.exists(options.out):
        raise InputError(options.out, "exists already", "choose a new folder, or remove it")
    export = read_export(options.functions)
    tensors = checkpoint.read(options.checkpoint)
    deadline, started = Deadline(options.minutes), time.process_time()
    teacher = Graph(export, tensors)
    if options.start and options.schedule == "staged":
        raise InputError("--continue", "has no stages: all operations are replaced from the start")
    if options.loss == "task" and not teacher.is_causal:
        raise InputError("--loss task", "an encoder has no next token", "use --loss distil")
    if not options.steps and not (options.sparsity and options.start):
        raise InputError("--steps 0", "trains nothing", "it goes with --sparsity and --continue alone")
    texts, validation, test = split(options, teacher)
    if options.samples and not teacher.is_causal:
        raise InputError("--samples", "an encoder writes no texts")
    if options.samples:
        with torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bfloat16"):
            texts.lists += samples(teacher, texts, options.samples, options.seed)

    functions = {}
    for name, entry in export["functions"].items():
        replacement = function(entry["form"], f"{options.functions}: {name}")
        if replacement is not None and entry["form"] != entry["exactForm"]:
            functions[name] = replacement
    if options.sparsity:
        # What is to be skipped is the model with its replacements, not the exact one.
        teacher.functions = functions
    elif not functions:
        raise InputError(options.functions, "replaces nothing", "choose another recipe")
    student = Graph(export, checkpoint.read(options.start)) if options.start else teacher.copy()
    student.functions = dict(teacher.functions)
    for parameter in teacher.parameters.values():
        parameter.requires_grad_(False)
    trainer = Trainer(teacher, student, texts, validation, options, deadline, Progress())

    def figures(graph):
        result = {"validation": measure(trainer.evaluate(graph), graph.is_causal)}
        if test:
            result["test"] = measure(trainer.evaluate(graph, test), graph.is_causal)
        return result

    def log(line):
        print(f"finetune: {line}", file=sys.stderr)

    report = {"original": figures(teacher)}
    log(describe_stage("original", report))
    reverted, gates = [], None
    if options.sparsity:
        gates = train_gates(trainer, texts, test, options, report, figures, log)
    else:
        reverted = replace(trainer, functions, options, report, figures, log)
    with torch.no_grad():
        for parameter in student.parameters.values():
            parameter.copy_(parameter.to(STORAGE[options.storage]))
    report["adapted"] = figures(student)
    report["curve"] = trainer.curve
    report["steps"] = trainer.step_count
    report["seconds"] = round(trainer.deadline.seconds, 1)
    report["processorSeconds"] = round(time.process_time() - started, 1)
    report["options"] = {
        key: value for key, value in vars(options).items()
        if not isinstance(value, str)
        or key in ("schedule", "loss", "precision", "storage", "regulariser")
    }
    checkpoint.write(
        options.out, options.checkpoint, tensors, student.parameters,
        adapted_recipe(export, reverted), report, STORAGE[options.storage], gates)
    return report


def replace(trainer, functions, options, report, figures, log):
    """Replaces the operations; the names of the nodes at which the exact ones are back."""
    student = trainer.student
    student.functions = dict(functions)
    report["replaced"] = figures(student)
    log(describe_stage("replaced", report))
    student.functions = {}
    schedule = staged if options.schedule == "staged" else together
    if options.start:
        schedule = at_once
    outcome = schedule(trainer, functions, log)
    report["reverted"] = outcome.reverted
    report["stages"] = outcome.losses
    return outcome.reverted


def train_gates(trainer, texts, test, options, report, figures, log):
    """Trains gates and weights; the tensors of gates.safetensors."""
    if options.plain:
        kept = trainer.student
        trainer.student = kept.copy()
        trainer.objective = Plain()
        trainer.adapt(set(kept.parameters), options.plain, "plain")
        report["plain"] = figures(trainer.student)
        log(describe_stage("plain", report))
        trainer.student, trainer.step_count = kept, 0
    gating = Gating(trainer, texts, options, log)
    report["stages"] = gating.train()
    report["gates"] = gating.report(test or trainer.validation)
    report["computed"] = gating.shares
    return gating.tensors()


def describe_stage(stage, report):
    values = ", ".join(
        f"{texts} {kind} {value:.4f}"
        for texts, measures in report[stage].items() for kind, value in measures.items())
    return f"{stage:9} {values}"


def describe(report, options):
    stages = ("original", "replaced", "plain", "adapted")
    lines = [describe_stage(stage, report) for stage in stages if stage in report]
    lines.append(
        f"{report['steps']} steps in {report['seconds']:.0f} s "
        f"({report['processorSeconds']:.0f} s of processor time)")
    if "gates" in report:
        lines += describe_gates(report["gates"])
        lines.append(f"{options.out}: gates.safetensors lies beside the weights")
    else:
        lines.append("reverted: " + (", ".join(report["reverted"]) or "nothing"))
        lines.append(
            f"{options.out}: convert with --recipe {os.path.join(options.out, 'recipe.json')}")
    return "\n".join(lines)


def describe_gates(layers):
    lines = ["layer  neurons  kept  width  rank    open  computed"]
    for layer in layers:
        if "reason" in layer:
            lines.append(f"{layer['layer']:5}  {layer['neurons']:7}  dense: {layer['reason']}")
            continue
        lines.append(
            f"{layer['layer']:5}  {layer['neurons']:7}  {layer['kept']:4}  {layer['blockWidth']:5}  "
            f"{layer['rank']:4}  {layer['open']:.4f}    {layer['computed']:.4f}")
    return lines


def main():
    options = arguments()
    try:
        report = run(options)
    except InputError as error:
        print("finetune: error: " + str(error).replace("\n", " "), file=sys.stderr)
        if error.hint:
            print(f"finetune: hint: {error.hint}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(json.dumps(report, indent=2) if options.json else describe(report, options))
    return 0


sys.exit(main())
