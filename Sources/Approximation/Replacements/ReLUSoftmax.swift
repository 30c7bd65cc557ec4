// PCFT's softmax: ReLU instead of the exponential.

public import Bytes

/// relu(s) / (sum of relu(s) + epsilon) over the allowed keys, for models trained with it.
///
/// PCFT trains with an epsilon of 1e-6 and divides without one in its secure code, where a row
/// whose scores are all negative is 0/0. Here epsilon is the same on both sides, one unit of the
/// fixed point (2^-fractionalBits) unless the recipe says otherwise, and such a row has no weight.
///
/// Weights below two epsilons, or 2^-11 with a larger epsilon, are zero as well: a comparison that is
/// off by one unit must not let a negative weight through, because the sum of a row may be nothing but
/// that.
public struct ReLUSoftmax: Replacement {
  public static let name = "relu"
  public static let classes: [OperationClass] = [.softmax]
  public static let source =
    "Liu & Liu 2023, arXiv 2305.18396 (PCFT), private-llm/convert/torch_models.py"

  /// Scores that lie nearer to the smallest weight may get it or none: that is to be little.
  private static let largestResolution = 0x1p-12

  /// nil until the recipe's fractional bits are known.
  public var epsilon: Double?

  public init(epsilon: Double? = nil) { self.epsilon = epsilon }

  public init(_ reader: inout JSONReader, for operationClass: OperationClass) throws(InputError) {
    epsilon =
      reader.contains("epsilon")
      ? try reader.number("epsilon", default: 0, in: 0x1p-20...1) : nil
  }

  public var parameters: [String: JSON] { epsilon.map { ["epsilon": .number($0)] } ?? [:] }

  public func needsTraining(for operationClass: OperationClass) -> Bool { true }

  public func form(at site: ReplacementSite) -> ReplacementForm? {
    epsilon.map { epsilon in
      let least = min(epsilon, ReLUSoftmax.largestResolution)
      return .softmax(
        SoftmaxForm(
          subtractsMaximum: false,
          kernel: .piecewise(
            PiecewisePolynomial(
              knots: [2 * least], pieces: [.line(0, 0), .line(1, 0)],
              resolution: PolynomialPiece.powerOfTwo(above: least))),
          epsilon: epsilon))
    }
  }

  public func resolved(for node: NodeStatistics) throws(InputError) -> any Replacement {
    ReLUSoftmax(
      epsilon: epsilon ?? Double(sign: .plus, exponent: -node.fractionalBits, significand: 1))
  }
}
