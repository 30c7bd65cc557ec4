"""Comparisons by bits (formats/program.md, Comparisons by bits); slow, for checks."""

from itertools import combinations

import numpy as np

U = np.uint64


class Gate:
    """Joins items first ..< first + n; variables are ("g" or "p", item of the gate)."""

    def __init__(self, first, n, number):
        self.first, self.n = first, n
        self.variables, self.g_terms, self.p_term, self.sets = [], [], None, []
        if n == 1:
            return
        above = range(1 if number == 0 else 0, n)
        self.variables = [("g", k) for k in range(n - 1)] + [("p", k) for k in above]
        place = {variable: j for j, variable in enumerate(self.variables)}
        self.g_terms = [[place["g", i]] + [place["p", k] for k in range(i + 1, n)]
                        for i in range(n - 1)]
        if number:
            self.p_term = [place["p", k] for k in range(n)]
        terms = self.g_terms + ([self.p_term] if number else [])
        sets = {frozenset(chosen) for term in terms for size in range(2, len(term) + 1)
                for chosen in combinations(term, size)}
        self.sets = sorted(sets, key=lambda chosen: sum(2**j for j in chosen))


class Circuit:
    """Blocks and gates for one operation."""

    def __init__(self, node):
        self.node, self.bits = node, node["comparedBits"] - 1
        self.knots = len(node["knots"])
        self.widths = [min(4, self.bits - start) for start in range(0, self.bits, 4)]
        self.levels, count = [], len(self.widths)
        while count > 1:
            firsts = range(0, count, 4)
            self.levels.append([Gate(first, min(4, count - first), number)
                                for number, first in enumerate(firsts)])
            count = len(firsts)
        gates = [gate for level in self.levels for gate in level]
        self.opens_result = node.get("resultBits") != 1
        self.mask_count = sum(len(gate.variables) for gate in gates) + self.opens_result
        self.set_count = sum(len(gate.sets) for gate in gates)
        self.is_noisy = "noise" in node
        self.threshold_count = sum(2**width - 1 for width in self.widths)

    def round_count(self):
        """Messages: one a level of gates, and one for the result where that is opened."""
        return len(self.levels) + self.opens_result

    def plane_count(self):
        return self.first_product() + self.knots * self.set_count

    def first_product(self):
        """Where the products of the first knot are; before them thresholds, top bit and the bit of noise."""
        return self.threshold_count + 1 + self.is_noisy

    def dealt(self, windows, masks, quiet=None):
        """Dealt bits [64 tiles, planes] from the windows of r, the mask bits [64 tiles, planes] and, with
        noise, which elements are compared."""
        windows = np.append(windows, np.zeros(len(masks) - len(windows), U))
        planes, start = [], 0
        for width in self.widths:
            block = windows >> U(start) & U(2**width - 1)
            planes += [block >= U(k) for k in range(1, 2**width)]
            start += width
        planes.append(windows >> U(self.bits))
        if self.is_noisy:
            planes.append(np.append(quiet, np.zeros(len(masks) - len(quiet), U)))
        for knot in range(self.knots):
            place = knot * self.mask_count
            for gate in (gate for level in self.levels for gate in level):
                planes += [np.prod([masks[:, place + j] for j in chosen], axis=0) for chosen in gate.sets]
                place += len(gate.variables)
        return np.stack(planes, axis=1).astype(np.uint8)

    def opened(self, windows, knot, dealt, masks):
        """e of one knot, or both shares of its bit where it is not opened, from the windows of X - knot
        and both parties' bits [elements, planes]."""
        both = (0, 1)
        tops = [(windows >> U(self.bits)).astype(np.uint8) * (
            dealt[p][:, self.threshold_count + 1] if self.is_noisy else 1 - p)
            ^ dealt[p][:, self.threshold_count] for p in both]
        items, place, start = [], 0, 0
        for width in self.widths:
            u = (windows >> U(start) & U(2**width - 1)).astype(int)
            item = {"g": [], "p": []}
            for p in both:
                one, rows = np.full((len(u), 1), 1 - p, np.uint8), np.arange(len(u))
                thresholds = np.hstack([one, dealt[p][:, place:place + 2**width - 1], 0 * one])
                item["g"].append(thresholds[rows, u + 1])
                item["p"].append(thresholds[rows, u] ^ thresholds[rows, u + 1])
            items.append(item)
            place, start = place + 2**width - 1, start + width
        mask = knot * self.mask_count
        product = self.first_product() + knot * self.set_count
        for level in self.levels:
            joined = []
            for gate in level:
                inside = items[gate.first:gate.first + gate.n]
                if gate.n == 1:
                    joined += inside
                    continue
                y = [inside[k][kind] for kind, k in gate.variables]
                a = [[masks[p][:, mask + j] for p in both] for j in range(len(y))]
                shown = [y[j][0] ^ y[j][1] ^ a[j][0] ^ a[j][1] for j in range(len(y))]
                shares = {frozenset([j]): a[j] for j in range(len(y))}
                shares.update({chosen: [dealt[p][:, product + i] for p in both]
                               for i, chosen in enumerate(gate.sets)})

                def product_share(term, p):
                    total = 0
                    for size in range(len(term) + 1):
                        for chosen in combinations(term, size):
                            share = shares[frozenset(chosen)][p] if chosen else np.uint8(1 - p)
                            for j in set(term) - set(chosen):
                                share = share & shown[j]
                            total = total ^ share
                    return total
                g = [inside[-1]["g"][p] for p in both]
                for term in gate.g_terms:
                    g = [g[p] ^ product_share(term, p) for p in both]
                p_share = gate.p_term and [product_share(gate.p_term, p) for p in both]
                joined.append({"g": g, "p": p_share})
                mask, product = mask + len(y), product + len(gate.sets)
            items = joined
        if not self.opens_result:
            return [items[0]["g"][p] ^ tops[p] for p in both]
        return np.bitwise_xor.reduce(
            [items[0]["g"][p] ^ tops[p] ^ masks[p][:, mask] for p in both])


def from_tiles(words, planes):
    """Bits [64 tiles, planes] of words in tiles of 64 elements."""
    tiles = np.asarray(words, U).reshape(-1, 1, planes)
    return (tiles >> np.arange(64, dtype=U).reshape(1, 64, 1) & U(1)).astype(np.uint8).reshape(-1, planes)


def to_tiles(bits):
    """Words of bits [64 tiles, planes]."""
    tiles = bits.reshape(-1, 64, bits.shape[1]).astype(U)
    return (tiles << np.arange(64, dtype=U).reshape(1, 64, 1)).sum(axis=1, dtype=U).ravel()
