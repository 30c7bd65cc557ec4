// The families of models that are read, and what a builder hands to the loader.

import Bytes

/// What is made of a configuration and the tensor names.
struct BuiltModel {
  var model: Model
  /// By the weight's name in the graph.
  var bindings: [String: WeightBinding]
  /// Checkpoint keys that the family is known to have and inference does not use.
  var unusedKeys: Set<String>
  /// Whether the token table serves as the output matrix, too.
  var isTied: Bool
  /// Keys of heads of the family that are not used.
  var headKeys: Set<String> = []
  /// What the user should know about the choice of the output.
  var notices: [String] = []

  /// Of all tensors that weights are taken from.
  var keys: Set<String> { Set(bindings.values.flatMap { $0.tensors.map(\.key) }) }
}

/// Families by `model_type`. Each reads every setting first, and then states what it is made of.
enum Family: String, CaseIterable {
  case opt
  case gpt2
  case bert
  case llama
  case mistral
  case qwen2
  case qwen3
  case gemma
  case gemma2
  case gemma3Text = "gemma3_text"
  case gemma3
  case phi3
  case olmo2
  case stablelm
  case starcoder2
  case gptNeoX = "gpt_neox"
  case gptj
  case falcon
  case bloom
  case roberta
  case xlmRoberta = "xlm-roberta"
  case distilbert
  case electra
  case mpnet
  case modernbert
  case t5
  case chatglm

  func describe(_ configuration: inout Configuration, tensorNames: Set<String>)
    -> TransformerDescription?
  {
    switch self {
    case .opt: OPT.describe(&configuration, tensorNames: tensorNames)
    case .gpt2: GPT2.describe(&configuration, tensorNames: tensorNames)
    case .chatglm: ChatGLM.describe(&configuration, tensorNames: tensorNames)
    case .qwen2, .qwen3:
      Qwen.describe(&configuration, family: self, tensorNames: tensorNames)
    case .gemma, .gemma2, .gemma3Text, .gemma3:
      Gemma.describe(&configuration, family: self, tensorNames: tensorNames)
    case .phi3: Phi3.describe(&configuration, tensorNames: tensorNames)
    case .olmo2: OLMo2.describe(&configuration, tensorNames: tensorNames)
    case .stablelm: StableLM.describe(&configuration, tensorNames: tensorNames)
    case .starcoder2: StarCoder2.describe(&configuration, tensorNames: tensorNames)
    case .gptNeoX: GPTNeoX.describe(&configuration, tensorNames: tensorNames)
    case .gptj: GPTJ.describe(&configuration, tensorNames: tensorNames)
    case .bert: BERT.describe(&configuration, tensorNames: tensorNames)
    case .falcon: Falcon.describe(&configuration, tensorNames: tensorNames)
    case .bloom: BLOOM.describe(&configuration, tensorNames: tensorNames)
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
