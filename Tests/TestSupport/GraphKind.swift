// What one kind of transformer does, for small random graphs of it.

public import Models

/// What one kind of transformer does; by default a pre-norm decoder with LayerNorm and biases.
public struct GraphKind: Sendable, CustomStringConvertible {
  public enum QueryKeyNorm: Sendable {
    /// gamma of a head, the same for all.
    case heads
    /// Heads by themselves, gamma of the row.
    case rowGamma
    /// The whole row.
    case row
    case none
  }

  public var name: String
  public var kind = ModelKind.decoder
  /// Of a prefix decoder.
  public var contextMarkers: ContextMarkers?
  public var usesRMS = false
  public var hasGamma = true
  public var hasBeta = true
  public var preNorm = true
  /// A norm of what attention and feed-forward give, before they are added.
  public var sublayerNorm = false
  /// A norm of each sum: post-LN.
  public var sumNorm = false
  public var finalNorm = true
  public var embedNorm = false
  public var isParallel = false
  public var queryKeyNorm = QueryKeyNorm.none
  public var hasPositions = true
  public var hasSegments = false
  public var rotary: RotaryPositions?
  public var keyHeads = 2
  public var hasBiases = true
  public var activation = Activation.gelu
  public var isGated = false
  /// Blocks of the feed-forward layers that gates decide about; they have 12 neurons.
  public var blockCount: Int?
  /// Whether gates decide about the heads of all layers but the first.
  public var skipsHeads = false
  /// A constant that the embedding is multiplied by.
  public var embedScale = 1.0
  /// A constant that the sublayers' outputs are multiplied by.
  public var residualScale = 1.0
  /// Whether what is added to is the normalised value, not what that is of.
  public var residualIsNormalised = false
  /// Width of the embedding, where it is projected.
  public var embedWidth: Int?
  /// One for each layer.
  public var windows: [Int?] = [nil, nil]
  public var softCap: Double?
  public var outputCap: Double?
  public var bias: PositionBias?
  public var pooling: RowPooling?
  /// Nodes after pooling: "tanh", "classes", "normalise".
  public var head: [String] = []
  public var queryScale = 0.5
  public var epsilon = 1e-5

  public init(_ name: String, _ change: (inout GraphKind) -> Void = { _ in }) {
    self.name = name
    change(&self)
  }

  public var description: String { name }
}
