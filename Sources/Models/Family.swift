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
  case phi3
  case olmo2
  case stablelm
  case starcoder2
  case gptNeoX = "gpt_neox"
  case gptj
  case falcon
  case bloom
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
    case .mistral: "as llama, with a window"
    case .qwen2:
      "Qwen 2 and 2.5: as llama, biased queries, keys and values, windows from a layer on"
    case .qwen3: "as llama, normalised queries and keys, windows from a layer on"
    case .gemma: "as llama, scaled tokens, norms that store gamma - 1, GELU"
    case .gemma2:
      "as gemma, norms before and after each part, soft-capped scores, every other "
        + "layer with a window"
    case .gemma3Text: "as gemma2, normalised queries and keys, no caps, two rotary bases"
    case .phi3: "as llama, fused projections, maybe a window"
    case .olmo2: "as llama, norms after each part and on queries and keys"
    case .stablelm: "as llama, LayerNorm, partly turned heads, maybe parallel parts"
    case .starcoder2: "decoder, rotary positions, LayerNorm, biases, GELU, a window"
    case .gptNeoX: "GPT-NeoX and Pythia: decoder, partly turned heads, parallel parts, GELU"
    case .gptj: "decoder, partly turned heads of neighbouring pairs, parallel parts, GELU"
    case .falcon: "decoder, one or few key heads, parallel parts, GELU; or ALiBi"
    case .bloom: "decoder, ALiBi, normalised tokens, GELU"
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
    case .chatglm: ChatGLM.describe(&configuration, tensorNames: tensorNames)
    case .qwen2, .qwen3:
      Qwen.describe(&configuration, family: self, tensorNames: tensorNames)
    case .gemma, .gemma2, .gemma3Text:
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
