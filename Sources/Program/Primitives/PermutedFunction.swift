// Functions that party 1 computes in the clear, of values in a random order.

public import Models

/// A function of a shared value, computed exactly by party 1 on values that party 0 has permuted.
///
/// Each party shortens its share as an `Opening` says. With a permutation pi of party 0 and masks a, b,
/// r, t of party 1, party 1 sends x_1 - a, party 0 answers pi(x_0 + x_1 - a) + delta with the dealt
/// delta = pi(a) - b, party 1 adds b, computes u, and sends u - r; the shares of the result are
/// pi^-1(u - r) + epsilon with the dealt epsilon = pi^-1(r) - t, and t. Party 1 learns the numbers of
/// each permuted range, and nothing of their order in it. With a `factor` results are multiplied with
/// numbers that stay secret, in the same messages.
public struct PermutedFunction: Equatable, Sendable {
  public enum Rule: Hashable, Sendable {
    case relu
    /// With the error function.
    case gelu
    /// With a hyperbolic tangent.
    case geluTanh
    case silu
    case tanh
    case sigmoid
    case exponential
    /// Over each run; the lowest number of its bits stands for a key that is not there.
    case softmax
    /// (x - mean) / sqrt(variance + epsilon) over each run.
    case layerNorm(epsilon: Double)
    /// x / sqrt(mean square + epsilon) over each run.
    case rmsNorm(epsilon: Double)
  }

  public var rule: Rule
  /// What of x the parties send.
  public var opening: Opening
  /// Equal runs of a row of fixed width that the rule takes one by one; 1 for other rows, whose runs
  /// are heads, and for functions of single elements.
  public var runCount: Int
  public var fractionalBits: Int
  /// Results are numbers of so many bits: what lies outside is cut to them.
  public var resultBits: Int
  /// What each result is multiplied with, of functions of single elements.
  public var factor: Factor?

  public init(
    _ rule: Rule, opening: Opening, runCount: Int = 1, fractionalBits: Int, resultBits: Int,
    factor: Factor? = nil
  ) {
    self.rule = rule
    self.opening = opening
    self.runCount = runCount
    self.fractionalBits = fractionalBits
    self.resultBits = resultBits
    self.factor = factor
  }

  /// The correlated array of which party 1's share is its share of the result.
  package static let resultComponent = 1

  /// Messages: to party 0, back, and to party 0 again.
  static let roundCount = 3

  /// Bits of an element in each part of the message of each round, and which party sends it.
  public var messages: [(sender: Int, bits: [Int])] {
    guard let factor else {
      return [(1, [opening.bits]), (0, [opening.bits]), (1, [resultBits])]
    }
    return [
      (1, [opening.bits, factor.opening.bits]),
      (0, [opening.bits, resultBits, resultBits - factor.opening.bits]),
      (1, [resultBits, resultBits]),
    ]
  }

  /// Words that `party` sends in `round` for `count` elements.
  public func wordCount(party: Int, round: Int, elements count: Int) -> Int {
    let message = messages[round]
    guard message.sender == party else { return 0 }
    return message.bits.reduce(0) { $0 + Opening(shift: 0, bits: $1).wordCount(elements: count) }
  }

  /// Whether single elements of all rows are permuted together, those that a text does not have
  /// included: an encoder's text is one step.
  public func permutesWholeText(_ shape: ValueShape, kind: ModelKind) -> Bool {
    kind == .encoder && shape.rows == .step && !rule.takesRuns
  }

  /// Ranges of a row that are permuted one by one.
  public func permutationsPerRow(_ shape: ValueShape) -> Int {
    guard rule.takesRuns else { return 1 }
    return shape.width == nil ? shape.columns.runCount : runCount
  }

  /// What stands for keys and rows that a text does not have.
  public var absent: UInt64 { 1 &<< UInt64(opening.bits - 1) }
}

extension PermutedFunction.Rule {
  /// Whether the rule is one of whole runs, and not of single elements.
  public var takesRuns: Bool {
    switch self {
    case .relu, .gelu, .geluTanh, .silu, .tanh, .sigmoid, .exponential: false
    case .softmax, .layerNorm, .rmsNorm: true
    }
  }

  /// Whether absent keys get the result 0.
  public var takesAbsentKeys: Bool {
    switch self {
    case .exponential, .softmax: true
    case .relu, .gelu, .geluTanh, .silu, .tanh, .sigmoid, .layerNorm, .rmsNorm: false
    }
  }

  public var name: String {
    switch self {
    case .relu: "relu"
    case .gelu: "gelu"
    case .geluTanh: "geluTanh"
    case .silu: "silu"
    case .tanh: "tanh"
    case .sigmoid: "sigmoid"
    case .exponential: "exponential"
    case .softmax: "softmax"
    case .layerNorm: "layerNorm"
    case .rmsNorm: "rmsNorm"
    }
  }

  /// Of a normalisation.
  public var epsilon: Double? {
    switch self {
    case .layerNorm(let epsilon), .rmsNorm(let epsilon): epsilon
    default: nil
    }
  }

  /// Epsilons that are taken: with none, rows of zeros would be divided by zero.
  static let epsilonRange = 0x1p-100...0x1p20

  /// The rule called `name`; nil for unknown ones, and where an epsilon is missing or too many.
  public init?(name: String, epsilon: Double?) {
    let all: [PermutedFunction.Rule] = [
      .relu, .gelu, .geluTanh, .silu, .tanh, .sigmoid, .exponential, .softmax,
      .layerNorm(epsilon: epsilon ?? 1), .rmsNorm(epsilon: epsilon ?? 1),
    ]
    guard let rule = all.first(where: { $0.name == name }),
      (rule.epsilon == nil) == (epsilon == nil)
    else { return nil }
    self = rule
  }
}

/// A range of elements that is permuted by itself.
public struct PermutedRange: Hashable, Sendable {
  /// The dealt row that it belongs to or begins with; its permutations come from one stream, in order.
  public var row: Int
  public var elements: Range<Int>
}

extension SessionStep {
  /// The permuted ranges of a value of `shape` in this step, in order.
  public func permutedRanges(_ shape: ValueShape, _ function: PermutedFunction)
    -> [PermutedRange]
  {
    if function.permutesWholeText(shape, kind: session.kind) {
      return [PermutedRange(row: 0, elements: 0..<session.dealtCount(shape))]
    }
    let perRow = function.permutationsPerRow(shape)
    var result: [PermutedRange] = []
    result.reserveCapacity(rowCount(shape.rows) * perRow)
    var start = 0
    for row in 0..<rowCount(shape.rows) {
      let rowLength = runLength(shape, row) * shape.columns.runCount
      let dealtRow = dealtRow(shape.rows, row)
      for _ in 0..<perRow {
        let length = rowLength / perRow
        result.append(PermutedRange(row: dealtRow, elements: start..<start + length))
        start += length
      }
    }
    return result
  }

  /// Elements that travel for a value of `shape`.
  public func permutedCount(_ shape: ValueShape, _ function: PermutedFunction) -> Int {
    function.permutesWholeText(shape, kind: session.kind)
      ? session.dealtCount(shape) : elementCount(shape)
  }

  /// A party's words of all elements that travel, with `absent` for those that the step does not have.
  public func completed(
    _ words: [UInt64], _ shape: ValueShape, _ function: PermutedFunction, absent: UInt64
  ) -> [UInt64] {
    var result = words
    markAbsent(&result, shape, absent)
    let missing = permutedCount(shape, function) - words.count
    return result + [UInt64](repeating: absent, count: missing)
  }

  /// Puts `absent` in place of the elements of keys that the step does not have.
  public func markAbsent(_ words: inout [UInt64], _ shape: ValueShape, _ absent: UInt64) {
    guard case .sessionKeys(let heads, let window) = shape.columns else { return }
    let present = ValueShape(shape.rows, .keys(heads: heads, halvings: 0, window: window))
    var start = 0
    for row in 0..<rowCount(shape.rows) {
      let length = runLength(shape, row)
      let columns = dealtColumns(present, row)
      let gaps = zip([0] + columns.map(\.upperBound), columns.map(\.lowerBound) + [length])
      for _ in 0..<heads {
        for (from, to) in gaps {
          for column in from..<to { words[start + column] = absent }
        }
        start += length
      }
    }
  }
}

extension SecureProgram {
  /// Fractional bits of what party 1 sees of a permuted value.
  public func permutedBits(_ x: ValueID, _ function: PermutedFunction) -> Int {
    values[x].fractionalBits - function.opening.shift
  }
}
