#!/usr/bin/env python3
"""Checks the algebra of one dealt session from both parties' files, with no code of Lodge.

Written from formats/correlations.md and formats/program.md. Regenerates all masks from the two
seeds, adds the shares of correlated arrays and compares them with what they must add up to, and
evaluates keys with a comparison or point function in Python: at every point where the domain is
small or keys are point keys, else around the threshold and at random points. What is wrong is named
by file, operation and component. Where the dealer is blind, what it deals of a weight W is checked
with W - D. For tests and audits: whoever has both files could open every message of the session.

    check_session.py shares/party0.bundle shares/party1.bundle corr/party{0,1}/000000.corr
    check_session.py shares/dealer.bundle corr/party{0,1}/000000.corr --dealer corr/dealer.batch
"""

import argparse
import hashlib
import re
import sys

import numpy as np

from lodge.verification.bit_comparison import Circuit, from_tiles
from lodge.verification.comparison_function import evaluate, evaluate_all, evaluate_middle
from lodge.verification.read_bundle import (
    PROVIDER_USER, DealerBundle, FormatError, Pair, deployment_of, derived_seed)
from lodge.verification.read_container import Container, ContainerError
from lodge.verification.session_algebra import CORRELATION, ROOT, Algebra, U

SMALL_DOMAIN_BITS = 6
HEADER = {"batch", "session", "party", "kind", "promptCapacity", "newCapacity", "conversion",
          "programDigest"}


def check_members(header, path):
    """Which members the header of a session or batch has; returns its deployment."""
    deployment = header.get("deployment") if isinstance(header, dict) else None
    with_user = deployment == PROVIDER_USER and "user" in header
    is_once = deployment != PROVIDER_USER and isinstance(header, dict) and "keys" in header
    deployment = deployment_of(
        header, path, HEADER | ({"user"} if with_user else set()) | ({"keys"} if is_once else set()))
    if is_once and header["keys"] != "once":
        raise FormatError(f"{path}: keys: {header['keys']!r} is not 'once'")
    if with_user and not (isinstance(header["user"], str)
                          and re.fullmatch("[0-9a-f]{64}", header["user"])):
        raise FormatError(f"{path}: user: is not 64 hexadecimal digits")
    return deployment


def check_header(header, party, pair, path):
    """Every member of the header of a session file, against the bundles."""
    deployment = check_members(header, path)
    if deployment != pair.deployment:
        raise FormatError(f"{path}: deployment: {deployment!r} is not {pair.deployment!r}")
    for key, value in {"party": party, "conversion": pair.conversion, "kind": pair.program["kind"],
                       "programDigest": pair.program_digest}.items():
        if header[key] != value:
            raise FormatError(f"{path}: {key}: {header[key]!r} is not {value!r}")
    decoder = header["kind"] != "encoder"
    for key, low, high in (("session", 0, 2**32 - 2), ("promptCapacity", 1, 2**24),
                           ("newCapacity", 1 if decoder else 0, 2**24 if decoder else 0)):
        if type(header[key]) is not int or not low <= header[key] <= high:
            raise FormatError(f"{path}: {key}: {header[key]!r} is not in {low}...{high}")
    if not isinstance(header["batch"], str) or not re.fullmatch("[0-9a-f]{32}", header["batch"]):
        raise FormatError(f"{path}: batch: is not 32 hexadecimal digits")


def check_file(file, party, pair):
    """One session file by itself: its header, and names, types and shapes of all its datasets."""
    check_header(file.header, party, pair, file.path)
    algebra = Algebra(pair.program, pair.dealt, file.header, [])
    if algebra.rows > pair.program["maximumPositions"]:
        raise FormatError(f"{file.path}: promptCapacity: longer than the model's positions")
    expected = algebra.layout(party)
    for name in sorted(set(expected) | set(file)):
        if name not in expected:
            raise FormatError(f"{file.path}: {name}: does not belong into the file")
        if name not in file:
            raise FormatError(f"{file.path}: {name}: is missing")
        found = file.dataset(name)
        if (found.element_type, found.shape) != expected[name]:
            raise FormatError(f"{file.path}: {name}: is not {expected[name]}")


class Session(Algebra):
    """Both files of a session, and the checks of them."""

    def __init__(self, pair, paths):
        self.pair = pair
        self.files = [Container(path, kind="correlations") for path in paths]
        for party, file in enumerate(self.files):
            check_file(file, party, pair)
        first, second = (file.header for file in self.files)
        for key in ("batch", "session", "promptCapacity", "newCapacity", "user", "keys"):
            if second.get(key) != first.get(key):
                raise FormatError(f"{paths[1]}: {key}: {second.get(key)!r} is not {first.get(key)!r}")
        super().__init__(pair.program, pair.dealt, first,
                         [file["seed"].tobytes() for file in self.files])

    def total(self, node, component):
        """Both shares of a correlated array added, modulo 2^8 to the bytes of a word: one stored, one from a
        seed."""
        holder = self.holder(node, component)
        stored = self.words_of(self.files[holder], node, component)
        streamed = self.stream(1 - holder, node, CORRELATION, component, stored.size)
        return self.stored_bits(node, component, self.shares_add(node, component)(stored, streamed))

    def stored_bits(self, node, component, words):
        return words & U(2 ** (8 * self.word_bytes(node, component)) - 1)

    def quiet(self, index):
        """As the dealer draws it where its seed is known, else what the shares add up to."""
        if self.noise_seed is not None:
            return super().quiet(index)
        node, count = self.nodes[index], self.count(self.nodes[index]["reads"][0])
        if self.has_quiet_array(node):
            component, bits = 1, self.total(index, 1)
        else:
            component, circuit = self.result_count(node), Circuit(node)
            bits = from_tiles(self.total(index, component), circuit.plane_count())
            bits = bits[:count, circuit.threshold_count + 1].astype(U)
        if np.any(bits > 1):
            raise self.error(self.holder(index, component), index, component, "noise is not 0 or 1")
        return bits

    def error(self, party, index, component, cause):
        return FormatError(f"{self.files[party].path}: operations/{index}/{component}: operation "
                           f"{index} ({self.nodes[index]['name']}), component {component}: {cause}")

    def check_node(self, index):
        """Every correlated array of an operation."""
        if not self.array_count(index):
            return
        for component, expected in enumerate(self.expected(index)):
            total = self.total(index, component)
            expected = self.stored_bits(index, component, expected)
            if not np.array_equal(total, expected):
                place = int(np.argmax(total != expected))
                raise self.error(self.holder(index, component), index, component,
                                 f"the shares of element {place} do not add up to what they must")

    def check_keys(self, index, generator, elements):
        """The keys of some elements: at all points of a small domain, else at telling ones."""
        node, layout = self.nodes[index], self.key_layout(index)
        mask, last = self.mask(node["reads"][0]), 2**layout.levels - 1
        holder = self.key_holders()[index]
        keys = self.files[holder or 0][f"operations/{index}/keys"]
        kind = "point" if self.has_points(index) else "comparison"
        modulus = 2**(8 * layout.word_bytes)
        if holder is not None:
            digest = self.files[1 - holder][f"operations/{index}/keysDigest"].tobytes()
            if hashlib.sha256(keys.tobytes()).digest() != digest:
                raise self.error(1 - holder, index, "keysDigest",
                                 f"is not that of the keys in {self.files[holder].path}")
        elif not np.array_equal(keys, self.files[1][f"operations/{index}/keys"]):
            raise self.error(1, index, "keys", "is not the same in both files")
        roots = [self.stream(p, index, ROOT, 0, 2 * mask.size) for p in (0, 1)]
        functions = self.key_functions(index, mask)
        for element in generator.choice(mask.size, min(elements, mask.size), replace=False):
            alpha, beta = functions[element]
            own = [(self.comparison_key, p, keys[element].tobytes(),
                    roots[p][2 * element:2 * element + 2].tobytes(), layout) for p in (0, 1)]
            if kind == "point" or layout.levels <= SMALL_DOMAIN_BITS:
                points = range(last + 1)
                shares = [evaluate_all(*arguments) for arguments in own]
            else:
                random = map(int, generator.integers(0, last, 2, dtype=U, endpoint=True))
                points = sorted({0, max(alpha - 1, 0), alpha, min(alpha + 1, last), last, *random})
                shares = [[evaluate(*arguments, x) for x in points] for arguments in own]
            for x, *pair in zip(points, *shares):
                expected = [word % modulus * layout.holds(alpha, x) for word in beta[:layout.payload]]
                if [sum(words) % modulus for words in zip(*pair)] != expected:
                    raise self.error(0, index, "keys",
                                     f"the {kind} key of element {element} is wrong at the point {x}")
            for level in layout.middle_levels:
                groups = zip(*(evaluate_middle(*arguments, level) for arguments in own))
                own_group = alpha >> layout.levels - level
                for group, pair in enumerate(groups):
                    expected = [word % modulus * (group == own_group) for word in beta[layout.payload:]]
                    if [sum(words) % modulus for words in zip(*pair)] != expected:
                        raise self.error(0, index, "keys",
                                         f"the point key of element {element} is wrong at the group {group}")


def check_dealer_seed(path, session):
    """That dealer.batch gives the seeds of both files."""
    container = Container(path, kind="batch")
    seed, batch = container["seed"].tobytes(), session.header["batch"]
    if derived_seed(seed, b"lodge/1/batch")[:16].hex() != batch or container.header["batch"] != batch:
        raise FormatError(f"{path}: batch: is not the batch of the sessions")
    for party in (0, 1):
        label = f"lodge/1/session/{session.number}/party/{party}".encode()
        if derived_seed(seed, label) != session.seeds[party]:
            raise FormatError(f"{session.files[party].path}: seed: is not derived from {path}")
    session.noise_seed = derived_seed(seed, f"lodge/1/session/{session.number}/noise".encode())


def main():
    parser = argparse.ArgumentParser(prog="check-session", description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="+", metavar="FILE",
                        help="dealer.bundle or both party bundles, then both session files")
    parser.add_argument("--dealer", metavar="FILE", help="the dealer.batch of these files")
    parser.add_argument("--operations", type=int, default=4, help="checked of each kind (4)")
    parser.add_argument("--keys", type=int, default=4, help="keys an operation (4)")
    parser.add_argument("--all", action="store_true", help="check all operations and keys")
    arguments = parser.parse_args()
    if len(arguments.files) not in (3, 4):
        parser.error("expected dealer.bundle or two party bundles, and two session files")
    limits = (sys.maxsize,) * 2 if arguments.all else (arguments.operations, arguments.keys)
    try:
        bundles, sessions = arguments.files[:-2], arguments.files[-2:]
        session = Session(DealerBundle(*bundles) if len(bundles) == 1 else Pair(*bundles), sessions)
        for file in session.files:
            file.verify()
        if arguments.dealer:
            check_dealer_seed(arguments.dealer, session)
        check_algebra(session, *limits, report=print)
        return 0
    except (FormatError, ContainerError, OSError, KeyError, ValueError, TypeError) as error:
        print(f"check-session: error: {error}", file=sys.stderr)
        return 1


def check_algebra(session, operations, keys, report=lambda text: None):
    """Checks `operations` operations of each kind, spread over the program, and `keys` keys each."""
    generator = np.random.default_rng(0)
    for kind in ("view", "widen", "linear", "blockLinear", "scale", "scores", "mix", "multiply", "polynomial",
                 "piecewiseLinear", "exponential", "coarseSteps", "lookup", "permuted"):
        nodes = [i for i, node in enumerate(session.nodes) if node["name"] == kind]
        chosen = nodes[::max(1, -(-len(nodes) // operations))]
        for index in chosen:
            session.check_node(index)
            if session.has_keys(index) and session.key_shape(index)[0]:
                session.check_keys(index, generator, keys)
        report(f"{kind}: {len(chosen)} of {len(nodes)} operations checked")


if __name__ == "__main__":
    sys.exit(main())
