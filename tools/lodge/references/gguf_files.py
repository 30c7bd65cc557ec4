"""Writes a model as a GGUF file, in the names, orders and keys in which llama.cpp holds its family.

Tensor names are those of the gguf package. Written after what llama.cpp's converter does for each
architecture; Tests/Vectors/families/README.md tells what that is.
"""

import math

import gguf
import numpy

# GGUF's name of each family; BERT's relatives are one architecture.
ARCHITECTURES = {
    "llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "olmo2": "olmo2", "gemma": "gemma",
    "gemma2": "gemma2", "gemma3_text": "gemma3", "phi3": "phi3", "gpt_neox": "gptneox",
    "falcon": "falcon", "bloom": "bloom", "stablelm": "stablelm", "starcoder2": "starcoder2",
    "gpt2": "gpt2", "bert": "bert", "roberta": "bert", "xlm-roberta": "bert",
    "distilbert": "bert", "modernbert": "modern-bert", "t5": "t5encoder",
}
TOKENIZERS = {"bert": "bert", "t5encoder": "t5", "llama": "llama", "gemma": "llama",
              "gemma2": "llama", "gemma3": "llama", "phi3": "llama"}
# Keys that every architecture may have, and the settings they may come from, the first that is
# there.
KEYS = [
    ("context_length", ["max_position_embeddings", "n_positions"]),
    ("embedding_length", ["hidden_size", "n_embd", "d_model", "dim"]),
    ("feed_forward_length", ["intermediate_size", "d_ff", "hidden_dim"]),
    ("block_count", ["num_hidden_layers", "n_layer", "num_layers", "n_layers"]),
    ("attention.head_count", ["num_attention_heads", "n_head", "num_heads", "n_heads"]),
    ("attention.head_count_kv", ["num_key_value_heads"]),
    ("attention.layer_norm_rms_epsilon", ["rms_norm_eps"]),
    ("attention.layer_norm_epsilon", ["layer_norm_eps", "layer_norm_epsilon", "norm_epsilon"]),
    ("attention.key_length", ["head_dim", "d_kv"]),
    ("attention.value_length", ["head_dim", "d_kv"]),
    ("rope.freq_base", ["rope_theta", "global_rope_theta"]),
    ("rope.freq_base_swa", ["rope_local_base_freq", "local_rope_theta"]),
]
# The converter writes no base for these, and llama.cpp takes 10000.
BASELESS = {"gemma", "gemma2", "gptneox", "falcon", "stablelm", "bloom"}


def metadata(architecture, config):
    """Keys after the architecture's prefix."""
    values = {}
    for key, names in KEYS:
        value = next((config[name] for name in names if config.get(name) is not None), None)
        if value is not None and not (key.startswith("rope.") and architecture in BASELESS):
            values[key] = value
    scale(values, config.get("rope_scaling") or {})
    describe = {
        "llama": llama, "gemma2": gemma, "gemma3": gemma, "phi3": phi3, "gptneox": neox,
        "falcon": falcon, "bloom": bloom, "stablelm": stablelm, "gpt2": gpt2, "bert": encoder,
        "modern-bert": modern, "t5encoder": t5,
    }.get(architecture)
    if describe:
        describe(values, config)
    return values


def scale(values, scaling):
    kind = scaling.get("rope_type")
    if kind not in ("linear", "yarn"):
        return
    values |= {"rope.scaling.type": kind, "rope.scaling.factor": float(scaling["factor"])}
    if kind == "yarn":
        values["rope.scaling.original_context_length"] = scaling["original_max_position_embeddings"]
        for name in ("beta_fast", "beta_slow"):
            values[f"rope.scaling.yarn_{name}"] = float(scaling[name])


def head_width(config):
    return config["hidden_size"] // config["num_attention_heads"]


def llama(values, config):
    values["vocab_size"] = config["vocab_size"]
    values["rope.dimension_count"] = config["head_dim"]


def gemma(values, config):
    values["attention.sliding_window"] = config["sliding_window"]
    if config.get("attn_logit_softcapping"):
        values["attn_logit_softcapping"] = config["attn_logit_softcapping"]
    if config.get("final_logit_softcapping"):
        values["final_logit_softcapping"] = config["final_logit_softcapping"]


def phi3(values, config):
    values["rope.scaling.original_context_length"] = config["original_max_position_embeddings"]
    values["rope.dimension_count"] = int(config["partial_rotary_factor"] * head_width(config))
    values["attention.sliding_window"] = config["sliding_window"] or 0


def neox(values, config):
    values["rope.dimension_count"] = int(config["rotary_pct"] * head_width(config))
    values["use_parallel_residual"] = config["use_parallel_residual"]


def falcon(values, config):
    values |= {
        "context_length": 2048, "tensor_data_layout": "jploski",
        "feed_forward_length": 4 * config["hidden_size"],
        "attention.head_count_kv": falcon_key_heads(config),
    }


def falcon_key_heads(config):
    return config["num_kv_heads"] if config["new_decoder_architecture"] else 1


def bloom(values, config):
    values |= {
        "context_length": config.get("seq_length", config["hidden_size"]),
        "feed_forward_length": 4 * config["hidden_size"],
        "attention.head_count_kv": config["n_head"],
    }


def stablelm(values, config):
    values["rope.dimension_count"] = int(config["partial_rotary_factor"] * head_width(config))
    values["use_parallel_residual"] = config["use_parallel_residual"]


def gpt2(values, config):
    values["feed_forward_length"] = 4 * config["n_embd"]


def encoder(values, config):
    values["attention.causal"] = False
    if config["model_type"] == "distilbert":
        values["attention.layer_norm_epsilon"] = 1e-12
    if config["model_type"] in ("roberta", "xlm-roberta"):
        values["context_length"] -= config["pad_token_id"] + 1


def modern(values, config):
    # The second because published configurations have layer_norm_eps beside norm_eps.
    values |= {
        "attention.causal": False, "attention.layer_norm_rms_epsilon": config["norm_eps"],
        "attention.layer_norm_epsilon": config["norm_eps"],
        "attention.sliding_window": config["local_attention"],
        "attention.sliding_window_pattern": config["global_attn_every_n_layers"],
        "rope.scaling.type": "none", "vocab_size": config["vocab_size"],
        "hidden_activation": config["hidden_activation"],
        "classifier.pooling_type": int(gguf.PoolingType[config["classifier_pooling"].upper()]),
    }


def t5(values, config):
    values["context_length"] = 512
    values["attention.layer_norm_rms_epsilon"] = config["layer_norm_epsilon"]
    values["attention.relative_buckets_count"] = config["relative_attention_num_buckets"]


def pairs_beside(array, heads):
    """Rows of each head so that the two that turn together are neighbours."""
    rows = array.reshape(heads, 2, array.shape[0] // heads // 2, *array.shape[1:])
    return rows.swapaxes(1, 2).reshape(array.shape)


def parted(array, groups, queries):
    """Rows of all queries, all keys, all values, where each group held its own."""
    rows = array.reshape(groups, queries + 2, -1, *array.shape[1:])
    parts = [rows[:, :queries], rows[:, queries:-1], rows[:, -1:]]
    return numpy.concatenate([part.reshape(-1, *array.shape[1:]) for part in parts])


def tensors(architecture, config, arrays):
    """Names that the gguf package maps, and the arrays as GGUF holds them."""
    norms = {}
    for name, array in sorted(arrays.items()):
        if architecture == "bloom":
            # The package knows BLOOM's names without it only.
            name = name.removeprefix("transformer.")
        if architecture == "llama" and ".q_proj." in name:
            array = pairs_beside(array, config["num_attention_heads"])
        elif architecture == "llama" and ".k_proj." in name:
            array = pairs_beside(array, config["num_key_value_heads"])
        elif architecture.startswith("gemma") and name.endswith("norm.weight"):
            array = array + 1
        elif architecture == "gptneox" and ".query_key_value." in name:
            array = parted(array, config["num_attention_heads"], 1)
        elif architecture == "bloom" and ".query_key_value." in name:
            array = parted(array, config["n_head"], 1)
        elif architecture == "falcon" and ".query_key_value." in name:
            groups = falcon_key_heads(config)
            array = parted(array, groups, config["num_attention_heads"] // groups)
        elif architecture == "gpt2" and array.ndim == 2 and ".h." in name:
            array = array.T
        elif ".pooler." in f".{name}":
            continue
        elif architecture == "bert" and name == "embeddings.position_embeddings.weight":
            array = array[config["pad_token_id"] + 1 if "roberta" in config["model_type"] else 0:]
        elif "_layernorm.norms." in name:
            stem, _, rest = name.partition(".norms.")
            norms.setdefault(stem, {})[int(rest.split(".")[0])] = array
            continue
        yield name, array
    for stem, heads in sorted(norms.items()):
        yield f"{stem}.weight", numpy.stack([heads[head] for head in range(len(heads))])


def factors(config, scaling):
    """What divides each frequency of Llama 3's scaled positions."""
    width, length = config["head_dim"], scaling["original_max_position_embeddings"]
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    frequencies = config["rope_theta"] ** -(numpy.arange(0, width, 2, dtype=numpy.float64) / width)
    turns = length * frequencies / (2 * math.pi)
    smooth = numpy.clip((turns - low) / (high - low), 0, 1)
    return (1 / ((1 - smooth) / scaling["factor"] + smooth)).astype(numpy.float32)


def add(writer, key, value):
    kinds = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32,
             str: writer.add_string}
    kinds[type(value)](key, value)


def write(path, case, config, arrays):
    """Writes `arrays` (names and shapes as in model.safetensors) to `path`."""
    architecture = ARCHITECTURES[config["model_type"]]
    kind = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_type("model")
    writer.add_name(case.name)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    values = metadata(architecture, config)
    if case.pooling:
        values["pooling_type"] = int(gguf.PoolingType[case.pooling.upper()])
    for key, value in values.items():
        add(writer, f"{architecture}.{key}", value)
    add_tokens(writer, architecture, config)
    names = gguf.get_tensor_name_map(kind, values["block_count"])
    scaling = config.get("rope_scaling") or {}
    if scaling.get("rope_type") == "llama3":
        writer.add_tensor("rope_freqs.weight", factors(config, scaling))
    for name, array in tensors(architecture, config, arrays):
        mapped = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert mapped, f"{case.name}: GGUF has no name for {name}"
        writer.add_tensor(mapped, numpy.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_tokens(writer, architecture, config):
    """A vocabulary of numbers, since every GGUF file has one."""
    count = config["vocab_size"]
    writer.add_tokenizer_model(TOKENIZERS.get(architecture, "gpt2"))
    writer.add_tokenizer_pre("default")
    writer.add_token_list([f"<{token}>" for token in range(count)])
    writer.add_token_scores([0.0] * count)
    writer.add_token_types([int(gguf.TokenType.NORMAL)] * count)
    if architecture == "bert":
        writer.add_token_type_count(config.get("type_vocab_size", 1))
