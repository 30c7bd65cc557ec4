"""Comparison keys with what both parties get at some points."""

import hashlib
import json

from comparison_function import Layout, evaluate, generate

# levels, payload, bytes of a word, alpha (None: any).
CASES = [(1, 1, 8, 0), (1, 2, 3, 1), (2, 3, 8, 2), (5, 2, 6, 0), (5, 2, 6, 31), (9, 1, 2, None), (10, 2, 2, None),
         (13, 2, 6, None), (14, 2, 8, None), (17, 3, 5, None), (18, 3, 8, None), (63, 1, 1, None),
         (63, 3, 8, 2**63 - 1)]


def drawn(*label, size):
    return hashlib.shake_256("/".join(map(str, label)).encode()).digest(size)


def build(folder):
    keys = []
    for number, (levels, payload, word_bytes, alpha) in enumerate(CASES):
        layout = Layout(levels, payload, word_bytes)
        fixed_key = drawn("fixed key", number, size=16)
        roots = [drawn("root", number, party, size=16) for party in (0, 1)]
        if alpha is None:
            alpha = int.from_bytes(drawn("alpha", number, size=8), "little") % 2**levels
        beta = layout.words(drawn("beta", number, size=layout.value_bytes))
        key = generate(fixed_key, roots, alpha, beta, layout)
        last = 2**levels - 1
        points = sorted({0, max(alpha - 1, 0), alpha, min(alpha + 1, last), alpha ^ 1, last})
        shares = []
        for x in points:
            parties = [evaluate(fixed_key, p, key, roots[p], layout, x) for p in (0, 1)]
            total = [sum(words) % 2**(8 * word_bytes) for words in zip(*parties)]
            assert total == [word * (x < alpha) for word in beta]
            shares.append({"x": f"{x:016x}"} | {
                f"party{p}": [f"{word:016x}" for word in parties[p]] for p in (0, 1)})
        keys.append({
            "levels": levels, "payload": payload, "wordBytes": word_bytes, "tailBits": layout.tail_bits,
            "fixedKey": fixed_key.hex(), "roots": [root.hex() for root in roots], "alpha": f"{alpha:016x}",
            "beta": [f"{word:016x}" for word in beta], "key": key.hex(), "points": shares})
    (folder / "comparison.json").write_text(json.dumps({"keys": keys}, indent=1, sort_keys=True) + "\n")
