"""Makes and evaluates Lodge's comparison keys (formats/program.md, Comparison keys); slow, for checks.

Point keys are made and evaluated by the same functions with another layout (point_function.py).
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


@dataclass(frozen=True)
class Layout:
    """The bytes of a key: bits of x, numbers in beta, and bytes of each of these."""

    levels: int
    payload: int
    word_bytes: int = 8

    # Levels whose nodes have values of their own, `gamma_words` each, in point keys alone.
    middle_levels = ()
    gamma_words = 0

    @cached_property
    def value_bytes(self):
        return self.payload * self.word_bytes

    @cached_property
    def level_value_bytes(self):
        """Bytes of the value correction of a level."""
        return self.value_bytes

    @cached_property
    def tail_bits(self):
        """Levels at the end that are no levels of the tree: where keys cost least, the most of such."""
        return min(range(min(self.levels - 1, 6) + 1), key=lambda tail: (self.cost(tail), -tail))

    @cached_property
    def depth(self):
        return self.levels - self.tail_bits

    @cached_property
    def size(self):
        return self.size_with(self.tail_bits)

    @cached_property
    def leaves(self):
        """Where the values of the last places begin."""
        return -(-self.depth // 8)

    @cached_property
    def path(self):
        """Where the levels begin, each a value, if it has one, and a seed correction."""
        return self.middle_place + self.middle_bytes

    @cached_property
    def middle_bytes(self):
        """Bytes of the value corrections of all middle levels."""
        return self.gamma_words * len(self.middle_levels) * self.word_bytes

    @cached_property
    def middle_place(self):
        return self.leaves + (self.value_bytes << self.tail_bits)

    def size_with(self, tail):
        depth = self.levels - tail
        return (-(-depth // 8) + (self.value_bytes << tail) + self.middle_bytes
                + depth * (self.level_value_bytes + 16))

    def cost(self, tail):
        """What a key with `tail` such levels is chosen by."""
        return self.size_with(tail)

    @staticmethod
    def holds(alpha, x):
        """Whether f is beta at x; all that counts of both may be their last bits."""
        return x < alpha

    def words_at(self, place, generator, seed):
        """What the value of a place below a last node is hidden with."""
        return generator.words(seed, 12 + 16 * place)

    def words(self, data, count=None):
        """Numbers of `word_bytes` each, as many as beta has."""
        size = self.word_bytes * (self.payload if count is None else count)
        return [int.from_bytes(data[i:i + self.word_bytes], "little")
                for i in range(0, size, self.word_bytes)]

    def encoded(self, words):
        return b"".join((word % 2**(8 * self.word_bytes)).to_bytes(self.word_bytes, "little")
                        for word in words)


def halves(block):
    return [block & 2**64 - 1, block >> 64]


@lru_cache(maxsize=4)
def block_cipher(key):
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor()


class Generator:
    """H and V of the text under one public key."""

    def __init__(self, fixed_key, payload):
        self.cipher = block_cipher(fixed_key)
        self.payload = payload

    def hashed(self, seed, constant):
        block = seed ^ constant
        return int.from_bytes(self.cipher.update(block.to_bytes(16, "little")), "little") ^ block

    def words(self, seed, constant):
        stream = self.hashed(seed, constant) | self.hashed(seed, constant + 2) << 128
        return [stream >> 64 * w & 2**64 - 1 for w in range(self.payload)]

    def middle_words(self, seed, count):
        """What the values of a middle level are hidden with."""
        return [word for block in range(count // 2) for word in halves(self.hashed(seed, 4 + 2 * block))]


def generate(fixed_key, roots, alpha, beta, layout):
    """The key for f(x) = beta where layout.holds(alpha, x), else 0; `roots` are those of both parties.

    With middle levels their gamma follows beta.
    """
    generator, gamma = Generator(fixed_key, layout.payload), beta[layout.payload:]

    def combined(*terms):
        """The sum of (sign, words), word by word."""
        return [sum(sign * words[w] for sign, words in terms) for w in range(layout.payload)]

    seeds, bits = [int.from_bytes(root, "little") & ~1 for root in roots], [0, 1]
    controls, total, levels, middle = 0, [0] * layout.payload, b"", b""

    def middle_correction():
        hidden = [generator.middle_words(seed, layout.gamma_words) for seed in seeds]
        sign = -1 if bits[1] else 1
        return layout.encoded([sign * (g + h1 - h0) for g, h0, h1 in zip(gamma, *hidden)])

    for level in range(layout.depth):
        if level in layout.middle_levels:
            middle += middle_correction()
        q = alpha >> (layout.levels - 1 - level) & 1
        children = [[generator.hashed(seed, constant) for constant in (0, 2)] for seed in seeds]
        left = (children[0][0] ^ children[1][0] ^ q ^ 1) & 1
        right = (children[0][1] ^ children[1][1] ^ q) & 1
        lost, kept = 1 - q, q
        seed_correction = (children[0][lost] ^ children[1][lost]) & ~1 | left
        controls |= right << level
        if layout.level_value_bytes:
            values = [[generator.words(seed, constant) for constant in (4, 8)] for seed in seeds]
            gone = combined((1, values[0][lost]), (-1, values[1][lost]))
            value = combined((q, beta), (-1, gone), (-1, total))
            levels += layout.encoded(combined((-1 if bits[1] else 1, value)))
            total = combined((1, total), (1, values[0][kept]), (-1, values[1][kept]), (1, value))
        levels += seed_correction.to_bytes(16, "little")
        correction = seed_correction & ~1 | right if q else seed_correction
        states = [child[kept] ^ (correction if bit else 0) for child, bit in zip(children, bits)]
        seeds, bits = [state & ~1 for state in states], [state & 1 for state in states]
    if layout.depth in layout.middle_levels:
        middle += middle_correction()
    leaves = b""
    for place in range(2**layout.tail_bits):
        last = [layout.words_at(place, generator, seed) for seed in seeds]
        here = int(layout.holds(alpha % 2**layout.tail_bits, place))
        leaf = combined((here, beta), (1, last[1]), (-1, last[0]), (-1, total))
        leaves += layout.encoded(combined((-1 if bits[1] else 1, leaf)))
    return controls.to_bytes(layout.leaves, "little") + leaves + middle + levels


class Walk:
    """One party's way through a key, over nodes (seed, bit, sum of the values so far)."""

    def __init__(self, fixed_key, party, key, root, layout):
        """`fixed_key` and `root` have 16 bytes, `key` is one whole key."""
        self.generator, self.layout = Generator(fixed_key, layout.payload), layout
        self.party, self.key = party, key
        self.controls = int.from_bytes(key[:layout.leaves], "little")
        self.root = int.from_bytes(root, "little") & ~1, party, [0] * layout.payload

    def added(self, node, hidden, place):
        """The sum so far, the words that hide a value, and their correction at `place` of the key."""
        _, bit, totals = node
        return [t + v + bit * c for t, v, c in zip(totals, hidden, self.layout.words(self.key[place:]))]

    def child(self, node, level, right):
        seed, bit, totals = node
        place = self.layout.path + level * (self.layout.level_value_bytes + 16)
        start = place + self.layout.level_value_bytes
        correction = int.from_bytes(self.key[start:start + 16], "little")
        if right:
            correction = correction & ~1 | (self.controls >> level & 1)
        if self.layout.level_value_bytes:
            totals = self.added(node, self.generator.words(seed, 8 if right else 4), place)
        child = self.generator.hashed(seed, 2 if right else 0) ^ (correction if bit else 0)
        return child & ~1, child & 1, totals

    def share(self, node, place):
        """The share at one of the places of a last node."""
        hidden = self.layout.words_at(place, self.generator, node[0])
        return self.signed(self.added(node, hidden, self.layout.leaves + place * self.layout.value_bytes))

    def middle_share(self, node, level):
        """That of the words of a node of a middle level."""
        seed, bit, _ = node
        count = self.layout.gamma_words
        place = (self.layout.middle_place
                 + count * self.layout.middle_levels.index(level) * self.layout.word_bytes)
        corrections = self.layout.words(self.key[place:], count)
        hidden = self.generator.middle_words(seed, count)
        return self.signed([h + bit * c for h, c in zip(hidden, corrections)])

    def signed(self, totals):
        return [t * (-1) ** self.party % 2**(8 * self.layout.word_bytes) for t in totals]

    def below(self, nodes, level, depth):
        """All nodes of level `depth` below `nodes` of level `level`, each with its number."""
        for above in range(level, depth):
            nodes = [(2 * number + right, self.child(node, above, right))
                     for number, node in nodes for right in (0, 1)]
        return nodes

    def nodes(self, depth):
        """All nodes of a level, in the order of their points."""
        return [node for _, node in self.below([(0, self.root)], 0, depth)]


def evaluate(fixed_key, party, key, root, layout, x):
    """One party's additive share of f(x), as numbers modulo 2^(8 word_bytes).

    x is below 2^levels. The shares of both parties add up to beta where layout.holds(alpha, x), and
    to 0 elsewhere.
    """
    walk = Walk(fixed_key, party, key, root, layout)
    node = walk.root
    for level in range(layout.depth):
        node = walk.child(node, level, x >> (layout.levels - 1 - level) & 1)
    return walk.share(node, x % 2**layout.tail_bits)


def evaluate_all(fixed_key, party, key, root, layout):
    """The shares at every x in ascending order, each node visited once."""
    walk = Walk(fixed_key, party, key, root, layout)
    return [walk.share(node, place) for node in walk.nodes(layout.depth)
            for place in range(2**layout.tail_bits)]


def evaluate_middle(fixed_key, party, key, root, layout, level):
    """The shares of the words of every group of points of a middle level, in ascending order."""
    walk = Walk(fixed_key, party, key, root, layout)
    return [walk.middle_share(node, level) for node in walk.nodes(level)]
