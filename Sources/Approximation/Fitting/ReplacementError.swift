// How far a replacement is from the operation it stands for, on the inputs that were seen.

import Foundation
import Models

/// Largest and mean distance to the exact operation over calibrated inputs.
///
/// Activations: |f - exact| at inputs. Softmax: the largest error of a weight in a row, and the sum
/// of the errors in a row, over rows drawn from the seen scores. Normalisations: the relative error
/// of the factor of a row.
public struct ReplacementError: Equatable, Sendable {
  public var maximum: Double
  public var mean: Double

  public init(maximum: Double, mean: Double) {
    self.maximum = maximum
    self.mean = mean
  }

  /// The error of `form` at a node with these statistics; `tableTolerance` is that of its recipe.
  public init(_ form: ReplacementForm, at node: NodeStatistics, tableTolerance: Double) {
    switch form {
    case .activation(let function):
      let exact = node.site.operationClass.activation?.function ?? { $0 }
      self.init(node.inputs) { abs(function($0) - exact($0)) }
    case .softmax(let form): self.init(softmax: form, at: node)
    case .normalisation(.exact):
      self.init(maximum: tableTolerance, mean: tableTolerance / 2)
    case .permuted: self.init(maximum: 0, mean: 0)
    case .normalisation(.affine(let factor)):
      self.init(node.inputs) { variance in
        abs(factor * (max(variance, 0) + node.epsilon).squareRoot() - 1)
      }
    }
  }

  /// The error at every input: its mean by the histogram, its largest value at 4097 points.
  private init(_ density: InputDensity, _ error: (Double) -> Double) {
    let (low, high) = (density.minimum, density.maximum)
    maximum = (0...4096).reduce(0) { largest, step in
      max(largest, error(low + (high - low) * Double(step) / 4096))
    }
    mean = density.mean(error)
  }

  /// 256 rows of at most 64 scores, drawn by a low-discrepancy sequence.
  ///
  /// Forms that subtract a maximum see rows of centred scores with a zero, others of scores.
  private init(softmax form: SoftmaxForm, at node: NodeStatistics) {
    let density =
      form.subtractsMaximum ? node.centredScores ?? node.inputs : node.inputs
    let count = max(min(node.site.keyCount, 64), 2)
    var place = 0.5
    (maximum, mean) = (0, 0)
    for _ in 0..<256 {
      var row = (0..<count).map { _ -> Double in
        place = (place + 0.618_033_988_749_895).truncatingRemainder(dividingBy: 1)
        return density.quantile(place)
      }
      if form.subtractsMaximum {
        row = row.map { min($0, 0) }
        row[0] = 0
      }
      let largest = row.max() ?? 0
      let powers = row.map { exp($0 - largest) }
      let total = powers.reduce(0, +)
      form.apply(&row)
      var sum = 0.0
      for (weight, power) in zip(row, powers) {
        let error = abs(weight - power / total)
        maximum = max(maximum, error)
        sum += error
      }
      mean += sum / 256
    }
  }
}
