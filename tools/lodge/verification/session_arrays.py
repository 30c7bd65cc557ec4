"""Which arrays and keys the files of a session hold, of what sizes, from formats/correlations.md."""

import math

import numpy as np

from lodge.verification.bit_comparison import Circuit
from lodge.verification.comparison_function import Layout
from lodge.verification.exponential import Cells, Exponentials
from lodge.verification.lookup import Lookup
from lodge.verification.read_bundle import PROVIDER_USER

# Operations for which point keys are dealt.
POINTS = {"exponential": Exponentials, "lookup": Lookup}


class Arrays:
    """What `Algebra` knows of files: the program and the dealt counts are its own."""

    def holder(self, index, component):
        """The party whose file stores a correlated array."""
        all_at_one = self.deployment == PROVIDER_USER or self.nodes[index]["name"] == "permuted"
        return 0 if all_at_one else (index + component) % 2

    def key_holders(self):
        """By operation, the party whose file alone has its keys; None where both have them."""
        holders, sizes = {}, [0, 0]
        for index in range(len(self.nodes)):
            if not self.has_keys(index):
                continue
            holders[index] = 0 if self.deployment == PROVIDER_USER else None
            if self.header.get("keys") == "once":
                holders[index] = 0 if sizes[0] <= sizes[1] else 1
                sizes[holders[index]] += math.prod(self.key_shape(index))
        return holders

    def array_count(self, index):
        """How many correlated arrays the operation has."""
        node, name = self.nodes[index], self.nodes[index]["name"]
        if name in ("view", "permuted"):
            return 4 if "factorBits" in node else 2
        if name == "widen":
            return 0 if node["reads"][0] in self.viewed else 2
        if name in ("linear", "blockLinear", "scale", "scores", "mix", "coarseSteps"):
            return 1
        if name == "multiply":
            return math.prod(2 if value in self.viewed else 1 for value in node["reads"])
        if name == "polynomial":
            degree = max(map(len, node["coefficients"])) - 1
            return (degree - 1) * (2 if node["reads"][0] in self.viewed else 1)
        if name == "piecewiseLinear":
            return (self.result_count(node) + self.has_quiet_array(node) + 2 * self.is_viewed(node)
                    + ("comparison" in node))
        return 0

    def read_bits(self, index, component):
        """Bits that are read of an array's words: those of the result, less those of what h is multiplied by."""
        node, result = self.nodes[index], self.ring_bits(self.first_value[index])
        name, reads = node["name"], node["reads"]
        if name == "coarseSteps" or self.is_bits(index, component):
            return 64
        if name == "permuted" and component == 0:
            return node["bits"]
        if name == "permuted" and component == 3:
            return 1
        factor = 0
        if name == "widen":
            factor = self.ring_bits(reads[0])
        if name == "view" and component == 1:
            factor = self.ring_bits(reads[0]) - node["shift"]
        if name == "multiply":
            right = 2 if reads[1] in self.viewed else 1
            factor = sum(self.lift_bits(value) for value, part in zip(
                reads, divmod(component, right)) if part)
        if name == "polynomial":
            degree = max(map(len, node["coefficients"])) - 1
            factor = self.lift_bits(reads[0]) if component >= degree - 1 else 0
        if name == "piecewiseLinear" and self.is_viewed(node):
            payload = self.result_count(node)
            if component in (2 if payload else None, payload + self.has_quiet_array(node) + 1):
                factor = self.ring_bits(reads[0]) - node["shift"]
        return max(result - factor, 1)

    def lift_bits(self, value):
        """The h of a view is multiplied by a multiple of 2^this."""
        opened, shift = self.viewed[value]
        return self.ring_bits(opened) - shift

    def word_bytes(self, index, component):
        return -(-self.read_bits(index, component) // 8)

    def words_of(self, file, index, component):
        """The words of an array in a file."""
        stored = file[f"operations/{index}/{component}"]
        words = np.zeros((len(stored), 8), "u1")
        words[:, :stored.shape[1]] = stored
        return words.view("<u8").ravel()

    def array_size(self, index, component):
        """Words of a correlated array."""
        node, count = self.nodes[index], self.count(self.first_value[index])
        if node["name"] == "blockLinear":
            return (self.row_count(node["reads"][0])
                    * self.program["weights"][node["weight"]]["rowCount"])
        if node["name"] == "coarseSteps":
            return Cells(node).word_count * count
        if node.get("comparison") == "bits":
            if self.is_bits(index, component):
                return Circuit(node).plane_count() * -(-count // 64)
            if component < self.result_count(node):
                return len(node["knots"]) * count
        return count

    def has_keys(self, index):
        """Whether keys are dealt for an operation."""
        node = self.nodes[index]
        return (self.has_points(index)
                or node["name"] == "piecewiseLinear" and "comparison" not in node)

    def has_points(self, index):
        """Whether these are point keys."""
        return self.nodes[index]["name"] in POINTS

    def key_shape(self, index):
        """(keys, bytes of each) of an operation that has keys."""
        return self.count(self.nodes[index]["reads"][0]), self.key_layout(index).size

    def key_layout(self, index):
        """The layout of its keys, with words as wide as the ring of the result."""
        node = self.nodes[index]
        if self.has_points(index):
            return POINTS[node["name"]](node).layout
        ring_bits = self.ring_bits(self.first_value[index])
        return Layout(node["comparedBits"] - 1, self.payload(node), -(-ring_bits // 8))

    def layout(self, party):
        """Names, element types and shapes of the datasets in the file of `party`."""
        datasets, holders = {"seed": ("u8", (32,))}, self.key_holders()
        for index, node in enumerate(self.nodes):
            for component in range(self.array_count(index)):
                if self.holder(index, component) == party:
                    datasets[f"operations/{index}/{component}"] = (
                        "u8", (self.array_size(index, component), self.word_bytes(index, component)))
            if self.has_keys(index):
                name, shape = "keys", self.key_shape(index)
                if holders[index] == 1 - party:
                    name, shape = "keysDigest", (32,)
                datasets[f"operations/{index}/{name}"] = ("u8", shape)
        return datasets
