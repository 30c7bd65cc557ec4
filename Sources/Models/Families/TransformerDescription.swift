// A transformer in the terms in which families differ: what a family's file states.
//
// Keys of layers follow after the layer's own prefix, such as "model.layers.3."; all others, and
// these prefixes, pass through the name table.

/// A linear layer of the checkpoint: a matrix and maybe a bias.
struct LinearDescription {
  /// Key of the matrix.
  var weight: String
  /// Key of the bias, or nil.
  var bias: String?
  var stored = GraphBuilder.StoredMatrix()

  /// The tensors `key`.weight and, where it has a bias, `key`.bias.
  init(_ key: String, bias: Bool = true, stored: GraphBuilder.StoredMatrix = .init()) {
    self.init(weight: key + ".weight", bias: bias ? key + ".bias" : nil)
    self.stored = stored
  }

  init(weight: String, bias: String?) {
    self.weight = weight
    self.bias = bias
  }
}

/// A layer normalisation or, where it is not centred, a root mean square normalisation.
struct NormDescription {
  var isCentred: Bool
  /// Keys; nil is one and zero.
  var gamma: String?
  /// Keys of the gammas of further groups, each of which has its own.
  var moreGammas: [String] = []
  var beta: String?
  var epsilon: Double
  /// What is added to the stored gamma.
  var gammaAddend: Float = 0

  /// The tensors `key`.weight and, where it has a bias, `key`.bias.
  static func layer(_ key: String, _ epsilon: Double, bias: Bool = true) -> NormDescription {
    NormDescription(
      isCentred: true, gamma: key + ".weight", beta: bias ? key + ".bias" : nil, epsilon: epsilon)
  }

  /// The tensor `key`.weight, to which `addend` is added.
  static func rootMeanSquare(_ key: String, _ epsilon: Double, addend: Float = 0)
    -> NormDescription
  {
    NormDescription(
      isCentred: false, gamma: key + ".weight", epsilon: epsilon, gammaAddend: addend)
  }
}

/// Where a part of a layer, attention or feed-forward, is normalised.
struct NormPlaces {
  /// What the part reads.
  var input: NormDescription?
  /// What it writes, before the residual is added.
  var output: NormDescription?
  /// Its output with the residual.
  var sum: NormDescription?
}

struct AttentionDescription {
  var query: LinearDescription
  var key: LinearDescription
  var value: LinearDescription
  var output: LinearDescription
  var queryNorm: NormDescription?
  var keyNorm: NormDescription?
  /// Whether these normalise each head by itself, not the whole row.
  var normalisesHeads = true
  var rotary: RotaryPositions?
  /// What scores are multiplied by; nil is 1 / sqrt(head width).
  var scale: Double?
  /// A position sees those at a distance below this only; nil is no limit.
  var window: Int?
  var softCap: Double?
  /// ALiBi, one for each query head.
  var slopes: [Double]?
  /// Key of the table of relative positions, not after the layer's prefix: layers may share it.
  var relative: (key: String, buckets: RelativeBuckets)?
}

struct FeedForwardDescription {
  var activation: Activation
  /// Its activation is multiplied by what `up` writes; without a gate `up` is activated.
  var gate: LinearDescription?
  var up: LinearDescription
  var down: LinearDescription
}

struct LayerDescription {
  var attention: AttentionDescription
  var feedForward: FeedForwardDescription
  var attentionNorms = NormPlaces()
  /// Of a parallel layer only `input`; nil there is that of attention.
  var feedForwardNorms = NormPlaces()
  /// Whether feed-forward reads what attention reads, and both are added.
  var isParallel = false
  /// Whether the residual is the normalised input, not the input.
  var residualIsNormalised = false
}

struct EmbeddingDescription {
  /// Key of the token table.
  var tokens: String
  /// Width of the table; nil is that of the model.
  var width: Int?
  /// Key of a matrix without bias that widens rows of the table before positions are added.
  var tokenProjection: String?
  /// What rows of the token table are multiplied by.
  var scale: Float = 1
  /// Key of the table of learned positions, its length, and its row of position 0.
  var positions: (key: String, rowCount: Int, offset: Int)?
  /// Key of the table of segments, and its length.
  var segments: (key: String, rowCount: Int)?
  var norm: NormDescription?
  /// Comes last, and writes the width of the model.
  var projection: LinearDescription?
}

/// What stands behind the layers.
struct HeadDescription {
  var output: ModelOutput
  /// One row of all positions.
  var pooling: RowPooling?
  /// Writes `width` columns, the model's where that is nil.
  var transform: (linear: LinearDescription, width: Int?, activation: Activation?)?
  var transformNorm: NormDescription?
  var scores: ScoreDescription?
  var softCap: Double?
  /// Whether rows are divided by their Euclidean length at the end.
  var hasUnitLength = false

  static let states = HeadDescription(output: .states)

  /// Scores of the next token.
  static func logits(isTied: Bool, _ matrix: LinearDescription = .init("lm_head", bias: false))
    -> HeadDescription
  {
    HeadDescription(
      output: .logits, scores: ScoreDescription(matrix: matrix, isTied: isTied, rowCount: nil))
  }
}

/// A linear layer whose outputs are scores.
struct ScoreDescription {
  var matrix: LinearDescription
  /// Whether the token table stands for the matrix; the bias is that of the linear layer, and a
  /// file may hold the matrix, too.
  var isTied = false
  /// Nil is the size of the vocabulary.
  var rowCount: Int?
}

struct TransformerDescription {
  var family: Family
  var kind: ModelKind
  var sizes: TransformerSizes
  var names: NameTable
  var embedding: EmbeddingDescription
  /// Before the number of a layer, such as "layers.".
  var layerKey = "layers."
  var layers: [LayerDescription]
  var finalNorm: NormDescription?
  /// What the output comes from where no other head is chosen.
  var head: HeadDescription
  /// Others that checkpoints of the family may have.
  var heads: [HeadDescription] = []
  /// Keys that the family is known to have and inference does not use.
  var unusedKeys: [String] = []
  /// The same as they stand in the file.
  var unusedNames: [String] = []
  var contextMarkers: ContextMarkers?
}
