"""Frames of the wire protocol, valid ones and those that break a rule, and the steps of sessions."""

import struct

import numpy as np

from lodge.vector_files.container import canonical
from lodge.vector_files.session import CONVERSIONS, Conversion, seed
from lodge.verification.check_session import Session
from lodge.verification.read_bundle import PROVIDER_USER, Pair, stream_words
from lodge.verification.run_session import Run
from lodge.verification.wire import HEADER_BYTES, MAGIC, NAMES, VERSION, read_frame, read_message

INPUT_KIND = 0x49

REQUEST, MEETING, BATCH, CLIENT = "0a" * 16, "0b" * 16, "0c" * 16, "0d" * 32
KEY = {"batch": BATCH, "session": 3}
SEEN = {"request": REQUEST, "prompt": 12, "new": 32, "client": CLIENT}
PARTY = {
    "role": "party", "party": 1, "program": "0e" * 32, "conversion": "0f" * 32, "inputWidth": 512,
    "outputWidth": 512, "outputFractionalBits": 17, "decoder": True, "embedding": False,
    "rejection": True}

# Steps in tokens: a prompt of one with a draft that is taken back, and two tokens in its place.
STEPS = [{"tokens": [0, 1], "kept": 0, "outputs": 2}, {"tokens": [1, 0], "kept": 1, "outputs": 1}]


def frame(name, payload, number=0):
    return struct.pack("<2sBBIQ", MAGIC, VERSION, NAMES.index(name) + 1, number, len(payload)) + payload


def message(name, value):
    return frame(name, canonical(value).encode())


def step(index, rows, kept, outputs, words=()):
    return frame("step", struct.pack(f"<4I{len(words)}Q", index, rows, kept, outputs, *words))


def output(index, zero=0, words=(1, 2**64 - 1)):
    return frame("output", struct.pack(f"<IIQQQ{len(words)}Q", index, zero, 40, 2000, 3000, *words))


def without(value, name):
    return {key: member for key, member in value.items() if key != name}


def valid():
    """A frame of every type, and of every kind that there is of one."""
    yield "hello-client", message("hello", {"role": "client"})
    yield "hello-lane", message("hello", {"role": "lane", "meeting": MEETING})
    yield "hello-party", message("hello", PARTY)
    yield "hello-windowed", message("hello", PARTY | {"rejection": False})
    yield "hello-provider", message("hello", PARTY | {"party": 0, "deployment": "provider-user"})
    yield "hello-classes", message("hello", PARTY | {"decoder": False, "output": "classes", "outputWidth": 2})
    yield "hello-capped", message("hello", PARTY | {"outputCap": 30.5, "outputBound": 45.5, "padToken": 1})
    yield "hello-narrow", message("hello", PARTY | {"outputBits": 43})
    yield "begin", message("begin", without(SEEN, "client"))
    yield "begin-encoder", message("begin", without(SEEN, "client") | {"new": 0})
    yield "seed", frame("seed", bytes(range(32)))
    yield "waiting", message("waiting", {"reason": "2 clients are before this one"})
    yield "ready", message("ready", KEY)
    yield "refusal", message("refusal", {"reason": "busy: 64 wait", "hint": "", "retry": True})
    yield "step", step(0, 3, 0, 2, range(6))
    yield "step-drafts", step(1, 3, 2, 3)
    yield "output", output(1)
    yield "end", message("end", {"finished": True, "reason": ""})
    yield "end-early", message("end", {"finished": False, "reason": "the client has left"})
    yield "proposal", message("proposal", SEEN | KEY)
    yield "proposal-without-keys", message("proposal", SEEN | KEY | {"client": ""})
    yield "acceptance", message("acceptance", KEY)
    # The first flight of a step begins with what the client has asked for (T23).
    yield "words", frame("words", struct.pack("<4IQ", 1, 3, 2, 3, 2**63))
    yield "used-none", message("used", {"batch": "", "ranges": [], "more": False})
    yield "used", message("used", {"batch": BATCH, "ranges": [0, 3, 5, 6], "more": True})
    yield "clients", message("clients", {"clients": [SEEN, SEEN | {"client": "", "request": "1a" * 16}]})
    yield "clients-none", message("clients", {"clients": []})
    yield "decline", message("decline", {"fault": "unavailable", "reason": "cannot be read", "hint": "try"})
    yield "keys", frame("keys", bytes([7, 0, 255]))
    yield "lanes", message("lanes", {"meeting": MEETING, "count": 64})


def wrong():
    """Frames that a receiver closes the connection for, by the rule and what is wrong."""
    whole = message("end", {"finished": True, "reason": ""})
    for name, place, value in (("magic", 1, 0x58), ("version", 2, 3), ("type-none", 3, 0),
                               ("type-unknown", 3, len(NAMES) + 1), ("number", 4, 1)):
        yield f"T7-{name}", whole[:place] + bytes([value]) + whole[place + 1:]
    # A receiver closes at the header.
    yield "T8-control-long", whole[:8] + struct.pack("<Q", 65537)

    def json_text(name, what, text):
        return f"T24-{name}-{what}", frame(name, text)
    yield json_text("lanes", "no-json", b"lanes")
    yield json_text("lanes", "array", b"[]")
    yield json_text("waiting", "not-utf8", b'{"reason":"\xff"}')
    yield json_text("waiting", "twice", b'{"reason":"a","reason":"b"}')
    yield json_text("waiting", "more", b'{"reason":"a"}{}')
    for name, value, changes in (
            ("hello", {"role": "client"}, {"role": ("dealer", 1)}),
            ("hello", {"role": "lane", "meeting": MEETING}, {"meeting": (MEETING[2:], MEETING.upper(), 5)}),
            ("hello", PARTY, {
                "party": (2, True), "program": ("", "zz"), "inputWidth": (0, 2**24 + 1, 1.5),
                "outputFractionalBits": (-1, 63), "decoder": (1,), "deployment": ("two-server", "three-server"),
                "outputBits": (1, 64), "outputCap": (0, -1), "output": ("numbers",)}),
            ("begin", without(SEEN, "client"), {
                "request": (REQUEST[2:], REQUEST + "00"), "prompt": (0, 2**20 + 1, "12"), "new": (-1,)}),
            ("ready", KEY, {"batch": ("", "0G"), "session": (-1, 2**32)}),
            ("refusal", {"reason": "a", "hint": "", "retry": True}, {"retry": (1,), "hint": (None,)}),
            ("end", {"finished": True, "reason": ""}, {"finished": ("true",)}),
            ("proposal", SEEN | KEY, {"client": (CLIENT[2:], CLIENT.upper()), "session": (-1,)}),
            ("used", {"batch": BATCH, "ranges": [0, 3], "more": False}, {
                "ranges": ([0], [3, 3], [4, 2], [0, 3, 3, 5], [-1, 3], [0, 2**32], list(range(3002)))}),
            ("used", {"batch": "", "ranges": [], "more": False}, {"more": (True,)}),
            ("clients", {"clients": [SEEN]}, {
                "clients": ([SEEN | {"key": ""}], [without(SEEN, "client")], [SEEN] * 65, ["none"])}),
            ("decline", {"fault": "used", "reason": "", "hint": ""}, {"fault": ("other",)}),
            ("lanes", {"meeting": MEETING, "count": 1}, {"count": (0, 65), "meeting": ("",)})):
        kind = f"T24-{name}" + (f"-{value['role']}" if name == "hello" else "")
        kind += "-none" if name == "used" and not value["ranges"] else ""
        yield f"{kind}-unknown", message(name, value | {"comment": "none"})
        for member in value:
            yield f"{kind}-no-{member}", message(name, without(value, member))
        for member, values in changes.items():
            for number, changed in enumerate(values):
                yield f"{kind}-{member}-{number}", message(name, value | {member: changed})
    yield "T25-seed-short", frame("seed", bytes(31))
    yield "T25-step-short", frame("step", bytes(15))
    yield "T25-step-uneven", frame("step", bytes(23))
    yield "T25-output-short", frame("output", bytes(31))
    yield "T25-output-uneven", frame("output", bytes(39))
    yield "T25-output-zero", output(0, zero=1)
    yield "T25-words-uneven", frame("words", bytes(7))


def session_steps(folder, deployment):
    """The frames of the steps of the valid session of a deployment, and both parties' output words."""
    conversion = Conversion(deployment)
    prefix = f"{deployment}." if conversion.is_blind else ""
    roles = ("provider", "user") if deployment == PROVIDER_USER else ("party0", "party1")
    pair = Pair(*(folder / f"{prefix}{role}.bundle" for role in roles))
    run = Run(Session(pair, [folder / f"{prefix}party{p}.corr" for p in (0, 1)]))
    client_seed, width = seed("client"), conversion.program["vocabularySize"]
    entries = []
    for index, asked in enumerate(STEPS):
        inputs = np.eye(width, dtype="u8")[asked["tokens"]]
        head = (index, len(asked["tokens"]), asked["kept"], asked["outputs"])
        if deployment == PROVIDER_USER:
            own = inputs.ravel()
            frames = {"provider": step(*head).hex()}
        else:
            own = stream_words(client_seed, 0, 1, 0, INPUT_KIND, index, inputs.size)
            frames = {"party0": step(*head, (inputs.ravel() - own).tolist()).hex(),
                      "party1": step(*head).hex()}
        run.step(inputs, asked["kept"], asked["outputs"], own)
        entries.append(asked | {"frames": frames, "shares": [
            [f"{word:016x}" for word in share.tolist()] for share in run.output]})
    return {"deployment": deployment, "clientSeed": client_seed.hex(), "steps": entries}


def build(folder):
    """Writes wire.json beside the valid files, which it reads."""
    entries = []
    for name, data in valid():
        entries.append({"name": f"valid-{name}", "frame": data.hex(),
                        "message": read_message(*read_frame(data, 0))})
    entries += [{"name": name, "frame": data.hex(), "message": None} for name, data in wrong()]
    sessions = [session_steps(folder / "valid", deployment) for deployment in CONVERSIONS]
    lines = [",\n".join(map(canonical, part)) for part in (entries, sessions)]
    (folder / "wire.json").write_text(f'{{"frames":[\n{lines[0]}\n],"sessions":[\n{lines[1]}\n]}}\n')
