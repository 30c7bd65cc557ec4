// The replacements of a recipe in double precision, as lowering makes them in the ring.

import Approximation
import Bytes
import Foundation
import Models

extension ReplacedFunction {
  /// Every replaced function of `model` under `recipe`, which is resolved, in the order of its
  /// nodes.
  ///
  /// - Throws: `InputError` where the calibration does not cover a node, or the recipe is not
  ///   resolved.
  static func all(in model: Model, recipe: Recipe, calibration: Calibration) throws(InputError)
    -> [ReplacedFunction]
  {
    var result: [ReplacedFunction] = []
    for (index, node) in model.nodes.enumerated() {
      guard let choice = recipe.choice(for: node), let form = try recipe.form(of: index, in: model),
        let site = model.site(of: index)
      else { continue }
      let made = choice.replacement.validRange(for: site.operationClass)
      switch (node.operation, form) {
      case (.activation(let input, let activation), .activation(let replaced)):
        let name = model.nodes[input].name
        let bound = try calibration.bound(name) * recipe.headroom
        var function = self.activation(
          node.name, activation, replaced, seen: try calibration.range(name, .output),
          valid: made.clamped(to: -bound...bound), choice)
        function.ringRange = -bound...bound
        function.calibrated = calibration.histograms[name]?[.output]
        result.append(function)
      case (.attention(_, _, _, let settings), .softmax(let softmax)):
        if let cap = settings.softCap {
          result.append(
            try softCap(
              node.name, cap, recipe.softCap(cap, at: node),
              seen: calibration.range(node.name, .uncappedScores), recipe))
          result[result.count - 1].calibrated =
            calibration.histograms[node.name]?[.uncappedScores]
        }
        let bound = try calibration.bound(node.name, .scores) * recipe.headroom
        var function = weight(
          node.name, softmax, seen: try calibration.range(node.name, .scores), bound: bound,
          made: made, choice)
        if !softmax.subtractsMaximum { function.ringRange = -bound...bound }
        let quantity: ObservedQuantity = softmax.subtractsMaximum ? .centredScores : .scores
        function.calibrated = calibration.histograms[node.name]?[quantity]
        result.append(function)
        if softmax.subtractsMaximum {
          var function = reciprocal(
            node.name, keyCount: Double(model.maximumKeyCount(settings)),
            tolerance: softmax.kernel == .exponential
              ? recipe.reciprocalTolerance : recipe.tableTolerance)
          function.calibrated = calibration.histograms[node.name]?[.denominator]
          result.append(function)
        }
      case (.layerNorm(_, let settings), .normalisation(let form)),
        (.rmsNorm(_, let settings), .normalisation(let form)):
        var function = inverseRoot(
          node.name, form,
          valid: try calibration.normalisedRange(
            node.name, epsilon: settings.epsilon,
            headroom: calibration.varianceHeadroom(recipe.headroom, for: model)), recipe)
        function.calibrated = calibration.histograms[node.name]?[.variance]
        function.calibratedShift = settings.epsilon
        if function.validRange.lowerBound > settings.epsilon {
          function.harmlessInput = settings.epsilon
        }
        result.append(function)
      default: break
      }
    }
    return result
  }

  /// `seen` with a tenth of its length at both ends.
  private static func widened(_ seen: ClosedRange<Double>) -> ClosedRange<Double> {
    let margin = max((seen.upperBound - seen.lowerBound) / 10, 1e-3)
    return seen.lowerBound - margin...seen.upperBound + margin
  }

  private static func title(_ function: Activation) -> String {
    switch function {
    case .relu: "ReLU"
    case .gelu: "GeLU"
    case .geluTanh: "GeLU (tanh)"
    case .silu: "SiLU"
    case .tanh: "tanh"
    }
  }

  private static func activation(
    _ node: String, _ function: Activation, _ replaced: PiecewisePolynomial,
    seen: ClosedRange<Double>, valid: ClosedRange<Double>, _ choice: ReplacementChoice
  ) -> ReplacedFunction {
    // Far outside the pieces both are lines, and nothing is to be seen.
    var drawn = widened(seen)
    let reach = 2 * (replaced.knots.map(abs).max() ?? 0)
    if reach > 0, drawn.overlaps(-reach...reach) { drawn = drawn.clamped(to: -reach...reach) }
    return ReplacedFunction(
      node: node, place: .activation, original: title(function),
      replacement: function == .relu && replaced == .relu ? "itself" : choice.replacement.summary,
      exact: function.function, replaced: { replaced($0) }, validRange: valid, drawnRange: drawn,
      isLogarithmic: false)
  }

  private static func softCap(
    _ node: String, _ cap: Double, _ replaced: PiecewisePolynomial, seen: ClosedRange<Double>,
    _ recipe: Recipe
  ) -> ReplacedFunction {
    let bound = max(-seen.lowerBound, seen.upperBound) * recipe.headroom
    return ReplacedFunction(
      node: node, place: .softCap, original: "c tanh(x / c), c = \(Figure.text(cap))",
      replacement: "\(replaced.pieces.count) lines", exact: { cap * tanh($0 / cap) },
      replaced: { replaced($0) }, validRange: -bound...bound, drawnRange: widened(seen),
      isLogarithmic: false)
  }

  /// The weight of a score: in place of exp after the maximum was subtracted, or of all of softmax.
  private static func weight(
    _ node: String, _ form: SoftmaxForm, seen: ClosedRange<Double>, bound: Double,
    made: ClosedRange<Double>, _ choice: ReplacementChoice
  ) -> ReplacedFunction {
    if form.subtractsMaximum {
      return ReplacedFunction(
        node: node, place: .exponential, original: "exp", replacement: choice.replacement.summary,
        exact: exp, replaced: { form.weight($0) }, validRange: -2 * bound...0,
        drawnRange: max(-21, min(seen.lowerBound - seen.upperBound, -1))...0, isLogarithmic: false)
    }
    // Weights are compared with that of the largest score seen.
    let largest = seen.upperBound
    let unit = form.weight(largest)
    return ReplacedFunction(
      node: node, place: .softmax, original: "softmax", replacement: choice.replacement.summary,
      exact: { exp($0 - largest) }, replaced: { form.weight($0) / (unit == 0 ? 1 : unit) },
      row: { form.apply(&$0) }, validRange: made.clamped(to: -bound...bound),
      drawnRange: widened(seen), isLogarithmic: false)
  }

  private static func tableText(_ tolerance: Double) -> String {
    "piecewise linear, relative error below \(Figure.text(tolerance))"
  }

  private static func reciprocal(_ node: String, keyCount: Double, tolerance: Double)
    -> ReplacedFunction
  {
    let valid = 0.75...keyCount * 1.1
    let fit = PiecewiseLinearFit.fit(on: valid, tolerance: tolerance) { 1 / $0 }
    return ReplacedFunction(
      node: node, place: .reciprocal, original: "1/x",
      replacement: tableText(tolerance), exact: { 1 / $0 },
      replaced: { fit($0) }, validRange: valid, drawnRange: valid, isLogarithmic: true)
  }

  private static func inverseRoot(
    _ node: String, _ form: NormalisationForm, valid: ClosedRange<Double>, _ recipe: Recipe
  ) -> ReplacedFunction {
    // The function is given the variance with epsilon added.
    var function = ReplacedFunction(
      node: node, place: .reciprocalSquareRoot, original: "1/sqrt(x)", replacement: "",
      exact: { 1 / $0.squareRoot() }, replaced: { $0 }, validRange: valid, drawnRange: valid,
      isLogarithmic: true)
    switch form {
    case .exact:
      let fit = PiecewiseLinearFit.fit(on: valid, tolerance: recipe.tableTolerance) {
        1 / $0.squareRoot()
      }
      function.replacement = tableText(recipe.tableTolerance)
      function.replaced = { fit($0) }
    case .affine(let factor):
      function.replacement = "the constant \(Figure.text(factor))"
      function.replaced = { _ in factor }
    }
    return function
  }
}
