"""Bundles and session files with one thing wrong; each stands in for a valid file of its name."""

import hashlib

import numpy as np

from lodge.verification.read_bundle import derived_seed
from lodge.vector_files.container import canonical, write
from lodge.vector_files.session import Conversion, all_files, seed


class Cases:
    """Builds variations of the valid files."""

    def __init__(self):
        self.conversion = Conversion()
        self.valid = all_files()

    def replaced(self, name, header=None, datasets=None, kind=None):
        """A valid file with members of its header and datasets replaced; None removes one."""
        old_kind, old_header, old_datasets = self.valid[name]

        def merged(old, new):
            return {key: value for key, value in (old | (new or {})).items() if value is not None}
        return kind or old_kind, merged(old_header, header), merged(old_datasets, datasets)

    def program(self, name, **members):
        """A file with another program under the right digest of that program."""
        program = self.conversion.program | members
        digest = hashlib.sha256(canonical(program).encode()).hexdigest()
        return self.replaced(name, {"program": program, "programDigest": digest})

    def word(self, name, dataset, element, change=1):
        """A file with one element of an array changed."""
        array = np.array(self.valid[name][2][dataset])
        array.ravel()[element] += array.dtype.type(change)
        return self.replaced(name, datasets={dataset: array})

    def bundles(self):
        zeros = np.zeros((2, 2), dtype="u8")
        bundle0, bundle1, dealer = "party0.bundle", "party1.bundle", "dealer.bundle"
        yield "C8-read-kind", bundle0, self.replaced(bundle0, kind="dealer")
        yield "B1-pair-conversion", bundle1, self.replaced(bundle1, {"conversion": "c9" * 16})
        yield "B1-pair-program", bundle1, self.program(bundle1, family="bert")
        yield "B2-read-digest", bundle0, self.replaced(bundle0, {"programDigest": "0d" * 32})
        yield "B2-read-program", dealer, self.replaced(
            dealer, {"program": self.conversion.program | {"family": "bert"}})
        yield "B3-pair-two-full", bundle1, self.replaced(
            bundle1, {"storages": ["full", "full", "seed"]}, {"weights/0": zeros})
        yield "B3-pair-two-seeds", bundle1, self.replaced(
            bundle1, {"storages": ["seed", "seed", "seed"]}, {"weights/1": None})
        yield "B4-read-missing", bundle0, self.replaced(bundle0, datasets={"weights/0": None})
        yield "B4-read-no-seed", bundle0, self.replaced(bundle0, datasets={"weightSeed": None})
        yield "B4-read-more", bundle0, self.replaced(bundle0, datasets={"weights/1": zeros})
        yield "B4-read-shape", bundle0, self.replaced(
            bundle0, datasets={"weights/0": zeros.reshape(1, 4)})
        for number, storages in enumerate((["full", "seed"], ["full", "seed", "half"])):
            yield f"B9-read-storages-{number}", bundle0, self.replaced(
                bundle0, {"storages": storages})
        yield "B9-read-unknown", bundle0, self.replaced(bundle0, {"comment": "none"})
        yield "B9-read-missing", bundle0, self.replaced(bundle0, {"deployment": None})
        yield "B9-read-deployment", bundle0, self.replaced(bundle0, {"deployment": "three-server"})
        yield "B9-read-party", bundle0, self.replaced(bundle0, {"party": 2})
        yield "B10-read-missing", dealer, self.replaced(dealer, datasets={"weights/2": None})
        yield "B10-read-more", dealer, self.replaced(
            dealer, datasets={"weights/1": np.zeros((4, 2), dtype="i2")})
        yield "B10-read-type", dealer, self.replaced(
            dealer, datasets={"weights/0": zeros.astype("f8")})
        client = "client.bundle"
        for name in (dealer, client):
            yield "B12-read-missing", name, self.replaced(name, datasets={"salt": None})
            yield "B12-read-short", name, self.replaced(
                name, datasets={"salt": np.zeros(16, dtype="u1")})
        yield "B11-read-more", client, self.replaced(client, datasets={"segments": zeros})
        yield "B11-read-width", client, self.replaced(
            client, datasets={"positions": np.zeros((4, 3), dtype="i4")})

    def headers(self):
        """A session file for every member of its header."""
        file = "party0.corr"
        for key, wrong in {
                "batch": "0a", "session": 2**32 - 1, "party": 1, "kind": "encoder",
                "promptCapacity": 4, "newCapacity": 0, "conversion": "c9" * 16,
                "programDigest": "0d" * 32}.items():
            yield f"R4-read-{key}", file, self.replaced(file, {key: wrong})
        yield "R4-read-no-session", file, self.replaced(file, {"session": None})
        yield "R4-read-unknown", file, self.replaced(file, {"comment": "none"})

    def arrays(self):
        file, name = "party0.corr", "operations/2/0"
        array = self.valid[file][2][name]
        yield "R4-read-array-missing", file, self.replaced(file, datasets={name: None})
        yield "R4-read-array-more", file, self.replaced(file, datasets={"operations/2/1": array})
        yield "R4-read-array-type", file, self.replaced(file, datasets={name: array.view("i1")})
        yield "R4-read-array-shape", file, self.replaced(file, datasets={name: array[:-1]})
        yield "R4-read-keys-shape", file, self.replaced(file, datasets={
            "operations/16/keys": self.valid[file][2]["operations/16/keys"][:, :-1]})
        yield "R4-read-point-keys-shape", file, self.replaced(file, datasets={
            "operations/25/keys": self.valid[file][2]["operations/25/keys"][:, :-1]})
        yield "R4-read-point-keys-missing", file, self.replaced(file, datasets={
            "operations/25/keys": None})
        yield "R4-read-seed-shape", file, self.replaced(file, datasets={
            "seed": np.zeros(16, dtype="u1")})
        yield "R4-pair-session", "party1.corr", self.replaced("party1.corr", {"session": 4})
        yield "R4-pair-batch", "party1.corr", self.replaced("party1.corr", {"batch": "0b" * 16})
        yield "R10-read-identifier", "dealer.batch", self.replaced(
            "dealer.batch", {"batch": "0a" * 16})
        yield "R10-read-seed", "dealer.batch", self.replaced(
            "dealer.batch", datasets={"seed": np.zeros(31, dtype="u1")})
        yield "R10-algebra-seed", "party1.corr", self.replaced(
            "party1.corr", datasets={"seed": np.frombuffer(seed("other"), dtype="u1")})
        yield "R10-algebra-batch", "dealer.batch", self.other_batch()

    def other_batch(self):
        """The right header of another batch."""
        other = seed("another batch")
        return self.replaced("dealer.batch", {
            "batch": derived_seed(other, b"lodge/1/batch")[:16].hex()},
            {"seed": np.frombuffer(other, dtype="u1")})

    def algebra(self):
        """One wrong word in one array of every operation, and in one field of the keys."""
        for index, node in enumerate(self.conversion.program["operations"]):
            arrays = sorted(
                (int(dataset.split("/")[2]), name, dataset)
                for name in ("party0.corr", "party1.corr") for dataset in self.valid[name][2]
                if dataset.startswith(f"operations/{index}/") and "keys" not in dataset)
            for component, name, dataset in arrays:
                case = f"R11-algebra-{index}-{node['name']}-{component}"
                yield case, name, self.word(name, dataset, component % 2, 2**component)
        keys, points, multiplied = (f"operations/{index}/keys" for index in (16, 25, 39))
        yield "R12-algebra-one-file", "party1.corr", self.word("party1.corr", keys, 0)
        yield "R12-algebra-point-one-file", "party1.corr", self.word("party1.corr", points, 0)
        # Of a key with 3 levels of 40 bytes: a byte of control bits first, then two leaves of 24.
        value = 1 + 2 * 24
        fields = [("control", keys, 0), ("leaf", keys, 1), ("value", keys, value),
                  ("seed", keys, value + 24 + 1)]
        # Of a point key a byte of control bits, two leaves of 15, and two levels of a seed correction.
        fields += [("point-control", points, 0), ("point-leaf", points, 1),
                   ("point-seed", points, 1 + 2 * 15 + 1)]
        # Of one with a factor, what is multiplied by t and by h: words 3 and 6 of the leaf of 27 bytes, and words 2 and
        # 4 of the middle level behind it.
        for place, part in ((1, "t"), (2, "h")):
            fields += [(f"factor-leaf-{part}", multiplied, 1 + 3 * (3 * place)),
                       (f"factor-middle-{part}", multiplied, 1 + 27 + 3 * (2 * place))]
        for field, array, place in fields:
            for name in ("party0.corr", "party1.corr"):
                yield f"R12-algebra-{field}", name, self.word(name, array, place)

    def other_deployments(self):
        """What blind dealers, providers and users add."""
        blind0, blind1 = "blind-dealer.party0.bundle", "blind-dealer.party1.bundle"
        provider, user = "provider-user.provider.bundle", "provider-user.user.bundle"
        other = {"maskSeed": np.frombuffer(seed("other"), dtype="u1")}
        yield "B1-pair-deployment", blind1, self.replaced(
            blind1, {"deployment": "two-server"}, {"maskSeed": None})
        yield "B4-read-no-mask-seed", blind0, self.replaced(blind0, datasets={"maskSeed": None})
        yield "B4-read-mask-seed", "party0.bundle", self.replaced("party0.bundle", datasets=other)
        yield "B4-read-weight-seed", user, self.replaced(
            user, datasets={"weightSeed": other["maskSeed"]})
        yield "B4-read-mask-seed-short", provider, self.replaced(
            provider, datasets={"maskSeed": np.zeros(16, dtype="u1")})
        yield "B4-read-plain-missing", provider, self.replaced(provider, datasets={"weights/1": None})
        yield "B4-read-plain-type", provider, self.replaced(
            provider, datasets={"weights/1": np.zeros((4, 2), dtype="f8")})
        yield "B4-read-plain-shape", provider, self.replaced(
            provider, datasets={"weights/1": np.zeros((2, 4), dtype="i2")})
        yield "B4-read-user-weights", user, self.replaced(
            user, datasets={"weights/1": np.zeros((4, 2), dtype="i2")})
        storages = {name: self.valid[name][1]["storages"] for name in (blind0, provider, user)}
        yield "B14-read-plain", "party0.bundle", self.replaced(
            "party0.bundle", {"storages": ["plain", "seed", "full"]})
        yield "B14-read-blind-nothing", blind0, self.replaced(
            blind0, {"storages": ["nothing", *storages[blind0][1:]]}, {"weights/0": None})
        yield "B14-read-provider-full", provider, self.replaced(
            provider, {"storages": ["full", *storages[provider][1:]]},
            {"weights/0": np.zeros((2, 2), dtype="u8")})
        yield "B14-read-provider-nothing", provider, self.replaced(
            provider, {"storages": storages[user]}, {f"weights/{i}": None for i in range(4)})
        yield "B14-read-user-seed", user, self.replaced(
            user, {"storages": ["seed", *storages[user][1:]]})
        yield "B15-pair-blind", blind1, self.replaced(blind1, datasets=other)
        yield "B15-pair-user", user, self.replaced(user, datasets=other)
        for dealer in ("blind-dealer.dealer.bundle", "provider-user.dealer.bundle"):
            yield "B9-read-deployment", dealer, self.replaced(dealer, {"deployment": "three-server"})
            yield "B10-read-type", dealer, self.replaced(
                dealer, datasets={"weights/0": np.zeros((2, 2), dtype="f8")})
        yield from self.other_sessions()

    def other_sessions(self):
        blind, files = "blind-dealer.party0.corr", [f"provider-user.party{p}.corr" for p in (0, 1)]
        key = seed("another user").hex()
        yield "R4-read-no-deployment", blind, self.replaced(blind, {"deployment": None})
        yield "R4-read-deployment", blind, self.replaced(blind, {"deployment": "provider-user"})
        yield "R4-read-two-server-deployment", "party0.corr", self.replaced(
            "party0.corr", {"deployment": "blind-dealer"})
        yield "R4-read-user-of-two-servers", "party0.corr", self.replaced("party0.corr", {"user": key})
        yield "R4-read-user-of-blind-dealer", blind, self.replaced(blind, {"user": key})
        yield "R4-read-user", files[0], self.replaced(files[0], {"user": key[:-2]})
        yield "R4-pair-user", files[1], self.replaced(files[1], {"user": key})
        yield "R4-pair-no-user", files[1], self.replaced(files[1], {"user": None})
        # The files of the blind dealer have keys once.
        yield "R4-read-keys", blind, self.replaced(blind, {"keys": "both"})
        yield "R4-read-no-keys", blind, self.replaced(blind, {"keys": None})
        yield "R4-read-keys-of-user", files[0], self.replaced(files[0], {"keys": "once"})
        digests = [(name, dataset) for name in (blind, "blind-dealer.party1.corr")
                   for dataset in self.valid[name][2] if dataset.endswith("keysDigest")]
        assert {name for name, _ in digests} == {blind, "blind-dealer.party1.corr"}
        for name, dataset in digests:
            yield (f"R13-algebra-once-{dataset.split('/')[1]}", name, self.word(name, dataset, 31))
        batch = "provider-user.dealer.batch"
        yield "R10-read-user", batch, self.replaced(batch, {"user": key + "00"})
        # The user's file has no arrays, and digests of keys only.
        keys = {name: self.valid[files[0]][2][name] for name in self.valid[files[0]][2] if "keys" in name}
        name = "operations/16/keys"
        yield "R13-read-keys", files[1], self.replaced(
            files[1], datasets={name: keys[name], f"{name}Digest": None})
        yield "R13-read-both", files[1], self.replaced(files[1], datasets={name: keys[name]})
        yield "R13-read-no-digest", files[1], self.replaced(files[1], datasets={f"{name}Digest": None})
        yield "R13-read-short", files[1], self.replaced(
            files[1], datasets={f"{name}Digest": np.zeros(31, dtype="u1")})
        yield "R13-read-digest-of-provider", files[0], self.replaced(
            files[0], datasets={f"{name}Digest": np.zeros(32, dtype="u1")})
        yield "R13-read-array-of-user", files[1], self.replaced(
            files[1], datasets={"operations/7/0": self.valid[files[0]][2]["operations/7/0"]})
        for index in (16, 25):
            yield f"R13-algebra-{index}-digest", files[1], self.word(
                files[1], f"operations/{index}/keysDigest", 31)
        yield "R12-algebra-provider-key", files[0], self.word(files[0], name, 0)
        for number in (2, 30, 33):
            for file in (blind, files[0]):
                dataset = f"operations/{number}/0"
                file = file if dataset in self.valid[file][2] else "blind-dealer.party1.corr"
                yield f"R14-algebra-{number}-{file.split('.')[0]}", file, self.word(file, dataset, 1)

    def content(self):
        """A dataset of each of two files whose bytes are changed when its digest is taken."""
        for name, dataset in (("party0.bundle", "weights/0"), ("party0.corr", "operations/16/keys")):
            yield ("B4" if "bundle" in name else "R5"), name, self.valid[name][2][dataset]


def build(folder):
    """Writes every case as <rule>-<stage>-<what>.<name of the valid file>."""
    cases = Cases()
    for source in (cases.bundles, cases.headers, cases.arrays, cases.algebra,
                   cases.other_deployments):
        for name, file, (kind, header, datasets) in source():
            write(folder / f"{name}.{file}", kind, header, datasets)
    for rule, file, array in cases.content():
        path = folder / f"{rule}-content-damaged.{file}"
        write(path, *cases.valid[file])
        content = bytearray(path.read_bytes())
        content[content.index(array.tobytes()) + 5] ^= 0x10
        path.write_bytes(content)
