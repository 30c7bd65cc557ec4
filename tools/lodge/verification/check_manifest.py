#!/usr/bin/env python3
"""Checks the signature of a manifest and the files that it names, with no code of Lodge.

Written from formats/manifest.md. Nothing is parsed before its signature or its SHA-256 is right.

    check_manifest.py --trust owner.key.pub shares/manifest.json correlations/party0/000000.json
"""

import argparse
import base64
import hashlib
import json
import re
import struct
import sys
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ALGORITHM, NAMESPACE, HASH = b"ssh-ed25519", b"lodge-manifest", b"sha512"
BEGIN, END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
COMMON = {"version", "kind", "files"}
HEX = {"batch": 32, "conversion": 32, "programDigest": 64, "user": 64}
HEADER = {"batch", "session", "party", "kind", "promptCapacity", "newCapacity", "conversion",
          "programDigest"}
DEPLOYMENTS = ("two-server", "blind-dealer", "provider-user")
MEMBERS = {"conversion": COMMON | {"conversion", "programDigest", "deployment", "leakage"},
           "session": COMMON | {"header"}}


class Refused(Exception):
    """A file that must not be used; `stage` is "signature", "manifest" or "file"."""

    def __init__(self, stage, path, cause):
        super().__init__(f"{path}: {cause}")
        self.stage = stage


def string(data):
    """A string in the encoding of SSH."""
    return struct.pack(">I", len(data)) + data


def take(data):
    """The first string of `data`, and the rest."""
    if len(data) < 4 or len(data) - 4 < (count := struct.unpack(">I", data[:4])[0]):
        raise ValueError("too short")
    return data[4:4 + count], data[4 + count:]


def public_key(line):
    """The 32 bytes of a public key's line."""
    words = line.split()
    if len(words) < 2 or words[0] != ALGORITHM.decode():
        raise ValueError("not a line of ssh-ed25519")
    return key_of_blob(base64.b64decode(words[1], validate=True))


def key_of_blob(blob):
    name, rest = take(blob)
    key, rest = take(rest)
    if name != ALGORITHM or len(key) != 32 or rest:
        raise ValueError("not an Ed25519 key")
    return key


def signed_bytes(message):
    return b"SSHSIG" + string(NAMESPACE) + string(b"") + string(HASH) + string(
        hashlib.sha512(message).digest())


def signer(message, text):
    """The key that has signed `message` with the signature `text`; raises ValueError."""
    lines = text.splitlines()
    if len(lines) < 3 or lines[0] != BEGIN or lines[-1] != END:
        raise ValueError("not a signature")
    data = base64.b64decode("".join(lines[1:-1]), validate=True)
    if data[:10] != b"SSHSIG" + struct.pack(">I", 1):
        raise ValueError("another version")
    blob, rest = take(data[10:])
    fields = []
    for _ in range(4):
        field, rest = take(rest)
        fields.append(field)
    if fields[:3] != [NAMESPACE, b"", HASH] or rest:
        raise ValueError("another namespace or hash")
    name, rest = take(fields[3])
    signature, rest = take(rest)
    if name != ALGORITHM or len(signature) != 64 or rest:
        raise ValueError("another kind of signature")
    key = key_of_blob(blob)
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, signed_bytes(message))
    except InvalidSignature as error:
        raise ValueError("does not fit the file") from error
    return key


def strict_object(pairs):
    """A JSON object without duplicate keys."""
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("duplicate key")
    return result


def check_header(header):
    """The members of a session's header, formats/correlations.md; raises ValueError."""
    deployment = header.get("deployment", "two-server")
    if deployment not in DEPLOYMENTS or set(header) - {"deployment"} - (
            {"user"} if deployment == "provider-user" else set()) != HEADER:
        raise ValueError("has a header with other members than it must")
    for name in set(HEX) & set(header):
        if not re.fullmatch(f"[0-9a-f]{{{HEX[name]}}}", header[name]):
            raise ValueError(f"header: {name}: is not {HEX[name]} hexadecimal digits")


def parsed(path, message):
    """The manifest in `message`, checked; raises Refused."""
    try:
        manifest = json.loads(message.decode(), object_pairs_hook=strict_object)
        if type(manifest) is not dict or type(manifest.get("version")) is not int or manifest[
                "version"] != 1:
            raise ValueError("is not of version 1")
        if manifest.get("kind") not in MEMBERS or set(manifest) != MEMBERS[manifest["kind"]]:
            raise ValueError("has other members than it must")
        for name, entry in manifest["files"].items():
            if not name or "/" in name or name.startswith("."):
                raise ValueError(f"{name!r} is not the name of a file beside it")
            sealed = entry.get("sealed", {"sha256": "00" * 32, "bytes": 0})
            if (set(entry) - {"sealed"} != {"digest", "sha256", "bytes"}
                    or set(sealed) != {"sha256", "bytes"}
                    or not all(type(part["bytes"]) is int for part in (entry, sealed))
                    or not all(re.fullmatch("[0-9a-f]{64}", digest) for digest in
                               (entry["digest"], entry["sha256"], sealed["sha256"]))):
                raise ValueError(f"{name}: is not described as it must be")
        if "dealer.bundle" in manifest["files"] and len(manifest["files"]) != 1:  # M12
            raise ValueError("names dealer.bundle beside other files")
        if manifest["kind"] == "session":
            if len(manifest["files"]) != 1 or not list(manifest["files"])[0].endswith(".corr"):
                raise ValueError("does not name one .corr file")
            check_header(manifest["header"])
        elif manifest["deployment"] not in DEPLOYMENTS:
            raise ValueError("has an unknown deployment")
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise Refused("manifest", path, error) from error
    return manifest


def compare(file, expected):
    """Compares length and SHA-256 of `file` with what the manifest says; raises Refused."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    if (file.stat().st_size, digest.hexdigest()) != (expected["bytes"], expected["sha256"]):
        raise Refused("file", file, "is not the file that its manifest names")


def check(path, trusted):
    """Checks the manifest at `path` and the files beside it; returns their states by name."""
    path = Path(path)
    message, signature = path.read_bytes(), path.with_name(path.name + ".sig")
    if not signature.exists():
        raise Refused("signature", path, "is not signed")
    try:
        key = signer(message, signature.read_text())
    except ValueError as error:
        raise Refused("signature", signature, error) from error
    if key not in trusted:
        raise Refused("signature", signature, "is by a key that is not trusted")
    states = {}
    for name, entry in parsed(path, message)["files"].items():
        file, sealed = path.with_name(name), path.with_name(name + ".age")
        if file.exists():
            compare(file, entry)
            states[name] = "verified"
        elif not sealed.exists():
            states[name] = "absent"
        elif "sealed" in entry:
            compare(sealed, entry["sealed"])
            states[name] = "verified, sealed"
        else:
            states[name] = "not verified, sealed"
    return states


def main():
    parser = argparse.ArgumentParser(prog="check-manifest", description=__doc__.split("\n")[0])
    parser.add_argument("manifest", nargs="+")
    parser.add_argument("--trust", required=True, help="file with public keys, one a line")
    arguments = parser.parse_args()
    try:
        lines = Path(arguments.trust).read_text().splitlines()
        trusted = {public_key(line) for line in lines if line and not line.startswith("#")}
        for path in arguments.manifest:
            for name, state in sorted(check(path, trusted).items()):
                print(f"{Path(path).with_name(name)}: {state}")
        return 0
    except (Refused, OSError, ValueError) as error:
        print(f"check-manifest: error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
