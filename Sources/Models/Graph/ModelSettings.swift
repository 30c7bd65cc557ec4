// Settings of the operations of a Model graph: normalisation, rotary positions, attention.

import Foundation

/// Parameters of layerNorm and rmsNorm.
public struct Normalisation: Equatable, Sendable {
  /// [width of a group], the same for all groups, or [width]; nil is one.
  public var gamma: String?
  /// Of the same shape; nil is zero.
  public var beta: String?
  /// Equal runs of a row, such as heads, each of which is normalised by itself.
  public var groupCount: Int
  /// Added to the variance, or to the mean of the squares.
  public var epsilon: Double

  public init(gamma: String?, beta: String? = nil, groupCount: Int = 1, epsilon: Double) {
    self.gamma = gamma
    self.beta = beta
    self.groupCount = groupCount
    self.epsilon = epsilon
  }

  /// Names of the weights that are there.
  public var weights: [String] { [gamma, beta].compactMap(\.self) }
}

/// Which elements of a head a rotary operation turns together, d of them being turned.
public enum RotaryLayout: String, Sendable, CaseIterable {
  /// Element i with element i + d/2.
  case halves
  /// Element 2i with element 2i + 1.
  case pairs
  /// The halves of the elements by the two positions of a `TextContext`, each half as `halves`.
  case twoPositions
}

/// Rotary positions (Su et al. 2021): pair i of position t, (a, b), becomes m (a cos w - b sin w,
/// b cos w + a sin w) with w = t * frequencies[i] and m the magnitude. Elements beyond the pairs
/// stay as they are.
public struct RotaryPositions: Equatable, Sendable {
  /// Radians a position, one for each pair; each serves two pairs of `twoPositions`.
  public var frequencies: [Double]
  /// What turned elements are multiplied by; one but for some ways to stretch positions.
  public var magnitude: Double
  public var layout: RotaryLayout

  public init(frequencies: [Double], magnitude: Double = 1, layout: RotaryLayout) {
    self.frequencies = frequencies
    self.magnitude = magnitude
    self.layout = layout
  }

  /// Unscaled positions: the first `dimensions` elements are turned by base^(-2i / dimensions); half
  /// as many dimensions for each of two positions.
  public init(base: Double, dimensions: Int, layout: RotaryLayout) {
    let turned = layout == .twoPositions ? dimensions / 2 : dimensions
    self.init(
      frequencies: (0..<turned / 2).map { pow(base, -2 * Double($0) / Double(turned)) },
      layout: layout)
  }

  /// Number of elements of a head that are turned.
  public var dimensions: Int { frequencies.count * (layout == .twoPositions ? 4 : 2) }
}

/// How scores depend on positions beyond what query and key say.
public enum PositionBias: Equatable, Sendable {
  /// slopes[head] * (key position - query position) is added: ALiBi (Press et al. 2022).
  case linear(slopes: [Double])
  /// A row of the weight `table`, [bucketCount, headCount], is added, chosen by the distance
  /// (Raffel et al. 2020): see `RelativeBuckets`.
  case relative(table: String, RelativeBuckets)
}

/// Parameters of attention.
///
/// The score of query position t and key position s is scale * q k^T, soft-capped, plus the bias.
/// Query and output have `headCount` heads, key and value `keyHeadCount` as wide ones: query head h
/// reads key head h / (headCount / keyHeadCount).
public struct AttentionSettings: Equatable, Sendable {
  public var headCount: Int
  public var keyHeadCount: Int
  public var scale: Double
  /// A position sees those at a distance below this only; nil is no limit.
  public var window: Int?
  /// A score s becomes cap * tanh(s / cap) before the bias is added.
  public var softCap: Double?
  public var bias: PositionBias?

  public init(
    headCount: Int, keyHeadCount: Int, scale: Double, window: Int? = nil, softCap: Double? = nil,
    bias: PositionBias? = nil
  ) {
    self.headCount = headCount
    self.keyHeadCount = keyHeadCount
    self.scale = scale
    self.window = window
    self.softCap = softCap
    self.bias = bias
  }

  /// The weight that the bias reads, or nil.
  public var biasTable: String? {
    if case .relative(let table, _)? = bias { return table }
    return nil
  }
}

/// Buckets of distances between positions (Raffel et al. 2020, section 2.1), as T5 and MPNet have
/// them: short distances have a bucket each, longer ones share buckets that grow geometrically.
public struct RelativeBuckets: Equatable, Sendable {
  /// All buckets; half of them are for keys after the query.
  public var count: Int
  /// From this distance on all fall into the last bucket.
  public var maximumDistance: Int

  public init(count: Int, maximumDistance: Int) {
    self.count = count
    self.maximumDistance = maximumDistance
  }

  /// The bucket of `distance` = key position - query position.
  public func bucket(_ distance: Int) -> Int {
    let half = count / 2
    let start = distance > 0 ? half : 0
    let length = abs(distance)
    let exact = half / 2
    if length < exact { return start + length }
    let grown =
      log(Float(length) / Float(exact)) / Float(log(Double(maximumDistance) / Double(exact)))
      * Float(half - exact)
    return start + min(exact + Int(grown), half - 1)
  }
}
