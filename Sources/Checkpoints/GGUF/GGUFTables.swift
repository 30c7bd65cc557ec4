// Names of tensors in GGUF files beside Hugging Face's, by architecture.

/// What llama.cpp's converter does to the rows of a tensor, before head counts are known.
enum GGUFRows {
  case same
  /// Rows of query or key heads were interleaved so that rotary pairs are adjacent.
  case queryHeads
  case keyHeads
  case transposed
  /// Rows of query, key and value, which stood together head by head, were sorted into all queries,
  /// all keys and all values.
  case sortedHeads
  /// One was added to every element.
  case plusOne
  /// Vectors of all heads were put together; the original's names have the head's number for "*".
  case joinedHeads
}

/// The names of one architecture.
struct GGUFTable {
  /// `model_type` of config.json.
  var modelType: String
  /// Tensors outside of the blocks.
  var names: [String: String]
  /// Before the number of a block in the file, and in the original.
  var storedBlockPrefix = "blk."
  var blockPrefix: String
  /// Tensors of a block, without "weight" or "bias", which both have in common.
  var blockNames: [String: (original: String, rows: GGUFRows)]
  /// What is done to all norms.
  var normRows = GGUFRows.same

  private typealias Names = [String: (original: String, rows: GGUFRows)]

  private static func same(_ names: [String: String]) -> Names {
    names.mapValues { ($0, .same) }
  }

  /// With some names changed or added.
  private func with(_ modelType: String, _ changes: [String: String], normRows: GGUFRows = .same)
    -> GGUFTable
  {
    var result = self
    result.modelType = modelType
    result.normRows = normRows
    result.blockNames.merge(GGUFTable.same(changes)) { $1 }
    return result
  }

  /// LLaMA's names without reordered rows.
  private static let gated = GGUFTable(
    modelType: "",
    names: ["token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"],
    blockPrefix: "model.layers.",
    blockNames: same([
      "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
      "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
      "ffn_norm": "post_attention_layernorm", "ffn_gate": "mlp.gate_proj",
      "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj", "attn_q_norm": "self_attn.q_norm",
      "attn_k_norm": "self_attn.k_norm",
    ]))

  private static let llama: GGUFTable = {
    var result = gated.with("llama", [:])
    result.blockNames["attn_q"]?.rows = .queryHeads
    result.blockNames["attn_k"]?.rows = .keyHeads
    return result
  }()

  private static let gemma2Norms = [
    "post_attention_norm": "post_attention_layernorm", "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
  ]

  private static let stableLM: GGUFTable = {
    var result = gated.with("stablelm", [:])
    result.blockNames["attn_q_norm"] = ("self_attn.q_layernorm.norms.*", .joinedHeads)
    result.blockNames["attn_k_norm"] = ("self_attn.k_layernorm.norms.*", .joinedHeads)
    return result
  }()

  private static let gpt2 = GGUFTable(
    modelType: "gpt2",
    names: [
      "token_embd": "transformer.wte", "position_embd": "transformer.wpe",
      "output_norm": "transformer.ln_f", "output": "lm_head",
    ],
    blockPrefix: "transformer.h.",
    blockNames: [
      "attn_norm": ("ln_1", .same), "attn_qkv": ("attn.c_attn", .transposed),
      "attn_output": ("attn.c_proj", .transposed), "ffn_norm": ("ln_2", .same),
      "ffn_up": ("mlp.c_fc", .transposed), "ffn_down": ("mlp.c_proj", .transposed),
    ])

  /// Layers of GPT-NeoX, BLOOM and Falcon after `attention`.
  private static func fused(_ attention: String) -> Names {
    [
      "attn_norm": ("input_layernorm", .same),
      "attn_qkv": ("\(attention).query_key_value", .sortedHeads),
      "attn_output": ("\(attention).dense", .same),
      "ffn_norm": ("post_attention_layernorm", .same), "ffn_up": ("mlp.dense_h_to_4h", .same),
      "ffn_down": ("mlp.dense_4h_to_h", .same),
    ]
  }

  private static let gptNeoX = GGUFTable(
    modelType: "gpt_neox",
    names: [
      "token_embd": "gpt_neox.embed_in", "output_norm": "gpt_neox.final_layer_norm",
      "output": "embed_out",
    ], blockPrefix: "gpt_neox.layers.", blockNames: fused("attention"))

  private static let bloom = GGUFTable(
    modelType: "bloom",
    names: [
      "token_embd": "transformer.word_embeddings",
      "token_embd_norm": "transformer.word_embeddings_layernorm",
      "output_norm": "transformer.ln_f", "output": "lm_head",
    ], blockPrefix: "transformer.h.", blockNames: fused("self_attention"))

  private static let falcon = GGUFTable(
    modelType: "falcon",
    names: [
      "token_embd": "transformer.word_embeddings", "output_norm": "transformer.ln_f",
      "output": "lm_head",
    ], blockPrefix: "transformer.h.", blockNames: fused("self_attention"))

  private static let bert = GGUFTable(
    modelType: "bert",
    names: [
      "token_embd": "embeddings.word_embeddings",
      "position_embd": "embeddings.position_embeddings",
      "token_types": "embeddings.token_type_embeddings",
      "token_embd_norm": "embeddings.LayerNorm",
    ],
    blockPrefix: "encoder.layer.",
    blockNames: same([
      "attn_q": "attention.self.query", "attn_k": "attention.self.key",
      "attn_v": "attention.self.value", "attn_output": "attention.output.dense",
      "attn_output_norm": "attention.output.LayerNorm", "ffn_up": "intermediate.dense",
      "ffn_down": "output.dense", "layer_output_norm": "output.LayerNorm",
    ]))

  private static let modernBERT = GGUFTable(
    modelType: "modernbert",
    names: [
      "token_embd": "embeddings.tok_embeddings", "token_embd_norm": "embeddings.norm",
      "output_norm": "final_norm",
    ],
    blockPrefix: "layers.",
    blockNames: same([
      "attn_norm": "attn_norm", "attn_qkv": "attn.Wqkv", "attn_output": "attn.Wo",
      "ffn_norm": "mlp_norm", "ffn_up": "mlp.Wi", "ffn_down": "mlp.Wo",
    ]))

  private static let t5: GGUFTable = {
    let attention = "layer.0.SelfAttention."
    let inner = "layer.1.DenseReluDense."
    return GGUFTable(
      modelType: "t5",
      names: ["token_embd": "shared", "enc.output_norm": "encoder.final_layer_norm"],
      storedBlockPrefix: "enc.blk.", blockPrefix: "encoder.block.",
      blockNames: same([
        "attn_norm": "layer.0.layer_norm", "attn_q": attention + "q", "attn_k": attention + "k",
        "attn_v": attention + "v", "attn_o": attention + "o",
        "attn_rel_b": attention + "relative_attention_bias", "ffn_norm": "layer.1.layer_norm",
        "ffn_gate": inner + "wi_0", "ffn_up": inner + "wi_1", "ffn_down": inner + "wo",
      ]))
  }()

  /// By `general.architecture`.
  static let all: [String: GGUFTable] = [
    "llama": llama, "qwen2": gated.with("qwen2", [:]), "qwen3": gated.with("qwen3", [:]),
    "olmo2": gated.with(
      "olmo2",
      [
        "post_attention_norm": "post_attention_layernorm",
        "post_ffw_norm": "post_feedforward_layernorm",
      ]),
    "gemma": gated.with("gemma", [:], normRows: .plusOne),
    "gemma2": gated.with("gemma2", gemma2Norms, normRows: .plusOne),
    "gemma3": gated.with("gemma3_text", gemma2Norms, normRows: .plusOne),
    "phi3": gated.with(
      "phi3", ["attn_qkv": "self_attn.qkv_proj", "ffn_up": "mlp.gate_up_proj"]),
    "stablelm": stableLM,
    "starcoder2": gated.with("starcoder2", ["ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj"]),
    "gpt2": gpt2, "gptneox": gptNeoX, "bloom": bloom, "falcon": falcon, "bert": bert,
    "modern-bert": modernBERT, "t5encoder": t5,
  ]
}

/// Names of the architectures that are read.
package enum GGUFArchitectureNames {
  /// Those whose files are of the family `modelType`.
  package static func of(modelType: String) -> [String] {
    GGUFTable.all.filter { $0.value.modelType == modelType }.keys.sorted()
  }
}
