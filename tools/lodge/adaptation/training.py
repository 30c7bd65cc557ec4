"""Trains a student graph against its original: losses, optimiser, evaluation, bounds of time."""

import math
import random
import time

import torch
import torch.nn.functional as F

from .errors import InputError


class Texts:
    """Lists of token ids, in batches of equal order for equal seeds."""

    def __init__(self, lists, source, graph):
        if not lists:
            raise InputError(source, "holds no texts")
        for index, text in enumerate(lists):
            if not 2 <= len(text) <= graph.maximum_positions:
                raise InputError(
                    source, f"text {index} has {len(text)} tokens; 2 to {graph.maximum_positions} fit")
            wrong = [token for token in text if not 0 <= token < graph.vocabulary_size]
            if wrong:
                raise InputError(
                    source, f"text {index}: token {wrong[0]} is outside the vocabulary of "
                    f"{graph.vocabulary_size}")
        self.lists = lists

    @staticmethod
    def batch(lists):
        lengths = torch.tensor([len(text) for text in lists])
        tokens = torch.zeros(len(lists), int(lengths.max()), dtype=torch.int64)
        for row, text in enumerate(lists):
            tokens[row, :len(text)] = torch.tensor(text)
        return tokens, lengths

    def in_order(self, size):
        for start in range(0, len(self.lists), size):
            yield self.batch(self.lists[start:start + size])

    def forever(self, size, seed):
        """Batches of texts of like length, each text once before any comes again."""
        generator = random.Random(seed)
        while True:
            order = list(range(len(self.lists)))
            generator.shuffle(order)
            order.sort(key=lambda index: len(self.lists[index]))
            batches = [order[start:start + size] for start in range(0, len(order), size)]
            generator.shuffle(batches)
            for batch in batches:
                yield self.batch([self.lists[index] for index in batch])


@torch.no_grad()
def samples(graph, texts, count, seed, size=64):
    """`count` texts that a decoder writes itself, each from the first token of one of `texts` on.

    They are drawn from its own distribution, which is what a student is to learn, and there are as
    many as are wanted: a few training texts alone are soon known by heart.
    """
    generator = torch.Generator().manual_seed(seed)
    length = max(len(text) for text in texts.lists)
    result = []
    while len(result) < count:
        rows = range(len(result), min(len(result) + size, count))
        lists = [texts.lists[row % len(texts.lists)] for row in rows]
        tokens = torch.tensor([text[:1] for text in lists])
        written, cache = [tokens], {}
        for _ in range(length - 1):
            output, _ = graph.run(tokens, None, cache=cache)
            shares = output[:, -1].softmax(-1)
            tokens = torch.multinomial(shares, 1, generator=generator)
            written.append(tokens)
        result += torch.cat(written, 1).tolist()
    return result


class Objective:
    """What is made small; all terms are means over the positions of a batch.

    distil (decoder): KL(original || student) of the next token + hidden
    distil (encoder): relative squared error of the output + hidden
    task (decoder only): cross-entropy of the next token
    hidden: mean over layers of |h - h_original|^2 / mean |h_original|^2
    and, for all, penalty * (sum over residual nodes of the norm of max(|h| - bound, 0)).
    """

    def __init__(self, options):
        self.loss = options.loss
        self.hidden = options.hidden
        self.penalty = options.penalty
        self.bound = options.bound

    def __call__(self, teacher, student, tokens, lengths):
        present = torch.arange(tokens.shape[1]) < lengths[:, None]
        ends = student.layer_ends() if self.loss == "distil" and self.hidden else []
        residuals = student.residuals() if self.penalty else []
        output, kept = student.run(tokens, lengths, {*ends, *residuals})
        if self.loss == "task":
            loss = cross_entropy(output, tokens, present)
        else:
            with torch.no_grad():
                target, originals = teacher.run(tokens, lengths, ends)
            if student.is_causal:
                loss = divergence(output[present], target[present])
            else:
                loss = relative_error(output[present], target[present])
            for name in ends:
                error = relative_error(kept[name][present], originals[name][present])
                loss = loss + self.hidden / len(ends) * error
        for name in residuals:
            excess = torch.relu(kept[name][present].abs() - self.bound)
            # A norm of zero has no gradient.
            norm = (excess.square().sum(-1) + 1e-12).sqrt().mean()
            loss = loss + self.penalty * norm
        return loss


def divergence(output, target):
    """KL(target || output) of the next token, from logits [positions, tokens]; mean, in nats."""
    return F.kl_div(
        output.float().log_softmax(-1), target.float().log_softmax(-1), log_target=True,
        reduction="none").sum(-1).mean()


def cross_entropy(output, tokens, present):
    predicted = present[:, 1:]
    return F.cross_entropy(output[:, :-1][predicted].float(), tokens[:, 1:][predicted])


def relative_error(value, original):
    return (value - original).square().mean() / original.square().mean()


class Deadline:
    """When training must end, and the share of the time that is left for some of the steps."""

    def __init__(self, minutes):
        self.start = time.monotonic()
        self.end = self.start + 60 * minutes

    @property
    def passed(self):
        return time.monotonic() >= self.end

    @property
    def seconds(self):
        return time.monotonic() - self.start

    def share(self, part):
        """Seconds that a part of what is left to do may take."""
        return max(self.end - time.monotonic(), 0) * min(part, 1)


class Trainer:
    def __init__(self, teacher, student, training, validation, options, deadline, progress):
        self.teacher = teacher
        self.student = student
        self.validation = validation
        self.options = options
        self.objective = Objective(options)
        self.batches = training.forever(options.batch, options.seed)
        self.deadline = deadline
        self.progress = progress
        self.step_count = 0
        self.curve = []

    def autocast(self):
        return torch.autocast(
            "cpu", torch.bfloat16, enabled=self.options.precision == "bfloat16")

    @torch.no_grad()
    def evaluate(self, graph=None, texts=None):
        """Loss on held-out texts, in single precision.

        Decoder: cross-entropy in nats of the tokens after the first. Encoder: relative squared error
        of the output against the original's.
        """
        graph = graph or self.student
        total = count = 0
        for tokens, lengths in (texts or self.validation).in_order(self.options.batch):
            present = torch.arange(tokens.shape[1]) < lengths[:, None]
            output, _ = graph.run(tokens, lengths)
            if graph.is_causal:
                weight = int(present[:, 1:].sum())
                loss = cross_entropy(output, tokens, present)
            else:
                weight = int(present.sum())
                target, _ = self.teacher.run(tokens, lengths)
                loss = relative_error(output[present], target[present])
            total += float(loss) * weight
            count += weight
        return total / count

    def adapt(self, keys, steps, label, rate=None):
        """AdamW on the parameters `keys` for `steps` steps: warm-up of 6 % to `rate` (default: that of
        the options), then linearly to zero.

        Where time runs out before the steps do, the rate falls with the time instead. Then, and only
        then, the result depends on how fast the machine is.
        """
        parameters = [self.student.parameters[key] for key in sorted(keys)]
        if not parameters or steps < 1:
            return
        for key, parameter in self.student.parameters.items():
            parameter.requires_grad_(key in keys)
        rate = self.options.rate if rate is None else rate
        optimiser = torch.optim.AdamW(
            parameters, lr=rate, betas=(0.9, 0.98), weight_decay=self.options.decay)
        warm_up = max(1, round(0.06 * steps))
        start, recent = time.monotonic(), []
        limit = self.deadline.share(steps / max(steps, self.options.steps - self.step_count))
        for step in range(steps):
            elapsed = (time.monotonic() - start) / limit if limit else 1
            if elapsed >= 1:
                break
            share = min(
                (step + 1) / warm_up, (steps - step) / max(1, steps - warm_up), 1,
                (1 - elapsed) / 0.94)
            for group in optimiser.param_groups:
                group["lr"] = rate * share
            tokens, lengths = next(self.batches)
            with self.autocast():
                loss = self.objective(self.teacher, self.student, tokens, lengths)
            value = float(loss.detach())
            optimiser.zero_grad(set_to_none=True)
            if not math.isfinite(value):
                raise InputError(
                    "training", f"the loss is {value} in step {self.step_count} ({label})",
                    "use a lower --rate, --precision float32, or the staged schedule")
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            self.step_count += 1
            recent.append(value)
            if len(recent) == 10:
                self.curve.append([self.step_count, sum(recent) / len(recent)])
                recent = []
            self.progress(self, label, value)
        if recent:
            self.curve.append([self.step_count, sum(recent) / len(recent)])
