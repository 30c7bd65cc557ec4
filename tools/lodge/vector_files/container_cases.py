"""One container for every MUST of formats/container.md, each with one thing wrong."""

import struct

import h5py
import numpy as np

from lodge.vector_files.container import (
    add, creation_list, frame, patch_object, patch_superblock, raw_plan, set_array,
    set_text, write, zeros_frame, zstd_plan)

HEADER = {"layers": 4, "name": "été", "scale": 0.5}
FIVE = np.arange(5, dtype="u1")
CHUNK = bytes(range(200)) * 4


def datasets():
    return {"shares": np.arange(1, 16, dtype="u8").reshape(3, 5) * np.uint64(0x0123456789ABCDEF),
            "public/table": np.linspace(0, 1, 8, dtype="f4").reshape(2, 4),
            "public/empty": np.empty((0, 7), dtype="i1")}


def sample(path, change=None, header=HEADER, **how):
    """The sample container with `change` made to it before its digest is taken."""
    return write(path, "sample", header, datasets(), change=change, **how)


def with_chunks(path):
    """The valid sample also has a dataset in chunks, of which the last is longer than it needs."""
    padded = CHUNK[:800].ljust(1000, b"\0")
    sample(path, lambda file: add(
        file, "chunks", np.frombuffer(CHUNK[:800], dtype="u1"), zstd_plan((500,)),
        frames=[frame(padded[:500], 500), frame(padded[500:], 500)]))


def superblock(offset, data, checksum=True):
    def build(path):
        sample(path)
        patch_superblock(path, offset, data, checksum)
    return build


def truncated(path):
    sample(path)
    path.write_bytes(path.read_bytes()[:-9])


def changed(change, **how):
    return lambda path: sample(path, change, **how)


def added(name, array=FIVE, plan=raw_plan, **how):
    """The sample with one more dataset."""
    return changed(lambda file: add(file, name, array, plan(), **how))


def text(value):
    return changed(None, header_text=value)


def unwritten(extents, plan, kind="u1"):
    """The sample with a dataset of `extents` of which nothing is stored."""
    def change(file):
        space = h5py.h5s.create_simple(extents)
        dataset = h5py.Dataset(h5py.h5d.create(
            file.id, b"other", h5py.h5t.py_create(np.dtype(kind)), space, dcpl=plan()))
        set_array(dataset, "sha256", np.zeros(32, dtype="u1"))
    return changed(change)


def growing(file):
    space = h5py.h5s.create_simple((8,), (16,))
    dataset = h5py.Dataset(h5py.h5d.create(
        file.id, b"other", h5py.h5t.STD_U8LE, space, dcpl=zstd_plan((8,))))
    dataset.id.write_direct_chunk((0,), frame(bytes(8), 8))
    set_array(dataset, "sha256", np.zeros(32, dtype="u1"))


def compact():
    plan = creation_list()
    plan.set_layout(h5py.h5d.COMPACT)
    return plan


def external():
    plan = creation_list()
    plan.set_external(b"elsewhere", 0, 5)
    return plan


def virtual():
    plan = creation_list()
    space = h5py.h5s.create_simple((5,))
    plan.set_virtual(space, b"elsewhere", b"a", space)
    return plan


def late():
    plan = creation_list()
    plan.set_layout(h5py.h5d.CONTIGUOUS)
    plan.set_alloc_time(h5py.h5d.ALLOC_TIME_LATE)
    return plan


def chunks(frames, content=CHUNK, chunk=800, mask=0):
    """The sample with stored chunks whose digest is that of `content`."""
    def change(file):
        dataset = add(file, "other", np.frombuffer(content, dtype="u1"), zstd_plan((chunk,)),
                      frames=[])
        for index, data in enumerate(frames):
            dataset.id.write_direct_chunk((index * chunk,), data, filter_mask=mask)
    return changed(change)


def overlapping(path):
    """Two raw datasets of the same content at the same place; both digests are right."""
    places = {}

    def change(file):
        for name in ("one", "two"):
            dataset = add(file, name, np.arange(64, dtype="u1"))
            places[name] = (dataset.id.get_offset(), h5py.h5o.get_info(dataset.id).addr)
    sample(path, change)
    (first, _), (second, header) = places["one"], places["two"]
    patch_object(path, header, struct.pack("<Q", second), struct.pack("<Q", first))


def damaged(path):
    sample(path)
    content = bytearray(path.read_bytes())
    place = content.index(datasets()["shares"].tobytes())
    content[place + 44] ^= 1
    path.write_bytes(content)


def soft_link(file):
    file["other"] = h5py.SoftLink("/shares")


def external_link(file):
    file["other"] = h5py.ExternalLink("elsewhere", "/shares")


def second_link(file):
    file["other"] = file["shares"]


def cycle(file):
    file["public/again"] = file["public"]


def group(name):
    def change(file):
        h5py.h5g.create(file.id, name.encode(), gcpl=creation_list(h5py.h5p.GROUP_CREATE))
    return change


def named_type(path):
    """Types are committed with the time of day, which makes way for zeros."""
    places = []

    def change(file):
        h5py.h5t.STD_U64LE.copy().commit(file.id, b"type")
        places.append(h5py.h5o.get_info(file["type"].id).addr)
    sample(path, change)
    patch_object(path, places[0], None, bytes(16))


CASES = {
    "valid-sample": with_chunks,
    "C1-open-version": changed(None, earliest=True),
    "C1-open-base": superblock(12, struct.pack("<Q", 8)),
    "C2-open-truncated": truncated,
    "C3-open-not-closed": superblock(11, b"\x01"),
    "C5-valid-unaligned": changed(None, alignment=1),
    "C6-open-missing": changed(None, root={"kind": None}),
    "C6-open-more": changed(None, root={"author": "nobody"}),
    "C6-open-type": changed(None, root={"version": np.uint64(1)}),
    "C7-open-format": changed(None, root={"format": "locks"}),
    "C7-open-version": changed(None, root={"version": np.uint32(2)}),
    "C8-open-kind": changed(None, root={"kind": "Sample!"}),
    "C9-open-space": text('{"layers": 4}'),
    "C9-open-order": text('{"scale":0.5,"layers":4}'),
    "C9-open-duplicate": text('{"layers":4,"layers":4}'),
    "C9-open-escape": text('{"name":"\\u00e9t\\u00e9"}'),
    "C9-open-slash": text('{"name":"a\\/b"}'),
    "C9-open-number": text('{"layers":04}'),
    "C9-open-not-utf8": text(b'{"name":"\xff"}'),
    "C9-open-incomplete": text('{"layers":4'),
    "C10-open-soft-link": changed(soft_link),
    "C10-open-external-link": changed(external_link),
    "C10-open-second-link": changed(second_link),
    "C10-open-cycle": changed(cycle),
    "C11-open-named-type": named_type,
    "C11-open-empty-group": changed(group("empty")),
    "C11-open-group-attribute": changed(lambda file: set_text(file["public"], "unit", "m")),
    "C12-open-parts": added("/".join("abcdefghi")),
    "C12-open-character": added("o ther"),
    "C12-open-dots": added("public/.."),
    "C13-open-no-digest": added("other", digest=False),
    "C13-open-more": changed(lambda file: set_text(file["shares"], "unit", "m")),
    "C14-open-rank": added("other", FIVE.reshape(1, 1, 1, 5)),
    "C14-open-growing": changed(growing),
    "C14-open-size": unwritten((2**51,), late),
    "C15-open-compact": added("other", plan=compact),
    "C15-open-external": unwritten((5,), external),
    "C15-open-virtual": unwritten((5,), virtual),
    "C16-open-not-allocated": unwritten((5,), late),
    "C17-open-filter": unwritten((0, 4), lambda: zstd_plan((1, 4), number=1)),
    "C17-open-count": unwritten((5000,), lambda: zstd_plan((1,))),
    "C17-open-missing": chunks([frame(CHUNK[:400], 400)], chunk=400),
    "C17-open-mask": chunks([CHUNK[:800]], mask=1),
    "C18-open-no-size": chunks([frame(CHUNK[:800])]),
    "C18-open-size": chunks([frame(CHUNK[:800], 801)]),
    "C18-open-ratio": chunks([frame(b"", 2**20)], bytes(2**20), chunk=2**20),
    "C18-content-short": chunks([frame(CHUNK[:799], 800)]),
    "C24-open-expands": chunks([zeros_frame(2**22)] * 14, bytes(14 * 2**22), chunk=2**22),
    "C19-open-overlap": overlapping,
    "C22-open-digest": changed(None, root={"digest": np.zeros(32, dtype="u1")}),
    "C22-content-element": damaged,
}


def build(folder):
    """Writes every case as <name>.lodge."""
    for name, write_case in CASES.items():
        write_case(folder / f"{name}.lodge")


