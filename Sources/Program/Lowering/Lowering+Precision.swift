// Fractional bits of weights and of activations, from how large they are.

public import Approximation
import Bytes
import Foundation
import Models

/// Fractional bits for a weight.
struct WeightPrecision {
  /// With fewer, rounding exceeds `Lowering.roundingLimit`.
  var needed: Int
  /// As precise as weights of ordinary size are; these have the recipe's fractional bits.
  var wanted: Int
  /// Where more bits have a price: the recipe's, unless these are too few.
  var sufficient: Int
  /// As precise as `wanted` where the weight is so large that less than the recipe's will do.
  var least: Int
}

extension Lowering {
  /// Rounding of a weight, relative to its root mean square, that is too much.
  static let roundingLimit = 1e-3

  /// `source` with as many bits as fill a signed word of the recipe's fractional bits, and with more
  /// where its largest element is far from the others.
  ///
  /// - Parameter factor: of `source.factor`, what makes the weight small and not the value that it
  ///   gives; for weights of which nothing is known.
  func precision(_ source: WeightFormula, factor: Double = 1) -> WeightPrecision {
    guard let tensor = source.tensor,
      let measured = calibration.statistics(of: tensor, columnScale: source.columnScale)
    else {
      // A small factor makes small weights, which need more fractional bits to be as precise.
      let wanted = bits + max(-Int(log2(factor).rounded(.down)), 0)
      return WeightPrecision(needed: bits, wanted: wanted, sufficient: bits, least: bits)
    }
    let statistics = measured.scaled(by: source.factor)
    guard statistics.rootMeanSquare > 0x1p-40 else {
      return WeightPrecision(needed: bits, wanted: bits, sufficient: bits, least: bits)
    }
    let word = pow(2, Double(bits - 1)) - 1
    let filling = Int(log2(word / statistics.largest).rounded(.down))
    let needed = Int(
      log2(1 / (Lowering.roundingLimit * 12.0.squareRoot() * statistics.rootMeanSquare))
        .rounded(.up))
    let wanted = max(bits, filling, needed)
    return WeightPrecision(
      needed: max(bits, needed), wanted: wanted, sufficient: needed > bits ? wanted : bits,
      least: min(bits, max(filling, needed, 0)))
  }

  /// Fractional bits with which a value up to `bound` is as precise as one up to 8 is with the
  /// recipe's, or more.
  func activationBits(bound: Double) -> Int { bits + min(max(3 - magnitudeBits(bound), 0), 27) }

  func activationBits(_ value: FixedValue) -> Int { activationBits(bound: value.bound) }

  /// Bits by which all rows of normalisation `index` are smaller than usual, since epsilon outweighs
  /// every variance: -log2 of the root of variance / (variance + epsilon) for the largest.
  func smallness(_ index: Int, epsilon: Double) throws(InputError) -> Int {
    let largest = max(try calibration.range(model.nodes[index].name, .variance).upperBound, 0)
    guard largest < epsilon else { return 0 }
    return Int(min(-log2(largest / (largest + epsilon)) / 2, 20))
  }

  /// The same of two factors, together no more than a product has.
  func factorBits(_ left: FixedValue, _ right: FixedValue) -> (left: Int, right: Int) {
    let (first, second) = (activationBits(left), activationBits(right))
    let excess = max(first + second - 62, 0)
    return (first - excess / 2, second - (excess - excess / 2))
  }

  /// `value` with these bits.
  mutating func truncated(_ value: FixedValue) throws(InputError) -> FixedValue {
    try builder.rescale(value, to: activationBits(value))
  }
}

extension SecureProgram {
  /// Weights whose rounding exceeds `Lowering.roundingLimit`, with their relative rounding error.
  public func coarseWeights(_ calibration: Calibration) -> [(weight: ProgramWeight, error: Double)]
  {
    weights.compactMap { weight in
      guard let tensor = weight.source.tensor,
        let measured = calibration.statistics(
          of: tensor, columnScale: weight.source.columnScale)
      else { return nil }
      let statistics = measured.scaled(by: weight.source.factor)
      let error = statistics.roundingError(fractionalBits: weight.fractionalBits)
      return error > Lowering.roundingLimit ? (weight, error) : nil
    }
  }
}

/// Bits before the point that `bound` needs; below 0 where it leaves room behind the point.
func magnitudeBits(_ bound: Double) -> Int {
  Int(log2(max(bound, 0x1p-40)).rounded(.up))
}

/// Most fractional bits of a value up to `bound`.
func ringBits(_ bound: Double) -> Int { min(61 - magnitudeBits(bound), 62) }
