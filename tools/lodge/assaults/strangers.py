"""Strangers on TLS: noise, half handshakes, wrong keys, right keys with wrong frames, floods."""

import collections
import resource
import socket
import ssl
import threading
import time

from lodge.assaults.clients import enter, honest, judge, state_before
from lodge.assaults.deployment import Pair
from lodge.assaults.mutation import Hostile, altered_bytes
from lodge.assaults.tally import HANG_SECONDS, Budget
from lodge.assaults.wire import (Closed, Frames, client_hello, context, header, private_key, strange_keys,
                           write_identity)

LANES = 3
# Connections that are kept open without a word; a party must close them.
MOST_HELD = 200
FLOOD_HELD = 2500
DESCRIPTORS = 4096


class Keyed:
    """A pair with keys, and what strangers know and do not know of it."""

    def __init__(self, deployment, sessions):
        folder = deployment.folder / "keys"
        folder.mkdir()
        paths = {}
        for name in ("party0", "party1", "client"):
            paths[name] = folder / f"{name}.key"
            deployment.succeed("lodge-party", "keygen", paths[name])
        self.paths, self.public = paths, {name: f"{path}.pub" for name, path in paths.items()}
        more = [["--identity", paths[f"party{party}"], "--client-keys", self.public["client"],
                 "--peer-key", self.public[f"party{1 - party}"]] for party in range(2)]
        self.identity = folder / "client.pem"
        write_identity(self.identity, private_key(paths["client"]))
        self.known = context(self.identity)
        self.unknown = {"no key": context(),
                        "TLS 1.2": context(self.identity, newest=ssl.TLSVersion.TLSv1_2)}
        for name, key in strange_keys().items():
            path = folder / f"{name}.pem"
            write_identity(path, key)
            self.unknown[name] = context(path)
        self.hello = client_hello(self.identity)
        self.pair = Pair(deployment, "strangers", sessions, more=more)

    def run_client(self, deployment):
        """The real client; true when it is answered."""
        ports = self.pair.ports
        outcome = deployment.run(
            "lodge-client", "--party0", f"127.0.0.1:{ports[0]}", "--party1",
            f"127.0.0.1:{ports[1]}", "--tokens", deployment.model / "prompt.json", "--new", 3,
            "--identity", self.paths["client"], "--party0-key", self.public["party0"],
            "--party1-key", self.public["party1"], most_seconds=120)
        return outcome.status == 0


def noise(random, hello):
    """Bytes that begin no handshake, or only begin one."""
    choice = random.randrange(9)
    if choice == 0:
        return b""
    if choice == 1:
        return b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    if choice == 2:
        return header(1, 0, 18) + b'{"role": "client"}'
    if choice == 3:
        return random.randbytes(random.randint(1, 3000))
    if choice == 4:
        size = random.randint(0, 2**14)
        return bytes([random.choice((20, 21, 22, 23, 24)), 3, random.randrange(5)]) \
            + size.to_bytes(2, "big") + random.randbytes(random.randint(0, size))
    if choice == 5:
        return hello[:random.randrange(len(hello))]
    if choice == 6:
        return hello + random.randbytes(random.randint(1, 500))
    return altered_bytes(random, hello)


class Held:
    """Connections that say nothing more; each must be closed by the party in time."""

    def __init__(self, pair, row):
        self.pair, self.row = pair, row
        self.items = collections.deque()
        self.lock = threading.Lock()

    def add(self, channel):
        with self.lock:
            self.items.append((time.monotonic(), channel))
        self.look(MOST_HELD)

    def look(self, most):
        while True:
            with self.lock:
                if not self.items:
                    return
                start, channel = self.items[0]
                age = time.monotonic() - start
                if len(self.items) <= most and age < HANG_SECONDS:
                    return
                self.items.popleft()
            frames = Frames(channel)
            if age < HANG_SECONDS:
                self.pair.tally.add(self.row, "refused" if frames.is_closed(0.001) else "passed")
            elif frames.is_closed(HANG_SECONDS):
                self.pair.tally.add(self.row, "refused")
            else:
                self.pair.tally.add(self.row, "hung", why=f"a stranger is held {age:.0f} s")
            frames.close()

    def finish(self, waits):
        end = time.monotonic() + (HANG_SECONDS if waits else 0)
        while self.items and time.monotonic() < end:
            self.look(MOST_HELD)
            time.sleep(0.1)
        self.look(0)


def attack_noise(keyed, held, random):
    channel = socket.create_connection(("127.0.0.1", random.choice(keyed.pair.ports)), timeout=10)
    try:
        channel.sendall(noise(random, keyed.hello))
    except OSError:
        pass
    held.add(channel)


def attack_key(keyed, row, random):
    """A whole handshake with a wrong key; the party must not greet whoever has it."""
    name = random.choice(list(keyed.unknown))
    tally = keyed.pair.tally
    try:
        with Frames.dial(random.choice(keyed.pair.ports), keyed.unknown[name]) as frames:
            frames.send("hello", {"role": "client"})
            frames.expect("hello")
            tally.add(row, "accepted", why=f"a stranger with {name} is greeted")
    except socket.timeout:
        tally.add(row, "hung", why=f"a stranger with {name} is held")
    except (OSError, Closed):
        tally.add(row, "refused")


def attack_frames(keyed, row, random):
    """A known client's key, and frames that may not come; it must not pass for a party either."""
    pair = keyed.pair
    party = random.randrange(2)
    state = state_before(random, party)
    try:
        frames, right, allowed = enter(pair, party, state, random, keyed.known)
    except (OSError, Closed):
        pair.tally.add(row, "refused")
        return
    with frames:
        judge(pair.tally, row, frames, Hostile(random, frames.number, right, allowed),
              f"{state} at party {party}")


def flood(keyed, row, random, seconds, count):
    """As many connections as go, half of them silent, half with the beginning of a handshake."""
    budget, held = Budget(seconds, count), collections.deque()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= DESCRIPTORS:
        # The parties keep the limit that they were started with.
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, DESCRIPTORS), hard))
    most = min(FLOOD_HELD, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 500)
    while budget.take():
        try:
            channel = socket.create_connection(
                ("127.0.0.1", random.choice(keyed.pair.ports)), timeout=10)
            if random.randrange(2):
                channel.sendall(keyed.hello)
            held.append(channel)
        except OSError:
            pass
        keyed.pair.tally.add(row, "tried")
        keyed.pair.tally.add(row, "passed")
        if len(held) > most:
            held.popleft().close()
    for channel in held:
        channel.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def attack(deployment, random, seconds, count, short):
    tally = deployment.tally
    keyed = Keyed(deployment, 20 if short else 300)
    pair = keyed.pair
    rows = {name: tally.row(name) for name in
            ("strangers' noise and half handshakes", "strangers with wrong keys",
             "frames under a known client's key", "a flood of strangers")}
    noises, keys, frames, floods = rows.values()
    served, failed = [], []

    def alongside(threads, row):
        """Serves clients, the real one among them, as long as strangers are there."""
        while any(thread.is_alive() for thread in threads):
            if len(served) > (6 if short else 280) or pair.check(row):
                break
            ok = keyed.run_client(deployment) if len(served) % 4 == 1 else \
                honest(pair, row, random, keyed.known) is not None
            (served if ok else failed).append(row.name)
            time.sleep(0.2)
        for thread in threads:
            thread.join()

    try:
        pair.start_both()
        start = time.monotonic()
        budget, held = Budget(seconds * 0.7, count * 7 // 10), Held(pair, noises)

        def lane(own):
            while budget.take():
                choice = own.randrange(10)
                row = noises if choice < 5 else keys if choice < 7 else frames
                tally.add(row, "tried")
                try:
                    if row is noises:
                        attack_noise(keyed, held, own)
                    elif row is keys:
                        attack_key(keyed, row, own)
                    else:
                        attack_frames(keyed, row, own)
                except OSError:
                    tally.add(row, "refused")

        threads = [threading.Thread(target=lane, args=(type(random)(random.getrandbits(64)),),
                                    daemon=True)
                   for _ in range(LANES)]
        for thread in threads:
            thread.start()
        alongside(threads, noises)
        held.finish(waits=not short)
        noises.seconds = time.monotonic() - start
        start = time.monotonic()
        thread = threading.Thread(target=flood, args=(
            keyed, floods, random, seconds * 0.3, count * 3 // 10), daemon=True)
        thread.start()
        alongside([thread], floods)
        floods.seconds = time.monotonic() - start
        pair.check(floods)
        # `honest` has counted its own; the real client may have been pushed out of a handshake.
        if len(failed) > max(1, len(served) // 5):
            tally.add(floods, "hung", why=f"{len(failed)} clients of "
                      f"{len(failed) + len(served)} do not get through")
        if not keyed.run_client(deployment):
            tally.add(floods, "hung", why="no client is served after the flood")
        pair.stop(floods)
        burned = pair.unfinished()
        tally.add(floods, "burned", len(burned), why=f"{sorted(burned)[:5]}")
        floods.note = f"{len(served)} of {len(served) + len(failed)} clients served meanwhile"
    finally:
        pair.kill()
