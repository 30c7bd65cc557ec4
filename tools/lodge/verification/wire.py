"""Reads frames of the wire protocol and the messages in them; written from formats/wire.md."""

import json
import re
import struct

MAGIC, VERSION = b"LW", 4
HEADER_BYTES, LONGEST_CONTROL = 16, 65536
NAMES = ("hello", "begin", "seed", "waiting", "ready", "refusal", "step", "output", "end", "proposal",
         "acceptance", "words", "used", "clients", "decline", "keys", "lanes")
DATA = ("step", "output", "words", "keys")


class WireError(Exception):
    """What a receiver closes the connection for."""


def read_frame(data, number):
    """(name, payload) of the frame that `data` is, which must be number `number` of its direction."""
    if len(data) < HEADER_BYTES:
        raise WireError("is no whole header")
    magic, version, kind, found, count = struct.unpack("<2sBBIQ", data[:HEADER_BYTES])
    if magic != MAGIC:
        raise WireError("does not begin with LW")
    if version != VERSION:
        raise WireError(f"is of version {version}")
    if not 1 <= kind <= len(NAMES):
        raise WireError(f"is of unknown type {kind}")
    if found != number:
        raise WireError(f"has number {found}, not {number}")
    name = NAMES[kind - 1]
    if name not in DATA and count > LONGEST_CONTROL:
        raise WireError(f"announces {count} bytes of {name}")
    if count != len(data) - HEADER_BYTES:
        raise WireError(f"announces {count} bytes, {len(data) - HEADER_BYTES} are there")
    return name, data[HEADER_BYTES:]


def text(value):
    return isinstance(value, str)


def boolean(value):
    return isinstance(value, bool)


def number(value):
    return isinstance(value, (int, float)) and not boolean(value) and 0 < value < float("inf")


def integer(low, high):
    return lambda value: isinstance(value, int) and not boolean(value) and low <= value <= high


def hexadecimal(low, high):
    """Lower-case hexadecimal of `low` to `high` bytes."""
    return lambda value: text(value) and len(value) % 2 == 0 and low <= len(value) // 2 <= high and (
        re.fullmatch("[0-9a-f]*", value) is not None)


def one_of(*values):
    return lambda value: text(value) and value in values


TOKENS = integer(0, 2**20)
PROMPT = integer(1, 2**20)
KEY = {"batch": hexadecimal(1, 64), "session": integer(0, 2**32 - 1)}
SEEN = {"request": hexadecimal(16, 16), "prompt": PROMPT, "new": TOKENS,
        "client": lambda value: value == "" or hexadecimal(32, 32)(value)}
WIDTH = integer(1, 2**24)
DIGEST = hexadecimal(1, 64)
FAULTS = one_of("used", "damaged", "unavailable", "machine", "client")

ROLES = {
    "client": {},
    "lane": {"meeting": hexadecimal(16, 16)},
    "party": {"party": integer(0, 1), "program": DIGEST, "conversion": DIGEST, "inputWidth": WIDTH,
              "outputWidth": WIDTH, "outputFractionalBits": integer(0, 62), "decoder": boolean,
              "embedding": boolean, "rejection": boolean},
}
# What a party's hello has where the program does.
OUTPUTS = ("logits", "states", "tokenLogits", "tokenClasses", "classes", "embedding")
OPTIONAL = {"output": one_of(*OUTPUTS), "outputCap": number, "outputBound": number,
            "padToken": integer(0, 2**24 - 1), "contextMarkers": lambda value: isinstance(value, dict),
            "outputBits": integer(2, 63), "deployment": one_of("blind-dealer", "provider-user")}


def clients(value):
    if not isinstance(value, list) or len(value) > 64:
        return False
    for client in value:
        check(client, SEEN)
    return True


def ranges(value):
    """Half-open ranges of session numbers, ascending and with gaps."""
    return (isinstance(value, list) and len(value) % 2 == 0 and len(value) <= 3000
            and all(integer(0, 2**32 - 1)(end) for end in value)
            and all(a < b for a, b in zip(value, value[1:])))


MEMBERS = {
    "begin": {name: SEEN[name] for name in ("request", "prompt", "new")},
    "waiting": {"reason": text},
    "ready": KEY,
    "refusal": {"reason": text, "hint": text, "retry": boolean},
    "end": {"finished": boolean, "reason": text},
    "proposal": SEEN | KEY,
    "acceptance": KEY,
    "used": {"batch": lambda value: value == "" or KEY["batch"](value), "ranges": ranges,
             "more": boolean},
    "clients": {"clients": clients},
    "decline": {"fault": FAULTS, "reason": text, "hint": text},
    "lanes": {"meeting": hexadecimal(16, 16), "count": integer(1, 64)},
}


def check(value, members, optional=None):
    """Throws unless `value` is an object of exactly these members."""
    if not isinstance(value, dict):
        raise WireError("is no object")
    for name in members:
        if name not in value:
            raise WireError(f"{name}: is missing")
    for name, member in value.items():
        test = members.get(name) or (optional or {}).get(name)
        if test is None:
            raise WireError(f"{name}: is unknown")
        if not test(member):
            raise WireError(f"{name}: {member!r} may not stand there")


def once(pairs):
    """An object without two members of one name."""
    result = dict(pairs)
    if len(result) != len(pairs):
        raise WireError("has a member twice")
    return result


def read_json(payload):
    try:
        return json.loads(payload.decode("utf-8"), object_pairs_hook=once)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise WireError(f"is no JSON: {error}") from None


def words(payload, start):
    if (len(payload) - start) % 8:
        raise WireError("is not made of whole ring elements")
    return [f"{value:016x}" for value in struct.unpack(f"<{(len(payload) - start) // 8}Q", payload[start:])]


def read_message(name, payload):
    """The members of a message, as JSON has them; those of data are named here."""
    if name == "hello":
        value = read_json(payload)
        role = value.get("role") if isinstance(value, dict) else None
        if not text(role) or role not in ROLES:
            raise WireError("role: is none")
        check(value, ROLES[role] | {"role": text}, OPTIONAL if role == "party" else None)
        return value
    if name in MEMBERS:
        value = read_json(payload)
        check(value, MEMBERS[name])
        if name == "used" and value["more"] and not value["ranges"]:
            raise WireError("more: after no session at all")
        return value
    if name == "seed":
        if len(payload) != 32:
            raise WireError("is not a seed of 32 bytes")
        return {"seed": payload.hex()}
    if name == "step":
        if len(payload) < 16:
            raise WireError("is no whole step")
        index, rows, kept, outputs = struct.unpack("<4I", payload[:16])
        return {"step": index, "rows": rows, "kept": kept, "outputs": outputs, "words": words(payload, 16)}
    if name == "output":
        if len(payload) < 32:
            raise WireError("is no whole output")
        index, zero, rounds, sent, received = struct.unpack("<IIQQQ", payload[:32])
        if zero:
            raise WireError("is not zero where it must be")
        return {"step": index, "rounds": rounds, "bytesSent": sent, "bytesReceived": received,
                "words": words(payload, 32)}
    if name == "words":
        return {"words": words(payload, 0)}
    return {"keys": payload.hex()}
