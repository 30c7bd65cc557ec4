// The families of models that are read, and what a builder hands to the loader.

import Bytes

/// What is made of a configuration and the tensor names.
struct BuiltModel {
  var model: Model
  /// By the weight's name in the graph.
  var bindings: [String: WeightBinding]
  /// Checkpoint keys that the family is known to have and inference does not use.
  var unusedKeys: Set<String>
}

/// Families by `model_type`. Each reads every setting first, and then states what it is made of.
enum Family: String, CaseIterable {
  case opt
  case gpt2
  case bert
  case llama
  case mistral
  case chatglm

  /// Architecture in a few words.
  var summary: String {
    switch self {
    case .opt: "decoder, learned positions, LayerNorm before each part, ReLU, tied output"
    case .gpt2: "decoder, learned positions, LayerNorm before each part, GELU"
    case .bert: "encoder, learned positions and segments, LayerNorm after each part, GELU"
    case .llama: "decoder, rotary positions, RMSNorm, SwiGLU, grouped-query attention"
    case .mistral: "as llama"
    case .chatglm: "ChatGLM-6B: prefix decoder, two rotary positions, scaled residuals, GELU"
    }
  }

  /// Nil after collecting why the settings describe no model.
  func build(_ configuration: inout Configuration, tensorNames: Set<String>) -> BuiltModel? {
    configuration.requireAbsent("quantization_config")
    return describe(&configuration, tensorNames: tensorNames)?.build()
  }

  private func describe(_ configuration: inout Configuration, tensorNames: Set<String>)
    -> TransformerDescription?
  {
    switch self {
    case .opt: OPT.describe(&configuration, tensorNames: tensorNames)
    case .gpt2: GPT2.describe(&configuration, tensorNames: tensorNames)
    case .bert: BERT.describe(&configuration, tensorNames: tensorNames)
    case .chatglm: ChatGLM.describe(&configuration, tensorNames: tensorNames)
    case .llama, .mistral:
      LLaMA.describe(&configuration, family: self, tensorNames: tensorNames)
    }
  }

  /// The first prefix under which the checkpoint holds `key`, else the first of all.
  static func prefix(of key: String, among prefixes: [String], in tensorNames: Set<String>)
    -> String
  {
    prefixes.first { tensorNames.contains($0 + key) } ?? prefixes.first ?? ""
  }
}

/// Largest sizes a configuration may ask for, far above those of any trained model.
enum Limits {
  static let width = 1...(1 << 20)
  static let layerCount = 1...4096
  static let vocabulary = 1...(1 << 24)
  static let positions = 1...(1 << 24)
}
