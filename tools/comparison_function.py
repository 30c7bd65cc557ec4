"""Evaluates Lodge's comparison keys (formats/program.md, Comparison keys); slow, for checks."""

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


def evaluate(fixed_key, party, key, root, levels, payload, x):
    """One party's additive share of f(x), as `payload` integers below 2^64.

    `fixed_key` and `root` have 16 bytes, `key` is one whole key, x is below 2^levels. The shares of
    both parties add up to beta where x < alpha, and to 0 elsewhere.
    """
    cipher = Cipher(algorithms.AES(fixed_key), modes.ECB()).encryptor()

    def hashed(seed, constant):
        block = seed ^ constant
        return int.from_bytes(cipher.update(block.to_bytes(16, "little")), "little") ^ block

    def words(seed, constant):
        stream = hashed(seed, constant) | hashed(seed, constant + 2) << 128
        return [stream >> 64 * w & 2**64 - 1 for w in range(payload)]

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
