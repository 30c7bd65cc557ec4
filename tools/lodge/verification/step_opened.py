"""Openings, and what is made of opened values without keys."""

import math

import numpy as np

from lodge.verification.masked_words import Masked, U, word


class Opened:
    """A part of `run_session.Run`."""

    def do_open(self, index, node, reads, z):
        s, places = self.session, self.places(reads[0])
        masks = [s.mask_share(p, index, s.count(reads[0]))[places] for p in (0, 1)]
        shift, bits = node.get("shift", 0), node.get("bits", s.ring_bits(reads[0]))
        ring, kept = U(2 ** s.ring_bits(reads[0]) - 1), U(2**bits - 1)
        words = sum(((share & ring) >> U(shift)) + U(1 if shift and p == 0 else 0) + mask
                    for p, (share, mask) in enumerate(zip(self.shared[reads[0]], masks))) & kept
        self.opened(index, z, words, masks)

    def opened(self, index, z, words, masks):
        self.masked[z] = Masked(words, [masks])
        self.openings[index] = words
        if z in self.kept:
            old = self.kept[z]
            self.kept[z] = self.masked[z] if old is None else Masked(
                np.append(old.base, words), [[np.append(*m) for m in zip(old.parts[0], masks)]])

    def do_widen(self, index, node, reads, z):
        s, places, x = self.session, self.places(reads[0]), self.masked[reads[0]]
        bits, kept = s.ring_bits(s.opened_value(reads[0])), U(2 ** node["bits"] - 1)
        masks = [s.mask_share(p, s.opener[z], s.count(reads[0]))[places] for p in (0, 1)]
        if reads[0] in s.viewed:
            low = U(2**bits - 1)
            known, (first, second) = x.base & low, (x.share(p) + masks[p] for p in (0, 1))
            upper = (first >> U(bits)) + ((first & low) > known).astype(U) + (second >> U(bits))
        else:
            view, (rest, top) = self.viewed(x.base, bits, 0, []), (self.array(index, k, z) for k in (0, 1))
            known = view.base
            upper = sum(rest[p] + (view.lift >> U(bits)) * top[p] for p in (0, 1))
        self.opened(index, z, (known + (upper << U(bits))) & kept, masks)

    def viewed(self, base, bits, shift, parts):
        c = (base + U(2 ** (bits - 2))) & U(2**bits - 1)
        lift = (U(1) - (c >> U(bits - 1))) << U(bits - shift)
        return Masked((c >> U(shift)) - U(2 ** (bits - 2) >> shift), parts, lift)

    def do_view(self, index, node, reads, z):
        parts = [self.array(index, k, z) for k in (0, 1)]
        self.masked[z] = self.viewed(
            self.masked[reads[0]].base, self.session.ring_bits(reads[0]), node["shift"], parts)

    def do_truncate(self, index, node, reads, z):
        self.both(z, self.masked[reads[0]].share)

    def weighted(self, index, node, x, z, times, dealt=None):
        """Shares of a product with a weight, whose mask each party multiplies where the dealer is blind."""
        dealt, opened = self.array(index, 0, z) if dealt is None else dealt, self.masked[x]
        mask = self.session.pair.bundles[0].weight_mask(node["weight"])

        def share(p):
            masked = dealt[p] if mask is None else dealt[p] + times(opened.parts[0][p], mask)
            return times(opened.base, self.weights[p][node["weight"]]) - masked
        self.both(z, share)

    def do_linear(self, index, node, reads, z):
        transposed = self.session.program["weights"][node["weight"]]["isTransposed"]

        def times(words, w):
            w = w if transposed else w.T
            return (words.reshape(-1, w.shape[0]) @ w).ravel()
        self.weighted(index, node, reads[0], z, times)

    def do_scale(self, index, node, reads, z):
        self.weighted(index, node, reads[0], z,
                      lambda words, w: (words.reshape(-1, w.size) * w.ravel()).ravel())

    def attention(self, left, right, reads, z, node):
        scores, heads, key_heads = node["name"] == "scores", node["heads"], node["keyHeads"]
        width = self.session.values[reads[1]]["columns"][1]
        right = right.reshape(-1, key_heads, width // key_heads)
        right = right.repeat(heads // key_heads, axis=1)
        pieces = self.split(left, reads[0], heads)
        keys = [[self.text[key] for key in self.keys(row, z)] if scores and self.decoder
                else self.keys(row, z if scores else reads[0]) for row in range(self.count)]
        return np.concatenate([
            right[keys[row], h] @ pieces[row * heads + h] if scores
            else pieces[row * heads + h] @ right[keys[row], h]
            for row in range(self.count) for h in range(heads)])

    def do_scores(self, index, node, reads, z):
        left, product = self.masked[reads[0]], self.array(index, 0, z)
        right = self.kept.get(reads[1]) or self.masked[reads[1]]
        s, first = self.session, len(right.base)
        if node["name"] == "mix":
            # Rows to come: their weights are zero.
            width = s.values[reads[1]]["columns"][1]
            missing = self.keys(self.count - 1, reads[0]).stop * width - first
            if missing > 0:
                masks = [s.mask_share(p, s.opener[reads[1]], first + missing)[first:] for p in (0, 1)]
                right = Masked(np.append(right.base, np.zeros(missing, U)),
                               [[np.append(*pair) for pair in zip(right.parts[0], masks)]])

        def share(p):
            apply = lambda a, b: self.attention(a, b, reads, z, node)
            return apply(left.share(p), right.base) - apply(left.base, right.parts[0][p]) + product[p]
        self.both(z, share)

    do_mix = do_scores

    def do_multiply(self, index, node, reads, z):
        x, y = self.masked[reads[0]], self.masked[reads[1]]
        y = y.map(lambda words: self.broadcast(words, reads[1], reads[0]))
        arrays = [self.array(index, k, z) for k in range(len(x.parts) * len(y.parts))]
        pairs = [c * d for c in x.coefficients() for d in y.coefficients()]
        self.both(z, lambda p: (x.base * y.base if p == 0 else U(0)) + x.base * y.rest(p)
                  + y.base * x.rest(p) + sum(c * a[p] for c, a in zip(pairs, arrays)))

    def broadcast(self, words, narrow, wide):
        values = self.session.values
        if (values[narrow]["rows"], values[narrow]["columns"]) == (
                values[wide]["rows"], values[wide]["columns"]):
            return words
        pieces = self.split(np.empty(len(self.places(wide))), wide, values[narrow]["columns"][1])
        return np.repeat(words, [len(piece) for piece in pieces])

    def do_polynomial(self, index, node, reads, z):
        x, degree = self.masked[reads[0]], max(map(len, node["coefficients"])) - 1
        powers = [x.parts[0]] + [self.array(index, k, z) for k in range(degree - 1)]
        tops = [x.parts[1]] + [self.array(index, k, z) for k in range(degree - 1, 2 * degree - 2)] \
            if x.lift is not None else []

        def q(row, i, a):
            total = np.zeros_like(a)
            for k in range(len(row) - 1, i - 1, -1):
                total = total * a + word((-1) ** i * row[k] * math.comb(k, i))
            return total
        for output, row in enumerate(node["coefficients"], start=z):
            def share(p):
                total = q(row, 0, x.base) if p == 0 else np.zeros_like(x.base)
                for i, power in enumerate(powers, start=1):
                    total = total + q(row, i, x.base) * power[p]
                for i, top in enumerate(tops):
                    total = total + (q(row, i, x.base + x.lift) - q(row, i, x.base)) * top[p]
                return total
            self.both(output, share)
