"""Functions of permuted values, with factors."""

import numpy as np

from lodge.verification.masked_words import U, word
from lodge.verification.permuted import Permuted
from lodge.verification.session_algebra import PERMUTED_FACTOR, PERMUTED_OPERAND, PERMUTED_RESULT


class PermutedFunctions:
    """A part of `run_session.Run`."""

    def shortened(self, value, shift):
        """Both shares without their lowest bits."""
        ring = U(2 ** self.session.ring_bits(value) - 1)
        return [((share & ring) >> U(shift)) + U(1 if shift and p == 0 else 0)
                for p, share in enumerate(self.shared[value])]

    def do_permuted(self, index, node, reads, z):
        s, places, x = self.session, self.places(reads[0]), reads[0]
        shift, bits = node["shift"], node["bits"]
        kept, result_kept = U(2**bits - 1), U(2 ** node["resultBits"] - 1)
        function = Permuted(node, s.values[x]["fractionalBits"] - shift)
        shares, count = self.shortened(x, shift), len(places)
        if s.permutes_whole_text(index):
            places = np.arange(s.count(x))
        for p, words in enumerate(shares):
            filler = U(function.absent if p == 0 else 0)
            words[self.absent(x)] = filler
            shares[p] = np.append(words, np.full(len(places) - count, filler))
        heads, lengths = self.runs(x)
        first = self.index if s.values[x]["rows"] == "last" else self.row
        order = s.order(index, [(row, heads * n) for row, n in enumerate(lengths, start=first)])
        a, r = (s.stream(1, index, kind, 0, s.count(x))[places]
                for kind in (PERMUTED_OPERAND, PERMUTED_RESULT))
        (delta, b), (epsilon, t), *of_factor = (
            [share[places] for share in self.stored(index, k)] for k in range(s.array_count(index)))
        # The three messages.
        first = (shares[1] - a) & kept
        self.openings[index] = (shares[0] + first) & kept
        second = (self.openings[index][order] + delta) & kept
        seen = (second + b) & kept
        runs = self.split(seen, x, node.get("runs", 1)) if function.takes_runs else [seen]
        results = np.array([word for run in runs for word in function.results(run)], dtype=U)
        third = (results - r) & result_kept
        if of_factor:
            third = self.with_factor(index, order, places, results, third, *of_factor)
        share = epsilon.copy()
        share[order] += third
        self.shared[z] = [share[:count], t[:count]]

    def with_factor(self, index, order, places, results, masked, correction, choices):
        """What party 0 has of the products of `results`, in permuted order, after three messages."""
        s, node = self.session, self.session.nodes[index]
        value, bits, kept = node["reads"][1], node["factorBits"], U(2 ** node["resultBits"] - 1)
        missing = np.zeros(len(places) - len(self.places(value)), U)
        own, other = (np.append(share, missing) for share in self.shortened(value, node["factorShift"]))
        total = s.count(value)
        c, product = (s.stream(1, index, kind, 1, total)[places]
                      for kind in (PERMUTED_OPERAND, PERMUTED_RESULT))
        pads, differences = (s.stream(0, index, PERMUTED_FACTOR, k, total)[places] for k in (0, 1))
        first = (other + c) & U(2**bits - 1)
        opened = (own + first) & U(2**bits - 1)
        self.openings[index] = np.append(self.openings[index], opened)
        view = self.viewed(opened[order], bits, 0, [])
        carry, choice = view.lift >> U(bits), choices[0] & U(1)
        word = (view.base + view.lift * choice + correction[0]) & kept
        difference = (carry * (U(1) - choice - choice) - differences) & (kept >> U(bits))
        seen = word + correction[1] + ((choices[1] & U(1)) * difference << U(bits))
        return masked * pads + ((results * seen - product) & kept)

    def absent(self, value):
        """Whether each element belongs to a key that the text does not have."""
        kind, heads = self.session.values[value]["columns"][:2]
        if kind != "sessionKeys":
            return np.zeros(len(self.places(value)), dtype=bool)
        window, marks = self.session.window(value), []
        for row in range(self.rows(value)):
            present = self.session.keys(self.position + row, self.count, window, self.prompt)
            slots = {self.text[key] if self.decoder else key for key in present}
            marks += heads * [slot not in slots for slot in self.keys(row, value)]
        return np.array(marks, dtype=bool)
