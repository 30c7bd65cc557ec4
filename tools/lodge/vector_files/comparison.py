"""Comparison and point keys with what both parties get at some points."""

import hashlib
import json

from lodge.verification.comparison_function import Layout, evaluate, evaluate_middle, generate
from lodge.verification.point_function import PointLayout

# levels, payload, bytes of a word, alpha (None: any).
COMPARISONS = [(1, 1, 8, 0), (1, 2, 3, 1), (2, 3, 8, 2), (5, 2, 6, 0), (5, 2, 6, 31), (9, 1, 2, None),
               (10, 2, 2, None), (13, 2, 6, None), (14, 2, 8, None), (17, 3, 5, None), (18, 3, 8, None),
               (63, 1, 1, None), (63, 3, 8, 2**63 - 1)]
# The same with bits for levels.
POINTS = [(1, 1, 8, 0), (2, 1, 3, 2), (4, 1, 1, 15), (5, 1, 4, None), (7, 1, 6, None), (9, 1, 2, 0),
          (12, 1, 1, 4095), (12, 1, 8, None)]
# With middle levels behind the bits.
GROUPED = [(2, (1,), 2, 3, 2), (3, (2,), 3, 5, None), (4, (3,), 2, 7, 0), (5, (4,), 2, 4, None),
           (5, (1, 2, 3, 4), 1, 1, 31), (6, (4,), 3, 8, 63), (7, (2, 5), 1, 2, 64), (8, (4,), 3, 5, None),
           (10, (4, 7), 2, 6, None), (11, (4, 7), 3, 8, None), (12, (3, 6, 9), 3, 3, None)]
# Those of two sums and, as in lookups with a factor, of three: the words of gamma stand behind the bytes of a word.
MULTIPLIED = [(2, (), 4, 5, 0, None), (3, (), 6, 3, 0, 5), (7, (), 6, 8, 0, None), (2, (1,), 6, 8, 4, 3),
              (3, (2,), 4, 2, 4, None), (4, (1, 3), 2, 5, 4, 0), (7, (4,), 6, 3, 4, None),
              (8, (2, 4), 4, 8, 4, None), (4, (), 9, 1, 0, 9), (9, (), 9, 8, 0, None), (2, (1,), 3, 7, 6, None),
              (3, (1, 2), 6, 1, 6, 7), (5, (4,), 9, 5, 6, None), (6, (4,), 9, 3, 6, 0), (7, (4,), 6, 8, 6, None),
              (8, (2, 5), 9, 8, 6, None)]
# Up to this many bits a point key is evaluated everywhere.
SMALL_DOMAIN_BITS = 5


def drawn(*label, size):
    return hashlib.shake_256("/".join(map(str, label)).encode()).digest(size)


def key(layout, alpha, *place):
    """One key, whose randomness the place in the file tells, as an entry and what it was made of."""
    fixed_key = drawn("fixed key", *place, size=16)
    roots = [drawn("root", *place, party, size=16) for party in (0, 1)]
    if alpha is None:
        alpha = int.from_bytes(drawn("alpha", *place, size=8), "little") % 2**layout.levels
    beta = layout.words(drawn("beta", *place, size=layout.value_bytes))
    gamma = layout.words(drawn("gamma", *place, size=8 * layout.gamma_words), layout.gamma_words)
    key = generate(fixed_key, roots, alpha, beta + gamma, layout)
    last, is_point = 2**layout.levels - 1, isinstance(layout, PointLayout)
    points = sorted({0, max(alpha - 1, 0), alpha, min(alpha + 1, last), alpha ^ 1, last})
    if is_point and layout.levels <= SMALL_DOMAIN_BITS:
        points = range(last + 1)
    shares = []
    for x in points:
        parties = [evaluate(fixed_key, p, key, roots[p], layout, x) for p in (0, 1)]
        total = [sum(words) % 2**(8 * layout.word_bytes) for words in zip(*parties)]
        assert total == [word * layout.holds(alpha, x) for word in beta]
        shares.append({"x": f"{x:016x}"} | {
            f"party{p}": [f"{word:016x}" for word in parties[p]] for p in (0, 1)})
    middle = {}
    if gamma:
        parties = [[evaluate_middle(fixed_key, p, key, roots[p], layout, level)
                    for level in layout.middle_levels] for p in (0, 1)]
        for level, *groups in zip(layout.middle_levels, *parties):
            for group, pair in enumerate(zip(*groups)):
                total = [sum(words) % 2**(8 * layout.word_bytes) for words in zip(*pair)]
                assert total == [word * (group == alpha >> layout.levels - level) for word in gamma]
        middle = {"middleLevels": layout.middle_levels, "gamma": [f"{word:016x}" for word in gamma],
                  "groups": [[[[f"{word:016x}" for word in words] for words in of_level]
                              for of_level in of_party] for of_party in parties]}
    return middle | {
        "bits" if is_point else "levels": layout.levels, "payload": layout.payload,
        "wordBytes": layout.word_bytes, "tailBits": layout.tail_bits, "fixedKey": fixed_key.hex(),
        "roots": [root.hex() for root in roots], "alpha": f"{alpha:016x}",
        "beta": [f"{word:016x}" for word in beta], "key": key.hex(), "points": shares}


def build(folder):
    """Writes comparison.json and point.json."""
    def grouped(bits, middle_levels, payload, word_bytes, gamma_words=2):
        return PointLayout(bits, payload, word_bytes, middle_levels, gamma_words)

    comparisons = [key(Layout(*sizes), alpha, n) for n, (*sizes, alpha) in enumerate(COMPARISONS)]
    points = [key(make(*sizes), alpha, "point", n) for n, (make, (*sizes, alpha)) in enumerate(
        [(PointLayout, case) for case in POINTS] + [(grouped, case) for case in GROUPED + MULTIPLIED])]
    for name, keys in (("comparison", comparisons), ("point", points)):
        (folder / f"{name}.json").write_text(json.dumps({"keys": keys}, indent=1, sort_keys=True) + "\n")
