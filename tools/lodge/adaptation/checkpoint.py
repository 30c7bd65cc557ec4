"""Reads and writes checkpoints in the folders of Hugging Face's libraries."""

import json
import os
import shutil

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save, save_file

from .errors import InputError

WEIGHTS = "model.safetensors"
GATES = "gates.safetensors"


def read_json(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except OSError as error:
        raise InputError(path, error.strerror) from None
    except ValueError as error:
        raise InputError(path, f"is not JSON: {error}") from None


def read(folder):
    """{key: float32 tensor} of the checkpoint in `folder`."""
    index = os.path.join(folder, WEIGHTS + ".index.json")
    pickle = os.path.join(folder, "pytorch_model.bin")
    if os.path.exists(os.path.join(folder, WEIGHTS)):
        files = [WEIGHTS]
    elif os.path.exists(index):
        names = read_json(index).get("weight_map", {}).values()
        if any(os.path.basename(name) != name for name in names):
            raise InputError(index, "names a file outside its folder")
        files = sorted(set(names))
    elif os.path.exists(pickle):
        files = ["pytorch_model.bin"]
    else:
        raise InputError(
            folder, f"has neither {WEIGHTS} nor pytorch_model.bin",
            "fine-tuning reads folders in the layout of Hugging Face's libraries")
    tensors = {}
    for name in files:
        path = os.path.join(folder, name)
        try:
            if name.endswith(".bin"):
                # Without arbitrary objects: a pickle may hold code.
                part = torch.load(path, map_location="cpu", weights_only=True)
            else:
                part = load_file(path)
        except (OSError, SafetensorError, RuntimeError, ValueError) as error:
            raise InputError(path, f"cannot be read: {str(error).splitlines()[0]}") from None
        except Exception as error:  # The unpickler's own class is not public.
            raise InputError(path, f"is no checkpoint: {type(error).__name__}") from None
        for key, value in part.items():
            if not torch.is_tensor(value):
                raise InputError(path, f"{key} is no tensor")
            if value.is_floating_point():
                value = value.float()
                if not torch.isfinite(value).all():
                    raise InputError(path, f"{key} holds values that are not finite")
            tensors[key] = value
    return tensors


def in_order(file):
    """The bytes of a safetensors file with sorted keys: the library leaves metadata in any order."""
    length = int.from_bytes(file[:8], "little")
    header = json.dumps(json.loads(file[8:8 + length]), sort_keys=True, separators=(",", ":"))
    text = header.encode() + b" " * (-len(header.encode()) % 8)
    return len(text).to_bytes(8, "little") + text + file[8 + length:]


def read_gates(folder):
    """({key: tensor} of gates.safetensors in `folder`, its path)."""
    path = os.path.join(folder, GATES)
    try:
        return load_file(path), path
    except (OSError, SafetensorError, RuntimeError, ValueError) as error:
        raise InputError(
            path, f"cannot be read: {str(error).splitlines()[0]}",
            "go on from a folder that --sparsity has written") from None


def write(
    folder, original, tensors, trained, recipe, report, storage=torch.float32, gates=None
):
    """Writes config.json, weights, recipe.json and finetune.json into the new folder `folder`, and
    gates.safetensors where there are `gates`.

    `tensors` are the original checkpoint's, `trained` those that replace some of them, and those of
    gates, which go into their own file; a tensor that was a copy of a trained one, as tied matrices are
    stored by some libraries, stays one. The small files beside the original weights, such as the
    tokenizer's, are copied.
    """
    result = {}
    for key, value in tensors.items():
        twin = next(
            (k for k in trained if k in tensors and tensors[k].shape == value.shape
             and torch.equal(tensors[k], value)), None) if key not in trained else key
        value = trained[twin] if twin else value
        # Tensors that share memory are refused by the format.
        value = value.detach().to(storage) if value.is_floating_point() else value
        result[key] = value.clone().contiguous()
    temporary = f"{folder}.{os.getpid()}.tmp"
    try:
        os.mkdir(temporary)
        for name in sorted(os.listdir(original)):
            path = os.path.join(original, name)
            if name == "config.json" or not os.path.isfile(path) or ".index." in name:
                continue
            if name.endswith((".json", ".txt", ".model")):
                shutil.copyfile(path, os.path.join(temporary, name))
        configuration = read_json(os.path.join(original, "config.json"))
        for key in ("dtype", "torch_dtype"):
            if key in configuration:
                configuration[key] = str(storage).removeprefix("torch.")
        for name, value in (
            ("config.json", configuration), ("recipe.json", recipe), ("finetune.json", report)
        ):
            with open(os.path.join(temporary, name), "w", encoding="utf-8") as file:
                json.dump(value, file, indent=2, sort_keys=True)
                file.write("\n")
        save_file(result, os.path.join(temporary, WEIGHTS), metadata={"format": "pt"})
        if gates:
            metadata = {"format": "lodge-gates", "version": "1"}
            with open(os.path.join(temporary, GATES), "wb") as file:
                file.write(in_order(save(gates, metadata=metadata)))
        os.rename(temporary, folder)
    except OSError as error:
        raise InputError(folder, error.strerror or str(error)) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
