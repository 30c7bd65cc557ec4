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

  /// Of the matrix of `sizes`, its columns times `scale`, which is repeated where it is shorter.
  init(_ sizes: MatrixSizes, columnScale scale: [Float]? = nil) {
    let factor = { (column: Int) in scale.map { $0[column % $0.count] } ?? 1 }
    var (largest, squares) = (Float(0), 0.0)
    for column in sizes.columnSquares.indices {
      let factor = factor(column)
      largest = max(largest, sizes.columnMagnitudes[column] * abs(factor))
      squares += sizes.columnSquares[column] * Double(factor) * Double(factor)
    }
    let count = sizes.rowSquares.count * sizes.columnSquares.count
    self.largest = Double(largest)
    rootMeanSquare = (squares / Double(max(count, 1))).squareRoot()
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

  /// Statistics of all weights of `model`, and those of matrices with the gamma of the
  /// normalisation that they read; weights whose sizes `source` does not know are read once, part by
  /// part.
  public mutating func measureWeights(
    of model: Model, _ source: some WeightSource, memory: MemoryBudget = .default
  ) throws(InputError) {
    weights = [:]
    unevenChannels = [:]
    var sizes: [String: MatrixSizes] = [:]
    let pairs = model.channelPairs
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
      let matrix: MatrixSizes
      if let known = source.knownSizes(of: shape.name) {
        matrix = known
      } else {
        matrix = try MatrixSizes(
          shape.name, rowCount: shape.elementCount / max(columns, 1), columnCount: columns, source,
          memory: memory)
      }
      weights[shape.name] = WeightStatistics(matrix)
      for gamma in scales[shape.name, default: []] {
        weights[Calibration.weightName(shape.name, columnScale: gamma)] = WeightStatistics(
          matrix, columnScale: try source.weight(gamma))
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
