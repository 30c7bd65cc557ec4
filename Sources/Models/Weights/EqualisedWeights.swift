// Weights whose channels are as large on both sides of a pair, by powers of two: the same function.

public import Bytes
import Foundation

/// Weights of a model with the channels of uneven pairs moved from the large side to the small one.
///
/// A channel is multiplied by a power of two where it is written and divided by it where it is read,
/// so that every value of the model but the channel itself stays as it is, bit for bit. A tensor has
/// one number of fractional bits: with a channel that is 10^-4 of the others on one side and 10^4
/// times as large on the other, it would be rounded away. Factors are part of the weights, and secret
/// as these are. Even pairs, those of nearly all models, keep their weights.
public struct EqualisedWeights: WeightSource {
  private let original: any WeightSource
  /// By the names of matrices and biases: what each row, or each column, is multiplied by.
  private var rows: [String: [Float]] = [:]
  private var columns: [String: [Float]] = [:]
  private var columnCounts: [String: Int] = [:]
  /// Of the matrices of all pairs, as the source gives them.
  private var sizes: [String: MatrixSizes] = [:]
  /// Channels that were moved.
  public private(set) var channelCount = 0

  /// From here on a pair counts as uneven.
  public static let unevenness = 8.0
  /// Binary orders of magnitude below which a channel stays as it is.
  static let leastExponent = 3

  /// Reads the matrices of all pairs of `model` once.
  /// - Throws: `InputError` where the source cannot give one.
  public init(
    _ model: Model, _ original: some WeightSource, memory: MemoryBudget = .default
  ) throws(InputError) {
    self.original = original
    for pair in model.channelPairs {
      for side in [pair.first, pair.second] where sizes[side.weight] == nil {
        sizes[side.weight] = try MatrixSizes(
          side.weight, rowCount: side.shape[0], columnCount: side.shape[1], original, memory: memory
        )
      }
      guard let first = sizes[pair.first.weight], let second = sizes[pair.second.weight] else {
        continue
      }
      let biases = (
        first: try pair.first.bias.map { (name) throws(InputError) in try original.weight(name) },
        second: try pair.second.bias.map { (name) throws(InputError) in try original.weight(name) }
      )
      let channels = ChannelSizes(pair, first: first, second: second, biases: biases)
      guard channels.unevenness > EqualisedWeights.unevenness else { continue }
      let exponents = EqualisedWeights.exponents(channels, isHomogeneous: pair.isHomogeneous)
      let reach = Float(exponents.reduce(0) { max($0, abs($1)) })
      guard reach > 0 else { continue }
      let range = try EqualisedWeights.magnitudes(
        [pair.first.weight, pair.second.weight]
          + [pair.first.bias, pair.second.bias].compactMap { $0 },
        of: model, original, memory: memory)
      // Products with powers of two are exact as long as they are normal numbers.
      guard log2(range.lowerBound) - reach > -125, log2(range.upperBound) + reach < 125 else {
        continue
      }
      multiply(pair.first, by: exponents)
      multiply(pair.second, by: exponents.map { -$0 })
      channelCount += exponents.count { $0 != 0 }
    }
  }

  /// Smallest and largest magnitude of all elements that are not zero.
  private static func magnitudes(
    _ names: [String], of model: Model, _ source: any WeightSource, memory: MemoryBudget
  ) throws(InputError) -> ClosedRange<Float> {
    var (smallest, largest) = (Float.infinity, Float(0))
    for shape in model.weights where names.contains(shape.name) {
      for part in memory.parts(elementCount: shape.elementCount) {
        for value in try source.weight(shape.name, in: part) where value != 0 {
          smallest = min(smallest, abs(value))
          largest = max(largest, abs(value))
        }
      }
    }
    return smallest <= largest ? smallest...largest : 1...1
  }

  /// The exponents of two that make the channels of both sides alike.
  private static func exponents(_ sizes: ChannelSizes, isHomogeneous: Bool) -> [Int] {
    func median(_ values: [Double]) -> Double? {
      let values = values.filter { $0 > 0 }.sorted()
      return values.isEmpty ? nil : values[values.count / 2]
    }
    let usual = (first: median(sizes.first), second: median(sizes.second))
    return zip(sizes.first, sizes.second).map { first, second in
      var exponent = 0.0
      switch (first > 0, second > 0) {
      case (true, true): exponent = isHomogeneous ? log2(second / first) / 2 : 0
      // What is written is zero whatever reads it, and what nothing reads may be anything.
      case (false, true): exponent = usual.second.map { max(log2(second / $0), 0) } ?? 0
      case (true, false):
        exponent = isHomogeneous ? usual.first.map { min(-log2(first / $0), 0) } ?? 0 : 0
      case (false, false): break
      }
      let rounded = Int(exponent.rounded())
      return abs(rounded) < leastExponent ? 0 : rounded
    }
  }

  private mutating func multiply(_ side: ChannelPair.Side, by exponents: [Int]) {
    let factors = side.channels.map { Float(sign: .plus, exponent: exponents[$0], significand: 1) }
    func product(_ old: [Float]?) -> [Float] {
      old.map { zip($0, factors).map { $0 * $1 } } ?? factors
    }
    columnCounts[side.weight] = side.shape[1]
    if side.readsColumns {
      columns[side.weight] = product(columns[side.weight])
    } else {
      rows[side.weight] = product(rows[side.weight])
      if let bias = side.bias {
        rows[bias] = product(rows[bias])
        columnCounts[bias] = 1
      }
    }
  }

  public func weight(_ name: String) throws(InputError) -> [Float] {
    scaled(try original.weight(name), name, from: 0)
  }

  public func weight(_ name: String, in elements: Range<Int>) throws(InputError) -> [Float] {
    scaled(try original.weight(name, in: elements), name, from: elements.lowerBound)
  }

  private func scaled(_ values: [Float], _ name: String, from start: Int) -> [Float] {
    guard let count = columnCounts[name] else { return values }
    var result = values
    let (rows, columns) = (rows[name], columns[name])
    for index in result.indices {
      let place = start + index
      if let rows { result[index] *= rows[place / count] }
      if let columns { result[index] *= columns[place % count] }
    }
    return result
  }

  /// Half precision has no room for other exponents.
  public func encoding(of name: String) -> WeightEncoding {
    let encoding = original.encoding(of: name)
    return columnCounts[name] != nil && encoding == .float16 ? .float32 : encoding
  }

  public func storedWords(_ name: String, in elements: Range<Int>) throws(InputError) -> [UInt16]? {
    columnCounts[name] == nil ? try original.storedWords(name, in: elements) : nil
  }

  public func knownSizes(of name: String) -> MatrixSizes? {
    columnCounts[name] == nil ? sizes[name] : nil
  }
}
