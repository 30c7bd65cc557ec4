// GPT-J (Wang and Komatsuzaki 2021): causal decoder, neighbouring elements of a part of each head
// turned, attention and feed-forward side by side behind one norm, a biased output.

import Bytes

enum GPTJ {
  static func describe(_ configuration: inout Configuration, tensorNames: Set<String>)
    -> TransformerDescription?
  {
    let sizes = TransformerSizes(
      &configuration,
      .init(
        width: ["n_embd"], innerWidth: "n_inner", innerWidthMultiple: 4, headCount: ["n_head"],
        layerCount: ["n_layer"], positions: ["n_positions"]))
    let epsilon = configuration.positiveNumber("layer_norm_epsilon", fallback: 1e-5)
    let activation = configuration.activation("activation_function", fallback: "gelu_new")
    let isTied = configuration.bool("tie_word_embeddings", fallback: false)
    configuration.defaults = ["rotary_dim": 64]
    let turned = configuration.integer("rotary_dim", in: Limits.width)
    guard let sizes, let epsilon, let isTied, let turned else { return nil }
    guard turned <= sizes.headWidth, turned.isMultiple(of: 2) else {
      configuration.fail(
        "rotary_dim", "\(turned) of \(sizes.headWidth) elements cannot be turned by pairs")
      return nil
    }

    let layer = LayerDescription(
      attention: AttentionDescription(
        query: .init("attn.q_proj", bias: false), key: .init("attn.k_proj", bias: false),
        value: .init("attn.v_proj", bias: false), output: .init("attn.out_proj", bias: false),
        rotary: RotaryPositions(base: 10_000, dimensions: turned, layout: .pairs)),
      feedForward: FeedForwardDescription(
        activation: activation, up: .init("mlp.fc_in"), down: .init("mlp.fc_out")),
      attentionNorms: NormPlaces(input: .layer("ln_1", epsilon)), isParallel: true)
    return TransformerDescription(
      family: .gptj, kind: .decoder, sizes: sizes,
      names: .prefixed(["transformer.", ""], of: "wte.weight", in: tensorNames),
      embedding: EmbeddingDescription(tokens: "wte.weight"), layerKey: "h.",
      layers: Array(repeating: layer, count: sizes.layerCount), finalNorm: .layer("ln_f", epsilon),
      head: .logits(isTied: isTied, .init("lm_head")),
      // Causal masks that old files hold.
      unusedKeys: (0..<sizes.layerCount).flatMap {
        ["h.\($0).attn.bias", "h.\($0).attn.masked_bias"]
      })
  }
}
