// OPT (Zhang et al. 2022): causal decoder, learned positions, normalisation before each part (after
// it in the 350M one, which also projects narrower tokens), ReLU, tied output.

import Bytes

enum OPT {
  /// Rows of the position table before that of position 0.
  static let positionOffset = 2
  /// Epsilon of every normalisation; the configuration does not hold it.
  static let epsilon = 1e-5

  static func describe(_ configuration: inout Configuration, tensorNames: Set<String>)
    -> TransformerDescription?
  {
    let sizes = TransformerSizes(&configuration, .init(innerWidth: "ffn_dim"))
    let activation = configuration.activation("activation_function", fallback: "relu")
    let isFirst = configuration.bool("do_layer_norm_before", fallback: true)
    configuration.require("_remove_final_layer_norm", oneOf: [false], fallback: false)
    let hasBias = configuration.bool("enable_bias", fallback: true)
    let isAffine = configuration.bool("layer_norm_elementwise_affine", fallback: true)
    let isTied = configuration.bool("tie_word_embeddings", fallback: true)
    let tokenWidth = configuration.integer(
      "word_embed_proj_dim", in: Limits.width, fallback: sizes?.width ?? 1, meaning: "hidden_size")
    guard let sizes, let isTied, let isFirst, let tokenWidth, let hasBias, let isAffine else {
      return nil
    }

    let isProjected = tokenWidth != sizes.width
    func linear(_ key: String) -> LinearDescription { LinearDescription(key, bias: hasBias) }
    func norm(_ key: String) -> NormDescription {
      isAffine ? .layer(key, epsilon) : NormDescription(isCentred: true, epsilon: epsilon)
    }
    func places(_ key: String) -> NormPlaces {
      isFirst ? NormPlaces(input: norm(key)) : NormPlaces(sum: norm(key))
    }
    let layer = LayerDescription(
      attention: AttentionDescription(
        query: linear("self_attn.q_proj"), key: linear("self_attn.k_proj"),
        value: linear("self_attn.v_proj"), output: linear("self_attn.out_proj")),
      feedForward: FeedForwardDescription(
        activation: activation, up: linear("fc1"), down: linear("fc2")),
      attentionNorms: places("self_attn_layer_norm"),
      feedForwardNorms: places("final_layer_norm"))
    var head = HeadDescription.logits(isTied: isTied)
    if isProjected {
      head.transform = (LinearDescription("project_out", bias: false), tokenWidth, nil)
    }
    return TransformerDescription(
      family: .opt, kind: .decoder, sizes: sizes,
      names: .prefixed(
        ["model.decoder.", "decoder."], of: "embed_tokens.weight", in: tensorNames),
      embedding: EmbeddingDescription(
        tokens: "embed_tokens.weight", width: tokenWidth,
        tokenProjection: isProjected ? "project_in.weight" : nil,
        positions: (
          "embed_positions.weight", sizes.positions + positionOffset, positionOffset
        )),
      layers: Array(repeating: layer, count: sizes.layerCount),
      finalNorm: isFirst ? norm("final_layer_norm") : nil, head: head)
  }
}
