// Softmax by a minimax polynomial of exp(x / 2^s) and s squarings.

public import Bytes
import Foundation

/// exp(x) = Q(x / 2^squarings)^(2^squarings) after subtracting the maximum, x clipped at `clip`, Q
/// the minimax polynomial of `degree`.
///
/// With degree 4 and 4 squarings Q is 9e-6 away at most; the weight of a key is never below
/// exp(clip).
public struct MinimaxSoftmax: Replacement {
  public static let name = "minimax"
  public static let classes: [OperationClass] = [.softmax]
  public static let source = "Remez fit of exp(x / 2^s)"

  public var degree: Int
  public var squarings: Int
  public var clip: Double

  public init(degree: Int = 4, squarings: Int = 4, clip: Double = -14) {
    self.degree = degree
    self.squarings = squarings
    self.clip = clip
  }

  public init(_ reader: inout JSONReader, for operationClass: OperationClass) throws(InputError) {
    let standard = MinimaxSoftmax()
    degree = try reader.integer("degree", default: standard.degree, in: 2...8)
    squarings = try reader.integer("squarings", default: standard.squarings, in: 1...8)
    clip = try reader.number("clip", default: standard.clip, in: -40 ... -4)
  }

  public var parameters: [String: JSON] {
    ["degree": .integer(degree), "squarings": .integer(squarings), "clip": .number(clip)]
  }

  public func form(at site: ReplacementSite) -> ReplacementForm? {
    let root = pow(2, Double(-squarings))
    let polynomial = PolynomialPiece.minimax(
      degree: degree, on: clip...site.scoreSlack, centre: clip / 2
    ) { exp($0 * root) }
    return .softmax(
      SoftmaxForm(
        subtractsMaximum: true,
        kernel: .piecewise(
          PiecewisePolynomial(
            knots: [clip], pieces: [.line(0, polynomial(clip)), polynomial],
            resolution: ReplacementSite.scoreResolution)),
        squarings: squarings))
  }
}
