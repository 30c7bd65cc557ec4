// How large the elements of a weight are, from which its fractional bits are chosen.

public import Bytes
import Foundation
public import Models

/// Largest magnitude and root mean square of a weight's elements.
public struct WeightStatistics: Equatable, Sendable {
  public var largest: Double
  /// Of an uneven weight that of the elements that rounding is measured by: smaller by as much as
  /// rounding weighs more than in an even one.
  public var rootMeanSquare: Double

  public init(largest: Double, rootMeanSquare: Double) {
    self.largest = largest
    self.rootMeanSquare = rootMeanSquare
  }

  /// The root mean square of rounding to steps of 2^-fractionalBits, relative to the weight's own.
  public func roundingError(fractionalBits: Int) -> Double {
    guard rootMeanSquare > 0 else { return 0 }
    return pow(2, Double(-fractionalBits)) / 12.0.squareRoot() / rootMeanSquare
  }

  /// Of the weight times a constant.
  public func scaled(by factor: Double) -> WeightStatistics {
    WeightStatistics(
      largest: largest * abs(factor), rootMeanSquare: rootMeanSquare * abs(factor))
  }
}

extension Calibration {
  /// What `weights` are called that a linear layer takes from a weight and the gamma before it.
  static func weightName(_ tensor: String, columnScale: String?) -> String {
    columnScale.map { "\(tensor) * \($0)" } ?? tensor
  }

  /// Statistics of a weight, its columns times `columnScale` where that is given; nil where the
  /// weights were not at hand.
  public func statistics(of tensor: String, columnScale: String? = nil) -> WeightStatistics? {
    weights[Calibration.weightName(tensor, columnScale: columnScale)]
  }

  /// Reads all weights of `model` once, part by part: their statistics, and those of matrices with
  /// the gamma of the normalisation that they read.
  public mutating func measureWeights(
    of model: Model, _ source: some WeightSource, memory: MemoryBudget = .default
  ) throws(InputError) {
    weights = [:]
    unevenChannels = [:]
    var sizes: [String: MatrixSizes] = [:]
    let pairs = model.channelPairs
    let readByColumns = Set(pairs.filter(\.second.readsColumns).map(\.second.weight))
    var scales: [String: Set<String>] = [:]
    for node in model.nodes {
      guard case .linear(let input, let weight, _) = node.operation else { continue }
      switch model.nodes[input].operation {
      case .layerNorm(_, let settings), .rmsNorm(_, let settings):
        if let gamma = settings.gamma { scales[weight, default: []].insert(gamma) }
      default: break
      }
    }
    for shape in model.weights {
      let columns = shape.shape.last ?? 1
      let gammas = try scales[shape.name, default: []].sorted().map {
        (name) throws(InputError) -> (name: String, values: [Float]) in
        (name, try source.weight(name))
      }
      let parts = memory.parts(rowCount: shape.elementCount / max(columns, 1), columnCount: columns)
      let needsColumns = readByColumns.contains(shape.name)
      var matrix = MatrixSizes(columnCount: columns, needsColumns: needsColumns)
      var total = [MagnitudeSum](repeating: MagnitudeSum(), count: gammas.count + 1)
      for batch in stride(from: 0, to: parts.count, by: MatrixSizes.batchCount) {
        let numbers = batch..<min(batch + MatrixSizes.batchCount, parts.count)
        let sums = try ConcurrentTasks.map(numbers.count) {
          (index) throws(InputError) -> (magnitudes: [MagnitudeSum], sizes: MatrixSizes) in
          let rows = parts[numbers.lowerBound + index]
          let values = try source.weight(
            shape.name, in: rows.lowerBound * columns..<rows.upperBound * columns)
          let sizes = MatrixSizes(values, columnCount: columns, needsColumns: needsColumns)
          return (
            [MagnitudeSum(values, sizes)]
              + gammas.map { MagnitudeSum(values, columnCount: columns, scale: $0.values) }, sizes
          )
        }
        for sum in sums {
          for place in total.indices { total[place] = total[place].adding(sum.magnitudes[place]) }
          matrix.append(sum.sizes)
        }
      }
      for (sum, gamma) in zip(total, [nil] + gammas.map(\.name)) {
        weights[Calibration.weightName(shape.name, columnScale: gamma)] = sum.statistics
      }
      sizes[shape.name] = matrix
      divide(shape.name, scales, by: matrix.rowUnevenness)
    }
    for pair in pairs {
      guard let first = sizes[pair.first.weight], let second = sizes[pair.second.weight] else {
        continue
      }
      let biases = (
        first: try pair.first.bias.map { (name) throws(InputError) in try source.weight(name) },
        second: try pair.second.bias.map { (name) throws(InputError) in try source.weight(name) }
      )
      let unevenness = ChannelSizes(pair, first: first, second: second, biases: biases).unevenness
      guard unevenness > EqualisedWeights.unevenness else { continue }
      for side in [pair.first, pair.second] { divide(side.weight, scales, by: unevenness) }
      unevenChannels[pair.node] = unevenness
    }
  }

  /// Divides the root mean square of the weight `name`, with every gamma, by `unevenness`.
  private mutating func divide(
    _ name: String, _ scales: [String: Set<String>], by unevenness: Double
  ) {
    guard unevenness > 1 else { return }
    for gamma in [nil] + scales[name, default: []].map(Optional.some) {
      weights[Calibration.weightName(name, columnScale: gamma)]?.rootMeanSquare /= unevenness
    }
  }
}

/// Partial sums of `WeightStatistics`.
private struct MagnitudeSum: Sendable {
  var largest: Float = 0
  var squares = 0.0
  var count = 0

  init() {}

  /// Of a matrix and its sums.
  init(_ values: [Float], _ sizes: MatrixSizes) {
    largest = FloatMatrix.largestMagnitude(of: values)
    squares = sizes.rowSquares.reduce(0, +)
    count = values.count
  }

  /// Of the matrix with its columns times `scale`, some rows at a time.
  init(_ values: [Float], columnCount: Int, scale: [Float]) {
    let length = max(columnCount, 1) * max(1, (1 << 16) / max(columnCount, 1))
    for start in stride(from: 0, to: values.count, by: length) {
      var scaled = Array(values[start..<min(start + length, values.count)])
      FloatMatrix.scaleColumns(&scaled, columnCount: columnCount, by: scale)
      self = adding(
        MagnitudeSum(scaled, MatrixSizes(scaled, columnCount: columnCount, needsColumns: false)))
    }
  }

  func adding(_ other: MagnitudeSum) -> MagnitudeSum {
    var result = self
    result.largest = max(largest, other.largest)
    result.squares += other.squares
    result.count += other.count
    return result
  }

  var statistics: WeightStatistics {
    WeightStatistics(
      largest: Double(largest), rootMeanSquare: (squares / Double(max(count, 1))).squareRoot())
  }
}
