"""Makes and evaluates Lodge's comparison keys (formats/program.md, Comparison keys); slow, for checks."""

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


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


def generate(fixed_key, roots, alpha, beta, levels):
    """The key for f(x) = beta where x < alpha, else 0; `roots` are those of both parties."""
    generator = Generator(fixed_key, len(beta))

    def combined(*terms):
        """The sum of (sign, words), word by word."""
        return [sum(sign * words[w] for sign, words in terms) % 2**64 for w in range(len(beta))]

    def encoded(words):
        return b"".join(word.to_bytes(8, "little") for word in words)

    seeds, bits = [int.from_bytes(root, "little") & ~1 for root in roots], [0, 1]
    controls, total, parts = 0, [0] * len(beta), []
    for level in range(levels):
        q = alpha >> (levels - 1 - level) & 1
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
        parts += [seed_correction.to_bytes(16, "little"), encoded(combined((sign, value)))]
        total = combined((1, total), (1, values[0][kept]), (-1, values[1][kept]), (1, value))
        correction = seed_correction & ~1 | right if q else seed_correction
        states = [child[kept] ^ (correction if bit else 0) for child, bit in zip(children, bits)]
        seeds, bits = [state & ~1 for state in states], [state & 1 for state in states]
    last = [generator.words(seed, 12) for seed in seeds]
    leaf = combined((1, last[1]), (-1, last[0]), (-1, total))
    leaf = combined((-1 if bits[1] else 1, leaf))
    return controls.to_bytes(8, "little") + b"".join(parts) + encoded(leaf)


def evaluate(fixed_key, party, key, root, levels, payload, x):
    """One party's additive share of f(x), as `payload` integers below 2^64.

    `fixed_key` and `root` have 16 bytes, `key` is one whole key, x is below 2^levels. The shares of
    both parties add up to beta where x < alpha, and to 0 elsewhere.
    """
    generator = Generator(fixed_key, payload)
    hashed, words = generator.hashed, generator.words

    def field(start, size):
        return int.from_bytes(key[start:start + size], "little")

    seed, bit, totals = int.from_bytes(root, "little") & ~1, party, [0] * payload
    controls, place = field(0, 8), 8
    for level in range(levels):
        right = x >> (levels - 1 - level) & 1
        correction = field(place, 16)
        if right:
            correction = correction & ~1 | (controls >> level & 1)
        values = words(seed, 8 if right else 4)
        totals = [t + v + bit * field(place + 16 + 8 * w, 8)
                  for w, (t, v) in enumerate(zip(totals, values))]
        child = hashed(seed, 2 if right else 0) ^ (correction if bit else 0)
        seed, bit, place = child & ~1, child & 1, place + 16 + 8 * payload
    totals = [t + v + bit * field(place + 8 * w, 8)
              for w, (t, v) in enumerate(zip(totals, words(seed, 12)))]
    return [t * (-1) ** party % 2**64 for t in totals]
