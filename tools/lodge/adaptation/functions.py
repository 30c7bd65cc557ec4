"""Torch functions made from the forms that `lodge-model functions` writes.

A form is data: knots, coefficients, what is subtracted and added. No formula of a replacement stands
here; one that resolves to these forms needs no line of Python. Softmax and normalisation also state
the exact operation, which nodes without a replacement keep.
"""

import torch

from .errors import InputError


class Polynomial:
    """p(t) = sum of coefficients[i] u^i with u = (t - centre) / scale, for each piece of a list."""

    def __init__(self, pieces):
        count = max(len(piece["coefficients"]) for piece in pieces)
        rows = [p["coefficients"] + [0.0] * (count - len(p["coefficients"])) for p in pieces]
        self.coefficients = torch.tensor(rows, dtype=torch.float64)
        self.centres = torch.tensor([p["centre"] for p in pieces], dtype=torch.float64)
        self.scales = torch.tensor([p["scale"] for p in pieces], dtype=torch.float64)

    def __call__(self, t, piece=None):
        """The value at t of piece number `piece`, a tensor like t; of the only one where None."""
        centre, scale, table = (
            x.to(t.dtype) for x in (self.centres, self.scales, self.coefficients)
        )
        if piece is None:
            piece = 0
        u = (t - centre[piece]) / scale[piece]
        result = table[piece, -1]
        for power in reversed(range(table.shape[1] - 1)):
            result = result * u + table[piece, power]
        return result if torch.is_tensor(result) and result.shape == t.shape else result.expand_as(t)


class PiecewisePolynomial:
    """slope * x + p_k(t), t = x or |x|, piece k holding knots[k-1] <= t < knots[k]."""

    def __init__(self, form):
        self.even = form["even"]
        self.slope = form["slope"]
        self.knots = torch.tensor(form["knots"], dtype=torch.float64)
        self.polynomial = Polynomial(form["pieces"])
        self.hinges = self._hinges(form)

    def _hinges(self, form):
        """(slope, intercept, slope changes) where the function is a few connected lines, else None.

        a + b t + sum of c_k max(t - knot_k, 0): the same function, without a table to look up in,
        which is many times faster to train with.
        """
        if len(form["knots"]) > 4 or any(len(p["coefficients"]) > 2 for p in form["pieces"]):
            return None
        lines = []
        for piece in form["pieces"]:
            constant, slope = (piece["coefficients"] + [0.0])[:2]
            slope /= piece["scale"]
            lines.append((slope, constant - slope * piece["centre"]))
        changes = []
        for knot, left, right in zip(form["knots"], lines, lines[1:]):
            jump = (right[0] - left[0]) * knot + right[1] - left[1]
            if abs(jump) > 1e-12 * max(1.0, abs(knot)):
                return None
            changes.append(right[0] - left[0])
        return lines[0][0], lines[0][1], changes

    def __call__(self, x):
        t = x.abs() if self.even else x
        if self.hinges is not None:
            slope, intercept, changes = self.hinges
            result = slope * t + intercept if slope or intercept else None
            for knot, change in zip(self.knots.tolist(), changes):
                hinge = torch.relu(t - knot if knot else t)
                hinge = hinge if change == 1 else change * hinge
                result = hinge if result is None else result + hinge
            if result is None:
                result = torch.zeros_like(t)
        elif len(self.knots) == 0:
            result = self.polynomial(t)
        else:
            piece = torch.bucketize(t.detach(), self.knots.to(t.dtype), right=True)
            result = self.polynomial(t, piece)
        return self.slope * x + result if self.slope else result


class ScaledPieces:
    """scales[k] * p(x - shifts[k]), piece k holding knots[k-1] <= x < knots[k]."""

    def __init__(self, form):
        self.polynomial = Polynomial([form["polynomial"]])
        self.knots = torch.tensor(form["knots"], dtype=torch.float64)
        self.shifts = torch.tensor(form["shifts"], dtype=torch.float64)
        self.scales = torch.tensor(form["scales"], dtype=torch.float64)

    def __call__(self, x):
        piece = torch.bucketize(x.detach(), self.knots.to(x.dtype), right=True)
        scale = self.scales.to(x.dtype)[piece]
        # Where the scale is 0 the argument may be far outside: its powers must not overflow.
        argument = (x - self.shifts.to(x.dtype)[piece]).where(scale != 0, torch.zeros_like(x))
        return scale * self.polynomial(argument)


class Softmax:
    """w / (sum of w + epsilon) over the allowed keys, w = kernel(s)^(2^squarings)."""

    def __init__(self, form):
        self.subtracts_maximum = form["subtractsMaximum"]
        self.squarings = form["squarings"]
        self.epsilon = form["epsilon"]
        if form.get("exponential"):
            self.kernel = torch.exp
        elif "scaled" in form:
            self.kernel = ScaledPieces(form["scaled"])
        else:
            self.kernel = PiecewisePolynomial(form["piecewise"])

    def __call__(self, scores, allowed):
        if self.subtracts_maximum:
            lowest = torch.finfo(scores.dtype).min
            largest = scores.detach().masked_fill(~allowed, lowest).amax(-1, keepdim=True)
            # Keys that are not allowed may lie above the maximum of the others.
            scores = (scores - largest).masked_fill(~allowed, 0)
        weights = self.kernel(scores)
        for _ in range(self.squarings):
            weights = weights * weights
        # The mask multiplies: a kernel need not be small for a very negative score.
        weights = weights * allowed
        return weights / (weights.sum(-1, keepdim=True) + self.epsilon)


def exact_softmax(scores, allowed):
    return scores.masked_fill(~allowed, float("-inf")).softmax(-1)


class Normalisation:
    """A constant instead of 1 / sqrt(variance + epsilon)."""

    def __init__(self, factor):
        self.factor = factor

    def __call__(self, variance, epsilon):
        return torch.full_like(variance, self.factor)


def exact_normalisation(variance, epsilon):
    return (variance + epsilon).rsqrt()


def function(form, source="functions"):
    """The torch function of a form, or None for a form that is the exact operation."""
    try:
        (kind, members), = form.items()
        if kind == "activation":
            return PiecewisePolynomial(members)
        if kind == "softmax":
            return Softmax(members)
        if kind == "normalisation":
            factor = members["factor"]
            return None if factor is None else Normalisation(float(factor))
        if kind == "permuted":
            return None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(source, f"holds a form that is incomplete ({error})") from None
    raise InputError(source, f"holds a form of the unknown kind \"{kind}\"")
