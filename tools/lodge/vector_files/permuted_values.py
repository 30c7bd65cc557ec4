"""Vectors of permutations, and of permuted functions at many numbers."""

import json

from lodge.verification.permuted import OF_ELEMENTS, OF_RUNS, Permuted, permutation
from lodge.verification.read_bundle import stream_words
from lodge.vector_files.session import seed


def order(row, count):
    """A permutation of `count` elements, with the label of its stream."""
    words = map(int, stream_words(seed("permutation"), 3, 0, 7, 5, row, 2 * count + 8))
    return {"seed": seed("permutation").hex(), "session": 3, "operation": 7, "row": row,
            "order": permutation(words, count)}


def function(name, bits, input_bits, fractional_bits, result_bits, numbers, **members):
    node = {"function": name, "bits": bits, "fractionalBits": fractional_bits,
            "resultBits": result_bits} | members
    words = [number % 2**bits for number in numbers]
    return node | {"inputFractionalBits": input_bits, "words": [f"{word:016x}" for word in words],
                   "results": [f"{word:016x}" for word in Permuted(node, input_bits).results(words)]}


def numbers(bits, count, salt):
    """Small, middling and large numbers of so many bits, and the extremes."""
    words = stream_words(seed(f"numbers/{salt}"), 0, 0, 0, 99, 0, count)
    half = 2 ** (bits - 1)
    spread = [(int(word) % 2**bits - half) >> (3 * place % (bits - 2)) for place, word in enumerate(words)]
    return [-half, half - 1, 1 - half, 0, 1, -1] + spread


def build(folder):
    functions = []
    for salt, name in enumerate([*OF_ELEMENTS, *OF_RUNS]):
        more = {"epsilon": 1e-5} if name.endswith("Norm") else {}
        functions += [
            function(name, 24, 16, 20, 36, numbers(24, 58, f"{salt}/24"), **more),
            function(name, 50, 44, 40, 64, numbers(50, 26, f"{salt}/50"), **more),
            function(name, 12, -3, 8, 9, numbers(12, 10, f"{salt}/12"), **more),
            function(name, 30, 24, 30, 34, [-2**29] * 3 if name == "softmax" else [5], **more)]
    (folder / "permuted.json").write_text(json.dumps(
        {"permutations": [order(row, count) for row, count in enumerate((0, 1, 2, 3, 17, 100))],
         "functions": functions}, separators=(",", ":"), sort_keys=True).replace(
             '},{', '},\n{') + "\n")
