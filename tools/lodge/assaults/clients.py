"""Clients that send what may not come, in every state of the protocol, over plain TCP."""

import struct
import threading
import time

from lodge.assaults.deployment import Pair
from lodge.assaults.mutation import Hostile
from lodge.assaults.tally import HANG_SECONDS, Budget
from lodge.assaults.wire import Client, Closed, Frames, serve

LANES = 5
# States that cost no session, the third at party 1 alone, and those in a session.
BEFORE = ("before hello", "before begin", "before seed")
DURING = ("before step", "in step", "before next step", "after end")


def honest(pair, row, random, context=None):
    """A client that does all right is served, at the second try at the latest."""
    for attempt in range(2):
        try:
            return serve(pair.ports, random, context, rows=(1, 1))
        except (OSError, Closed) as error:
            why = f"an honest client is not served: {error!r}"
            pair.check(row)
            time.sleep(1)
    pair.tally.add(row, "hung", why=why)
    return None


def state_before(random, party):
    """A state without a session; a party looks at those who wait once a second, so they are few."""
    if random.randrange(300) == 0:
        return "waiting"
    return random.choice(BEFORE[:2 + party])


def enter(pair, party, state, random, context=None):
    """Goes to a state before a session; returns the connection and the frame that may come next."""
    frames = Frames.dial(pair.parties[party].port, context)
    try:
        if state == "before hello":
            return frames, ("hello", {"role": "client"}), ()
        frames.send("hello", {"role": "client"})
        frames.expect("hello")
        begin = {"request": random.randbytes(16).hex(), "prompt": 1, "new": 1}
        if state == "before begin":
            return frames, ("begin", begin), ()
        frames.send("begin", begin)
        if state == "before seed":
            return frames, ("seed", random.randbytes(32)), ()
        if party == 1:
            frames.send("seed", random.randbytes(32))
        frames.expect("waiting")
        return frames, None, ()
    except BaseException:
        frames.close()
        raise


def judge(tally, row, frames, hostile, what):
    """Sends hostile bytes and sees whether the party closes where it must."""
    try:
        frames.raw(hostile.data)
        if not hostile.closes:
            tally.add(row, "passed")
        elif frames.is_closed(HANG_SECONDS):
            tally.add(row, "refused")
        else:
            tally.add(row, "hung", why=f"not closed after {what}, {hostile.what}: "
                      + hostile.data[:80].hex())
    except (OSError, Closed):
        tally.add(row, "refused")


def send_one(pair, row, state, party, random, context=None):
    tally = pair.tally
    tally.add(row, "tried")
    try:
        frames, right, allowed = enter(pair, party, state, random, context)
    except (OSError, Closed):
        tally.add(row, "refused")
        return
    hostile = Hostile(random, frames.number, right, allowed)
    judge(tally, row, frames, hostile, f"{state} at party {party}")
    if random.randrange(3):
        frames.close()
    else:
        frames.reset()


def in_session(pair, row, state, party, random, spent):
    """One hostile frame in a session, which it may cost, since a known client has begun it."""
    with Client(pair.ports, random, prompt=2, new=2) as client:
        spent.add(client.key)
        width = client.identity["inputWidth"]
        if state == "in step":
            client.send_step()
        elif state != "before step":
            client.step()
        if state == "after end":
            for connection in client.connections:
                connection.send("end", {"finished": True, "reason": ""})
        frames = client.connections[party]
        step = struct.pack("<IIII", client.steps, 1, client.rows, 1) + random.randbytes(8 * width * (1 - party))
        right = random.choice((("step", step), ("end", {"finished": True, "reason": ""})))
        hostile = Hostile(random, frames.number, None if state == "after end" else right,
                          ("step", "end"))
        if state in ("in step", "after end"):
            # A party computes, or reads what comes away, before it looks.
            hostile.closes = False
        pair.tally.add(row, "tried")
        judge(pair.tally, row, frames, hostile, f"{state} at party {party}")


def attack(deployment, random, seconds, count, short):
    tally = deployment.tally
    sessions = 12 if short else 160
    pair = Pair(deployment, "clients", sessions * 3)
    try:
        pair.start_both()
        before = tally.row("clients' frames before a session")
        during = tally.row("clients' frames in a session")
        start = time.monotonic()
        budget = Budget(seconds * 0.6, count - sessions)
        served = [honest(pair, before, random)]

        def lane(number):
            own = type(random)(f"{lane_seed} {number}")
            while budget.take():
                party = own.randrange(2)
                send_one(pair, before, state_before(own, party), party, own)

        lane_seed = random.getrandbits(64)
        lanes = [threading.Thread(target=lane, args=(n,), daemon=True) for n in range(LANES)]
        for thread in lanes:
            thread.start()
        while any(thread.is_alive() for thread in lanes):
            for thread in lanes:
                thread.join(0.5)
            if pair.check(before):
                break
            if len(served) < sessions:
                served.append(honest(pair, before, random))
        before.seconds = time.monotonic() - start

        start = time.monotonic()
        budget, spent = Budget(seconds * 0.4, sessions), set()
        while budget.take():
            try:
                in_session(pair, during, random.choice(DURING), random.randrange(2), random, spent)
            except (OSError, Closed):
                # The session before may have cost the parties their connection; not for long.
                if honest(pair, during, random) is None:
                    break
        served.append(honest(pair, during, random))
        during.seconds = time.monotonic() - start
        pair.stop(during)
        burned = pair.unfinished() - spent
        tally.add(during, "burned", len(burned), why=f"{sorted(burned)}")
        during.note = f"{len(spent & pair.unfinished())} of the {len(spent)} sessions that they " \
            f"began spent; {sum(map(bool, served))} honest clients served"
    finally:
        pair.kill()
