// The replacements of a recipe in double precision, as lowering makes them in the ring.

import Approximation
import Bytes
import Foundation
import Models

extension ReplacedFunction {
  /// Every replaced function of `model`, in the order of its nodes.
  ///
  /// - Throws: `InputError` where the calibration does not cover a node.
  static func all(in model: Model, recipe: Recipe, calibration: Calibration) throws(InputError)
    -> [ReplacedFunction]
  {
    var result: [ReplacedFunction] = []
    for node in model.nodes {
      switch node.operation {
      case .layerNorm(_, _, _, let epsilon), .rmsNorm(_, _, let epsilon):
        var function = inverseRoot(
          node.name, seen: try calibration.range(node.name, .variance), epsilon: epsilon, recipe)
        function.calibrated = calibration.histograms[node.name]?[.variance]
        function.calibratedShift = epsilon
        result.append(function)
      case .attention:
        let bound = try calibration.bound(node.name, .scores) * recipe.headroom
        let keyCount = Double(model.maximumPositions)
        var function = exponential(node.name, scoreBound: bound, recipe)
        function.calibrated = calibration.histograms[node.name]?[.centredScores]
        result.append(function)
        result.append(reciprocal(node.name, keyCount: keyCount, recipe))
      case .activation(let input, let activation):
        let name = model.nodes[input].name
        var function = self.activation(
          node.name, activation, seen: try calibration.range(name, .output),
          bound: try calibration.bound(name) * recipe.headroom, recipe)
        function.calibrated = calibration.histograms[name]?[.output]
        result.append(function)
      case .embed, .linear, .rotary, .add, .multiply: break
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
    }
  }

  private static func activation(
    _ node: String, _ function: Activation, seen: ClosedRange<Double>, bound: Double,
    _ recipe: Recipe
  ) -> ReplacedFunction {
    let exact = function.function
    var replaced = exact
    var text = "itself"
    var drawn = widened(seen)
    let isSiLU = function == .silu
    if function != .relu {
      let degree = isSiLU ? recipe.siluDegree : recipe.geluDegree
      let limit = isSiLU ? recipe.siluLimit : recipe.geluLimit
      let half = limit / 2
      let scale = pow(2, log2(half).rounded(.up))
      let fit = MinimaxPolynomial.fit(degree: degree, on: -half / scale...half / scale) { unit in
        let a = unit * scale + half
        return exact(a) - a / 2
      }
      replaced = { x in
        let a = abs(x)
        return a < limit ? x / 2 + fit((a - half) / scale) : max(x, 0)
      }
      text = "x/2 + P\(degree)(|x|) for |x| < \(limit), ReLU outside"
      // Far outside nothing is to be seen.
      if drawn.overlaps(-limit...limit) { drawn = drawn.clamped(to: -2 * limit...2 * limit) }
    }
    return ReplacedFunction(
      node: node, place: .activation, original: title(function), replacement: text,
      exact: exact, replaced: replaced, validRange: -bound...bound, drawnRange: drawn,
      isLogarithmic: false)
  }

  private static func exponential(_ node: String, scoreBound: Double, _ recipe: Recipe)
    -> ReplacedFunction
  {
    let clip = recipe.expClip
    let half = -clip / 2
    let scale = pow(2, log2(half).rounded(.up))
    let root = pow(2, Double(-recipe.expSquarings))
    let fit = MinimaxPolynomial.fit(
      degree: recipe.expDegree, on: -half / scale...half / scale
    ) { exp(($0 * scale - half) * root) }
    return ReplacedFunction(
      node: node, place: .exponential, original: "exp",
      replacement: "P\(recipe.expDegree)(x/\(1 << recipe.expSquarings))"
        + "^\(1 << recipe.expSquarings), x clipped at \(clip)",
      exact: exp,
      replaced: { x in
        var power = fit((max(x, clip) + half) / scale)
        for _ in 0..<recipe.expSquarings { power *= power }
        return power
      },
      validRange: -2 * scoreBound...0, drawnRange: 1.5 * clip...0, isLogarithmic: false)
  }

  private static func tableText(_ recipe: Recipe) -> String {
    "piecewise linear, relative error below \(Figure.text(recipe.tableTolerance))"
  }

  private static func reciprocal(_ node: String, keyCount: Double, _ recipe: Recipe)
    -> ReplacedFunction
  {
    let valid = 0.75...keyCount * 1.1
    let fit = PiecewiseLinearFit.fit(on: valid, tolerance: recipe.tableTolerance) { 1 / $0 }
    return ReplacedFunction(
      node: node, place: .reciprocal, original: "1/x",
      replacement: tableText(recipe), exact: { 1 / $0 },
      replaced: { fit($0) }, validRange: valid, drawnRange: valid, isLogarithmic: true)
  }

  private static func inverseRoot(
    _ node: String, seen: ClosedRange<Double>, epsilon: Double, _ recipe: Recipe
  ) -> ReplacedFunction {
    let low = max(seen.lowerBound, 1e-9) / recipe.headroom
    let high = max(seen.upperBound, 2e-9) * recipe.headroom
    let fit = PiecewiseLinearFit.fit(on: low...high, tolerance: recipe.tableTolerance) {
      1 / ($0 + epsilon).squareRoot()
    }
    // The function is given the variance with epsilon added.
    let valid = low + epsilon...high + epsilon
    return ReplacedFunction(
      node: node, place: .reciprocalSquareRoot, original: "1/sqrt(x)",
      replacement: tableText(recipe), exact: { 1 / $0.squareRoot() },
      replaced: { fit($0 - epsilon) }, validRange: valid, drawnRange: valid, isLogarithmic: true)
  }
}
