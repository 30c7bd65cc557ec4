// What each family is, in a few words, for listings and formats/checkpoints.md.

extension Family {
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
    case .gemma3: "the text part of a Gemma 3 that sees, as gemma3_text"
    case .phi3: "as llama, fused projections, maybe a window"
    case .olmo2: "as llama, norms after each part and on queries and keys"
    case .stablelm: "as llama, LayerNorm, partly turned heads, maybe parallel parts"
    case .starcoder2: "decoder, rotary positions, LayerNorm, biases, GELU, a window"
    case .gptNeoX: "GPT-NeoX and Pythia: decoder, partly turned heads, parallel parts, GELU"
    case .gptj: "decoder, partly turned heads of neighbouring pairs, parallel parts, GELU"
    case .falcon: "decoder, one or few key heads, parallel parts, GELU; or ALiBi"
    case .bloom: "decoder, ALiBi, normalised tokens, GELU"
    case .roberta: "as bert, positions after that of the padding token"
    case .xlmRoberta: "as roberta"
    case .distilbert: "as bert, no segments"
    case .electra: "as bert, narrower tokens that are projected"
    case .mpnet: "as bert, no segments, relative positions besides the learned ones"
    case .modernbert: "encoder, rotary positions, LayerNorm before each part, GeGLU, windows"
    case .t5: "the encoder: relative positions, RMSNorm before each part, ReLU or gated GELU"
    case .chatglm: "ChatGLM-6B: prefix decoder, two rotary positions, scaled residuals, GELU"
    }
  }

  /// What the Hugging Face library has of the family and this one has not.
  var notRead: String {
    switch self {
    case .llama, .mistral, .qwen2, .qwen3, .phi3, .olmo2, .stablelm, .starcoder2, .gptNeoX:
      "dynamic and longrope scaling; classes"
    case .gemma, .gemma2, .gemma3Text: "classes; attention both ways (Gemma 3)"
    case .gemma3: "images"
    case .falcon: "classes; the rounding of ALiBi's products to 8 bits"
    case .opt, .gpt2, .gptj, .bloom: "classes, answers to questions"
    case .bert, .roberta, .xlmRoberta, .distilbert, .electra, .mpnet, .modernbert:
      "answers to questions, multiple choice, use as a decoder"
    case .t5: "the decoder"
    case .chatglm: "ChatGLM2 and later, prefix tuning"
    }
  }

  /// What a model may end in.
  var outputs: [ModelOutput] {
    switch self {
    case .bert, .roberta, .xlmRoberta, .distilbert, .electra, .mpnet, .modernbert:
      [.states, .tokenLogits, .classes, .tokenClasses, .embedding]
    case .t5: [.states, .embedding]
    default: [.logits]
    }
  }

  /// The family that its GGUF files, which do not tell relatives apart, are read as.
  var familyOfGGUF: Family {
    switch self {
    case .mistral: .llama
    case .roberta, .xlmRoberta, .distilbert: .bert
    default: self
    }
  }
}
