// The families of models that are read, and what a builder hands to the loader.

import Bytes

/// What is made of a configuration and the tensor names.
struct BuiltModel {
  var model: Model
  /// By the weight's name in the graph.
  var bindings: [String: WeightBinding]
  /// Checkpoint keys that the family is known to have and inference does not use.
  var unusedKeys: Set<String>
  /// Those of heads of the family that are not used.
  var headKeys: Set<String> = []
  /// What the user should know about the choice of the output.
  var notices: [String] = []
}

/// Families by `model_type`. Each reads every setting first, and then states what it is made of.
enum Family: String, CaseIterable {
  case opt
  case gpt2
  case bert
  case llama
  case mistral
  case chatglm
  case distilbert
  case roberta
  case xlmRoberta = "xlm-roberta"
  case mpnet
  case electra
  case modernbert
  case t5

  /// Architecture in a few words.
  var summary: String {
    switch self {
    case .opt: "decoder, learned positions, LayerNorm before each part, ReLU, tied output"
    case .gpt2: "decoder, learned positions, LayerNorm before each part, GELU"
    case .bert: "encoder, learned positions and segments, LayerNorm after each part, GELU"
    case .llama: "decoder, rotary positions, RMSNorm, SwiGLU, grouped-query attention"
    case .mistral: "as llama"
    case .chatglm: "ChatGLM-6B: prefix decoder, two rotary positions, scaled residuals, GELU"
    case .distilbert: "as bert, without segments"
    case .roberta: "as bert, positions counted from the row after the padding's"
    case .xlmRoberta: "as roberta"
    case .mpnet: "as roberta, without segments, a bias of scores by distance"
    case .electra: "as bert, tokens perhaps narrower than the layers"
    case .modernbert: "encoder, rotary positions, local and global layers, LayerNorm, gated GELU"
    case .t5: "the encoder: a bias of scores by distance, RMSNorm, ReLU or gated GELU"
    }
  }

  func describe(_ configuration: inout Configuration, tensorNames: Set<String>)
    -> TransformerDescription?
  {
    switch self {
    case .opt: OPT.describe(&configuration, tensorNames: tensorNames)
    case .gpt2: GPT2.describe(&configuration, tensorNames: tensorNames)
    case .bert: BERT.describe(&configuration, tensorNames: tensorNames)
    case .chatglm: ChatGLM.describe(&configuration, tensorNames: tensorNames)
    case .llama, .mistral:
      LLaMA.describe(&configuration, family: self, tensorNames: tensorNames)
    case .distilbert: DistilBERT.describe(&configuration, tensorNames: tensorNames)
    case .roberta, .xlmRoberta:
      RoBERTa.describe(&configuration, family: self, tensorNames: tensorNames)
    case .mpnet: MPNet.describe(&configuration, tensorNames: tensorNames)
    case .electra: ELECTRA.describe(&configuration, tensorNames: tensorNames)
    case .modernbert: ModernBERT.describe(&configuration, tensorNames: tensorNames)
    case .t5: T5.describe(&configuration, tensorNames: tensorNames)
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
  static let classes = 1...(1 << 16)
}
