"""Reference models that continue a text, with layer norms: GPT's line, Falcon, BLOOM, others."""

import torch

from lodge.references import changes
from lodge.references.case import Case
from lodge.references.gated import COMMON, GROUPED, WINDOW

# Mean and variance are of order 1: an epsilon that is not read moves the outputs.
EPSILON = 3e-2


def decoder(name, architecture, config, settings, **more):
    return Case(name, architecture, {**COMMON, **config}, settings, **more)


def no_slopes(name):
    """As if the scores had no linear biases."""

    def zeros(mask, heads, dtype):
        return torch.zeros(mask.shape[0] * heads, 1, mask.shape[1], dtype=dtype)

    return changes.replaced(name, zeros)


NEOX = {"layer_norm_eps": EPSILON, "rotary_pct": 0.5, "rotary_emb_base": 500.0, "hidden_size": 32}
NEOX_SETTINGS = {
    "parallel residual": changes.config(use_parallel_residual=False),
    "partial rotary": changes.config(rotary_pct=1.0),
    "rotary base": changes.config(rotary_emb_base=10000.0),
    "rotary halves": changes.neighbours(),
    "epsilon": changes.config(layer_norm_eps=1e-5),
    "activation": changes.config(hidden_act="relu"),
    "biases": changes.zero(r"(query_key_value|dense\w*)\.bias$"),
    "norm biases": changes.zero(r"norm\.bias$"),
    "own output matrix": changes.tied("embed_out.weight", "gpt_neox.embed_in.weight"),
}


def neox(name, config, settings, **more):
    settings = {key: value for key, value in {**NEOX_SETTINGS, **settings}.items() if value}
    return decoder(name, "GPTNeoXForCausalLM", {**NEOX, **config}, settings, **more)


NEOXES = [
    # GGUF does not say the base, and llama.cpp takes 10000.
    neox(
        "gpt-neox", {"rotary_emb_base": 10000},
        {"rotary base": changes.config(rotary_emb_base=500)}, hasGGUF=True),
    neox(
        "gpt-neox-serial",
        {"use_parallel_residual": False, "attention_bias": False, "hidden_act": "gelu_fast",
         "num_attention_heads": 2, "rotary_pct": 0.25, "tie_word_embeddings": True},
        {"parallel residual": changes.config(use_parallel_residual=True),
         "biases": changes.zero(r"dense_\w*\.bias$"), "own output matrix": None}),
    decoder(
        "gptj", "GPTJForCausalLM",
        {"num_attention_heads": 2, "n_inner": 40, "rotary_dim": 8, "layer_norm_epsilon": EPSILON},
        {"partial rotary": changes.config(rotary_dim=12),
         "rotary neighbours": changes.replaced(
             "rotate_every_two",
             lambda x: torch.cat((-x[..., x.shape[-1] // 2:], x[..., : x.shape[-1] // 2]), -1)),
         "epsilon": changes.config(layer_norm_epsilon=1e-5),
         "activation": changes.config(activation_function="relu"),
         "biases": changes.zero(r"fc_(in|out)\.bias$"),
         "output bias": changes.zero(r"lm_head\.bias$"),
         "own output matrix": changes.tied("lm_head.weight", "transformer.wte.weight")}),
]

FALCON = {"layer_norm_epsilon": EPSILON, "tie_word_embeddings": True}
FALCON_SETTINGS = {
    "rotary base": changes.config(rope_theta=500.0),
    "rotary halves": changes.neighbours(),
    "epsilon": changes.config(layer_norm_epsilon=1e-5),
    "activation": changes.config(activation="relu"),
    "norm biases": changes.zero(r"(norm|ln_\w+|ln_f)\.bias$"),
}
LINEAR_BIASES = {
    "epsilon": FALCON_SETTINGS["epsilon"],
    "norm biases": FALCON_SETTINGS["norm biases"],
    "linear biases": no_slopes("build_alibi_tensor"),
    "biases": changes.zero(r"(query_key_value|dense\w*)\.bias$"),
}
FALCONS = [
    # The 7B: one key head, attention and feed-forward side by side after one norm. GGUF does not
    # say the base of positions nor the width of the feed-forward.
    decoder(
        "falcon", "FalconForCausalLM",
        {**FALCON, "multi_query": True, "parallel_attn": True, "bias": False},
        {**FALCON_SETTINGS, "feed-forward": changes.zero("dense_4h_to_h")}, hasGGUF=True),
    # The 40B: groups of heads, and a norm for each of the two sides.
    decoder(
        "falcon-groups", "FalconForCausalLM",
        {**FALCON, "new_decoder_architecture": True, "num_kv_heads": 2, "bias": False,
         "tie_word_embeddings": False},
        {**FALCON_SETTINGS,
         "two norms": changes.patched(
             lambda model: [setattr(layer, "ln_mlp", layer.ln_attn)
                            for layer in model.transformer.h]),
         "own output matrix": changes.tied("lm_head.weight", "transformer.word_embeddings.weight")},
        hasGGUF=True),
    # The 11B: groups of heads after one norm, with settings of its own.
    decoder(
        "falcon-one-norm", "FalconForCausalLM",
        {**FALCON, "new_decoder_architecture": True, "num_kv_heads": 2, "bias": False,
         "num_ln_in_parallel_attn": 1, "ffn_hidden_size": 40, "rope_theta": 500.0},
        {**FALCON_SETTINGS, "rotary base": changes.config(rope_theta=10000.0)}),
    # falcon-rw: linear biases instead of rotary positions, serial, with biases. In eager attention
    # transformers 4.57 adds the linear biases twice; its default does not.
    decoder(
        "falcon-alibi", "FalconForCausalLM",
        {**FALCON, "alibi": True, "multi_query": False, "parallel_attn": False, "bias": True,
         "ffn_hidden_size": 40},
        {**LINEAR_BIASES, "activation": FALCON_SETTINGS["activation"]}, attention="sdpa"),
]

BLOOM = {"layer_norm_epsilon": EPSILON, "tie_word_embeddings": True}
BLOOM_SETTINGS = {
    **LINEAR_BIASES,
    "embedding norm": changes.without("word_embeddings_layernorm$"),
    "activation": changes.hooked(r"gelu_impl$", torch.relu),
}
BLOOMS = [
    decoder("bloom", "BloomForCausalLM", BLOOM, BLOOM_SETTINGS, hasGGUF=True),
    # Slopes of a number of heads that is no power of two, and the residual after the norm.
    decoder(
        "bloom-post", "BloomForCausalLM",
        {**BLOOM, "num_attention_heads": 3, "apply_residual_connection_post_layernorm": True},
        {**BLOOM_SETTINGS,
         "residual after norm": changes.config(apply_residual_connection_post_layernorm=False)}),
]

STABLE = {"num_key_value_heads": 2, "layer_norm_eps": EPSILON, "rope_theta": 500.0,
          "hidden_size": 32, "partial_rotary_factor": 0.5}
STABLE_SETTINGS = {
    "grouped heads": changes.tiled_heads(),
    "parallel residual": changes.config(use_parallel_residual=True),
    "partial rotary": changes.config(partial_rotary_factor=1.0),
    "rotary base": changes.config(rope_theta=10000.0),
    "rotary halves": changes.neighbours(),
    "epsilon": changes.config(layer_norm_eps=1e-5),
    "activation": changes.config(hidden_act="relu"),
    "norm biases": changes.zero(r"norm\.bias$"),
    "own output matrix": changes.tied("lm_head.weight", "model.embed_tokens.weight"),
}


def serial(model):
    for layer in model.model.layers:
        layer.use_parallel_residual = False
        layer.post_attention_layernorm = layer.input_layernorm


# GGUF does not say the base, and llama.cpp takes 10000.
STABLE_GGUF = {**STABLE, "rope_theta": 10000.0}
STABLE_GGUF_SETTINGS = {**STABLE_SETTINGS, "rotary base": changes.config(rope_theta=500.0)}
STABLES = [
    decoder(
        "stablelm", "StableLmForCausalLM", {**STABLE_GGUF, "use_qkv_bias": True},
        {**STABLE_GGUF_SETTINGS, "biases": changes.zero(r"proj\.bias$")}, hasGGUF=True),
    decoder(
        "stablelm-base", "StableLmForCausalLM",
        {**STABLE, "tie_word_embeddings": True},
        {key: value for key, value in STABLE_SETTINGS.items() if key != "own output matrix"}),
    # As the 12B: side by side after one norm, and a norm for every head of queries and keys.
    decoder(
        "stablelm-parallel", "StableLmForCausalLM",
        {**STABLE_GGUF, "use_parallel_residual": True, "qk_layernorm": True},
        {**STABLE_GGUF_SETTINGS, "parallel residual": changes.patched(serial),
         "query and key norms": changes.config(qk_layernorm=False),
         "own norm of each head": changes.weights(
             r"(q|k)_layernorm\.norms\.1\.weight$", lambda array: array * 0 + 1)}, hasGGUF=True),
]
STARCODER = {**GROUPED, "norm_epsilon": EPSILON, "rope_theta": 500.0, "use_bias": True}
STARCODER_SETTINGS = {
    "biases": changes.zero(r"(proj|c_fc)\.bias$"),
    "epsilon": changes.config(norm_epsilon=1e-5),
    **{key: STABLE_SETTINGS[key] for key in (
        "grouped heads", "rotary base", "rotary halves", "activation", "norm biases")},
}
STARCODERS = [
    decoder(
        "starcoder2", "Starcoder2ForCausalLM",
        {**STARCODER, "sliding_window": 8, "tie_word_embeddings": True},
        {**STARCODER_SETTINGS, **WINDOW}),
    # GGUF does not say the window.
    decoder(
        "starcoder2-full", "Starcoder2ForCausalLM", {**STARCODER, "sliding_window": None},
        {**STARCODER_SETTINGS, "own output matrix": STABLE_SETTINGS["own output matrix"]},
        hasGGUF=True),
]


def norm_before(model):
    for layer in model.model.decoder.layers:
        layer.do_layer_norm_before = True


OPT = {"ffn_dim": 40, "word_embed_proj_dim": 24, "activation_function": "relu"}
OPT_SETTINGS = {
    "positions": changes.zero("embed_positions"),
    "positions from 2": changes.rolled("embed_positions", 2),
    "activation": changes.config(activation_function="silu"),
    "biases": changes.zero(r"(proj|fc\d)\.bias$"),
    "norm biases": changes.zero(r"norm\.bias$"),
}
OUTPUT = changes.tied("lm_head.weight", "model.decoder.embed_tokens.weight")
OPTS = [
    decoder("opt", "OPTForCausalLM", {**OPT, "tie_word_embeddings": True}, OPT_SETTINGS),
    # As the 350M: norms after the sums, no last norm, narrower tables than layers.
    decoder(
        "opt-projected", "OPTForCausalLM",
        {**OPT, "do_layer_norm_before": False, "word_embed_proj_dim": 16,
         "tie_word_embeddings": True},
        {**OPT_SETTINGS, "norm after": changes.patched(norm_before)}),
    # As Galactica: no biases, GeLU; norms without weights; an output matrix of its own.
    decoder(
        "opt-plain", "OPTForCausalLM",
        {**OPT, "enable_bias": False, "layer_norm_elementwise_affine": False,
         "activation_function": "gelu"},
        {**{key: OPT_SETTINGS[key] for key in ("positions", "positions from 2", "activation")},
         "own output matrix": OUTPUT}),
]
GPT2 = {"layer_norm_epsilon": EPSILON, "tie_word_embeddings": True}
GPT2_SETTINGS = {
    "positions": changes.zero(r"wpe"),
    "epsilon": changes.config(layer_norm_epsilon=1e-5),
    "activation": changes.config(activation_function="relu"),
    "biases": changes.zero(r"c_(attn|proj|fc)\.bias$"),
    "norm biases": changes.zero(r"ln_\w\.bias$"),
}
GPT2S = [
    decoder("gpt2", "GPT2LMHeadModel", GPT2, GPT2_SETTINGS, hasGGUF=True),
    decoder(
        "gpt2-inverse", "GPT2LMHeadModel",
        {**GPT2, "num_attention_heads": 3, "n_inner": 40, "scale_attn_by_inverse_layer_idx": True,
         "tie_word_embeddings": False},
        {**GPT2_SETTINGS,
         "inverse scale": changes.config(scale_attn_by_inverse_layer_idx=False),
         "own output matrix": changes.tied("lm_head.weight", "transformer.wte.weight")}),
]
DECODERS = NEOXES + FALCONS + BLOOMS + STABLES + STARCODERS + OPTS + GPT2S
