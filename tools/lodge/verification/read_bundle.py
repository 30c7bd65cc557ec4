#!/usr/bin/env python3
"""Puts the weights of a bundle pair together again, with no code of Lodge.

Written from formats/bundle.md, formats/randomness.md and formats/container.md. Checks that both
bundles are of one conversion, program and deployment, adds the shares of every weight (a user has
none, and the provider all of it), and with --checkpoint computes every weight again from the
checkpoint and compares the two.

    read_bundle.py party0.bundle party1.bundle --checkpoint opt-125m --out weights.npz
"""

import argparse
import hashlib
import json
import os
import struct
import sys

import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lodge.verification.read_container import Container, ContainerError

WEIGHT_KIND, WEIGHT_MASK_KIND = 3, 8
WEIGHT_SESSION = 0xFFFFFFFF
TWO_SERVER, BLIND_DEALER, PROVIDER_USER = "two-server", "blind-dealer", "provider-user"
# The seeds that the bundles of a deployment hold.
SEEDS = {TWO_SERVER: {"weightSeed"}, BLIND_DEALER: {"weightSeed", "maskSeed"},
         PROVIDER_USER: {"maskSeed"}}


class FormatError(Exception):
    """Says which file breaks a rule, where in it, and which."""


def derived_seed(seed, label):
    """The seed under `label`, formats/randomness.md S2."""
    return HKDF(hashes.SHA256(), 32, None, b"lodge/1/seed/" + label).derive(seed)


def stream_words(seed, session, party, operation, kind, index, count, offset=0):
    """Words of a stream as uint64, formats/randomness.md S4 to S6."""
    label = b"lodge/1/stream" + struct.pack("<IBIBI", session, party, operation, kind, index)
    key = HKDF(hashes.SHA256(), 32, None, label).derive(seed)
    counter = (offset // 2).to_bytes(16, "big")
    cipher = Cipher(algorithms.AES(key), modes.CTR(counter)).encryptor()
    stream = cipher.update(bytes(8 * (offset % 2 + count)))
    return np.frombuffer(stream, dtype="<u8")[offset % 2:]


def canonical_member(text, key):
    """The bytes of the value of a member of a canonical JSON object."""
    decoder, place = json.JSONDecoder(), 1
    while text[place - 1] in "{," and text[place] != "}":
        name, place = decoder.raw_decode(text, place)
        start = place + 1
        _, place = decoder.raw_decode(text, start)
        if name == key:
            return text[start:place].encode()
        place += 1
    raise KeyError(key)


def deployment_of(header, path, members, is_always_named=False):
    """The deployment that a header names; `members` are all that it has but that."""
    found = set(header) - {"deployment"} if isinstance(header, dict) else None
    if found != members:
        raise FormatError(f"{path}: header: must have exactly the members {sorted(members)}")
    deployment = header.get("deployment", TWO_SERVER)
    if "deployment" in header and deployment == TWO_SERVER and not is_always_named:
        raise FormatError(f"{path}: deployment: is left out where it is {TWO_SERVER!r}")
    if deployment not in SEEDS:
        raise FormatError(f"{path}: deployment: {deployment!r} is none of {sorted(SEEDS)}")
    return deployment


def integers(container, name, shape, path):
    """Words of a weight that is stored as signed integers: uint64."""
    description = container.dataset(name)
    if description.element_type not in ("i16", "i32", "i64") or description.shape != shape:
        raise FormatError(f"{path}: {name}: has another type or shape than its weight")
    return container[name].astype("i8").view("u8")


def is_narrow(program, index):
    """Whether all that a weight is multiplied for has at most 32 ring bits."""
    written = 0
    for node in program["operations"]:
        if node.get("weight") == index and program["values"][written].get("ringBits", 64) > 32:
            return False
        written += node["writes"]
    return True


def check_salt(bundle):
    """B12, for a file that has the dataset."""
    salt = bundle.container.dataset("salt")
    if (salt.element_type, salt.shape) != ("u8", (32,)):
        raise FormatError(f"{bundle.path}: salt: expected 32 u8")


class Bundle:
    """One party's bundle: header, program, and this party's share of every weight."""

    KEYS = {"conversion", "party", "program", "programDigest", "storages"}

    def __init__(self, path):
        self.path = str(path)
        self.container = Container(path, kind="bundle")
        header = self.container.header
        self.deployment = deployment_of(header, self.path, self.KEYS, is_always_named=True)
        if "deployment" not in header:
            raise self.error("deployment", "is missing")
        self.party, self.conversion = header["party"], header["conversion"]
        self.program, self.program_digest = header["program"], header["programDigest"]
        if self.party not in (0, 1):
            raise self.error("party", "is neither 0 nor 1")
        text = canonical_member(self.container.header_text, "program")
        if hashlib.sha256(text).hexdigest() != self.program_digest:
            raise self.error("programDigest", "is not the digest of the program")
        if self.program["version"] != 3:
            raise self.error("program.version", f"{self.program['version']} is not 2")
        self.weights, self.storages = self.program["weights"], header["storages"]
        known = ["seed", "full"]
        if self.deployment == PROVIDER_USER:
            known = [("plain", "nothing")[self.party]]
        if len(self.storages) != len(self.weights) or set(self.storages) - set(known):
            raise self.error("storages", f"expected one of {known} for each weight")
        written = {f"weights/{i}" for i, s in enumerate(self.storages) if s in ("full", "plain")}
        if set(self.container) != written | SEEDS[self.deployment]:
            raise self.error("", f"does not hold exactly {sorted(SEEDS[self.deployment])} and the "
                             "weights that storages asks for")
        self.seeds = {name: self.array(name, "u8", (32,)).tobytes()
                      for name in SEEDS[self.deployment]}

    def error(self, place, cause):
        return FormatError(": ".join(part for part in (self.path, place, cause) if part))

    def array(self, name, element_type, shape):
        description = self.container.dataset(name)
        if (description.element_type, description.shape) != (element_type, shape):
            raise self.error(name, f"expected {element_type} of shape {shape}")
        return self.container[name]

    def share(self, index):
        """This party's share of weight `index`: uint64 [rowCount, columnCount]."""
        weight = self.weights[index]
        shape, storage = (weight["rowCount"], weight["columnCount"]), self.storages[index]
        if storage == "full":
            return self.array(f"weights/{index}", "u64", shape)
        if storage == "plain":
            return integers(self.container, f"weights/{index}", shape, self.path)
        if storage == "nothing":
            return np.zeros(shape, dtype="u8")
        return self.words("weightSeed", self.party, index, WEIGHT_KIND)

    def words(self, seed, party, index, kind):
        """Words of one of the seeds for weight `index`, in its shape."""
        shape = tuple(self.weights[index][key] for key in ("rowCount", "columnCount"))
        return stream_words(self.seeds[seed], WEIGHT_SESSION, party, index, kind, 0,
                            shape[0] * shape[1]).reshape(shape)

    def weight_mask(self, index):
        """D of weight `index` where the dealer is blind, else None."""
        if self.deployment == TWO_SERVER:
            return None
        return self.words("maskSeed", 0, index, WEIGHT_MASK_KIND)


class Pair:
    """Both bundles of one conversion."""

    def __init__(self, path0, path1):
        self.bundles = [Bundle(path0), Bundle(path1)]
        first, second = self.bundles
        for party, bundle in enumerate(self.bundles):
            if bundle.party != party:
                raise bundle.error("party", f"is for party {bundle.party}, party {party} is expected")
        if first.conversion != second.conversion:
            raise second.error("conversion", f"is of another conversion than {first.path}")
        if first.program_digest != second.program_digest:
            raise second.error("programDigest", f"is of another program than {first.path}")
        if first.deployment != second.deployment:
            raise second.error("deployment", f"is another than that of {first.path}")
        if first.seeds.get("maskSeed") != second.seeds.get("maskSeed"):
            raise second.error("maskSeed", f"is another than that of {first.path}")
        self.deployment = first.deployment
        self.program, self.weights = first.program, first.weights
        self.conversion, self.program_digest = first.conversion, first.program_digest
        for index, kinds in enumerate(zip(first.storages, second.storages)):
            if set(kinds) not in ({"seed", "full"}, {"plain", "nothing"}):
                raise second.error(f"storages[{index}]", "one share must be a seed, the other full")

    def weight(self, index):
        """Weight `index` in plaintext: ring elements, uint64 [rowCount, columnCount]."""
        return self.bundles[0].share(index) + self.bundles[1].share(index)

    def dealt(self, index):
        """The words of weight `index` as the dealer has them: of a blind one U = W - D."""
        mask = self.bundles[0].weight_mask(index)
        if mask is None:
            return self.weight(index)
        words = self.weight(index) - mask
        return words.astype("u4").view("i4").astype("i8").view("u8") if is_narrow(
            self.program, index) else words


class DealerBundle:
    """The dealer's bundle: the program and the weights that are multiplied, in plaintext or masked."""

    KEYS = {"conversion", "program", "programDigest"}

    def __init__(self, path):
        self.path, self.container = str(path), Container(path, kind="dealer")
        header = self.container.header
        self.deployment = deployment_of(header, self.path, self.KEYS)
        self.program, self.conversion = header["program"], header["conversion"]
        self.program_digest = header["programDigest"]
        text = canonical_member(self.container.header_text, "program")
        if hashlib.sha256(text).hexdigest() != self.program_digest:
            raise self.error("programDigest", "is not the digest of the program")
        multiplied = {node["weight"] for node in self.program["operations"]
                      if node["name"] in ("linear", "scale")}
        if set(self.container) != {f"weights/{i}" for i in multiplied} | {"salt"}:
            raise self.error("", "does not hold the weights that are multiplied and a salt, only")
        check_salt(self)
        for index in multiplied:
            self.dealt(index)

    error = Bundle.error

    def dealt(self, index):
        """Weight `index`, or U of a blind dealer: ring elements, uint64 [rowCount, columnCount]."""
        weight = self.program["weights"][index]
        return integers(self.container, f"weights/{index}",
                        (weight["rowCount"], weight["columnCount"]), self.path)


class Checkpoint:
    """Tensors of a safetensors checkpoint by their names in the graph (formats/bundle.md)."""

    LAYER = {
        "opt": {
            "inputLayerNorm": "self_attn_layer_norm", "postAttentionLayerNorm": "final_layer_norm",
            "attention.q": "self_attn.q_proj", "attention.k": "self_attn.k_proj",
            "attention.v": "self_attn.v_proj", "attention.o": "self_attn.out_proj",
            "feedForward.Up": "fc1", "feedForward.Down": "fc2",
        },
        "bert": {
            "attentionLayerNorm": "attention.output.LayerNorm",
            "feedForwardLayerNorm": "output.LayerNorm",
            "attention.q": "attention.self.query", "attention.k": "attention.self.key",
            "attention.v": "attention.self.value", "attention.o": "attention.output.dense",
            "feedForward.Up": "intermediate.dense", "feedForward.Down": "output.dense",
        },
    }
    MODEL = {
        "opt": {
            "embedTokens": "embed_tokens.weight", "embedPositions": "embed_positions.weight",
            "finalLayerNorm": "final_layer_norm",
        },
        "bert": {
            "embedTokens": "embeddings.word_embeddings.weight",
            "embedPositions": "embeddings.position_embeddings.weight",
            "embedSegments": "embeddings.token_type_embeddings.weight",
            "embedLayerNorm": "embeddings.LayerNorm",
        },
    }
    PREFIXES = {"opt": ("model.decoder.", "decoder."), "bert": ("", "bert.")}
    TYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}

    def __init__(self, folder, family):
        self.path = os.path.join(folder, "model.safetensors")
        if family not in self.LAYER:
            raise FormatError(f"{folder}: no table of keys for the family {family!r}")
        self.family = family
        self._data = np.memmap(self.path, dtype="u1", mode="r")
        size = int.from_bytes(self._data[:8].tobytes(), "little")
        try:
            self._header = json.loads(self._data[8:8 + size].tobytes())
        except ValueError:
            raise FormatError(f"{self.path}: is not a safetensors file") from None
        self._start = 8 + size
        first = self.MODEL[family]["embedTokens"]
        self.prefix = next(
            (p for p in self.PREFIXES[family] if p + first in self._header), self.PREFIXES[family][0])

    def key(self, name):
        """The checkpoint's key of a tensor of the graph."""
        def part(table, name):
            stem, _, last = name.rpartition(".")
            if last in ("gamma", "beta"):
                return table[stem] + {"gamma": ".weight", "beta": ".bias"}[last]
            if last in table:
                return table[last]
            return table[f"{stem}.{last[1:]}"] + {"w": ".weight", "b": ".bias"}[last[0]]
        try:
            if name.startswith("layers."):
                _, number, rest = name.split(".", 2)
                layers = {"opt": "layers.", "bert": "encoder.layer."}[self.family]
                return f"{self.prefix}{layers}{number}.{part(self.LAYER[self.family], rest)}"
            return self.prefix + part(self.MODEL[self.family], name)
        except (KeyError, ValueError):
            raise FormatError(f"{self.path}: no key is known for the tensor {name}") from None

    def tensor(self, name):
        """Elements of a tensor of the graph, exactly, in double."""
        key = self.key(name)
        if key not in self._header:
            raise FormatError(f"{self.path}: {key}: missing tensor")
        entry = self._header[key]
        if entry["dtype"] not in self.TYPES:
            raise FormatError(f"{self.path}: {key}: type {entry['dtype']} is not read")
        start, end = entry["data_offsets"]
        values = self._data[self._start + start:self._start + end].view(self.TYPES[entry["dtype"]])
        if entry["dtype"] == "BF16":
            values = (values.astype("u4") << 16).view("f4")
        return values.astype("f8").reshape(entry["shape"])

    def encoded(self, weight):
        """A weight by its `source` formula, rounded to nearest even: int64."""
        source, columns = weight["source"], weight["columnCount"]
        values = np.zeros((weight["rowCount"], columns))
        repeated = next((part for part in ("columnScale", "vector", "tensor") if part in source), None)

        def tensor(part):
            tensor = self.tensor(source[part])
            return np.tile(tensor, source.get("runCount", 1)) if part == repeated else tensor
        if "tensor" in source:
            values += tensor("tensor").reshape(values.shape)
        if "columnScale" in source:
            values *= tensor("columnScale")
        if source.get("isColumnCentred"):
            total = np.zeros(columns)
            for row in values:  # in this order: rounding depends on it
                total += row
            values -= total / len(values)
        if source.get("isCentred"):
            total = np.zeros(weight["rowCount"])
            for column in range(columns):  # in this order: rounding depends on it
                total += values[:, column]
            values -= (total / columns)[:, None]
        if "matrix" in source:
            matrix, vector = self.tensor(source["matrix"]), tensor("vector")
            total = np.zeros(columns)
            for index, element in enumerate(vector):  # in this order: rounding depends on it
                total += matrix[:, index] * element
            values[0] += total
        if "addedRow" in source:
            values += self.tensor(source["addedRow"]).reshape(-1, columns)[0]
        values *= source["factor"]
        return np.rint(np.ldexp(values, weight["fractionalBits"])).astype("i8")


def compare(pair, checkpoint):
    """(weights, elements, elements that differ, largest difference) against a checkpoint."""
    elements = differing = largest = 0
    for index, weight in enumerate(pair.weights):
        difference = np.abs(pair.weight(index).view("i8") - checkpoint.encoded(weight))
        elements += difference.size
        differing += int(np.count_nonzero(difference))
        largest = max(largest, int(difference.max()))
        if largest > 1:
            place = int(difference.argmax())
            raise FormatError(
                f"weight {index} ({weight['name']}): element {place} differs from the checkpoint by "
                f"{largest} units in the last place")
    return len(pair.weights), elements, differing, largest


def write_weights(pair, path):
    """Every weight as signed ring elements by name, and its `fractionalBits/<name>`; mode 0600."""
    arrays = {}
    for index, weight in enumerate(pair.weights):
        arrays[weight["name"]] = pair.weight(index).view("i8")
        arrays[f"fractionalBits/{weight['name']}"] = np.array(weight["fractionalBits"])
    temporary = f"{path}.partial"
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        np.savez(file, **arrays)
    os.replace(temporary, path)


def main():
    parser = argparse.ArgumentParser(
        prog="read-bundle", description="Put the weights of a bundle pair together again.",
        epilog="example: tools/read-bundle shares/party0.bundle shares/party1.bundle "
        "--checkpoint opt-125m")
    parser.add_argument("party0")
    parser.add_argument("party1")
    parser.add_argument("--checkpoint", metavar="DIR", help="compare with this checkpoint")
    parser.add_argument("--out", metavar="FILE", help="write the plaintext weights to this .npz")
    arguments = parser.parse_args()
    try:
        pair = Pair(arguments.party0, arguments.party1)
        for bundle in pair.bundles:
            bundle.container.verify()
        elements = sum(w["rowCount"] * w["columnCount"] for w in pair.weights)
        sizes = sum(os.path.getsize(b.path) for b in pair.bundles)
        print(f"conversion {pair.conversion}, program {pair.program_digest}")
        print(f"{len(pair.weights)} weights, {elements} elements, both bundles {sizes} bytes: "
              f"{sizes / (8 * elements):.3f} of one 64-bit copy")
        if arguments.checkpoint:
            checkpoint = Checkpoint(arguments.checkpoint, pair.program["family"])
            weights, elements, differing, largest = compare(pair, checkpoint)
            print(f"{weights} weights compared with {checkpoint.path}: {differing} of {elements} "
                  f"elements differ, by at most {largest}")
        if arguments.out:
            write_weights(pair, arguments.out)
            print(f"weights written to {arguments.out}")
        return 0
    except (FormatError, ContainerError, OSError, KeyError, ValueError, TypeError) as error:
        text = str(error) if isinstance(error, (FormatError, ContainerError, OSError)) else (
            f"a bundle does not follow its specification: {type(error).__name__} {error}")
        print(f"read-bundle: error: {text}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
