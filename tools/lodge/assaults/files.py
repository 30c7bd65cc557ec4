"""Forged and altered files, read by the tools that take such files."""

import shutil
import tempfile
import threading
import time
from pathlib import Path

from lodge.assaults.deployment import Pair
from lodge.assaults.forgery import Anatomy, Content, Text
from lodge.assaults.mutation import altered_bytes
from lodge.assaults.tally import CRASH_MARKS, HANG_SECONDS, Budget, shortened
from lodge.assaults.wire import Closed, serve

LANES = 3
BATCH_FILES = 400
# Parts of the time: files one by one, forged content, signed files, folders, dealing anew, serving.
PARTS = {"one": 0.2, "content": 0.17, "signed": 0.08, "folders": 0.43, "dealing": 0.07,
         "serving": 0.05}


def keep(path, name):
    """Copies an input that broke something to where it stays."""
    folder = Path(tempfile.gettempdir()) / "lodge-assault-found"
    folder.mkdir(exist_ok=True)
    shutil.copy(path, folder / name)
    return folder / name


def in_lanes(body, random, lanes):
    """Runs `body(random)` on threads, each with a generator of its own."""
    own = [type(random)(random.getrandbits(64)) for _ in range(lanes)]
    threads = [threading.Thread(target=body, args=(generator, number), daemon=True)
               for number, generator in enumerate(own)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Readers:
    """The commands that read a kind of file, with places for hostile ones."""

    def __init__(self, deployment, folder):
        self.deployment, self.folder = deployment, folder

    def commands(self, name, path):
        """For a file of the name `name` that lies at `path`."""
        check = [("lodge-check", "verify", path), ("lodge-check", "program", path),
                 ("lodge-check", "cost", path, "--prompt", 3, "--new", 3)]
        if name.endswith((".corr", ".json")):
            return check[:1]
        if name.endswith(".calibration"):
            return check[:1] + [
                ("lodge-model", "approximate", self.deployment.model, "--calibration", path,
                 "--out", self.folder / f"{path.name}.out")]
        if name == "model.lodge":
            return check + [("lodge-model", "share", path, "--out",
                             self.folder / f"{path.name}.shares")]
        if name == "dealer.bundle":
            return check + [("lodge-deal", path.parent, "--sessions", "0..<1", "--prompt", 1,
                             "--new", 1, "--out", self.folder / f"{path.parent.name}.dealt")]
        party = int(name[5])
        return check + [
            ("lodge-party", "--party", party, "--bundle", path, "--correlations",
             self.folder / "none", "--listen", "127.0.0.1:0", "--peer", "127.0.0.1:1",
             "--peer-timeout", "200ms")]

    def clean(self, path):
        for suffix in ("out", "shares"):
            place = self.folder / f"{path.name}.{suffix}"
            shutil.rmtree(place, ignore_errors=True) if place.is_dir() else \
                place.unlink(missing_ok=True)
        shutil.rmtree(self.folder / f"{path.parent.name}.dealt", ignore_errors=True)
        Path(f"{path}.ledger").unlink(missing_ok=True)


def one_by_one(deployment, row, random, seconds, count, sources, make):
    """Hostile files, each through one command that reads its kind."""
    folder = Path(tempfile.mkdtemp(dir=deployment.folder))
    readers = Readers(deployment, folder)
    (folder / "none").mkdir()
    budget, tally = Budget(seconds, count), deployment.tally

    def lane(own, number):
        while budget.take():
            source = own.choice(sources)
            place = folder / f"lane{number}"
            place.mkdir(exist_ok=True)
            # The dealer's bundle and manifests are known by their names.
            named = source.name == "dealer.bundle" or source.name.endswith(".json")
            path = place / (source.name if named else f"x{number}")
            if not make(source, path, own):
                continue
            command = own.choice(readers.commands(source.name, path))
            tally.add(row, "tried")
            taken = deployment.judge(row, source.name, *command)
            if taken is None:
                tally.tell(row, f"the file is {keep(path, f'{row.tried}-{source.name}')}")
            else:
                tally.add(row, "passed" if taken else "refused")
            readers.clean(path)
            path.unlink(missing_ok=True)

    in_lanes(lane, random, LANES)


def alter(anatomy, path, random):
    path.write_bytes(anatomy.altered(random))
    return True


def forge(content, path, random):
    path.unlink(missing_ok=True)
    return content.write_forged(path, random)


def folders(deployment, row, random, seconds, count, anatomy):
    """Folders full of altered session files, listed by one command."""
    budget, tally = Budget(seconds, count), deployment.tally

    def run(folder, what):
        outcome = deployment.run("lodge-deal", "status", folder, most_seconds=120)
        bad = outcome.status not in (0, 1) or any(m in outcome.messages for m in CRASH_MARKS)
        return outcome, bad, f"{what}: status {outcome.status}: {shortened(outcome.messages)}"

    def lane(own, number):
        folder = Path(tempfile.mkdtemp(dir=deployment.folder)) / "party0"
        folder.mkdir()
        names = [f"{index:06}.corr" for index in range(BATCH_FILES)]
        while budget.take(len(names)):
            for name in names:
                (folder / name).write_bytes(anatomy.altered(own))
            tally.add(row, "tried", len(names))
            outcome, bad, why = run(folder, "a folder of altered sessions")
            if not bad:
                refused = outcome.messages.count(b"does not count")
                tally.add(row, "refused", refused)
                tally.add(row, "passed", len(names) - refused)
            if bad:
                # Which of them: one at a time.
                kept = folder.parent / "one"
                kept.mkdir(exist_ok=True)
                for name in names:
                    (folder / name).rename(kept / "000000.corr")
                    _, bad, one = run(kept, name)
                    if bad:
                        why = f"{keep(kept / '000000.corr', f'{row.tried}-{name}')}: {one}"
                        break
                tally.add(row, "crashed", why=why)
            elif outcome.seconds > 3 * HANG_SECONDS:
                tally.add(row, "hung", why=f"{outcome.seconds:.0f} s for {len(names)} files")

    in_lanes(lane, random, LANES)


def dealing(deployment, row, random, seconds, count, short):
    """Damaged sessions in the dealer's folder: dealing again must make them right."""
    sessions = 10 if short else 60
    out = deployment.folder / "again"
    deployment.deal(out, sessions)
    paths = sorted(out.glob("party*/*.corr"))
    right = {path: path.read_bytes() for path in paths}
    budget, tally = Budget(seconds, count), deployment.tally
    while budget.take(len(paths)):
        for path in paths:
            path.write_bytes(altered_bytes(random, right[path]))
        tally.add(row, "tried", len(paths))
        taken = deployment.judge(
            row, "altered sessions", "lodge-deal", deployment.shares, "--sessions",
            f"0..<{sessions}", "--prompt", 3, "--new", 3, "--out", out)
        if not taken:
            tally.add(row, "crashed", taken is False, why="altered sessions are not dealt again")
            return
        kept = [path for path in paths if path.read_bytes() != right[path]]
        tally.add(row, "refused", len(paths) - len(kept))
        # What no digest covers means nothing; everything else was dealt anew.
        for path in kept:
            if deployment.judge(row, str(path), "lodge-check", "verify", path):
                tally.add(row, "passed")
            else:
                tally.add(row, "accepted", why=f"kept though damaged: {keep(path, path.name)}")


class Signed:
    """Signed bundles and sessions, and what --trust makes of altered ones."""

    def __init__(self, deployment):
        self.deployment = deployment
        folder = self.folder = deployment.folder / "signed"
        folder.mkdir()
        self.key = folder / "owner.key"
        deployment.succeed("lodge-party", "keygen", self.key)
        deployment.succeed("lodge-model", "share", deployment.lodge, "--out", folder / "shares",
                           "--sign", self.key)
        deployment.deal(folder / "correlations", 1, "--sign", self.key, shares=folder / "shares")
        session = folder / "correlations/party0"
        self.cases = [(folder / "shares", name, "manifest.json")
                      for name in ("party0.bundle", "manifest.json", "manifest.json.sig")]
        self.cases += [(session, name, "000000.json")
                       for name in ("000000.corr", "000000.json", "000000.json.sig")]

    def attack(self, row, random, seconds, count):
        budget, tally = Budget(seconds, count), self.deployment.tally

        def lane(own, number):
            while budget.take():
                folder, name, manifest = own.choice(self.cases)
                place = self.folder / f"lane{number}"
                shutil.rmtree(place, ignore_errors=True)
                place.mkdir()
                for path in folder.iterdir():
                    if path.is_file() and "party1" not in path.name and "dealer" not in path.name:
                        shutil.copy(path, place)
                data = (place / name).read_bytes()
                (place / name).write_bytes(altered_bytes(own, data))
                target = name if name.endswith((".bundle", ".corr")) else manifest
                tally.add(row, "tried")
                files = [place / manifest] + ([place / target] if target != manifest else [])
                taken = self.deployment.judge(
                    row, name, "lodge-check", "verify", "--trust", f"{self.key}.pub", *files)
                if not taken:
                    tally.add(row, "refused", taken is not None)
                elif name.endswith(".sig"):
                    # The same signature in another writing.
                    tally.add(row, "passed")
                else:
                    tally.add(row, "accepted", why=f"altered: {keep(place / name, name)}")

        in_lanes(lane, random, LANES)


def serving(deployment, row, random, short):
    """Parties whose session files are mostly damaged serve the others, and burn none."""
    tally, sessions = deployment.tally, 12 if short else 80
    pair = Pair(deployment, "damaged", sessions)
    altered = set()
    try:
        for session in range(sessions):
            if random.randrange(5):
                party = random.randrange(2)
                path = pair.folder / f"correlations/party{party}/{session:06}.corr"
                path.write_bytes(altered_bytes(random, path.read_bytes()))
                altered.add((session, path))
        tally.add(row, "tried", len(altered))
        pair.start_both()
        broken = {session for session, path in altered
                  if not deployment.judge(row, path.name, "lodge-check", "verify", path)}
        served, left = set(), sessions - len(broken)
        for _ in range(2 * sessions):
            if len(served) == left:
                break
            try:
                served.add(serve(pair.ports, random)[1])
            except (OSError, Closed):
                if pair.check(row):
                    break
        tally.add(row, "refused", len(broken))
        tally.add(row, "passed", len(altered) - len(broken))
        tally.add(row, "accepted", len(served & broken), why=f"served: {sorted(served & broken)}")
        pair.stop(row)
        burned = pair.unfinished()
        tally.add(row, "burned", len(burned), why=f"{sorted(burned)[:5]}")
        row.note = f"{len(served)} of {left} others served"
        if len(served) < left:
            tally.add(row, "hung", why=f"{left - len(served)} good sessions are not served")
    finally:
        pair.kill()


def attack(deployment, random, seconds, count, short):
    tally = deployment.tally

    def timed(name, body):
        row = tally.row(name)
        start = time.monotonic()
        body(row)
        row.seconds = time.monotonic() - start

    small = deployment.folder / "small"
    deployment.succeed("lodge-deal", deployment.shares, "--sessions", "0..<1", "--prompt", 1,
                       "--new", 1, "--out", small)
    session = small / "party0/000000.corr"
    paths = [deployment.shares / "party0.bundle", deployment.shares / "party1.bundle",
             deployment.shares / "dealer.bundle", deployment.lodge, deployment.calibration, session]
    signed = Signed(deployment)
    anatomies = [Anatomy(path) for path in paths]
    texts = [Text(folder / manifest) for folder, manifest in
             sorted({(folder, manifest) for folder, _, manifest in signed.cases})]
    contents = [Content(path) for path in paths[:5]]
    for content in contents:
        # Written again without a change they are taken: what is refused later has another reason.
        copy = deployment.folder / f"again-{content.name}"
        content.write(copy)
        deployment.succeed("lodge-check", "verify", copy)
    part = {name: seconds * share for name, share in PARTS.items()}
    timed("altered files, one by one", lambda row: one_by_one(
        deployment, row, random, part["one"], 40 if short else count // 10, anatomies + texts,
        alter))
    timed("forged content under right digests", lambda row: one_by_one(
        deployment, row, random, part["content"], 40 if short else count // 10, contents, forge))
    timed("altered signed files under --trust", lambda row: signed.attack(
        row, random, part["signed"], 20 if short else count // 10))
    timed("altered sessions in a folder", lambda row: folders(
        deployment, row, random, part["folders"], BATCH_FILES if short else count * 9 // 10,
        anatomies[5]))
    timed("altered sessions, dealt again", lambda row: dealing(
        deployment, row, random, part["dealing"], 20 if short else count, short))
    timed("altered sessions, served", lambda row: serving(deployment, row, random, short))
