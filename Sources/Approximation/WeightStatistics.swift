// How large the elements of a weight are, from which its fractional bits are chosen.

public import Bytes
import Foundation
public import Models

/// Largest magnitude and root mean square of a weight's elements.
public struct WeightStatistics: Equatable, Sendable {
  public var largest: Double
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
      let sums = try ConcurrentTasks.map(parts.count) {
        (index) throws(InputError) -> [MagnitudeSum] in
        let rows = parts[index]
        let values = try source.weight(
          shape.name, in: rows.lowerBound * columns..<rows.upperBound * columns)
        return [MagnitudeSum(values)]
          + gammas.map { MagnitudeSum(values, columns: columns, scaledBy: $0.values) }
      }
      for (place, gamma) in ([nil] + gammas.map(\.name)).enumerated() {
        let sum = sums.reduce(MagnitudeSum([])) { $0.adding($1[place]) }
        weights[Calibration.weightName(shape.name, columnScale: gamma)] = sum.statistics
      }
    }
  }
}

/// Partial sums of `WeightStatistics`.
private struct MagnitudeSum: Sendable {
  var largest: Float = 0
  var squares = 0.0
  var count = 0

  init(_ values: [Float]) {
    count = values.count
    for value in values {
      largest = max(largest, abs(value))
      squares += Double(value) * Double(value)
    }
  }

  /// Rows of `columns` values, times `scale`, which is repeated where it is that of one group.
  init(_ values: [Float], columns: Int, scaledBy scale: [Float]) {
    self.init([])
    count = values.count
    for start in stride(from: 0, to: values.count, by: columns) {
      for first in stride(from: start, to: start + columns, by: max(scale.count, 1)) {
        for column in 0..<min(scale.count, start + columns - first) {
          let value = values[first + column] * scale[column]
          largest = max(largest, abs(value))
          squares += Double(value) * Double(value)
        }
      }
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
