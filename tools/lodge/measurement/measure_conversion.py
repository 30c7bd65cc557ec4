"""Measures `lodge-model approximate` and `share` on a synthetic LLaMA checkpoint against `cat`.

Writes a sharded F16 checkpoint of LLaMA's shapes with seeded weights, converts it, and prints for each
command its time, its peak resident memory, and the time of copying as many bytes with cat: the same
input read, and as many bytes written and flushed. Everything is in one run and on one disk.
"""

import argparse
import json
import os
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time

import numpy

WIDTH, INNER, HEADS, KEY_HEADS = 2560, 6912, 20, 4
SHARD_BYTE_COUNT = 1 << 30


def shapes(layer_count, vocabulary):
    """Names and shapes of all tensors."""
    key_width = WIDTH // HEADS * KEY_HEADS
    result = [("model.embed_tokens.weight", (vocabulary, WIDTH))]
    for layer in range(layer_count):
        prefix = f"model.layers.{layer}."
        result += [
            (prefix + "input_layernorm.weight", (WIDTH,)),
            (prefix + "self_attn.q_proj.weight", (WIDTH, WIDTH)),
            (prefix + "self_attn.k_proj.weight", (key_width, WIDTH)),
            (prefix + "self_attn.v_proj.weight", (key_width, WIDTH)),
            (prefix + "self_attn.o_proj.weight", (WIDTH, WIDTH)),
            (prefix + "post_attention_layernorm.weight", (WIDTH,)),
            (prefix + "mlp.gate_proj.weight", (INNER, WIDTH)),
            (prefix + "mlp.up_proj.weight", (INNER, WIDTH)),
            (prefix + "mlp.down_proj.weight", (WIDTH, INNER)),
        ]
    return result + [("model.norm.weight", (WIDTH,)), ("lm_head.weight", (vocabulary, WIDTH))]


def write_checkpoint(folder, byte_count, vocabulary):
    """A checkpoint of about `byte_count` bytes; returns the paths of its shards."""
    layer_bytes = 2 * sum(
        int(numpy.prod(shape)) for name, shape in shapes(1, vocabulary) if ".layers." in name)
    layer_count = max(1, round((byte_count - 4 * vocabulary * WIDTH) / layer_bytes))
    config = {
        "model_type": "llama", "hidden_size": WIDTH, "intermediate_size": INNER,
        "num_attention_heads": HEADS, "num_key_value_heads": KEY_HEADS,
        "num_hidden_layers": layer_count, "vocab_size": vocabulary,
        "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "hidden_act": "silu", "tie_word_embeddings": False, "torch_dtype": "float16",
    }
    with open(f"{folder}/config.json", "w") as file:
        json.dump(config, file)
    shards, size = [[]], 0
    for name, shape in shapes(layer_count, vocabulary):
        length = 2 * int(numpy.prod(shape))
        if size + length > SHARD_BYTE_COUNT and shards[-1]:
            shards.append([])
            size = 0
        shards[-1].append((name, shape, length))
        size += length
    # One table of weights, from which every tensor takes a stretch: fast to write, hard to compress.
    table = (numpy.random.default_rng(1).standard_normal(1 << 24) * 0.02).astype(numpy.float16)
    ones = numpy.ones(WIDTH, numpy.float16)
    weight_map, paths, place = {}, [], 0
    for index, shard in enumerate(shards):
        file_name = f"model-{index + 1:05}-of-{len(shards):05}.safetensors"
        header, offset = {}, 0
        for name, shape, length in shard:
            header[name] = {
                "dtype": "F16", "shape": shape, "data_offsets": [offset, offset + length]}
            offset += length
            weight_map[name] = file_name
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        paths.append(f"{folder}/{file_name}")
        with open(paths[-1], "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for name, shape, length in shard:
                rest = length // 2
                if len(shape) == 1:
                    file.write(ones.data)
                    continue
                while rest > 0:
                    part = table[place:place + rest]
                    file.write(part.data)
                    rest -= len(part)
                    place = (place + len(part)) % len(table)
                place = (place + 7919) % (len(table) // 2)
            file.flush()
            os.fsync(file.fileno())
    with open(f"{folder}/model.safetensors.index.json", "w") as file:
        json.dump({"metadata": {}, "weight_map": weight_map}, file)
    return paths


# A small process starts the command: the peak of a process counts what its parent had before.
STARTER = """
import resource, subprocess, sys, time
start = time.monotonic()
status = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
seconds = time.monotonic() - start
print(status, seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def measured(command):
    """Seconds and peak resident bytes of a command."""
    if not shutil.which(command[0]):
        sys.exit(f"error: {command[0]}: there is no such tool; swift build -c release makes it, or say where it "
                 "is with --tools")
    result = subprocess.run(
        [sys.executable, "-S", "-c", STARTER, *command], capture_output=True, text=True, check=True)
    status, seconds, kibibytes = result.stdout.split()
    if status != "0":
        sys.exit(f"{' '.join(command)}:\n{result.stderr}")
    return float(seconds), int(kibibytes) * 1024


def copy_time(sources, written, folder):
    """Seconds for reading `sources` with cat and writing `written` bytes of them, flushed to disk."""
    target = f"{folder}/copy"
    quoted = " ".join(f"'{path}'" for path in sources)
    size = sum(os.path.getsize(path) for path in sources)
    times = -(-written // size) if written > size else 1
    # Each of the files is read once; those that are written more often are read again from the cache.
    script = f"for i in $(seq {times}); do cat {quoted}; done | head -c {written} > '{target}'"
    if times == 1:
        script = f"cat {quoted} > '{target}'"
    start = time.monotonic()
    subprocess.run(["sh", "-c", f"{script}; sync '{target}'"], check=True)
    seconds = time.monotonic() - start
    os.remove(target)
    return seconds


def folder_bytes(paths):
    return sum(os.path.getsize(path) for path in paths)


def main():
    parser = argparse.ArgumentParser(prog="tools/measure/conversion", description=__doc__)
    parser.add_argument("--size", type=float, default=4, help="gigabytes of the checkpoint")
    parser.add_argument("--vocabulary", type=int, default=32000,
                        help="tokens of the model; fewer let a small checkpoint have layers too")
    parser.add_argument("--memory", help="passed on to both commands")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--folder", help="where to work (default: the system's temporary folder)")
    build = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../.build/release")
    parser.add_argument("--tools", default=build, help="folder with lodge-model")
    arguments = parser.parse_args()
    if arguments.folder is not None and not os.path.isdir(arguments.folder):
        parser.error(f"--folder {arguments.folder}: there is no such folder; make it first")
    memory = ["--memory", arguments.memory] if arguments.memory else []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as work:
        # The input, its copy in model.lodge, three bundles and the copies that cat makes of them.
        needed = int(12.5 * arguments.size * 1e9)
        if shutil.disk_usage(work).free < needed:
            sys.exit(f"conversion: error: {work} has less than {needed / 1e9:.0f} GB free")
        checkpoint = f"{work}/checkpoint"
        os.mkdir(checkpoint)
        shards = write_checkpoint(checkpoint, int(arguments.size * 1e9), arguments.vocabulary)
        size = folder_bytes(shards)
        print(f"checkpoint: {size / 1e9:.2f} GB in {len(shards)} shards")
        tokens = f"{work}/tokens.json"
        with open(tokens, "w") as file:
            generator = numpy.random.default_rng(2)
            json.dump(generator.integers(0, arguments.vocabulary, (2, 16)).tolist(), file)
        rows = {"approximate": [], "share": []}
        for _ in range(arguments.repetitions):
            model, shares = f"{work}/model.lodge", f"{work}/shares"
            tool = f"{arguments.tools}/lodge-model"
            seconds, peak = measured(
                [tool, "approximate", checkpoint, "--tokens", tokens, "--out", model, *memory])
            written = os.path.getsize(model)
            rows["approximate"].append(
                (seconds, copy_time(shards, written, work), peak, size, written))
            seconds, peak = measured([tool, "share", model, "--out", shares, *memory])
            files = [f"{shares}/{name}" for name in os.listdir(shares)]
            written_shares = folder_bytes(files)
            shutil.rmtree(shares)
            rows["share"].append(
                (seconds, copy_time([model], written_shares, work), peak, written, written_shares))
            os.remove(model)
        print(f"{'command':<12}{'read':>9}{'written':>10}{'time':>9}{'cat':>9}{'ratio':>8}{'peak':>11}")
        for name, row in rows.items():
            ratio = statistics.median(seconds / copied for seconds, copied, *_ in row)
            seconds = statistics.median(entry[0] for entry in row)
            copied = statistics.median(entry[1] for entry in row)
            peak = max(entry[2] for entry in row)
            print(
                f"{name:<12}{row[0][3] / 1e9:>6.2f} GB{row[0][4] / 1e9:>7.2f} GB"
                f"{seconds:>7.1f} s{copied:>7.1f} s{ratio:>8.2f}{peak / 1e6:>8.0f} MB")


if __name__ == "__main__":
    main()
