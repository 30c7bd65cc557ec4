"""Permuted functions: permutations from a stream, and results in a fixed sequence of IEEE operations.

Written from formats/program.md, Permuted functions. Floats of Python are doubles, and nothing here is fused.
"""

import math

MASK64 = 2**64 - 1


def permutation(words, count):
    """A permutation of `count` elements from an iterator over the words of a stream."""
    order = list(range(count))
    for place in range(count - 1, 0, -1):
        excess = 2**64 % (place + 1)
        word = next(words)
        while word >= 2**64 - excess:
            word = next(words)
        other = word % (place + 1)
        order[place], order[other] = order[other], order[place]
    return order


def exp(x):
    if not x >= -708:
        return 0.0
    x = min(x, 709.0)
    power = float(round(x * float.fromhex("0x1.71547652b82fep+0")))
    rest = x - power * float.fromhex("0x1.62e42feep-1") - power * float.fromhex("0x1.a39ef35793c76p-33")
    total = 1 / float(math.factorial(13))
    for term in range(12, -1, -1):
        total = total * rest + 1 / float(math.factorial(term))
    return total * 2.0 ** int(power)


def sigmoid(x):
    power = exp(-abs(x))
    return power / (1 + power) if x < 0 else 1 / (1 + power)


def tanh(x):
    power = exp(-2 * abs(x))
    size = (1 - power) / (1 + power)
    return -size if x < 0 else size


def silu(x):
    return x * sigmoid(x)


def gelu_tanh(x):
    return x * sigmoid(float.fromhex("0x1.9884533d43651p+0") * (x + 0.044715 * (x * x * x)))


def error_terms(place):
    """The Taylor series of erf about place / 4."""
    x = place * 0.25
    slope = float.fromhex("0x1.20dd750429b6dp+0") * exp(-(x * x))
    term = total = x
    for index in range(1, 201):
        term = term * (2 * (x * x)) / (2 * index + 1)
        total += term
    terms = [slope * total, slope]
    for n in range(13):
        terms.append(-2 * (x * ((n + 1) * terms[n + 1]) + n * terms[n]) / ((n + 1) * (n + 2)))
    return terms


ERROR_TERMS = [error_terms(place) for place in range(25)]


def erf(x):
    size = abs(x)
    if size >= 6:
        return -1.0 if x < 0 else 1.0
    place = round(size * 4)
    distance = size - place * 0.25
    terms = ERROR_TERMS[place]
    total = terms[14]
    for term in range(13, -1, -1):
        total = total * distance + terms[term]
    return -total if x < 0 else total


def gelu(x):
    return x * (0.5 * (1 + erf(x * float.fromhex("0x1.6a09e667f3bcdp-1"))))


OF_ELEMENTS = {"relu": lambda x: max(x, 0.0), "gelu": gelu, "geluTanh": gelu_tanh, "silu": silu, "tanh": tanh,
               "sigmoid": sigmoid, "exponential": exp}
OF_RUNS = ("softmax", "layerNorm", "rmsNorm")


class Permuted:
    """The parameters of one operation, and its results for the numbers of a run."""

    def __init__(self, node, input_bits):
        """`input_bits`: fractional bits of the numbers that party 1 sees."""
        self.rule, self.bits = node["function"], node["bits"]
        self.fractional_bits, self.result_bits = node["fractionalBits"], node["resultBits"]
        self.epsilon, self.unit = node.get("epsilon"), 2.0 ** -input_bits
        self.takes_runs = self.rule in OF_RUNS
        self.absent = 2 ** (self.bits - 1)

    def word(self, value):
        scaled, end = value * 2.0**self.fractional_bits, 2 ** (self.result_bits - 1)
        rounded = round(scaled) if abs(scaled) < end else scaled
        return int(max(1 - end, min(rounded, end - 1))) & MASK64

    def results(self, words):
        """Words modulo 2^64 for the words of one run, or of single elements."""
        half = 2 ** (self.bits - 1)
        numbers = [(int(word) + half) % 2**self.bits - half for word in words]
        if not self.takes_runs:
            function = OF_ELEMENTS[self.rule]
            return [0 if self.rule == "exponential" and number == -half
                    else self.word(function(float(number) * self.unit)) for number in numbers]
        if self.rule == "softmax":
            return self.softmax(numbers, -half)
        count, squares = len(numbers), sum(number * number for number in numbers)
        centred = self.rule == "layerNorm"
        total = sum(numbers) if centred else 0
        wide = count * squares - total * total if centred else squares
        size = float(count)
        variance = (float(wide >> 64) * 2.0**64 + float(wide & MASK64)) / (size * size if centred else size)
        root = math.sqrt(variance * self.unit * self.unit + self.epsilon)
        factor = self.unit / (size * root) if centred else self.unit / root
        return [self.word(float(count * number - total if centred else number) * factor)
                for number in numbers]

    def softmax(self, numbers, absent):
        largest = max(numbers)
        exponentials = [0 if number == absent
                        else round(exp(float(number - largest) * self.unit) * 2.0**38) for number in numbers]
        total = float(sum(exponentials))
        return [self.word(float(power) / total) if total else 0 for power in exponentials]
