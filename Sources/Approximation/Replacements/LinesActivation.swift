// Activations by lines, which take one flight however many there are.

public import Bytes
import Foundation
import Models

/// Minimax lines for |x| < limit and what the activation nears outside: the error is at most
/// `maximumError` everywhere. Of a soft cap, which multiplies tanh, 2^3 times that at most.
public struct LinesActivation: Replacement {
  public static let name = "lines"
  public static let classes: [OperationClass] = [.gelu, .geluTanh, .silu, .tanh]
  public static let source = "minimax lines, each as long as the error allows"

  public var maximumError: Double

  private static let leastError = 0x1p-14

  public init(maximumError: Double) { self.maximumError = maximumError }

  /// The parameters of the recipe `accurate`.
  public static func accurate(for operationClass: OperationClass) -> LinesActivation {
    LinesActivation(maximumError: operationClass == .tanh ? 0x1p-12 : 0x1p-11)
  }

  public init(_ reader: inout JSONReader, for operationClass: OperationClass) throws(InputError) {
    maximumError = try reader.number(
      "maximumError", default: LinesActivation.accurate(for: operationClass).maximumError,
      in: LinesActivation.leastError...0.25)
  }

  public var parameters: [String: JSON] { ["maximumError": .number(maximumError)] }

  /// One polynomial for inputs near zero, and more lines for inputs below 2, whose values are small
  /// beside the error.
  public func resolved(for node: NodeStatistics) throws(InputError) -> any Replacement {
    precise(for: node) ?? self
  }

  /// What small inputs of `node` need instead, or nil where they are not small.
  func precise(for node: NodeStatistics) -> (any Replacement)? {
    if node.site.operationClass == .tanh {
      return PiecewiseActivation.narrow(node, limit: 1, degree: 4)
    }
    if let narrow = PiecewiseActivation.narrow(node, limit: 3.5, degree: 6) { return narrow }
    guard node.reach < 2 else { return nil }
    let precise = max(maximumError * node.reach / 2, LinesActivation.leastError)
    return LinesActivation(maximumError: min(precise, maximumError))
  }

  public func form(at site: ReplacementSite) -> ReplacementForm? {
    guard let activation = site.operationClass.activation else { return nil }
    let function = activation.function
    var limit: Double
    var maximumError = maximumError
    /// What stands beyond the limit.
    let outer: PolynomialPiece
    if activation == .tanh {
      maximumError *= min(1, 8 / site.reach)
      limit = atanh(1 - maximumError)
      outer = .line(0, 1)
    } else {
      // The distance to the line x falls from here on.
      limit = 1.5
      while limit - function(limit) > maximumError { limit += 1.0 / 64 }
      outer = .line(1, 0)
    }
    var borders = [0.0]
    var lines: [PolynomialPiece] = []
    while let start = borders.last, start < limit {
      var (low, high) = (start, limit)
      if LinesActivation.line(function, start, limit).error > maximumError {
        for _ in 0..<40 {
          let middle = (low + high) / 2
          if LinesActivation.line(function, start, middle).error > maximumError {
            high = middle
          } else {
            low = middle
          }
        }
        high = low
      }
      lines.append(LinesActivation.line(function, start, high).piece)
      borders.append(high)
    }
    let positive = borders.dropFirst()
    let right = lines + [outer]
    // tanh is odd; the others are x less there.
    let left = right.reversed().map { line in
      let slope = line(1) - line(0)
      return activation == .tanh
        ? PolynomialPiece.line(slope, -line(0)) : .line(1 - slope, line(0))
    }
    return .activation(
      PiecewisePolynomial(
        knots: positive.reversed().map { -$0 } + [0] + positive, pieces: left + right,
        resolution: PiecewisePolynomial.activationResolution))
  }

  /// The line that lies as far above `function` on [low, high] as below it, where that has at most
  /// one inflection, and a bound of its error.
  private static func line(
    _ function: (Double) -> Double, _ low: Double, _ high: Double
  ) -> (piece: PolynomialPiece, error: Double) {
    let slope = (function(high) - function(low)) / (high - low)
    let step = (high - low) / 64
    let distances = (0...64).map { index in
      let x = low + step * Double(index)
      return function(x) - slope * x
    }
    let (least, most) = (distances.min() ?? 0, distances.max() ?? 0)
    // Between two points of the grid a curvature below 0.8 adds less than its sagitta.
    return (.line(slope, (least + most) / 2), (most - least) / 2 + 0.8 * step * step / 8)
  }
}
