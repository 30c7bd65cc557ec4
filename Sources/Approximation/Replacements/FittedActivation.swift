// Activations fitted to the calibrated inputs of their node, at the least secure cost.

public import Bytes
import Models

/// The cheapest piecewise polynomial with both errors within their targets, ReLU outside.
///
/// Candidates are lines with free knots and parabolas on equal cells (one flight), and polynomials of
/// |x| with few pieces (two or three), all but the parabolas by density-weighted least squares; what
/// each costs says its program. The maximum
/// error is certified for all real inputs: beyond the outermost knots, where ReLU stands, the
/// distance to GeLU and SiLU falls.
public struct FittedActivation: Replacement {
  public static let name = "fitted"
  public static let classes: [OperationClass] = [.relu, .gelu, .geluTanh, .silu]
  public static let source = "density-weighted least squares with free knots, certified"

  /// For every input.
  public var maximumError: Double
  /// Over the calibrated inputs.
  public var rootMeanSquareError: Double

  public init(maximumError: Double = 0x1p-10, rootMeanSquareError: Double = 0x1p-12) {
    self.maximumError = maximumError
    self.rootMeanSquareError = rootMeanSquareError
  }

  public init(_ reader: inout JSONReader, for operationClass: OperationClass) throws(InputError) {
    let standard = FittedActivation()
    maximumError = try reader.number(
      "maximumError", default: standard.maximumError, in: 0x1p-14...0.5)
    rootMeanSquareError = try reader.number(
      "rootMeanSquareError", default: standard.rootMeanSquareError, in: 0x1p-16...0.5)
  }

  public var parameters: [String: JSON] {
    [
      "maximumError": .number(maximumError),
      "rootMeanSquareError": .number(rootMeanSquareError),
    ]
  }

  public func form(at site: ReplacementSite) -> ReplacementForm? { nil }

  public func resolved(for node: NodeStatistics) throws(InputError) -> any Replacement {
    guard let activation = node.site.operationClass.activation,
      let even = ReferenceFunctions.evenPart(activation)
    else { return ReLUActivation() }
    // From here on ReLU is near enough: f(a) - a/2 nears a/2 from a = 1.3 on.
    var limit = 1.5
    while limit / 2 - even(limit) > maximumError / 2 { limit += 1.0 / 64 }
    if let narrow = PiecewiseActivation.narrow(node, limit: limit, degree: 4),
      let error = narrow.maximumError, error <= max(node.reach, 0x1p-40) * maximumError
    {
      return narrow
    }
    var best: (replacement: PiecewiseActivation, cost: Double)?
    for candidate in candidates(activation, even, limit: limit, inputs: node.inputs) {
      guard
        let certified = CertifiedError.coarsest(
          candidate, limit: maximumError, { error(of: $0, activation, even, limit: limit) })
      else { continue }
      let cost = try node.cost(.activation(certified.function))
      if best.map({ cost < $0.cost }) ?? true {
        best = (
          PiecewiseActivation(function: certified.function, maximumError: certified.error), cost
        )
      }
    }
    if let cells = cells(activation, inputs: node.inputs, at: node.site) {
      let cost = try node.cost(.activation(cells))
      if best.map({ cost < $0.cost }) ?? true {
        best = (PiecewiseActivation(function: cells, maximumError: maximumError), cost)
      }
    }
    guard let best else {
      throw InputError(
        "recipe", place: node.name, "no fit of at most 64 pieces has the errors that are asked for",
        hint: "raise maximumError or rootMeanSquareError")
    }
    return best.replacement
  }

  /// The widest equal cells whose parabolas have both errors.
  private func cells(
    _ activation: Activation, inputs: InputDensity, at site: ReplacementSite
  ) -> PiecewisePolynomial? {
    var limit = min(maximumError, CellsActivation.accurate.maximumError)
    while limit >= maximumError / 64 {
      guard
        case .activation(let function)? = CellsActivation(maximumError: limit).form(at: site),
        let (first, last) = function.knots.first.flatMap({ first in
          function.knots.last.map { (first, $0) }
        })
      else { return nil }
      let step = 1.0 / 64
      let square = stride(from: first, to: last, by: step).reduce(0) { sum, low in
        let error = function(low + step / 2) - activation.function(low + step / 2)
        return sum + (inputs.share(below: low + step) - inputs.share(below: low)) * error * error
      }
      if square <= rootMeanSquareError * rootMeanSquareError { return function }
      limit /= 4
    }
    return nil
  }

  /// Largest error on all reals, certified.
  private func error(
    of function: PiecewisePolynomial, _ activation: Activation, _ even: (Double) -> Double,
    limit: Double
  ) -> Double {
    let curvature = ReferenceFunctions.curvatureBound(activation)
    let beyond = limit / 2 - even(limit)
    // Pieces that see |x| are compared with the even part, which is all that they stand for.
    let inside = CertifiedError.bound(
      function, from: function.isEven ? -function.resolution : -limit - function.resolution,
      to: limit + function.resolution,
      curvature: { _ in curvature },
      function.isEven ? even : activation.function)
    return max(inside, beyond)
  }

  private func candidates(
    _ activation: Activation, _ even: @escaping (Double) -> Double, limit: Double,
    inputs: InputDensity
  ) -> [PiecewisePolynomial] {
    let fit = PiecewiseFit(
      maximumError: 0.9 * maximumError, rootMeanSquareError: rootMeanSquareError)
    var result: [PiecewisePolynomial] = []
    let lines = PiecewiseFit.Grid(
      on: -limit...limit, density: { inputs.share(below: $1) - inputs.share(below: $0) },
      activation.function)
    if let found = fit.fit(lines, degree: 1, limit: 64) {
      result.append(
        PiecewisePolynomial(
          knots: found.borders, pieces: [.line(0, 0)] + found.pieces + [.line(1, 0)],
          resolution: PiecewisePolynomial.activationResolution))
    }
    let folded = PiecewiseFit.Grid(
      on: 0...limit,
      density: { low, high in
        inputs.share(below: high) - inputs.share(below: low) + inputs.share(below: -low)
          - inputs.share(below: -high)
      }, even)
    for degree in 2...8 {
      guard let found = fit.fit(folded, degree: degree, limit: 6) else { continue }
      result.append(
        PiecewisePolynomial(
          isEven: true, slope: 0.5, knots: Array(found.borders.dropFirst()),
          pieces: found.pieces + [.line(0.5, 0)],
          resolution: PiecewisePolynomial.activationResolution))
    }
    return result
  }
}
