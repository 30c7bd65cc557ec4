// tanh by lines: it is steep at zero and flat beyond, which lines follow in one round.

public import Bytes
import Foundation

/// Minimax lines for |x| < limit, +-1 outside; the error is at most `maximumError` everywhere. Of a
/// soft cap, which multiplies it, 2^3 times that at most.
public struct TanhActivation: Replacement {
  public static let name = "lines"
  public static let classes: [OperationClass] = [.tanh]
  public static let source = "chords lowered by half their largest distance"

  public var maximumError: Double

  public init(maximumError: Double = 0x1p-12) { self.maximumError = maximumError }

  public init(_ reader: inout JSONReader, for operationClass: OperationClass) throws(InputError) {
    maximumError = try reader.number(
      "maximumError", default: TanhActivation().maximumError, in: 0x1p-14...0.25)
  }

  public var parameters: [String: JSON] { ["maximumError": .number(maximumError)] }

  public func form(at site: ReplacementSite) -> ReplacementForm? {
    let maximumError = maximumError * min(1, 8 / site.reach)
    // Lines of the positive half, each as long as its error allows.
    let limit = atanh(1 - maximumError)
    var borders = [0.0]
    var lines: [PolynomialPiece] = []
    while let start = borders.last, start < limit {
      var (low, high) = (start, limit)
      if TanhActivation.line(start, limit).error > maximumError {
        for _ in 0..<40 {
          let middle = (low + high) / 2
          if TanhActivation.line(start, middle).error > maximumError {
            high = middle
          } else {
            low = middle
          }
        }
        high = low
      }
      lines.append(TanhActivation.line(start, high).piece)
      borders.append(high)
    }
    let positive = borders.dropFirst()
    return .activation(
      PiecewisePolynomial(
        knots: positive.reversed().map { -$0 } + [0] + positive,
        pieces: [.line(0, -1)] + lines.reversed().map(TanhActivation.mirrored) + lines
          + [.line(0, 1)], resolution: PiecewisePolynomial.activationResolution))
  }

  /// The minimax line of tanh on [low, high], low >= 0, and its error: tanh is concave there.
  private static func line(_ low: Double, _ high: Double) -> (piece: PolynomialPiece, error: Double)
  {
    let slope = (tanh(high) - tanh(low)) / (high - low)
    // tanh - chord is largest where tanh' = 1 - tanh^2 is the slope.
    let top = atanh((1 - slope).squareRoot())
    let sag = tanh(top) - (tanh(low) + slope * (top - low))
    return (.line(slope, tanh(low) - slope * low + sag / 2), sag / 2)
  }

  /// -p(-t) of a line.
  private static func mirrored(_ piece: PolynomialPiece) -> PolynomialPiece {
    .line(piece(1) - piece(0), -piece(0))
  }
}
