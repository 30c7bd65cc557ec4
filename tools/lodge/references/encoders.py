"""Reference models that read a whole text: BERT's line, ModernBERT and the encoder of T5."""

import torch

from lodge.references import changes
from lodge.references.case import Case

EPSILON = 3e-2
COMMON = {
    "vocab_size": 52, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2,
    "num_attention_heads": 3, "max_position_embeddings": 40, "pad_token_id": 0,
}
BERT = {**COMMON, "layer_norm_eps": EPSILON, "hidden_act": "gelu", "type_vocab_size": 2}
ROBERTA = {**BERT, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "type_vocab_size": 1}
NORM_BIASES = changes.zero(r"[nN]orm\.bias$")
BERT_SETTINGS = {
    "positions": changes.zero("position_embeddings"),
    "token types": changes.zero("token_type_embeddings"),
    "epsilon": changes.config(layer_norm_eps=1e-12),
    "activation": changes.config(hidden_act="relu"),
    "biases": changes.biases(),
    "norm biases": NORM_BIASES,
}
# Positions are counted from the row after that of the padding.
OFFSET = {"positions from 2": changes.rolled("position_embeddings", -2)}


def encoder(name, architecture, config, settings, head="states", **more):
    return Case(name, architecture, config, settings, head=head, **more)


BERTS = [
    encoder("bert", "BertModel", {**BERT, "type_vocab_size": 3}, BERT_SETTINGS, hasGGUF=True),
    encoder("roberta", "RobertaModel", ROBERTA, {**BERT_SETTINGS, **OFFSET}, hasGGUF=True),
    encoder(
        "xlm-roberta", "XLMRobertaModel", {**ROBERTA, "num_attention_heads": 4, "vocab_size": 71},
        {**BERT_SETTINGS, **OFFSET}, hasGGUF=True),
    # The tables are narrower than the layers.
    encoder("electra", "ElectraModel", {**BERT, "embedding_size": 16}, BERT_SETTINGS),
]
DISTILBERT = {
    "vocab_size": 52, "dim": 24, "hidden_dim": 40, "n_layers": 2, "n_heads": 3, "pad_token_id": 0,
    "max_position_embeddings": 40, "activation": "gelu",
}
DISTILBERT_SETTINGS = {
    "positions": BERT_SETTINGS["positions"],
    "activation": changes.config(activation="relu"),
    "biases": changes.biases(),
    "norm biases": NORM_BIASES,
}
MPNET = {key: value for key, value in ROBERTA.items() if key != "type_vocab_size"}
# The buckets of distances: transformers computes with 32 whatever the configuration says.
MPNET_SETTINGS = {
    **{key: value for key, value in BERT_SETTINGS.items() if key != "token types"},
    **OFFSET,
    "relative bias": changes.zero("relative_attention_bias"),
    # Far positions share buckets by their logarithm, up to a distance of 128.
    "logarithmic buckets": changes.weights(
        "relative_attention_bias", lambda array: changes.repeated_row(array, 32, 8)),
}
MODERN = {
    **COMMON, "num_hidden_layers": 4, "intermediate_size": 24, "norm_eps": EPSILON,
    "global_attn_every_n_layers": 3, "local_attention": 8, "global_rope_theta": 500.0,
    "local_rope_theta": 50.0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1,
    "sep_token_id": 2,
}
MODERN_SETTINGS = {
    "local attention": changes.config(local_attention=80),
    "layer kinds": changes.config(global_attn_every_n_layers=2),
    "global rotary base": changes.config(global_rope_theta=10000.0),
    "local rotary base": changes.config(local_rope_theta=500.0),
    "rotary halves": changes.neighbours(),
    "epsilon": changes.config(norm_eps=1e-6),
    "activation": changes.config(hidden_activation="relu"),
    "embedding norm": changes.without(r"embeddings\.norm$"),
}
T5 = {
    "vocab_size": 52, "d_model": 24, "d_kv": 6, "d_ff": 40, "num_layers": 2, "num_heads": 3,
    "relative_attention_num_buckets": 12, "relative_attention_max_distance": 128,
    "layer_norm_epsilon": EPSILON, "pad_token_id": 0, "eos_token_id": 1,
    "decoder_start_token_id": 0,
}
# T5 does not divide its scores by the root of the width of a head.
T5_GAINS = {r"SelfAttention\.[qk]\.": 0.8}
T5_SETTINGS = {
    "relative bias": changes.zero("relative_attention_bias"),
    "largest distance": changes.config(relative_attention_max_distance=20),
    "epsilon": changes.config(layer_norm_epsilon=1e-6),
    "unscaled scores": changes.weights(
        r"SelfAttention\.q\.weight", lambda array: array / 6**0.5),
}


class Ones(torch.nn.Module):
    """A factor that leaves its partner as it is."""

    def forward(self, x):
        return torch.ones(())


T5_GATED = {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
T5_GATED_SETTINGS = {
    **T5_SETTINGS,
    "activation": changes.config(feed_forward_proj="gated-silu"),
    "gate": changes.patched(lambda model: [
        setattr(block.layer[-1].DenseReluDense, "wi_1", Ones()) for block in model.encoder.block]),
}
OTHERS = [
    encoder("distilbert", "DistilBertModel", DISTILBERT, DISTILBERT_SETTINGS, hasGGUF=True),
    encoder("mpnet", "MPNetModel", MPNET, MPNET_SETTINGS),
    encoder("modernbert", "ModernBertModel", MODERN, MODERN_SETTINGS, hasGGUF=True),
    encoder(
        "modernbert-biases", "ModernBertModel",
        {**MODERN, "attention_bias": True, "mlp_bias": True, "norm_bias": True,
         "num_hidden_layers": 3, "global_attn_every_n_layers": 2},
        {**MODERN_SETTINGS, "layer kinds": changes.config(global_attn_every_n_layers=3),
         "biases": changes.biases(), "norm biases": NORM_BIASES}),
    encoder(
        "t5-encoder", "T5EncoderModel", {**T5, "feed_forward_proj": "relu"},
        {**T5_SETTINGS, "activation": changes.hooked(r"\.act$", lambda x: x * torch.sigmoid(x))},
        gains=T5_GAINS, hasGGUF=True),
    encoder(
        "t5-encoder-gated", "T5EncoderModel", T5_GATED, T5_GATED_SETTINGS, gains=T5_GAINS,
        hasGGUF=True),
    # GGUF does not say the largest distance.
    encoder(
        "t5-encoder-near", "T5EncoderModel", {**T5_GATED, "relative_attention_max_distance": 20},
        {**T5_GATED_SETTINGS,
         "largest distance": changes.config(relative_attention_max_distance=128)},
        gains=T5_GAINS),
]
ENCODERS = BERTS + OTHERS
