#!/usr/bin/env python3
"""Reads Lodge containers (formats/container.md) with h5py and hdf5plugin, and no code of Lodge.

As a module:

    with Container("model.lodge", kind="model") as container:
        container.header["layers"]
        weights = container["layer0/weights"]      # a numpy array, its digest verified

As a command: read_container.py FILE [--json] verifies all digests and lists the datasets.
"""

import argparse
import hashlib
import json
import os
import re
import struct
import sys

import h5py
import hdf5plugin  # noqa: F401  (registers filter 32015)
import numpy as np

ELEMENT_TYPES = {
    "<u8": "u64", "<u4": "u32", "<u2": "u16", "|u1": "u8",
    "<i8": "i64", "<i4": "i32", "<i2": "i16", "|i1": "i8",
    "<f8": "f64", "<f4": "f32",
}
ROOT_ATTRIBUTES = {"format", "version", "kind", "header", "digest"}
ZSTD_FILTER = 32015
MAXIMUM_BYTE_COUNT = 2**50
NAME = re.compile(r"(?!\.{1,2}(/|$))[A-Za-z0-9_.-]+(/(?!\.{1,2}(/|$))[A-Za-z0-9_.-]+){0,7}")


class ContainerError(Exception):
    """Says which file is wrong, where in it, and why."""


class Dataset:
    """Name, element type, shape, storage and digest of one dataset."""

    def __init__(self, name, handle, sha256):
        self.name = name
        self.handle = handle
        self.sha256 = sha256
        self.element_type = ELEMENT_TYPES[handle.dtype.str]
        self.shape = handle.shape
        self.storage = "zstd" if handle.chunks else "raw"
        self.byte_count = handle.dtype.itemsize * int(np.prod(handle.shape, dtype=object))


class Container:
    """An open container. Opening checks structure and root digest; reading checks each dataset."""

    def __init__(self, path, kind=None):
        self.path = str(path)
        self._check_superblock()
        try:
            self._file = h5py.File(self.path, "r")
        except OSError as error:
            raise self._error("", f"cannot be opened: {error}") from None
        try:
            self._read_root(kind)
            self._datasets = {}
            self._regions = []
            self._collect(self._file, "")
            self._check_regions()
            self._check_expansion()
            self._check_digest()
        except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:
            self._file.close()
            raise self._error("", f"cannot be read: {error.args[0]}") from None
        except ContainerError:
            self._file.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def __iter__(self):
        """Names in byte order."""
        return iter(sorted(self._datasets, key=str.encode))

    def __contains__(self, name):
        return name in self._datasets

    def __getitem__(self, name):
        """All elements of a dataset, after their digest has been verified."""
        dataset = self.dataset(name)
        try:
            array = np.ascontiguousarray(dataset.handle[()])
        except OSError as error:
            raise self._error(name, f"cannot be read: {error}") from None
        if hashlib.sha256(array.tobytes()).digest() != dataset.sha256:  # C22
            raise self._error(name, "its content does not match its sha256")
        return array

    def dataset(self, name):
        """The description of a dataset, without its elements."""
        if name not in self._datasets:
            raise self._error(name, "missing dataset")
        return self._datasets[name]

    def verify(self):
        """Compares every dataset with its digest."""
        for name in self:
            self[name]

    def _error(self, place, cause):
        return ContainerError(": ".join(part for part in (self.path, place, cause) if part))

    def _check_superblock(self):
        """C1 to C3, before libhdf5 sees the file."""
        with open(self.path, "rb") as file:
            head = file.read(48)
            size = os.fstat(file.fileno()).st_size
        if head[:8] != b"\x89HDF\r\n\x1a\n" or len(head) < 48:
            raise self._error("", "is not an HDF5 file")
        version, offset_size, length_size, flags, base, _, end = struct.unpack_from("<4B3Q", head, 8)
        if version not in (2, 3) or (offset_size, length_size, base) != (8, 8, 0):
            raise self._error("byte 8", "superblock is not of version 2 or 3 with 8-byte addresses")
        if flags != 0:
            raise self._error("byte 11", "the file was not closed by its writer")
        if end != size:
            raise self._error("byte 28", f"{size} bytes where the file states {end}")

    def _read_root(self, kind):
        attributes = self._file.attrs
        if set(attributes) != ROOT_ATTRIBUTES:  # C6
            raise self._error("", f"has the attributes {sorted(attributes)}")
        if self._text("format") != "lodge":  # C7
            raise self._error("format", 'is not "lodge"')
        version = attributes.get_id("version")
        if version.dtype.str != "<u4" or version.shape != () or attributes["version"] != 1:
            raise self._error("version", "is not supported, 1 is")
        self.kind = self._text("kind")
        if not re.fullmatch("[a-z][a-z0-9-]{0,31}", self.kind):  # C8
            raise self._error("kind", "is not a lower-case word")
        if kind is not None and kind != self.kind:
            raise self._error("kind", f"is a {self.kind}, a {kind} is expected")
        self.header_text = self._text("header")
        try:
            self.header = json.loads(
                self.header_text, object_pairs_hook=_members, parse_constant=_refuse)
            tokens = json.loads(self.header_text, parse_float=_Number, parse_int=_Number)
        except (ValueError, RecursionError) as error:
            raise self._error("header", str(error)) from None
        if canonical(tokens) != self.header_text:
            raise self._error("header", "is not canonical JSON")
        self.digest = self._digest(self._file, "digest", "digest")

    def _text(self, name):
        attribute = self._file.attrs.get_id(name)
        kind = attribute.get_type()
        if (not isinstance(kind, h5py.h5t.TypeStringID) or kind.is_variable_str()
                or kind.get_strpad() != h5py.h5t.STR_NULLPAD or attribute.shape != ()):
            raise self._error(name, "expected a fixed-length, NUL-padded string")
        buffer = np.empty((), dtype=attribute.dtype)
        attribute.read(buffer)
        try:
            return buffer.tobytes().decode("utf-8")
        except UnicodeDecodeError:
            raise self._error(name, "is not valid UTF-8") from None

    def _digest(self, handle, name, place):
        if name not in handle.attrs:
            raise self._error(place, f"missing attribute {name}")
        attribute = handle.attrs.get_id(name)
        if attribute.dtype.str != "|u1" or attribute.shape != (32,):
            raise self._error(place, f"expected 32 u8 in the attribute {name}")
        return handle.attrs[name].tobytes()

    def _collect(self, group, prefix, seen=None):
        seen = set() if seen is None else seen
        for link in group:
            name = prefix + link
            if not NAME.fullmatch(name) or len(name) > 512:  # C12
                raise self._error(ascii(name), "dataset name is not allowed")
            if type(group.get(link, getlink=True)) is not h5py.HardLink:  # C10
                raise self._error(name, "soft and external links are not allowed")
            handle = group[link]
            address = h5py.h5o.get_info(handle.id).addr
            if address in seen:
                raise self._error(name, "is a second link to the same object")
            seen.add(address)
            if isinstance(handle, h5py.Group):  # C11
                before = len(self._datasets)
                self._collect(handle, name + "/", seen)
                if len(self._datasets) == before or len(handle.attrs) != 0:
                    raise self._error(name, "the group is empty or has attributes")
            elif isinstance(handle, h5py.Dataset):
                self._datasets[name] = self._checked(name, handle)
            else:
                raise self._error(name, "is neither a group nor a dataset")

    def _checked(self, name, handle):
        plan = handle.id.get_create_plist()
        layout = plan.get_layout()
        if layout not in (h5py.h5d.CONTIGUOUS, h5py.h5d.CHUNKED):  # C15
            raise self._error(name, "compact and virtual datasets are not allowed")
        if plan.get_external_count() != 0:
            raise self._error(name, "external storage is not allowed")
        if set(handle.attrs) != {"sha256"}:  # C13
            raise self._error(name, "must have the attribute sha256 and no other")
        if handle.dtype.str not in ELEMENT_TYPES:
            raise self._error(name, "the element type is not one of u8 to f64, little endian")
        shape = handle.shape
        whole = handle.dtype.itemsize * int(np.prod([max(n, 1) for n in shape], dtype=object))
        if not 1 <= len(shape) <= 3 or shape != handle.maxshape or whole > MAXIMUM_BYTE_COUNT:
            raise self._error(name, f"shape {shape} is not allowed")  # C14
        dataset = Dataset(name, handle, self._digest(handle, "sha256", name))
        if layout == h5py.h5d.CHUNKED:
            self._check_chunks(dataset, plan)
        elif dataset.byte_count > 0:  # C16
            offset = handle.id.get_offset()
            end = None if offset is None else offset + dataset.byte_count
            if (end is None or end > os.path.getsize(self.path)
                    or handle.id.get_storage_size() != dataset.byte_count):
                raise self._error(name, f"the file does not hold its {dataset.byte_count} bytes")
            self._regions.append((offset, end, name))
        return dataset

    def _check_chunks(self, dataset, plan):
        """C17 and C18."""
        name, handle = dataset.name, dataset.handle
        if plan.get_nfilters() != 1 or plan.get_filter(0)[0] != ZSTD_FILTER:
            raise self._error(name, "chunks must have the filter 32015 and no other")
        rows = handle.chunks[0]
        if handle.chunks[1:] != tuple(max(n, 1) for n in handle.shape[1:]):
            raise self._error(name, "chunks are not whole rows of the dataset")
        count = -(-handle.shape[0] // rows) if dataset.byte_count > 0 else 0
        size = handle.dtype.itemsize * int(np.prod(handle.chunks, dtype=object))
        if count > 1024 or size > 2**22 or handle.id.get_num_chunks() != count:
            raise self._error(name, f"{count} chunks of {size} bytes are not allowed or not there")
        stored = 0
        for index in range(count):
            chunk = handle.id.get_chunk_info(index)
            stored += chunk.size
            self._regions.append((chunk.byte_offset, chunk.byte_offset + chunk.size, name))
            if chunk.filter_mask != 0:
                raise self._error(name, f"chunk {index} is not compressed")
        if stored > os.path.getsize(self.path):
            raise self._error(name, "chunks are outside the file")
        self._check_frames(dataset)

    def _check_regions(self):
        """C19: no two regions of data overlap."""
        regions = sorted(self._regions)
        for (_, end, first), (start, _, second) in zip(regions, regions[1:]):
            if start < end:
                raise self._error(second, f"its bytes overlap those of {first}")

    def _check_expansion(self):
        """C24: no more than 48 MiB beyond the length of the file."""
        expanded = sum(d.byte_count for d in self._datasets.values() if d.storage == "zstd")
        if expanded > os.path.getsize(self.path) + (48 << 20):
            raise self._error("", f"its zstd datasets hold {expanded} bytes")

    def _check_frames(self, dataset):
        """C18: no memory is taken for elements before."""
        identifier = dataset.handle.id
        size = dataset.handle.dtype.itemsize * int(np.prod(dataset.handle.chunks, dtype=object))
        with open(self.path, "rb") as file:
            for index in range(identifier.get_num_chunks()):
                chunk = identifier.get_chunk_info(index)
                file.seek(chunk.byte_offset)
                stated = frame_content_size(file.read(min(18, chunk.size)))
                if stated != size or size > 32768 * chunk.size:
                    raise self._error(
                        dataset.name, f"chunk {index} is not a zstd frame of {size} bytes: it has "
                        f"{chunk.size} and states {stated}")

    def _check_digest(self):
        """C21 and C22."""
        header = self.header_text.encode()
        lines = [b"format lodge", b"version 1", b"kind " + self.kind.encode()]
        lines += [b"header %d" % len(header), header, b"datasets %d" % len(self._datasets)]
        for name in self:
            dataset = self._datasets[name]
            shape = "x".join(map(str, dataset.shape))
            lines.append(
                f"{name} {dataset.element_type} {shape} {dataset.sha256.hex()}".encode())
        if hashlib.sha256(b"\n".join(lines) + b"\n").digest() != self.digest:
            raise self._error("digest", "does not match the header and the datasets")


def frame_content_size(head):
    """The content size in the header of a Zstandard frame (RFC 8878, 3.1.1.1), or None."""
    if len(head) < 6 or head[:4] != b"\x28\xb5\x2f\xfd":
        return None
    descriptor, single = head[4], head[4] >> 5 & 1
    place = 5 + (1 - single) + (0, 1, 2, 4)[descriptor & 3]
    size = (1 if single else 0, 2, 4, 8)[descriptor >> 6]
    if size == 0 or len(head) < place + size:
        return None
    return int.from_bytes(head[place:place + size], "little") + (256 if size == 2 else 0)


def _members(pairs):
    """A JSON object without duplicate keys."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate key in an object")
    return members


class _Number(str):
    """The text of a number; that of an integer is canonical in one way only (JSON has no other)."""


def _string(text):
    """A string with the escapes of C9 and no other."""
    short = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return '"' + re.sub(
        '["\\\\\x00-\x1f\x7f]', lambda m: short.get(m[0], f"\\u{ord(m[0]):04x}"), text) + '"'


def canonical(value):
    """Canonical text (C9) of JSON whose numbers are kept as text."""
    if isinstance(value, dict):
        members = sorted(value.items())
        return "{" + ",".join(f"{_string(k)}:{canonical(v)}" for k, v in members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, str):
        return str(value) if isinstance(value, _Number) else _string(value)
    return json.dumps(value)


def _refuse(name):
    raise ValueError(f"{name} is not a JSON number")


def _without_seeds(value):
    if isinstance(value, dict):
        return {k: "(secret)" if "seed" in k.lower() else _without_seeds(v)
                for k, v in value.items()}
    return [_without_seeds(v) for v in value] if isinstance(value, list) else value


def main():
    parser = argparse.ArgumentParser(
        description="Verify a Lodge container and list what is in it.",
        epilog="example: read_container.py party0.bundle")
    parser.add_argument("file")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    try:
        with Container(arguments.file) as container:
            container.verify()
            rows = [
                {"name": d.name, "type": d.element_type, "shape": list(d.shape),
                 "storage": d.storage, "bytes": d.byte_count, "sha256": d.sha256.hex()}
                for d in map(container.dataset, container)
            ]
            header = _without_seeds(container.header)
            if arguments.json:
                print(json.dumps({"kind": container.kind, "digest": container.digest.hex(),
                                  "header": header, "datasets": rows}))
                return 0
            print(f"kind    {container.kind}\ndigest  {container.digest.hex()}")
            print(f"header  {json.dumps(header, ensure_ascii=False)}")
            for row in rows:
                shape = "x".join(map(str, row["shape"]))
                print(f"{row['name']}  {row['type']}  {shape}  {row['storage']}  {row['bytes']}")
            return 0
    except (ContainerError, OSError) as error:
        print(f"read_container: error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
