// Softmax with an exponential fitted to the calibrated scores of its node.

public import Bytes
import Foundation

/// The cheapest kernel for exp on the scores less their maximum, with both errors within their
/// targets, and 0 where exp is below a quarter of the smaller target.
///
/// Candidates: exp itself from exponentials of masks, lines with free knots, piecewise polynomials,
/// and one polynomial with a scale of each piece. The maximum error is certified up to the largest score that
/// an inexact maximum leaves.
public struct FittedSoftmax: Replacement {
  public static let name = "fitted"
  public static let classes: [OperationClass] = [.softmax]
  public static let source = "density-weighted least squares with free knots, certified"

  public var maximumError: Double
  /// Over the calibrated centred scores.
  public var rootMeanSquareError: Double

  public init(maximumError: Double = 0x1p-10, rootMeanSquareError: Double = 0x1p-15) {
    self.maximumError = maximumError
    self.rootMeanSquareError = rootMeanSquareError
  }

  public init(_ reader: inout JSONReader, for operationClass: OperationClass) throws(InputError) {
    let standard = FittedSoftmax()
    maximumError = try reader.number(
      "maximumError", default: standard.maximumError, in: 0x1p-14...0.1)
    rootMeanSquareError = try reader.number(
      "rootMeanSquareError", default: standard.rootMeanSquareError, in: 0x1p-18...0.1)
  }

  public var parameters: [String: JSON] {
    [
      "maximumError": .number(maximumError),
      "rootMeanSquareError": .number(rootMeanSquareError),
    ]
  }

  public func form(at site: ReplacementSite) -> ReplacementForm? { nil }

  public func resolved(for node: NodeStatistics) throws(InputError) -> any Replacement {
    let density =
      node.centredScores ?? InputDensity(uniformOn: min(-1, -2 * node.inputs.bound)...0)
    let clip = log(min(maximumError, rootMeanSquareError) / 4).rounded(.down)
    let slack = node.site.scoreSlack
    var best: (replacement: PiecewiseSoftmax, cost: Double)?
    for (kernel, error) in candidates(clip: clip, slack: slack, density: density) {
      let form = SoftmaxForm(subtractsMaximum: true, kernel: kernel)
      let cost = try node.cost(.softmax(form))
      if best.map({ cost < $0.cost }) ?? true {
        best = (PiecewiseSoftmax(softmax: form, maximumError: error), cost)
      }
    }
    guard let best else {
      throw InputError(
        "recipe", place: node.name, "no fit of at most 96 pieces has the errors that are asked for",
        hint: "raise maximumError or rootMeanSquareError")
    }
    return best.replacement
  }

  private func candidates(clip: Double, slack: Double, density: InputDensity) -> [(
    kernel: ScoreKernel, error: Double
  )] {
    // Scores are rounded to 2^-12.
    var result: [(kernel: ScoreKernel, error: Double)] = [(.exponential, 0x1p-13)]
    let fit = PiecewiseFit(
      maximumError: 0.9 * maximumError, rootMeanSquareError: rootMeanSquareError)
    let grid = PiecewiseFit.Grid(
      on: clip...max(slack, 0x1p-4),
      density: { density.share(below: $1) - density.share(below: $0) }, exp)
    // Degree 4 would leave the argument too few bits.
    for degree in 1...3 {
      guard let found = fit.fit(grid, degree: degree, limit: degree == 1 ? 96 : 8) else { continue }
      let function = PiecewisePolynomial(
        knots: Array(found.borders.dropLast()), pieces: [.line(0, 0)] + found.pieces,
        resolution: ReplacementSite.scoreResolution)
      let certified = CertifiedError.coarsest(function, limit: maximumError) { function in
        max(
          exp(clip),
          CertifiedError.bound(
            function, from: clip - function.resolution, to: slack,
            curvature: { exp($0.upperBound) }, exp))
      }
      if let certified { result.append((.piecewise(certified.function), certified.error)) }
    }
    if let scaled = scaledExponential(clip: clip, slack: slack) { result.append(scaled) }
    return result
  }

  /// The scaled pieces with the lowest degree, at most 4, and the widest pieces that keep the
  /// targets: the error of a piece is that of p times its scale.
  private func scaledExponential(clip: Double, slack: Double) -> (
    kernel: ScoreKernel, error: Double
  )? {
    let resolution = ReplacementSite.scoreResolution
    // Scales fall with the scores, so that a relative error of four times the target is enough.
    let target = min(maximumError, 4 * rootMeanSquareError)
    for width in [2, 1, 0.5] {
      let interval = -width - resolution...max(slack, resolution)
      let polynomial = PolynomialPiece.minimax(degree: 4, on: interval, exp)
      let error = CertifiedError.bound(
        polynomial, on: interval, curvature: exp(interval.upperBound), exp)
      guard error <= target else { continue }
      let kernel = ScaledPieces.exponential(clip: clip, width: width, polynomial)
      return (.scaled(kernel), max(error, exp(clip)))
    }
    return nil
  }
}
