#!/usr/bin/env python3
"""Writes formats/vectors/manifest.json: manifests that are valid, and one wrong in each way.

    write_manifests.py formats/vectors/manifest.json
"""

import base64
import hashlib
import json
import struct
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lodge.verification.check_manifest import ALGORITHM, BEGIN, END, HASH, NAMESPACE, string

SECRET, OTHER = bytes(range(32)), bytes(range(32, 64))
CONTENT = b"the bytes of a bundle"
SEALED = b"age-encryption.org/v1\nand what follows"


def blob(secret):
    public = Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
    return string(ALGORITHM) + string(public)


def signature(message, secret=SECRET, namespace=NAMESPACE, hash_name=HASH):
    digest = hashlib.new(hash_name.decode(), message).digest()
    fields = string(namespace) + string(b"") + string(hash_name)
    signed = Ed25519PrivateKey.from_private_bytes(secret).sign(
        b"SSHSIG" + fields + string(digest))
    data = (b"SSHSIG" + struct.pack(">I", 1) + string(blob(secret)) + fields
            + string(string(ALGORITHM) + string(signed)))
    text = base64.b64encode(data).decode()
    lines = [text[start:start + 70] for start in range(0, len(text), 70)]
    return "\n".join([BEGIN, *lines, END, ""])


def described(content):
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def entry(content=CONTENT):
    return {"digest": hashlib.sha256(b"root").hexdigest(), **described(content)}


def sealed(**changes):
    """A conversion whose bundle is sealed."""
    return conversion(files={
        "party0.bundle": entry() | {"sealed": described(SEALED) | changes}})


def conversion(**changes):
    manifest = {"version": 1, "kind": "conversion", "conversion": "07" * 16,
                "programDigest": "08" * 32, "deployment": "two-server",
                "files": {"party0.bundle": entry()},
                "leakage": [{"operations": "all", "role": "dealer", "learns": "the weights"}]}
    manifest.update(changes)
    return {key: value for key, value in manifest.items() if value is not None}


def session(**changes):
    header = {"batch": "0a" * 16, "session": 3, "party": 1, "kind": "decoder",
              "promptCapacity": 8, "newCapacity": 4, "conversion": "07" * 16,
              "programDigest": "08" * 32}
    return {"version": 1, "kind": "session", "header": header,
            "files": {"000003.corr": entry()}} | changes


def cases():
    files = {"party0.bundle": CONTENT.hex()}

    def case(name, manifest, fails=None, files=files, **how):
        text = manifest if isinstance(manifest, str) else json.dumps(manifest, indent=2) + "\n"
        return {"name": name, "manifest": text, "signature": signature(text.encode(), **how),
                "files": files, "fails": fails}

    valid = case("M1-conversion", conversion())
    yield valid
    yield case("M1-session", session(), files={"000003.corr": CONTENT.hex()})
    user = {"header": session()["header"] | {"deployment": "provider-user", "user": "05" * 32}}
    file = {"files": {"000003.corr": CONTENT.hex()}}
    yield case("M1-user-session", session(**user), **file)
    for name, header in (
            ("user", user["header"] | {"deployment": "blind-dealer"}),
            ("user-short", user["header"] | {"user": "05" * 31}),
            ("deployment", session()["header"] | {"deployment": "three-server"}),
            ("missing", {k: v for k, v in session()["header"].items() if k != "party"})):
        yield case(f"M1-header-{name}", session(header=header), "manifest", **file)
    for deployment, name in (("blind-dealer", "party0.bundle"), ("provider-user", "user.bundle")):
        yield case(f"M1-{deployment}", conversion(deployment=deployment, files={name: entry()}),
                   files={name: CONTENT.hex()})
    yield case("M1-deployment", conversion(deployment="three-server"), "manifest")
    yield case("M1-version", conversion(version=2), "manifest")
    yield case("M1-kind", conversion(kind="bundle"), "manifest")
    yield case("M1-unknown", conversion(comment="none"), "manifest")
    yield case("M1-missing", conversion(leakage=None), "manifest")
    yield case("M1-duplicate", valid["manifest"].replace('"version": 1', '"version": 1, "version": 1'),
               "manifest")
    yield case("M1-type", conversion(files=[]), "manifest")
    yield case("M1-hexadecimal", conversion(
        files={"party0.bundle": entry() | {"sha256": "AA" * 32}}), "manifest")
    yield case("M1-two-sessions", session(
        files={"000003.corr": entry(), "000004.corr": entry()}), "manifest")
    yield case("M1-sealed-member", sealed(name="party0.bundle.age"), "manifest")
    yield case("M1-sealed-type", sealed(bytes="39"), "manifest")
    yield case("M2-folder", conversion(files={"../party0.bundle": entry()}), "manifest")
    yield case("M2-dot", conversion(files={".party0.bundle": entry()}), "manifest")
    yield case("M2-empty", conversion(files={"": entry()}), "manifest")
    yield case("M3-altered", conversion(), "file",
               files={"party0.bundle": CONTENT.replace(b"b", b"c").hex()})
    yield case("M3-longer", conversion(), "file", files={"party0.bundle": CONTENT.hex() + "00"})
    yield case("M3-shorter", conversion(), "file", files={"party0.bundle": CONTENT.hex()[:-2]})
    dealer = {"dealer.bundle": entry()}
    yield case("M12-dealer", conversion(files=dealer), files={"dealer.bundle": CONTENT.hex()})
    yield case("M12-dealer-beside-others", conversion(files=dealer | {"party0.bundle": entry()}),
               "manifest")
    age = "party0.bundle.age"
    yield case("M11-sealed", sealed(), files={age: SEALED.hex()})
    yield case("M11-sealed-altered", sealed(), "file",
               files={age: SEALED.replace(b"f", b"g").hex()})
    yield case("M11-sealed-shorter", sealed(), "file", files={age: SEALED.hex()[:-2]})
    yield valid | {"name": "M6-unsigned", "signature": None, "fails": "signature"}
    yield valid | {"name": "M6-altered", "manifest": valid["manifest"].replace("0707", "0708", 1),
                   "fails": "signature"}
    yield valid | {"name": "M6-space", "manifest": valid["manifest"] + " ", "fails": "signature"}
    damaged = valid["signature"].splitlines()
    damaged[-2] = ("A" if damaged[-2][8] != "A" else "B").join(
        [damaged[-2][:8], damaged[-2][9:]])
    yield valid | {"name": "M6-damaged", "signature": "\n".join([*damaged, ""]),
                   "fails": "signature"}
    yield valid | {"name": "M6-garbage", "signature": "no signature\n", "fails": "signature"}
    yield case("M6-wrong-key", conversion(), "signature", secret=OTHER)
    yield case("M7-namespace", conversion(), "signature", namespace=b"file")
    yield case("M7-hash", conversion(), "signature", hash_name=b"sha256")


def main():
    line = f"{ALGORITHM.decode()} {base64.b64encode(blob(SECRET)).decode()}"
    document = {"secret": SECRET.hex(), "trusted": line, "cases": list(cases())}
    Path(sys.argv[1]).write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
