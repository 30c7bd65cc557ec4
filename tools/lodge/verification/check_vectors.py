#!/usr/bin/env python3
"""Opens every container of formats/vectors in Python: each must fail at the stage that its name tells, and
every frame of wire.json must be read or refused.

    check_vectors.py formats/vectors
"""

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from lodge.verification.check_session import Session, check_algebra, check_dealer_seed, check_file, check_members
from lodge.verification.read_bundle import (
    PROVIDER_USER, SEEDS, Bundle, DealerBundle, FormatError, Pair, check_salt, derived_seed)
from lodge.verification.read_container import Container, ContainerError
from lodge.verification.wire import WireError, read_frame, read_message

ERRORS = (FormatError, ContainerError, OSError, KeyError, ValueError, TypeError)


def read_batch(path):
    """dealer.batch by itself."""
    container = Container(path, kind="batch")
    check_members(container.header, path)
    seed = container["seed"]
    if seed.shape != (32,) or set(container) != {"seed"}:
        raise FormatError(f"{path}: seed: expected 32 u8 and nothing else")
    if derived_seed(seed.tobytes(), b"lodge/1/batch")[:16].hex() != container.header["batch"]:
        raise FormatError(f"{path}: batch: is not the identifier of this seed")


class ClientBundle:
    """client.bundle by itself."""

    def __init__(self, path):
        self.path, self.container = str(path), Container(path, kind="client")
        if set(self.container) != {"tokens", "positions", "salt"}:
            raise FormatError(f"{path}: does not hold two tables and a salt, only")
        check_salt(self)


def read_client(path):
    container = ClientBundle(path).container
    tables = [container.dataset(name) for name in ("tokens", "positions")]
    if (any(table.element_type != "i32" or len(table.shape) != 2 for table in tables)
            or tables[0].shape[1] != tables[1].shape[1]):
        raise FormatError(f"{path}: tokens: tables differ in width")


def read_bundle(path):
    bundle = Bundle(path)
    for index in range(len(bundle.weights)):
        bundle.share(index)


class Files:
    """The valid files, some of them replaced; all that are replaced are of one deployment."""

    def __init__(self, valid, replaced):
        self.paths = {path.name: path for path in valid.iterdir()} | replaced
        self.replaced, self.valid = replaced, valid
        first = next(iter(replaced)).split(".")[0]
        self.prefix = f"{first}." if first in SEEDS else ""

    def named(self, role):
        """The path of the file of a role."""
        return self.paths[self.prefix + role]

    def bundle_names(self):
        roles = ("provider", "user") if self.prefix.startswith(PROVIDER_USER) else ("party0", "party1")
        return [f"{self.prefix}{role}.bundle" for role in roles]

    def open(self):
        for path in self.replaced.values():
            Container(path)

    def content(self):
        for path in self.replaced.values():
            Container(path).verify()

    def read(self):
        for name, path in self.replaced.items():
            role = name.removeprefix(self.prefix)
            if role.endswith(".corr"):
                pair = Pair(*(self.valid / bundle for bundle in self.bundle_names()))
                check_file(Container(path, kind="correlations"), int(role[5]), pair)
            else:
                {"dealer.batch": read_batch, "dealer.bundle": DealerBundle,
                 "client.bundle": read_client}.get(role, read_bundle)(path)

    def pair(self):
        bundles = Pair(*(self.paths[name] for name in self.bundle_names()))
        self.session = Session(bundles, [self.named(f"party{p}.corr") for p in (0, 1)])

    def algebra(self):
        check_dealer_seed(self.named("dealer.batch"), self.session)
        check_algebra(self.session, sys.maxsize, sys.maxsize)


def failure(files, stages):
    """The first of the stages at which the files fail, and the error."""
    for stage in stages:
        try:
            getattr(files, stage)()
        except ERRORS as error:
            return stage, error
    return "valid", None


def cases(folder):
    """Stage that is expected, stages to go through, and files by the names of valid ones."""
    for path in sorted((folder / "container").iterdir()):
        yield path.stem, {path.name: path}, ("open", "content")
    for path in sorted((folder / "model").iterdir()):
        yield f"valid-{path.name}", {path.name: path}, ("open", "content")
    stages = ("open", "content", "read", "pair", "algebra")
    for path in sorted((folder / "valid").iterdir()):
        yield f"valid-{path.name}", {path.name: path}, stages
    groups = defaultdict(dict)
    for path in sorted((folder / "session").iterdir()):
        case, name = path.name.split(".", 1)
        groups[case][name] = path
    for case, replaced in groups.items():
        yield case, replaced, stages


def check_wire(folder):
    """Names of the frames of wire.json, and for each what is wrong with the vector, or None."""
    for entry in json.loads((folder / "wire.json").read_text())["frames"]:
        try:
            found = read_message(*read_frame(bytes.fromhex(entry["frame"]), 0))
        except WireError:
            found = None
        is_right = found == entry["message"] and entry["name"].startswith("valid-") == (found is not None)
        yield entry["name"], None if is_right else f"is read as {found}"


def main():
    parser = argparse.ArgumentParser(prog="check-vectors", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    # One of the folders alone says nothing, and one of something else has none of them.
    for part in ("container", "model", "session", "valid", "wire.json"):
        if not (folder / part).exists():
            print(f"check-vectors: error: {folder / part}: there is no such file or folder\n"
                  "check-vectors: hint: give the folder formats/vectors", file=sys.stderr)
            return 1
    np.seterr(over="ignore")
    wrong = count = 0
    for name, replaced, stages in cases(folder):
        parts = name.split("-")
        expected = "valid" if "valid" in parts[:2] else parts[1]
        stage, error = failure(Files(folder / "valid", replaced), stages)
        # The error names one of the files that are wrong.
        named = error is None or any(path.name in str(error) for path in replaced.values())
        count += 1
        if stage != expected or not named:
            wrong += 1
            print(f"check-vectors: error: {name}: fails at {stage}: {error}", file=sys.stderr)
        else:
            print(f"{name}: {error or 'valid'}")
    for name, complaint in check_wire(folder):
        count += 1
        if complaint:
            wrong += 1
            print(f"check-vectors: error: {name}: {complaint}", file=sys.stderr)
    print(f"{count} vectors checked, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
