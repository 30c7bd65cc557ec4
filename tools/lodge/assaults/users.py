"""A provider in the hands of users who send what may not come, in every state of the protocol."""

import json
import struct
import time

from lodge.assaults.clients import judge
from lodge.assaults.deployment import Provider
from lodge.assaults.mutation import Hostile
from lodge.assaults.tally import Budget
from lodge.assaults.wire import Closed, Frames

BEFORE = ("before hello", "before begin", "before used")
DURING = ("after proposal", "in session", "in step", "after end")
END = {"finished": True, "reason": ""}
NOTHING = {"batch": "", "ranges": [], "more": False}


def enter(provider, state, random):
    """Goes as far as `state`; returns the connection and what may come there."""
    frames = Frames.dial(provider.port)
    try:
        if state == "before hello":
            return frames, ("hello", provider.hello), ()
        frames.send("hello", provider.hello)
        frames.expect("hello")
        begin = {"request": random.randbytes(16).hex(), "prompt": 1, "new": 1}
        if state == "before begin":
            return frames, ("begin", begin), ()
        frames.send("begin", begin)
        while json.loads(frames.expect("used", "waiting"))["more"]:
            pass
        if state == "before used":
            return frames, ("used", NOTHING | {"batch": "ab" * 16, "ranges": [5, 9]}), ()
        frames.send("used", NOTHING)
        wanted = json.loads(frames.expect("proposal", "waiting"))
        key = {"batch": wanted["batch"], "session": wanted["session"]}
        if state == "after proposal":
            return frames, ("acceptance", key), ("decline", "end")
        frames.send("acceptance", key)
        frames.expect("ready")
        step = struct.pack("<IIII", 0, 1, 0, 1)
        if state == "in session":
            return frames, ("step", step), ("end",)
        if state == "in step":
            frames.send("step", step)
            return frames, ("words", random.randbytes(8)), ("end",)
        frames.send("end", END)
        frames.expect("end", "keys")
        return frames, None, ()
    except BaseException:
        frames.close()
        raise


def honest(provider, row):
    """A user that does all right is served, at the second try at the latest."""
    for _ in range(2):
        outcome = provider.ask()
        if outcome.status == 0:
            return 1
        provider.check(row)
        time.sleep(1)
    provider.tally.add(row, "hung", why=f"an honest user is not served: {outcome.messages[-300:]!r}")
    return 0


def attack(deployment, random, seconds, count, short):
    tally = deployment.tally
    row = tally.row("frames of a false user")
    start = time.monotonic()
    sessions = 8 if short else 120
    provider = Provider(deployment, "users", 3 * sessions)
    try:
        budget, costly, begun = Budget(seconds, count), Budget(seconds, sessions), 0
        served = honest(provider, row)
        while budget.take():
            state = random.choice(BEFORE[:2])
            if random.randrange(4) == 0 and costly.take():
                state = random.choice(BEFORE[2:] + DURING)
            tally.add(row, "tried")
            # After `used` a session is claimed for this user, who may spend what was dealt for it.
            begun += state not in BEFORE[:2]
            try:
                frames, right, allowed = enter(provider, state, random)
            except (OSError, Closed):
                if provider.check(row):
                    return
                tally.add(row, "refused")
                continue
            hostile = Hostile(random, frames.number, right, allowed)
            if state in ("in step", "after end"):
                # It computes, or reads what comes away, before it looks.
                hostile.closes = False
            judge(tally, row, frames, hostile, f"{state} at the provider")
            frames.reset() if random.randrange(2) else frames.close()
        served += honest(provider, row)
        provider.stop(row)
        lost = provider.unfinished()
        tally.add(row, "burned", max(0, len(lost) - begun), why=f"{sorted(lost)}")
        row.note = f"{len(lost)} sessions begun by them; {served} honest users served"
    finally:
        provider.kill()
    row.seconds = time.monotonic() - start
