"""Reference models that continue a text, with RMS norms, rotary positions and a gate."""

import math

from lodge.references import changes
from lodge.references.case import Case

COMMON = {
    "vocab_size": 52, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2,
    "num_attention_heads": 4, "max_position_embeddings": 64, "bos_token_id": 1, "eos_token_id": 2,
    "pad_token_id": None, "tie_word_embeddings": False,
}
# Two key heads.
GROUPED = {**COMMON, "num_key_value_heads": 2}
ROTARY = {**GROUPED, "rope_theta": 500.0, "rms_norm_eps": 3e-3}
# A head is not the width divided by the heads.
WIDE = {"head_dim": 10}
UNTIED = changes.tied("lm_head.weight", "model.embed_tokens.weight")
BASIC = {
    "grouped heads": changes.tiled_heads(),
    "rotary base": changes.config(rope_theta=10000.0),
    "rotary halves": changes.neighbours(),
    "epsilon": changes.config(rms_norm_eps=1e-6),
    "activation": changes.config(hidden_act="relu"),
}


def gated(name, architecture, config=None, settings=None, **more):
    """A decoder of Llama's kind: RMS norms, rotary positions, a gated feed-forward."""
    config = {**ROTARY, **(config or {})}
    basic = dict(BASIC)
    if not config["tie_word_embeddings"]:
        basic["own output matrix"] = UNTIED
    if config["num_key_value_heads"] in (1, config["num_attention_heads"]):
        del basic["grouped heads"]
    return Case(name, architecture, config, {**basic, **(settings or {})}, **more)


def llama(name, config=None, settings=None):
    return gated(
        name, "LlamaForCausalLM", {**WIDE, **(config or {})}, settings, hasGGUF=True)


UNSCALED = {"rotary scaling": changes.config(rope_scaling=None)}
TIED = {"tie_word_embeddings": True}
LLAMA = [
    llama("llama"),
    llama(
        "llama-biases", {"attention_bias": True, "mlp_bias": True, "num_key_value_heads": 4},
        {"biases": changes.biases(), "key biases": changes.zero("k_proj.bias")}),
    llama(
        "llama3",
        {**TIED, "rope_scaling": {
            "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 16}},
        {**UNSCALED, "llama3 smoothing": changes.config(rope_scaling={
            "rope_type": "linear", "factor": 8.0})}),
    llama(
        "llama-linear", {"rope_scaling": {"rope_type": "linear", "factor": 4.0}}, UNSCALED),
    llama(
        "llama-yarn",
        {"max_position_embeddings": 64, "rope_scaling": {
            "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16,
            "beta_fast": 4.0, "beta_slow": 0.25}},
        {**UNSCALED,
         "yarn ramp": changes.config(rope_scaling={
             "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}),
         "yarn attention factor": changes.config(rope_scaling={
             "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16,
             "beta_fast": 4.0, "beta_slow": 0.25, "attention_factor": 1.0})}),
    # SmolLM is a Llama of odd head counts with tied tables.
    llama(
        "smollm", {**TIED, "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 8}),
]

WINDOW = {"sliding window": changes.config(sliding_window=None)}
QWEN_WINDOW = {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1}
ALIKE = [
    gated("mistral", "MistralForCausalLM", {**WIDE, "sliding_window": 8}, WINDOW),
    gated("qwen2", "Qwen2ForCausalLM", TIED, {"biases": changes.biases()}, hasGGUF=True),
    gated(
        "qwen2-window", "Qwen2ForCausalLM", {**QWEN_WINDOW, "rope_scaling": {
            "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16,
            "beta_fast": 4.0, "beta_slow": 0.25, "attention_factor": 1.3}},
        {"biases": changes.biases(), **UNSCALED,
         "sliding window": changes.config(use_sliding_window=False),
         "first window layer": changes.config(max_window_layers=0),
         "attention factor": changes.config(rope_scaling={
             "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16,
             "beta_fast": 4.0, "beta_slow": 0.25})}),
    gated(
        "qwen3", "Qwen3ForCausalLM", {**TIED, **WIDE},
        {"query and key norms": changes.without("(q|k)_norm$")}, hasGGUF=True),
    gated(
        "qwen3-window", "Qwen3ForCausalLM", {**WIDE, **QWEN_WINDOW, "attention_bias": True},
        {"query and key norms": changes.without("(q|k)_norm$"), "biases": changes.biases(),
         "sliding window": changes.config(use_sliding_window=False)}),
    gated(
        "olmo2", "Olmo2ForCausalLM", {},
        {"query and key norms": changes.without("(q|k)_norm$")}, hasGGUF=True),
]


def without_offset():
    return changes.weights("norm.weight$", lambda array: array - 1)


def without_scale(width):
    return changes.hooked("embed_tokens$", lambda output: output / math.sqrt(width))


GEMMA = {**TIED, **WIDE, "hidden_activation": "gelu_pytorch_tanh", "rms_norm_eps": 5e-2}
GEMMA_SETTINGS = {
    "norm offset": without_offset(),
    "embedding scale": without_scale(24),
    "activation": changes.config(hidden_activation="silu"),
}
SOFT = {"query_pre_attn_scalar": 6, "sliding_window": 8}
SOFT_SETTINGS = {
    **GEMMA_SETTINGS,
    "query scale": changes.config(query_pre_attn_scalar=20),
    "sliding window": changes.config(sliding_window=64),
    "norms after": changes.without("post_(attention|feedforward)_layernorm$"),
}
# What GGUF does not say: the base is 10000, and scores are divided by the root of a head's width.
USUAL = {"rope_theta": 10000.0, "query_pre_attn_scalar": 10}
USUAL_BASE = {"rotary base": changes.config(rope_theta=500.0)}
CAPS = {"attn_logit_softcapping": 3.0, "final_logit_softcapping": 9.0}
CAP_SETTINGS = {
    "attention cap": changes.config(attn_logit_softcapping=None),
    "logit cap": changes.config(final_logit_softcapping=None),
}
GEMMAS = [
    # The first Gemma names its activation as others do.
    gated(
        "gemma", "GemmaForCausalLM",
        {**GEMMA, "hidden_act": "gelu_pytorch_tanh", "rope_theta": 10000.0},
        {**GEMMA_SETTINGS, **USUAL_BASE, "activation": BASIC["activation"]}, hasGGUF=True),
    gated(
        "gemma2", "Gemma2ForCausalLM", {**GEMMA, **SOFT, **CAPS, **USUAL},
        {**SOFT_SETTINGS, **CAP_SETTINGS, **USUAL_BASE}, hasGGUF=True),
    # As the 27B, whose scale is not of its heads.
    gated(
        "gemma2-scale", "Gemma2ForCausalLM", {**GEMMA, **SOFT, **CAPS},
        {**SOFT_SETTINGS, **CAP_SETTINGS}),
    # As the 1B: five layers with a window, then one without; 270M and 1B have no scaling.
    gated(
        "gemma3", "Gemma3ForCausalLM",
        {**GEMMA, **SOFT, **USUAL, "num_hidden_layers": 6, "num_key_value_heads": 1,
         "num_attention_heads": 2, "intermediate_size": 24, "rope_theta": 5000.0,
         "rope_local_base_freq": 100.0},
        {**SOFT_SETTINGS, "query and key norms": changes.without("(q|k)_norm$"),
         "local rotary base": changes.config(rope_local_base_freq=5000.0)}, hasGGUF=True),
    # As the 4B and larger: scaled positions in the layers without a window.
    gated(
        "gemma3-scaled", "Gemma3ForCausalLM",
        {**GEMMA, **SOFT, "num_hidden_layers": 3, "rope_theta": 5000.0,
         "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
         "rope_scaling": {"rope_type": "linear", "factor": 8.0}, "rope_local_base_freq": 100.0},
        {**SOFT_SETTINGS, **UNSCALED,
         "layer kinds": changes.config(
             layer_types=["full_attention", "sliding_attention", "sliding_attention"])}),
]
PHI = [
    gated(
        "phi3", "Phi3ForCausalLM", {"original_max_position_embeddings": 64},
        hasGGUF=True),
    gated(
        "phi3-partial", "Phi3ForCausalLM",
        {**TIED, "hidden_size": 32, "partial_rotary_factor": 0.5,
         "sliding_window": 8, "original_max_position_embeddings": 64},
        {**WINDOW, "partial rotary": changes.config(partial_rotary_factor=1.0)},
        hasGGUF=True),
]
GATED = LLAMA + ALIKE + GEMMAS + PHI
