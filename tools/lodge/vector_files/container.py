"""Writes containers (formats/container.md), right ones and ones with something wrong in them."""

import hashlib
import json
import struct

import h5py
import numpy as np

NAMES = {"<u8": "u64", "<u4": "u32", "<u2": "u16", "|u1": "u8", "<i8": "i64", "<i4": "i32",
         "<i2": "i16", "|i1": "i8", "<f8": "f64", "<f4": "f32"}
ZSTD_FILTER = 32015


def canonical(value):
    """The canonical text of a JSON value (C9); the values here hold no control characters."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def frame(content, stated=None):
    """A Zstandard frame of one raw block; `stated` replaces its content size, None leaves it out."""
    block = (len(content) << 3 | 1).to_bytes(3, "little") + content
    if stated is None:  # a window descriptor instead of a content size
        return b"\x28\xb5\x2f\xfd\x00\x58" + block
    return b"\x28\xb5\x2f\xfd\xa0" + stated.to_bytes(4, "little") + block


def zeros_frame(size):
    """A frame of `size` zeros, a multiple of 128 KiB, in blocks of one repeated byte."""
    blocks = size >> 17
    content = b"".join(
        (1 << 17 << 3 | 1 << 1 | (index == blocks - 1)).to_bytes(3, "little") + b"\0"
        for index in range(blocks))
    return b"\x28\xb5\x2f\xfd\xa0" + size.to_bytes(4, "little") + content


def text_type(length):
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(length)
    kind.set_strpad(h5py.h5t.STR_NULLPAD)
    kind.set_cset(h5py.h5t.CSET_UTF8)
    return kind


def set_text(node, name, text):
    """Gives an object an attribute of fixed-length text."""
    data = text if isinstance(text, bytes) else text.encode()
    space = h5py.h5s.create(h5py.h5s.SCALAR)
    attribute = h5py.h5a.create(node.id, name.encode(), text_type(len(data)), space)
    attribute.write(np.array(data, dtype=f"S{len(data)}"), mtype=text_type(len(data)))


def set_array(node, name, array):
    """Gives an object an attribute of numbers."""
    array = np.asarray(array)
    space = h5py.h5s.create_simple(array.shape) if array.shape else h5py.h5s.create(h5py.h5s.SCALAR)
    attribute = h5py.h5a.create(node.id, name.encode(), h5py.h5t.py_create(array.dtype), space)
    attribute.write(array)


def creation_list(kind=h5py.h5p.DATASET_CREATE):
    plan = h5py.h5p.create(kind)
    plan.set_obj_track_times(False)
    return plan


def raw_plan():
    plan = creation_list()
    plan.set_layout(h5py.h5d.CONTIGUOUS)
    plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    return plan


def zstd_plan(chunk, number=ZSTD_FILTER):
    plan = creation_list()
    plan.set_chunk(chunk)
    plan.set_filter(number, 0, (3,) if number == ZSTD_FILTER else ())
    return plan


def add(file, name, array, plan=None, frames=None, digest=None):
    """Adds a dataset; `frames` are stored as its chunks, else the elements are written raw.

    `digest` replaces its sha256; False leaves the attribute out.
    """
    array = np.ascontiguousarray(array)
    plan = plan or raw_plan()
    parent = file
    for part in name.split("/")[:-1]:
        if part not in parent:
            h5py.h5g.create(parent.id, part.encode(), gcpl=creation_list(h5py.h5p.GROUP_CREATE))
        parent = parent[part]
    dataset = h5py.Dataset(h5py.h5d.create(
        parent.id, name.split("/")[-1].encode(), h5py.h5t.py_create(array.dtype),
        h5py.h5s.create_simple(array.shape), dcpl=plan))
    rows = dataset.chunks[0] if dataset.chunks else 0
    if frames is None and array.size:
        dataset.id.write(h5py.h5s.ALL, h5py.h5s.ALL, array)
    for index, data in enumerate(frames or []):
        dataset.id.write_direct_chunk((index * rows,) + (0,) * (array.ndim - 1), data)
    if digest is not False:
        sha256 = digest or hashlib.sha256(array.tobytes()).digest()
        set_array(dataset, "sha256", np.frombuffer(sha256, dtype="u1"))
    return dataset


def digest_text(kind, header, datasets):
    """C21, for the name, type, shape and sha256 of each dataset."""
    data = header if isinstance(header, bytes) else header.encode()
    lines = [b"format lodge", b"version 1", b"kind " + kind.encode(), b"header %d" % len(data), data,
             b"datasets %d" % len(datasets)]
    for name, kind, shape, sha256 in sorted(datasets, key=lambda row: row[0].encode()):
        lines.append(f"{name} {kind} {'x'.join(map(str, shape))} {sha256.hex()}".encode())
    return b"\n".join(lines) + b"\n"


def described(file):
    """What the digest is taken over, of everything in a file that has a sha256."""
    found = []

    def visit(name, node):
        if isinstance(node, h5py.Dataset) and "sha256" in node.attrs and node.dtype.str in NAMES:
            found.append((name, NAMES[node.dtype.str], node.shape, node.attrs["sha256"].tobytes()))

    file.visititems(visit)
    return found


def write(path, kind, header, datasets, *, header_text=None, root=None, change=None, earliest=False,
          alignment=64):
    """Writes a container of raw arrays; returns its digest.

    `root` replaces attributes of the root group (None removes one), `change` is called with the open
    file before the digest is taken, so that what it adds is covered.
    """
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    version = h5py.h5f.LIBVER_EARLIEST if earliest else h5py.h5f.LIBVER_V110
    access.set_libver_bounds(version, h5py.h5f.LIBVER_V110)
    access.set_alignment(32, alignment)
    access.set_meta_block_size(1)
    plan = creation_list(h5py.h5p.FILE_CREATE)
    with h5py.File(h5py.h5f.create(str(path).encode(), fcpl=plan, fapl=access)) as file:
        for name, array in datasets.items():
            add(file, name, array)
        if change:
            change(file)
        text = canonical(header) if header_text is None else header_text
        digest = hashlib.sha256(digest_text(kind, text, described(file))).digest()
        attributes = {"format": "lodge", "version": np.uint32(1), "kind": kind, "header": text,
                      "digest": np.frombuffer(digest, dtype="u1")} | (root or {})
        for name, value in attributes.items():
            if isinstance(value, (str, bytes)):
                set_text(file, name, value)
            elif value is not None:
                set_array(file, name, value)
    return digest


def lookup3(data):
    """The checksum of HDF5's metadata (Jenkins, lookup3, hashlittle with initial value 0)."""
    mask = 0xFFFFFFFF

    def rotated(x, k):
        return (x << k | x >> (32 - k)) & mask

    a = b = c = (0xDEADBEEF + len(data)) & mask
    place = 0
    while len(data) - place > 12:
        x, y, z = struct.unpack_from("<3I", data, place)
        a, b, c = (a + x) & mask, (b + y) & mask, (c + z) & mask
        for k in (4, 6, 8, 16, 19, 4):
            a = ((a - c) & mask) ^ rotated(c, k)
            c = (c + b) & mask
            a, b, c = b, c, a
        place += 12
    if len(data) == place:
        return c
    x, y, z = struct.unpack("<3I", data[place:].ljust(12, b"\0"))
    a, b, c = (a + x) & mask, (b + y) & mask, (c + z) & mask
    for k in (14, 11, 25, 16, 4, 14, 24):
        c = ((c ^ b) - rotated(b, k)) & mask
        a, b, c = b, c, a
    # Seven rounds leave the three words one place further.
    return b


def patch_superblock(path, offset, data, checksum=True):
    """Replaces bytes of the superblock, and its checksum."""
    content = bytearray(path.read_bytes())
    content[offset:offset + len(data)] = data
    if checksum:
        content[44:48] = struct.pack("<I", lookup3(bytes(content[:44])))
    path.write_bytes(content)


def patch_object(path, header, old, new):
    """Replaces bytes in the object header at address `header`, or its times, and its checksum."""
    content = bytearray(path.read_bytes())
    if content[header:header + 4] != b"OHDR":
        raise ValueError("no object header there")
    flags = content[header + 5]
    size_place = header + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
    width = 1 << (flags & 3)
    end = size_place + width + int.from_bytes(content[size_place:size_place + width], "little")
    place = content.index(old, header, end) if old else header + 6
    content[place:place + len(new)] = new
    content[end:end + 4] = struct.pack("<I", lookup3(bytes(content[header:end])))
    path.write_bytes(content)
