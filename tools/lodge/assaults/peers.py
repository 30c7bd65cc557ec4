"""A party in the hands of an attacker who plays the other one, in every state of the protocol."""

import json
import socket
import struct
import threading
import time

from lodge.assaults.clients import enter, honest, judge
from lodge.assaults.deployment import Broken, Pair
from lodge.assaults.mutation import Hostile
from lodge.assaults.tally import Budget
from lodge.assaults.wire import Closed, Frames

BEFORE = ("before hello", "before used", "idle")
DURING = ("after proposal", "in session", "in step", "after end")
END = {"finished": True, "reason": ""}
# The pauses with which party 1 dials grow to seconds.
DIAL_SECONDS = 20
SESSIONS = 60


class Impostor:
    """Plays party 1 for a real party 0, or party 0 for a real party 1."""

    def __init__(self, pair, party, random):
        """`party` is the real one."""
        self.pair, self.party, self.random = pair, party, random
        self.listener = None
        peer = None
        if party == 1:
            self.listener = socket.create_server(("127.0.0.1", 0))
            self.listener.settimeout(DIAL_SECONDS)
            peer = self.listener.getsockname()[1]
        port = pair.start(party, peer=peer).port
        with Frames.dial(port) as frames:
            frames.send("hello", {"role": "client"})
            self.hello = json.loads(frames.expect("hello")) | {"party": 1 - party}
        self.width = self.hello["inputWidth"]
        # What the real party has agreed to use, and how often it did so again.
        self.agreed, self.repeated, self.next = set(), 0, 0
        self.batch = pair.batch()
        # A party that has met the other one once does not give up for a wrong one.
        self.meet("idle")[0].close()

    def close(self):
        if self.listener:
            self.listener.close()

    def connect(self):
        """A fresh connection with the real party; as party 0 after its hello."""
        if self.party == 0:
            return Frames.dial(self.pair.parties[0].port)
        while True:
            frames = Frames(self.listener.accept()[0])
            try:
                if json.loads(frames.expect("hello"))["role"] == "party":
                    return frames
            except (OSError, Closed):
                pass
            frames.close()

    def lane(self, control):
        """A lane of the meeting on `control`, which is closed with it."""
        frames = self.open_lane()
        frames.control = control
        return frames

    def open_lane(self):
        hello = {"role": "lane", "meeting": self.meeting}
        if self.party == 0:
            frames = Frames.dial(self.pair.parties[0].port)
            frames.send("hello", hello)
            frames.expect("hello")
            return frames
        while True:
            frames = Frames(self.listener.accept()[0])
            if json.loads(frames.expect("hello")) == hello:
                frames.send("hello", hello)
                return frames
            frames.close()

    def meet(self, state):
        """Goes as far as `state`; returns the connection and what may come there."""
        frames = self.connect()
        try:
            if state == "before hello":
                return frames, ("hello", self.hello), ()
            frames.send("hello", self.hello)
            if self.party == 0:
                frames.expect("hello")
                self.await_used(frames)
            nothing = {"batch": "", "ranges": [], "more": False}
            if state == "before used":
                return frames, ("used", nothing | {"batch": "ab" * 16, "ranges": [5, 9]}), ()
            frames.send("used", nothing)
            if self.party == 0:
                self.meeting = json.loads(frames.expect("lanes"))["meeting"]
                return frames, ("clients", {"clients": []}), ()
            self.await_used(frames)
            self.meeting = self.random.randbytes(16).hex()
            frames.send("lanes", {"meeting": self.meeting, "count": 1})
            frames.expect("clients")
            return frames, ("lanes", {"meeting": self.meeting, "count": 1}), ()
        except BaseException:
            frames.close()
            raise

    @staticmethod
    def await_used(frames):
        while json.loads(frames.expect("used"))["more"]:
            pass

    def proposal(self, begin):
        self.next += 1
        return {"prompt": 1, "new": 1, "client": "", "batch": self.batch,
                "session": self.next - 1} | begin

    def note(self, key):
        """Notes that the real party has agreed to use a session."""
        self.repeated += key in self.agreed
        self.agreed.add(key)

    def meet_with_client(self, state):
        """Goes to a state with a client, which is returned as well."""
        client, _, _ = enter(self.pair, self.party, "before begin", self.random)
        peer = control = None
        try:
            begin = {"request": self.random.randbytes(16).hex(), "prompt": 1, "new": 1}
            client.send("begin", begin)
            if self.party == 1:
                client.send("seed", self.random.randbytes(32))
            client.expect("waiting")
            control, _, _ = self.meet("idle")
            peer = self.lane(control)
            if self.party == 0:
                control.send("clients", {"clients": [begin | {"client": ""}]})
                wanted = json.loads(peer.expect("proposal"))
                key = {"batch": wanted["batch"], "session": wanted["session"]}
                if state == "after proposal":
                    return peer, client, ("acceptance", key), ("decline",)
                peer.send("acceptance", key)
                self.note(key["session"])
            else:
                wanted = self.proposal(begin)
                if state == "after proposal":
                    return peer, client, ("proposal", wanted), ("proposal", "end")
                peer.send("proposal", wanted)
                peer.expect("acceptance")
                self.note(wanted["session"])
            client.expect("ready", "waiting")
            words = self.random.randbytes(8)
            if state == "in step":
                share = self.random.randbytes(8 * self.width * (1 - self.party))
                client.send("step", struct.pack("<IIII", 0, 1, 0, 1) + share)
                words = peer.expect("words")
            elif state == "after end":
                client.send("end", END)
                peer.expect("end")
                return peer, client, ("end", END), ("words",)
            return peer, client, ("words", words), ("end",)
        except BaseException:
            for connection in (client, peer, control):
                if connection:
                    connection.close()
            raise

    def propose_again(self):
        """Proposes what was used to a real party 1; it must not agree."""
        client, _, _ = enter(self.pair, 1, "before seed", self.random)
        with client:
            client.send("seed", self.random.randbytes(32))
            client.expect("waiting")
            control, _, _ = self.meet("before used")
            with control:
                control.send("used", {"batch": "", "ranges": [], "more": False})
                self.await_used(control)
                self.meeting = self.random.randbytes(16).hex()
                control.send("lanes", {"meeting": self.meeting, "count": 1})
                seen = json.loads(control.expect("clients"))["clients"]
                session = self.random.choice(sorted(self.agreed))
                with self.lane(control) as peer:
                    peer.send("proposal", seen[-1] | {"batch": self.batch, "session": session})
                    answer, _ = peer.receive()
                if answer == "acceptance":
                    self.note(session)
                return answer


def attack_one(pair, impostor, row, random, seconds, count, sessions):
    """Hostile frames at one real party, in turns of states."""
    tally, budget, costly = pair.tally, Budget(seconds, count), Budget(seconds, sessions)
    while budget.take():
        client = None
        try:
            with_client = random.randrange(4 + 8 * (impostor.party == 0)) == 0 and costly.take()
            tally.add(row, "tried")
            if with_client and impostor.party == 1 and impostor.agreed and random.randrange(3) == 0:
                before = impostor.repeated
                tally.add(row, "refused", impostor.propose_again() == "decline")
                tally.add(row, "repeated", impostor.repeated - before, why="a session agreed twice")
                continue
            if with_client:
                state = random.choice(DURING)
                peer, client, right, allowed = impostor.meet_with_client(state)
            else:
                # A party takes its time after a bad peer, but not after a bad hello to party 0.
                state = random.choice(BEFORE[:1] * (60 if impostor.party == 0 else 0) + BEFORE)
                peer, right, allowed = impostor.meet(state)
        except (OSError, Closed):
            if pair.check(row):
                return
            # The real party may still end what the last hostile frame has begun.
            tally.add(row, "passed")
            time.sleep(0.05)
            continue
        hostile = Hostile(random, peer.number, right, allowed)
        if state in DURING:
            # It may be busy, and reads some frames away after an end.
            hostile.closes = False
        judge(tally, row, peer, hostile, f"{state} at party {impostor.party}")
        peer.reset() if random.randrange(2) else peer.close()
        if client:
            client.close()
    if not pair.answers(impostor.party):
        pair.check(row)
        tally.add(row, "hung", why=f"party {impostor.party} does not answer any more")


def attack_party(deployment, party, row, random, seconds, count, sessions):
    """Plays the other one for a real party, then lets the true one come again."""
    start = time.monotonic()
    pair = Pair(deployment, f"peers{party}", 3 * sessions)
    impostor = None
    try:
        impostor = Impostor(pair, party, random)
        attack_one(pair, impostor, row, random, seconds, count, sessions)
        impostor.close()
        pair.stop(row)
        pair.start_both()
        honest(pair, row, random)
        pair.stop(row)
        row.note = f"{len(impostor.agreed)} sessions begun by it"
    finally:
        if impostor:
            impostor.close()
        pair.kill()
    row.seconds = time.monotonic() - start


def attack(deployment, random, seconds, count, short):
    rows = [deployment.tally.row(f"frames of a false party {1 - party}") for party in range(2)]
    failures = []

    def run(party, own):
        try:
            attack_party(deployment, party, rows[party], own, seconds, count // 2,
                         6 if short else SESSIONS)
        except (Broken, OSError) as error:
            failures.append(error)

    # Both at once: mostly they wait, since a party takes no new peer for a second after a bad one.
    threads = [threading.Thread(target=run, args=(party, type(random)(random.getrandbits(64))),
                                daemon=True) for party in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in failures:
        raise Broken(str(error))
