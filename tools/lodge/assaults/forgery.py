"""Forged containers: metadata under right checksums, headers and arrays under right digests."""

import json
import struct

import h5py
import hdf5plugin  # noqa: F401  (registers the filter of zstd)
import numpy as np

from lodge.assaults.mutation import altered_bytes, altered_json, json_text
from lodge.vector_files.container import NAMES, lookup3, write

TYPES = {name: np.dtype(code) for code, name in NAMES.items()}


def object_headers(data):
    """Ranges of the object headers in a file, without their checksums."""
    place = data.find(b"OHDR")
    while place >= 0:
        flags = data[place + 5]
        start = place + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        end = start + width + int.from_bytes(data[start:start + width], "little")
        if end + 4 <= len(data) and \
                data[end:end + 4] == struct.pack("<I", lookup3(bytes(data[place:end]))):
            yield place, end
        place = data.find(b"OHDR", place + 4)


class Anatomy:
    """A right file and where its metadata are."""

    def __init__(self, path):
        self.name, self.data = path.name, path.read_bytes()
        self.parts = list(object_headers(self.data)) + [(0, 44)]

    def altered(self, random):
        """Bytes changed in a structure, mostly with its checksum made right, or anywhere."""
        kind = random.randrange(10)
        if kind == 0:
            return altered_bytes(random, self.data)
        if kind == 1:
            head = self.data[:4096]
            return altered_bytes(random, head) + self.data[4096:]
        result = bytearray(self.data)
        start, end = random.choice(self.parts[:1] + self.parts[-1:] + self.parts)
        for _ in range(random.randint(1, 3)):
            width = random.choice((1, 1, 1, 2, 4, 8))
            place = random.randrange(start + 4, end - width + 1)
            old = int.from_bytes(result[place:place + width], "little")
            new = random.choice((0, 1, 2**(8 * width) - 1, old + 1, old - 1, 2 * old, len(result),
                                 old ^ 1 << 8 * width - 1, random.getrandbits(8 * width)))
            result[place:place + width] = (new % 2**(8 * width)).to_bytes(width, "little")
        if random.randrange(8):
            result[end:end + 4] = struct.pack("<I", lookup3(bytes(result[start:end])))
        return bytes(result) if result != self.data else bytes(result) + b"\0"


class Text:
    """A right manifest, of which other JSON is made."""

    def __init__(self, path):
        self.name, self.value = path.name, json.loads(path.read_text())

    def altered(self, random):
        return json_text(random, altered_json(random, self.value))


class Content:
    """What a container holds, to be written again with something else in it."""

    def __init__(self, path):
        self.name = path.name
        with h5py.File(path) as file:
            self.kind = file.attrs["kind"]
            self.kind = self.kind.decode() if isinstance(self.kind, bytes) else str(self.kind)
            text = file.attrs["header"]
            self.header = json.loads(text.decode() if isinstance(text, bytes) else str(text))
            self.arrays = {}
            file.visititems(lambda name, node: self.arrays.update({name: node[()]})
                            if isinstance(node, h5py.Dataset) else None)

    def write(self, path):
        write(path, self.kind, self.header, self.arrays)

    def write_forged(self, path, random):
        """Another header, or other arrays, with all digests right."""
        header, arrays = self.header, dict(self.arrays)
        if random.randrange(4):
            header = altered_json(random, header, most=3)
        else:
            for _ in range(random.randint(1, 2)):
                name = random.choice(list(arrays))
                array, kind = arrays[name], random.randrange(6)
                if kind == 0:
                    del arrays[name]
                elif kind == 1:
                    arrays[name + "0"] = array
                elif kind == 2:
                    with np.errstate(all="ignore"):
                        arrays[name] = array.astype(TYPES[random.choice(list(TYPES))])
                elif kind == 3:
                    arrays[name] = np.concatenate([array, array])
                elif kind == 4:
                    arrays[name] = array[:random.randrange(len(array) + 1)]
                else:
                    raw = random.randbytes(array.nbytes)
                    arrays[name] = np.frombuffer(raw, array.dtype).reshape(array.shape)
                if not arrays:
                    break
        try:
            write(path, self.kind, header, arrays)
            return True
        except (ValueError, TypeError, OverflowError, OSError, UnicodeError):
            return False
