// Architectures of GGUF files: their tensor names beside Hugging Face's, and their metadata keys.

import Bytes

/// One architecture: a name table, and how config.json follows from the metadata.
struct GGUFArchitecture {
  /// What a table says about the rows of a tensor, before head counts are known.
  enum Rows {
    case same
    case queryHeads
    case keyHeads
    case transposed
  }

  private struct Table {
    /// Tensors outside of the blocks.
    var names: [(gguf: String, original: String)]
    /// Before the number of a block.
    var blockPrefix: String
    /// Tensors of a block, without "weight" or "bias", which both have in common.
    var blockNames: [(gguf: String, original: String, rows: Rows)]
  }

  private static let tables: [String: Table] = [
    "llama": Table(
      names: [
        ("token_embd", "model.embed_tokens"), ("output_norm", "model.norm"),
        ("output", "lm_head"),
      ],
      blockPrefix: "model.layers.",
      blockNames: [
        ("attn_norm", "input_layernorm", .same), ("attn_q", "self_attn.q_proj", .queryHeads),
        ("attn_k", "self_attn.k_proj", .keyHeads), ("attn_v", "self_attn.v_proj", .same),
        ("attn_output", "self_attn.o_proj", .same),
        ("ffn_norm", "post_attention_layernorm", .same), ("ffn_gate", "mlp.gate_proj", .same),
        ("ffn_up", "mlp.up_proj", .same), ("ffn_down", "mlp.down_proj", .same),
      ]),
    "gpt2": Table(
      names: [
        ("token_embd", "transformer.wte"), ("position_embd", "transformer.wpe"),
        ("output_norm", "transformer.ln_f"), ("output", "lm_head"),
      ],
      blockPrefix: "transformer.h.",
      blockNames: [
        ("attn_norm", "ln_1", .same), ("attn_qkv", "attn.c_attn", .transposed),
        ("attn_output", "attn.c_proj", .transposed), ("ffn_norm", "ln_2", .same),
        ("ffn_up", "mlp.c_fc", .transposed), ("ffn_down", "mlp.c_proj", .transposed),
      ]),
    "bert": Table(
      names: [
        ("token_embd", "embeddings.word_embeddings"),
        ("position_embd", "embeddings.position_embeddings"),
        ("token_types", "embeddings.token_type_embeddings"),
        ("token_embd_norm", "embeddings.LayerNorm"),
      ],
      blockPrefix: "encoder.layer.",
      blockNames: [
        ("attn_q", "attention.self.query", .same), ("attn_k", "attention.self.key", .same),
        ("attn_v", "attention.self.value", .same),
        ("attn_output", "attention.output.dense", .same),
        ("attn_output_norm", "attention.output.LayerNorm", .same),
        ("ffn_up", "intermediate.dense", .same), ("ffn_down", "output.dense", .same),
        ("layer_output_norm", "output.LayerNorm", .same),
      ]),
  ]

  let name: String
  private let table: Table
  private let headCount: Int
  private let keyHeadCount: Int

  /// - Throws: `InputError` where the file names no architecture, or one that has no table.
  init(_ file: GGUF) throws(InputError) {
    let key = "general.architecture"
    let offset = file.keyOffsets[key] ?? GGUF.metadataOffset
    guard case .text(let name)? = file.metadata[key] else {
      throw InputError(
        file.path, place: key, offset: offset, "the file does not name its architecture")
    }
    guard let table = GGUFArchitecture.tables[name] else {
      let known = GGUFArchitecture.tables.keys.sorted().joined(separator: ", ")
      throw InputError(
        file.path, place: key, offset: offset,
        "architecture \"\(name)\" is not implemented, only \(known) are")
    }
    self.name = name
    self.table = table
    let metadata = GGUFMetadata(file, architecture: name)
    headCount = try metadata.integer("attention.head_count", in: 1...(1 << 20))
    keyHeadCount =
      try metadata.optionalInteger("attention.head_count_kv", in: 1...(1 << 20)) ?? headCount
  }

  /// The Hugging Face name and the order of rows of the tensor `name`; nil where no table has it.
  func map(_ name: String) -> (name: String, layout: Rows)? {
    guard let dot = name.lastIndex(of: ".") else { return nil }
    let (stem, kind) = (name[..<dot], name[dot...])
    guard kind == ".weight" || kind == ".bias" else { return nil }
    if let entry = table.names.first(where: { $0.gguf == stem }) {
      return (entry.original + kind, .same)
    }
    let parts = stem.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 3, parts[0] == "blk", let block = Int(parts[1]), block >= 0,
      String(block) == parts[1], let entry = table.blockNames.first(where: { $0.gguf == parts[2] })
    else { return nil }
    return ("\(table.blockPrefix)\(block).\(entry.original)\(kind)", entry.rows)
  }

  /// What was done to `tensor`; a shape that does not fit is left alone for the loader to name.
  func layout(_ rows: Rows, of tensor: TensorDescription) -> GGUFLayout {
    switch rows {
    case .same: return .same
    case .transposed: return tensor.shape.count == 2 ? .transposed : .same
    case .queryHeads, .keyHeads:
      let count = rows == .queryHeads ? headCount : keyHeadCount
      guard let rowCount = tensor.shape.first, rowCount.isMultiple(of: 2 * count) else {
        return .same
      }
      return .interleavedHeads(headCount: count)
    }
  }

  /// What config.json would say.
  /// - Throws: one `InputError` with every key that is absent, of a wrong type, or not understood.
  func configuration(_ file: GGUF) throws(InputError) -> JSON {
    var metadata = GGUFMetadata(file, architecture: name)
    var members: [String: JSON] = ["model_type": .string(name)]
    let shapes = Dictionary(
      file.tensors.map { ($0.name, $0.shape) }, uniquingKeysWith: { first, _ in first })
    members["vocab_size"] = shapes["token_embd.weight"]?.first.map { .integer($0) }
    metadata.drop("vocab_size")
    switch name {
    case "llama":
      GGUFArchitecture.describeLLaMA(&metadata, &members, hasOutput: shapes["output.weight"] != nil)
    case "gpt2": GGUFArchitecture.describeGPT2(&metadata, &members, shapes)
    default: GGUFArchitecture.describeBERT(&metadata, &members, shapes)
    }
    try metadata.finish()
    return .object(members)
  }
}
