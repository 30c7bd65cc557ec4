"""Makes wrong things of right ones: bytes, JSON and frames."""

import json
import struct

from lodge.assaults.wire import KINDS, MOST_CONTROL_BYTES, VERSION, header

NUMBERS = (-1, 0, 1, 2, 7, 63, 64, 255, 2**16, 2**20, 2**20 + 1, 2**31, 2**32 - 1, 2**32, 2**53,
           2**63 - 1, -2**63, 2**63, 2**64, 10**30, 0.5, -0.0, 1e308, 1e-320)
OTHERS = (None, True, False, "", "x", "\u0000", "\ud800", "0" * 70000, [], [[]], {}, {"": 0})
BYTES = (0, 1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 64, 127, 128, 254, 255)


def altered_bytes(random, data, most=4):
    """Some bytes other, some gone, some more, or pieces exchanged; never the same as before."""
    result = bytearray(data)
    for _ in range(random.randint(1, most)):
        place = random.randrange(len(result)) if result else 0
        kind = random.randrange(8) if result else 5
        if kind == 0:
            result[place] ^= 1 << random.randrange(8)
        elif kind == 1:
            result[place] = random.choice(BYTES)
        elif kind == 2:
            width = random.choice((2, 4, 8))
            value = random.choice((0, 1, 2**(8 * width) - 1, 2**(8 * width - 1), len(result),
                                   random.getrandbits(8 * width)))
            result[place:place + width] = (value % 2**(8 * width)).to_bytes(width, "little")
        elif kind == 3:
            del result[place:]
        elif kind == 4:
            del result[place:place + random.randint(1, 64)]
        elif kind == 5:
            result[place:place] = random.randbytes(random.randint(1, 64))
        elif kind == 6:
            other = random.randrange(len(result))
            width = random.randint(1, 64)
            result[place:place + width] = result[other:other + width]
        else:
            result += random.randbytes(random.randint(1, 300))
    if result == data:
        result += b"\0"
    return bytes(result)


def places(value, path=()):
    """The paths of all values inside a JSON value, its own first."""
    yield path
    items = value.items() if isinstance(value, dict) else \
        enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, path + (key,))


def altered_json(random, value, most=2):
    """A JSON value with other values, members or elements; never the same as before."""
    result = json.loads(json.dumps(value))
    for _ in range(random.randint(1, most)):
        path = random.choice(list(places(result)))
        if not path:
            path = (random.choice(list(result)),) if result and isinstance(result, dict) else path
        if not path:
            return random.choice(OTHERS)
        holder = result
        for key in path[:-1]:
            holder = holder[key]
        key, old = path[-1], holder[path[-1]]
        kind = random.randrange(8)
        if kind < 3:
            holder[key] = random.choice(NUMBERS)
        elif kind == 3:
            holder[key] = random.choice(OTHERS)
        elif kind == 4 and isinstance(old, (int, float)) and not isinstance(old, bool):
            holder[key] = old + random.choice((-1, 1, 2**16, 2**32))
        elif kind == 5:
            del holder[key]
        elif kind == 6 and isinstance(holder, dict):
            holder[random.choice(("more", "", key + "0"))] = old
        elif isinstance(old, str) and old:
            place = random.randrange(len(old))
            holder[key] = old[:place] + random.choice("0fFgZ/.\n\"\u00e9") + old[place + 1:]
        else:
            holder[key] = [old, old]
    return result if result != value else {"other": result}


def json_text(random, value):
    """JSON as bytes, now and then in a form that no reader may take."""
    text = json.dumps(value).encode()
    kind = random.randrange(12)
    if kind == 0:
        return text[:random.randrange(len(text))]
    if kind == 1:
        return text + random.choice((b"\0", b"{}", b",", b"\xff"))
    if kind == 2:
        return b"[" * random.choice((100, 20000)) + text
    if kind == 3 and text.startswith(b"{") and len(text) > 2:
        return b"{" + text[1:-1] + b"," + text[1:-1] + b"}"
    if kind == 4:
        return altered_bytes(random, text)
    return text


class Hostile:
    """Bytes for a connection, and whether the other end must close at once.

    `right` is (name, payload) of a frame that may come now, None where none may; a payload that is
    a dictionary is JSON.
    """

    def __init__(self, random, number, right, allowed=()):
        name, payload = right or ("hello", {"role": "client"})
        text = json.dumps(payload).encode() if isinstance(payload, dict) else payload
        kind, self.closes = KINDS[name], True
        allowed = {KINDS[a] for a in allowed} | ({kind} if right else set())
        head = header(kind, number, len(text))
        choice = random.randrange(12)
        self.what = f"{choice} for {name}"
        if choice == 0:
            self.data = header(kind, number, len(text), magic=random.randbytes(2)) + text
            self.closes = self.data[:2] != b"LW"
        elif choice == 1:
            version = random.choice([v for v in range(256) if v != VERSION])
            self.data = header(kind, number, len(text), version=version) + text
        elif choice in (2, 3):
            other = random.choice([k for k in range(256) if k not in allowed]) \
                if random.randrange(3) == 0 else \
                random.choice([k for k in KINDS.values() if k not in allowed])
            self.data = header(other, number, len(text)) + text
        elif choice == 4:
            wrong = number + random.choice((1, -1, 2, 2**16, 2**31))
            self.data = header(kind, wrong, len(text)) + text
        elif choice == 5:
            # Whoever believes the length waits for its bytes, or keeps them.
            size = random.choice((MOST_CONTROL_BYTES + 1, 2**31, 2**32, 2**40, 2**63, 2**64 - 1))
            self.data = header(kind, number, size) + random.randbytes(random.randrange(2000))
        elif choice == 6:
            cut = random.randrange(len(head) + len(text))
            self.data, self.closes = (head + text)[:cut], False
        elif choice == 7:
            self.data = random.randbytes(random.randint(16, 400))
            self.closes = self.data[:2] != b"LW"
        elif choice == 8:
            self.data = altered_bytes(random, head + text)
            self.closes = False
        elif choice == 9 and right:
            # Twice: the second has the next number and is one too many.
            self.data = head + text + header(kind, number + 1, len(text)) + text
            self.closes = name in ("hello", "begin", "seed")
        else:
            self.data, self.closes = self.payload(random, kind, number, payload), False
        if not right and choice in (4, 5, 9):
            self.closes = True

    @staticmethod
    def payload(random, kind, number, payload):
        """A frame of the right kind with a wrong payload."""
        if isinstance(payload, dict):
            data = json_text(random, altered_json(random, payload))
        elif len(payload) >= 8 and random.randrange(2):
            data = struct.pack("<II", random.choice(NUMBERS[1:13]) % 2**32,
                               random.choice(NUMBERS[1:13]) % 2**32) + payload[8:]
        else:
            data = altered_bytes(random, payload)
        data = data[:MOST_CONTROL_BYTES]
        return header(kind, number, len(data)) + data
