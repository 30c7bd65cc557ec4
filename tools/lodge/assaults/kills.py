"""Kills parties at random moments; a proxy between them watches for masks that are used twice."""

import json
import os
import selectors
import shutil
import signal
import socket
import threading
import time

from lodge.assaults.clients import honest
from lodge.assaults.deployment import Broken, Pair
from lodge.assaults.tally import Budget
from lodge.assaults.wire import HEADER, KINDS, Client, Closed

# Frames of a session with two steps, roughly; meeting, agreement and claims are the first of them.
FIRST_FRAMES, ALL_FRAMES = 8, 150
LANES = 2


class Proxy:
    """Stands where party 1 dials party 0, forwards whole frames and notes what they open.

    An opening is noted as soon as its header has come: from then on its sender has used the masks,
    even if it dies in the middle.
    """

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.target = None  # party 0's port; None while it is not there
        self.openings, self.repeated, self.keys = set(), [], set()
        self.left, self.action = 0, None
        self.is_closed = False
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.is_closed = True
        self.listener.close()

    def trap(self, frames, action):
        """Calls `action` when that many more frames have begun to come."""
        with self.lock:
            self.left, self.action = frames, action

    def accept(self):
        while not self.is_closed:
            try:
                channel, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(channel,), daemon=True).start()

    def dial(self):
        end = time.monotonic() + 4
        while time.monotonic() < end and not self.is_closed:
            try:
                if self.target:
                    return socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                pass
            time.sleep(0.002)
        return None

    def serve(self, incoming):
        outgoing = self.dial()
        if outgoing is None:
            incoming.close()
            return
        # By side: 0 is party 1's end, so that its bytes go to side 1, party 0's.
        ends, buffers, noted = [incoming, outgoing], [bytearray(), bytearray()], [False, False]
        talk = {"key": None, "count": [0, 0]}
        watch = selectors.DefaultSelector()
        for side, end in enumerate(ends):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            watch.register(end, selectors.EVENT_READ, side)
        try:
            while not self.is_closed:
                for event, _ in watch.select(1):
                    side = event.data
                    data = ends[side].recv(1 << 16)
                    if not data:
                        return
                    buffers[side] += data
                    self.forward(ends[1 - side], buffers[side], 1 - side, noted, talk)
        except OSError:
            pass
        finally:
            watch.close()
            for end in ends:
                end.close()

    def forward(self, end, buffer, sender, noted, talk):
        while len(buffer) >= HEADER.size:
            _, _, kind, _, size = HEADER.unpack_from(buffer)
            if not noted[sender]:
                noted[sender] = True
                self.note(kind, sender, talk)
            whole = HEADER.size + size
            if len(buffer) < whole:
                return
            if kind == KINDS["proposal"]:
                wanted = json.loads(bytes(buffer[HEADER.size:whole]))
                talk.update(key=(wanted["batch"], wanted["session"]), count=[0, 0])
            end.sendall(buffer[:whole])
            del buffer[:whole]
            noted[sender] = False

    def note(self, kind, sender, talk):
        action = None
        with self.lock:
            if kind == KINDS["words"] and talk["key"]:
                # With the program the number of an opening says which rows of which masks it uses.
                opening = (*talk["key"], sender, talk["count"][sender])
                talk["count"][sender] += 1
                if opening in self.openings:
                    self.repeated.append(opening)
                self.openings.add(opening)
                self.keys.add(talk["key"])
            self.left -= 1
            if self.left <= 0 and self.action:
                action, self.action = self.action, None
        if action:
            action()


class Killed:
    """Two parties of a lane, killed and started again; few session files lie there at a time."""

    def __init__(self, deployment, name, sessions, random):
        self.random = random
        self.pair = Pair(deployment, name, sessions)
        self.here = self.pair.folder / "correlations"
        self.reserve = self.pair.folder / "reserve"
        for party in range(2):
            source = self.here / f"party{party}"
            (self.reserve / source.name).mkdir(parents=True)
            for path in source.iterdir():
                path.rename(self.reserve / source.name / path.name)
        self.supplied = self.finished = self.kills = 0
        self.proxy = Proxy()
        self.supply()
        self.start((0, 1))

    def supply(self):
        """Puts the sessions after the last one in place and takes away old ones."""
        last = max((key[1] for key in self.proxy.keys), default=-1)
        if (self.pair.folder / "party0.ledger").exists():
            last = max([last] + [key[1] for key in self.pair.states(0)])
        for party in range(2):
            for session in range(self.supplied, last + 4):
                name = f"party{party}/{session:06}.corr"
                if (self.reserve / name).exists():
                    shutil.move(self.reserve / name, self.here / name)
            for session in range(max(0, last - 12), max(0, last - 4)):
                (self.here / f"party{party}/{session:06}.corr").unlink(missing_ok=True)
        self.supplied = max(self.supplied, last + 4)

    def start(self, parties):
        for party in parties:
            self.pair.start(party, peer=self.proxy.port if party else 0)
            if party == 0:
                self.proxy.target = self.pair.parties[0].port

    def kill_once(self):
        """Runs a session and kills one party or both at a random moment; says how many."""
        self.kills += 1
        killed = [0, 1] if self.kills % 5 == 0 else [self.random.randrange(2)]
        frames = self.random.randrange(self.random.choice((FIRST_FRAMES, ALL_FRAMES)))
        delay = self.random.choice((0, self.random.random() * 0.002))
        ended = [self.pair.parties[party].process for party in range(2)]

        def strike():
            time.sleep(delay)
            for party in killed:
                try:
                    os.kill(ended[party].pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass

        self.proxy.trap(frames, strike)
        try:
            with Client(self.pair.ports, self.random, prompt=2, new=2, seconds=20) as client:
                client.step(2)
                client.step()
                client.end()
            self.finished += 1
        except (OSError, Closed):
            pass
        self.proxy.trap(0, None)
        if 0 in killed:
            self.proxy.target = None
        for party in killed:
            self.pair.parties[party].kill()
        self.supply()
        self.start(killed)
        return len(killed)


def attack(deployment, random, seconds, count, short):
    tally = deployment.tally
    row = tally.row("kills of a party in a session")
    start = time.monotonic()
    kills = min(count, 8 if short else 300)
    lanes, failures = [], []

    def run(lane):
        try:
            while budget.take():
                tally.add(row, "tried", lane.kill_once())
        except (Broken, OSError) as error:
            failures.append(error)

    try:
        for number in range(1 if short else LANES):
            own = type(random)(random.getrandbits(64))
            lanes.append(Killed(deployment, f"kills{number}", kills + 20, own))
        # Setting up takes long on a busy machine.
        budget = Budget(seconds, kills)
        threads = [threading.Thread(target=run, args=(lane,), daemon=True) for lane in lanes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for lane in lanes:
            pair, proxy = lane.pair, lane.proxy
            alive = [party for party in pair.parties if party]
            if len(alive) == 2 and not failures:
                # What was killed goes on as if nothing had been.
                lane.supply()
                honest(pair, row, random)
                pair.stop(row)
            tally.add(row, "repeated", len(proxy.repeated), why=str(proxy.repeated[:3]))
            # Whatever was opened was claimed in both ledgers before.
            for party in range(2):
                unclaimed = proxy.keys - set(pair.states(party))
                tally.add(row, "repeated", len(unclaimed),
                          why=f"opened without a claim of party {party}: {sorted(unclaimed)[:3]}")
        for error in failures:
            tally.add(row, "crashed", why=f"a killed party does not come back: {error}")
        opened = sum(len(lane.proxy.keys) for lane in lanes)
        openings = sum(len(lane.proxy.openings) for lane in lanes)
        ends = sum(lane.finished for lane in lanes)
        row.passed = row.tried
        row.note = f"{opened} sessions opened {openings:,} times, {ends} came to their end"
    finally:
        for lane in lanes:
            lane.proxy.close()
            lane.pair.kill()
    row.seconds = time.monotonic() - start
