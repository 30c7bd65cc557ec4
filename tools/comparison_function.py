"""Makes and evaluates Lodge's comparison keys (formats/program.md, Comparison keys); slow, for checks."""

from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


@dataclass(frozen=True)
class Layout:
    """The bytes of a key: compared bits, numbers in beta, and bytes of each of these."""

    levels: int
    payload: int
    word_bytes: int = 8

    @property
    def value_bytes(self):
        return self.payload * self.word_bytes

    @property
    def tail_bits(self):
        """Levels at the end that are no levels of the tree: where keys are shortest, the most of such."""
        return min(range(min(self.levels - 1, 6) + 1), key=lambda tail: (self.size_with(tail), -tail))

    @property
    def depth(self):
        return self.levels - self.tail_bits

    @property
    def size(self):
        return self.size_with(self.tail_bits)

    @property
    def leaves(self):
        """Where the values of the last places begin."""
        return -(-self.depth // 8)

    @property
    def path(self):
        """Where the levels begin, each a value and a seed correction."""
        return self.leaves + (self.value_bytes << self.tail_bits)

    def size_with(self, tail):
        depth = self.levels - tail
        return -(-depth // 8) + (self.value_bytes << tail) + depth * (self.value_bytes + 16)

    def words(self, data):
        """Numbers of `word_bytes` each."""
        return [int.from_bytes(data[i:i + self.word_bytes], "little")
                for i in range(0, self.value_bytes, self.word_bytes)]

    def encoded(self, words):
        return b"".join((word % 2**(8 * self.word_bytes)).to_bytes(self.word_bytes, "little")
                        for word in words)


class Generator:
    """H and V of the text under one public key."""

    def __init__(self, fixed_key, payload):
        self.cipher = Cipher(algorithms.AES(fixed_key), modes.ECB()).encryptor()
        self.payload = payload

    def hashed(self, seed, constant):
        block = seed ^ constant
        return int.from_bytes(self.cipher.update(block.to_bytes(16, "little")), "little") ^ block

    def words(self, seed, constant):
        stream = self.hashed(seed, constant) | self.hashed(seed, constant + 2) << 128
        return [stream >> 64 * w & 2**64 - 1 for w in range(self.payload)]


def generate(fixed_key, roots, alpha, beta, layout):
    """The key for f(x) = beta where x < alpha, else 0; `roots` are those of both parties."""
    generator = Generator(fixed_key, layout.payload)

    def combined(*terms):
        """The sum of (sign, words), word by word."""
        return [sum(sign * words[w] for sign, words in terms) for w in range(layout.payload)]

    seeds, bits = [int.from_bytes(root, "little") & ~1 for root in roots], [0, 1]
    controls, total, levels = 0, [0] * layout.payload, b""
    for level in range(layout.depth):
        q = alpha >> (layout.levels - 1 - level) & 1
        children = [[generator.hashed(seed, constant) for constant in (0, 2)] for seed in seeds]
        left = (children[0][0] ^ children[1][0] ^ q ^ 1) & 1
        right = (children[0][1] ^ children[1][1] ^ q) & 1
        lost, kept = 1 - q, q
        seed_correction = (children[0][lost] ^ children[1][lost]) & ~1 | left
        controls |= right << level
        values = [[generator.words(seed, constant) for constant in (4, 8)] for seed in seeds]
        gone = combined((1, values[0][lost]), (-1, values[1][lost]))
        value = combined((q, beta), (-1, gone), (-1, total))
        sign = -1 if bits[1] else 1
        levels += layout.encoded(combined((sign, value))) + seed_correction.to_bytes(16, "little")
        total = combined((1, total), (1, values[0][kept]), (-1, values[1][kept]), (1, value))
        correction = seed_correction & ~1 | right if q else seed_correction
        states = [child[kept] ^ (correction if bit else 0) for child, bit in zip(children, bits)]
        seeds, bits = [state & ~1 for state in states], [state & 1 for state in states]
    leaves = b""
    for place in range(2**layout.tail_bits):
        last = [generator.words(seed, 12 + 16 * place) for seed in seeds]
        below = int(place < alpha % 2**layout.tail_bits)
        leaf = combined((below, beta), (1, last[1]), (-1, last[0]), (-1, total))
        leaves += layout.encoded(combined((-1 if bits[1] else 1, leaf)))
    return controls.to_bytes(layout.leaves, "little") + leaves + levels


def evaluate(fixed_key, party, key, root, layout, x):
    """One party's additive share of f(x), as numbers modulo 2^(8 word_bytes).

    `fixed_key` and `root` have 16 bytes, `key` is one whole key, x is below 2^levels. The shares of
    both parties add up to beta where x < alpha, and to 0 elsewhere.
    """
    generator = Generator(fixed_key, layout.payload)
    seed, bit, totals = int.from_bytes(root, "little") & ~1, party, [0] * layout.payload

    def add(values, place):
        return [t + v + bit * c for t, v, c in zip(totals, values, layout.words(key[place:]))]

    controls, place = int.from_bytes(key[:layout.leaves], "little"), layout.path
    for level in range(layout.depth):
        right = x >> (layout.levels - 1 - level) & 1
        start = place + layout.value_bytes
        correction = int.from_bytes(key[start:start + 16], "little")
        if right:
            correction = correction & ~1 | (controls >> level & 1)
        totals = add(generator.words(seed, 8 if right else 4), place)
        child = generator.hashed(seed, 2 if right else 0) ^ (correction if bit else 0)
        seed, bit, place = child & ~1, child & 1, start + 16
    last = x % 2**layout.tail_bits
    totals = add(generator.words(seed, 12 + 16 * last), layout.leaves + last * layout.value_bytes)
    return [t * (-1) ** party % 2**(8 * layout.word_bytes) for t in totals]
