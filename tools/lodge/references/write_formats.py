"""Writes the same tensors in every checkpoint format, with the libraries that people use.

Needs safetensors, h5py and gguf; PyTorch is not needed: its archive is a pickle and raw storages,
written here by hand as torch.save does. The tests of the readers run this and compare bit by bit;
Tests/Vectors/checkpoints holds what it writes.
"""

import argparse
import io
import json
import os
import pickle
import sys
import zipfile

import gguf
import h5py
import numpy
import safetensors.numpy

QUANTISED = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"]
# Where the half-precision factors of a block stand; any other bytes may have any value.
HALVES = {"Q4_1": [0, 2], "Q5_1": [0, 2], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}


def plain_tensors():
    random = numpy.random.default_rng(7)
    shapes = {"matrix": (6, 8), "vector": (7,), "cube": (3, 4, 2), "one": (1, 1)}
    tensors = {name: random.standard_normal(shape, numpy.float32) for name, shape in shapes.items()}
    tensors["vector"][:3] = [-0.0, 1e-42, 3.4e38]
    return tensors


def half_tensors():
    return {n: t.clip(-60000, 60000).astype(numpy.float16) for n, t in plain_tensors().items()}


def brain_tensors():
    """The bits of BF16, which numpy does not know: the upper halves of F32."""
    tensors = plain_tensors()
    tensors["vector"][2] = 3e38
    return {n: (t.view(numpy.uint32) >> 16).astype(numpy.uint16) for n, t in tensors.items()}


def double_tensors():
    return {n: t.astype(numpy.float64) / 3 for n, t in plain_tensors().items()}


def integer_tensors():
    kinds = {"i64": "int64", "i32": "int32", "i16": "int16", "i8": "int8", "u8": "uint8"}
    return {n: numpy.arange(6, dtype=k).reshape(2, 3) for n, k in kinds.items()} | {
        "bool": numpy.array([True, False])
    }


class Global:
    """Stands for something of PyTorch's that the pickle names and that is not here."""

    def __init__(self, module, name):
        self.text = f"c{module}\n{name}\n".encode()

    def __call__(self, *arguments):
        raise NotImplementedError("pickled, never called")


class Storage:
    def __init__(self, kind, key, array):
        self.kind, self.key, self.array = kind, key, array


class TorchPickler(pickle._Pickler):
    """Python's own pickler, which lets a global be written for a name alone."""

    def persistent_id(self, value):
        if isinstance(value, Storage):
            return ("storage", value.kind, value.key, "cpu", value.array.size)
        return None

    def save(self, value, save_persistent_id=True):
        if isinstance(value, Global):
            known = self.memo.get(id(value))
            self.write(self.get(known[0]) if known else value.text)
            if not known:
                self.memoize(value)
            return None
        return super().save(value, save_persistent_id)


class Tensor:
    """Pickles as a view of a storage."""

    rebuild = Global("torch._utils", "_rebuild_tensor_v2")

    def __init__(self, storage, offset, shape, strides):
        self.arguments = (storage, offset, shape, strides, False, {})

    def __reduce_ex__(self, protocol):
        return (self.rebuild, self.arguments)


STORAGES = {"float32": "Float", "float16": "Half", "float64": "Double", "uint16": "BFloat16"} | {
    "int64": "Long", "int32": "Int", "int16": "Short", "int8": "Char", "uint8": "Byte", "bool": "Bool"
}


def write_pytorch(path, tensors):
    entries, state = [], {}
    kinds = {a.dtype.name for a in tensors.values()}
    types = {k: Global("torch", STORAGES[k] + "Storage") for k in kinds}
    for index, (name, array) in enumerate(tensors.items()):
        # Every other tensor is a transposed view into a longer storage.
        data, offset = array, 0
        strides = tuple(s // array.itemsize for s in array.strides)
        if index % 2 == 1:
            data = numpy.concatenate([array.ravel()[:2], array.T.ravel()])
            transposed = numpy.ascontiguousarray(array.T).strides
            strides = tuple(s // array.itemsize for s in reversed(transposed))
            offset = data.size - array.size
        storage = Storage(types[array.dtype.name], str(index), data)
        entries.append((f"model/data/{index}", data.tobytes()))
        state[name] = Tensor(storage, offset, array.shape, strides)
    stream = io.BytesIO()
    TorchPickler(stream, 2).dump(state)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in [
            ("model/data.pkl", stream.getvalue()),
            ("model/byteorder", b"little"),
            *entries,
            ("model/version", b"3\n"),
        ]:
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)


def write_hdf5(path, tensors, **options):
    with h5py.File(path, "w") as file:
        for name, array in tensors.items():
            chunks = tuple(max(1, n // 2 + 1) for n in array.shape) if options else None
            group = file.require_group(f"layers/{name}/vars")
            group.create_dataset("0", data=array, chunks=chunks, **options)


def write_brain_safetensors(path, tensors):
    """BF16, by what safetensors offers beneath its modules for each library."""
    entries = {
        n: safetensors.TensorSpec(
            dtype="bfloat16", shape=t.shape, data_ptr=t.ctypes.data, data_len=t.nbytes)
        for n, t in tensors.items()
    }
    safetensors.serialize_file(entries, path)


def write_sharded(folder, name, tensors, write):
    """Two files and their index, as Hugging Face's libraries lay them out."""
    os.makedirs(folder, exist_ok=True)
    stem, extension = os.path.splitext(name)
    names, weight_map = sorted(tensors), {}
    for index, part in enumerate([names[:2], names[2:]]):
        shard = f"{stem}-{index + 1:05}-of-00002{extension}"
        write(os.path.join(folder, shard), {n: tensors[n] for n in part})
        weight_map |= dict.fromkeys(part, shard)
    total = sum(t.nbytes for t in tensors.values())
    with open(os.path.join(folder, name + ".index.json"), "w") as file:
        json.dump({"metadata": {"total_size": total}, "weight_map": weight_map}, file, indent=2)
        file.write("\n")


def write_compact_hdf5(path):
    with h5py.File(path, "w") as file:
        layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        layout.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((4,))
        h5py.h5d.create(file.id, b"a", h5py.h5t.IEEE_F32LE, space, layout)
        file["a"][...] = [1, 2, 3, 4]


def write_gguf(path, tensors):
    """Tensors with ggml's type of each."""
    writer = gguf.GGUFWriter(path, "llama")
    for name, (array, kind) in tensors.items():
        writer.add_tensor(name, array, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def quantised_tensors():
    """Random blocks and what gguf's dequantize makes of them."""
    random = numpy.random.default_rng(11)
    blocks, expected = {}, {}
    for name in QUANTISED:
        kind = gguf.GGMLQuantizationType[name]
        length, size = gguf.GGML_QUANT_SIZES[kind]
        rows = random.integers(0, 256, (3, 2 * size), numpy.uint8)
        for start in range(0, 2 * size, size):
            for place in HALVES.get(name, [0]):
                factors = random.standard_normal(3).astype(numpy.float16)
                rows[:, start + place : start + place + 2] = factors[:, None].view(numpy.uint8)
        blocks[name] = (rows, kind)
        expected[name] = gguf.quants.dequantize(rows, kind)
        assert expected[name].shape == (3, 2 * length)
    return blocks, expected


def write_hostile(folder):
    """HDF5 files that are well formed and must be refused, one reason a file."""

    def file(name):
        path = os.path.join(folder, f"hdf5-h5py-{name}.h5")
        return h5py.File(path, "w", libver=("earliest", "v110"))

    ones = numpy.ones(4, numpy.float32)
    with file("soft-link") as out:
        out["a"], out["b"] = ones, h5py.SoftLink("/a")
    with file("external-link") as out:
        out["a"], out["b"] = ones, h5py.ExternalLink("plain.h5", "/layers")
    with file("second-link") as out:
        out["a"] = ones
        out["b"] = out["a"]
    with file("cycle") as out:
        out["a/b"] = ones
        out["a/c"] = out["a"]
    with file("external-storage") as out:
        out.create_dataset("a", (4,), "f4", external=[("plain.bin", 0, 16)])
    with file("virtual") as out:
        layout = h5py.VirtualLayout((4,), "f4")
        layout[:] = h5py.VirtualSource("plain.h5", "a", (4,))
        out.create_virtual_dataset("a", layout)
    with file("big-endian") as out:
        out["a"] = ones.astype(">f4")
    with file("filter") as out:
        out.create_dataset("a", data=ones, compression="lzf")
    with file("huge") as out:
        out.create_dataset("a", (1 << 40,), "f4", chunks=(1 << 20,))
    with file("huge-chunk") as out:
        out.create_dataset("a", (4,), "f8", chunks=(1 << 24,), maxshape=(None,))
    with file("absent-chunks") as out:
        out.create_dataset("a", (64,), "f4", chunks=(8,))[:8] = 1
    with file("many-chunks") as out:
        out.create_dataset("a", (10000,), "f4", chunks=(1,))
    with file("unwritten") as out:
        out.create_dataset("a", (4,), "f4")
    with file("no-numbers") as out:
        out["a"] = "text"
    with file("no-value") as out:
        out["a"] = h5py.Empty("f4")
    with h5py.File(os.path.join(folder, "hostile-newer.h5"), "w", libver="v108") as out:
        out["a"] = ones


def main():
    parser = argparse.ArgumentParser(prog="tools/development/write-formats", description=__doc__)
    parser.add_argument("folder", help="where to write; made if it is missing")
    parser.add_argument("--hostile", action="store_true", help="HDF5 files to be refused instead")
    options = parser.parse_args()
    folder = options.folder
    os.makedirs(folder, exist_ok=True)
    if options.hostile:
        write_hostile(folder)
        return 0

    def path(name):
        return os.path.join(folder, name)

    kinds = gguf.GGMLQuantizationType
    plain, half, brain = plain_tensors(), half_tensors(), brain_tensors()
    double, integers = double_tensors(), integer_tensors()
    safetensors.numpy.save_file(plain, path("plain.safetensors"), {"format": "np"})
    for name, tensors in [("half", half), ("double", double), ("integers", integers)]:
        safetensors.numpy.save_file(tensors, path(f"{name}.safetensors"))
    write_brain_safetensors(path("brain.safetensors"), brain)
    for name, tensors, kind in [
        ("plain", plain, kinds.F32),
        ("half", half, kinds.F16),
        ("brain", brain, kinds.BF16),
        ("double", double, kinds.F64),
    ]:
        write_pytorch(path(f"{name}.bin"), tensors)
        write_gguf(path(f"{name}.gguf"), {n: (t, kind) for n, t in tensors.items()})
        if name != "brain":
            write_hdf5(path(f"{name}.h5"), tensors)
    write_pytorch(path("integers.bin"), integers)
    signed = {n: t for n, t in integers.items() if n.startswith("i")}
    write_gguf(path("integers.gguf"), {n: (t, kinds[n.upper()]) for n, t in signed.items()})
    numbers = {n: t for n, t in integers.items() if n != "bool"}
    write_hdf5(path("integers.h5"), numbers)
    write_compact_hdf5(path("compact.h5"))
    write_hdf5(path("chunked.h5"), plain, shuffle=True, compression="gzip", fletcher32=True)
    write_sharded(
        path("sharded"), "model.safetensors", plain,
        lambda file, part: safetensors.numpy.save_file(part, file))
    write_sharded(path("sharded"), "pytorch_model.bin", plain, write_pytorch)
    blocks, expected = quantised_tensors()
    write_gguf(path("quantised.gguf"), blocks)
    safetensors.numpy.save_file(expected, path("quantised.safetensors"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
