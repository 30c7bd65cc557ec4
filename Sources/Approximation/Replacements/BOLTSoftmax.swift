// Softmax with the exponential of I-BERT, as BOLT runs it.

public import Bytes
import Foundation

/// exp(x) = 2^-l * (0.3585 (p + 1.353)^2 + 0.344) with l = floor(-x / ln 2) and p = x + l ln 2,
/// after subtracting the maximum; 0 below `clip`.
///
/// BOLT cuts digits and shifts by a secret amount. Here one comparison key finds the piece, and
/// gives p and 2^-l at once; the function is the same. BOLT clamps l at 13 instead of clipping,
/// which differs below exp(-9.7) only. Largest error 0.00213.
public struct BOLTSoftmax: Replacement {
  public static let name = "bolt"
  public static let classes: [OperationClass] = [.softmax]
  public static let source =
    "Pang et al., S&P 2024, ePrint 2023/1893; Kim et al. 2021, arXiv 2101.01321 (I-BERT)"

  public var clip: Double

  public init(clip: Double = -14) { self.clip = clip }

  public init(_ reader: inout JSONReader, for operationClass: OperationClass) throws(InputError) {
    clip = try reader.number("clip", default: BOLTSoftmax().clip, in: -20 ... -4)
  }

  public var parameters: [String: JSON] { ["clip": .number(clip)] }

  public func form(at site: ReplacementSite) -> ReplacementForm? {
    let (a, b, c) = (0.3585, 1.353, 0.344)
    let quadratic = PolynomialPiece.monomials(
      [a * b * b + c, 2 * a * b, a], on: -log(2)...site.scoreSlack)
    return .softmax(
      SoftmaxForm(
        subtractsMaximum: true,
        kernel: .scaled(.exponential(clip: clip, width: log(2), quadratic))))
  }
}
