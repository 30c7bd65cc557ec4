// Every replacement as it is lowered, in the ring simulator, against its own float function.

import Approximation
import Bytes
import Foundation
import Models
import Program
import TestSupport
import Testing

struct ReplacementLoweringTests {
  struct ActivationCase: Sendable {
    var activation: Activation
    var choice: ReplacementChoice
    var name: String { "\(activation) \(choice.name)" }

    init(
      _ activation: Activation, _ replacement: any Replacement, clamp: ClosedRange<Double>? = nil
    ) {
      self.activation = activation
      choice = ReplacementChoice(replacement, clamp: clamp)
    }
  }

  static let activations: [ActivationCase] =
    [
      ActivationCase(.relu, ReLUActivation()), ActivationCase(.silu, ReLUActivation()),
      ActivationCase(.gelu, QuadActivation()),
      ActivationCase(.gelu, QuadActivation(), clamp: -5...5),
      ActivationCase(.gelu, BOLTActivation(), clamp: -2...9),
    ]
    + [Activation.gelu, .geluTanh, .silu].flatMap { activation in
      [
        ActivationCase(activation, LinesActivation.accurate(for: OperationClass(activation))),
        ActivationCase(activation, MinimaxActivation.standard(for: OperationClass(activation))),
        ActivationCase(activation, MinimaxActivation(degree: 4, limit: 3)),
        ActivationCase(activation, PUMAActivation()),
        ActivationCase(activation, BumbleBeeActivation()),
        ActivationCase(activation, FittedActivation()),
        ActivationCase(
          activation, FittedActivation(maximumError: 0x1p-8, rootMeanSquareError: 0x1p-9)),
      ]
    } + [ActivationCase(.gelu, BOLTActivation())]

  /// On a grid well beyond all knots, at knots and at both sides of them.
  @Test(arguments: activations, [false, true])
  func activationsAreTheirFunctions(test: ActivationCase, prefersRounds: Bool) throws {
    var grid = (-2048...2048).map { Double($0) * 24 / 2048 + 1.0 / 512 }
    var node = LoneNode(
      width: 1, operation: .activation(0, test.activation), bound: 25, outputBound: 90,
      choice: test.choice)
    node.recipe.outsideRange = .extend
    if prefersRounds {
      // With free comparisons fits take lines, with free rounds polynomials.
      node.recipe = try node.recipe.resolved(
        for: node.model, calibration: node.calibration,
        weights: CostWeights(
          secondsPerRound: 1, secondsPerByte: 0, secondsPerComparison: 0, secondsPerLookupCell: 0,
          secondsPerDealtByte: 0))
    } else {
      node.recipe = try node.recipe.resolved(
        for: node.model, calibration: node.calibration,
        weights: CostWeights(
          secondsPerRound: 0, secondsPerByte: 0, secondsPerComparison: 1, secondsPerLookupCell: 1,
          secondsPerDealtByte: 0))
    }
    guard case .activation(let function)? = try node.form() else { throw CancellationError() }
    for knot in function.signed.knots where knot.magnitude < 24 {
      grid += [-1, -0.25, 0, 0.25, 1].map { knot + $0 * function.resolution }
    }
    // The client's rows have 16 fractional bits.
    grid = grid.map { ($0 * 65536).rounded() / 65536 }
    node = LoneNode(
      width: grid.count, operation: .activation(0, test.activation), bound: 25, outputBound: 90,
      choice: node.recipe.choice(for: node.model.nodes[1]))
    let result = try node.evaluate([grid])[0]
    var largest = 0.0
    for (x, y) in zip(grid, result) {
      let error = Self.distance(y, function, x)
      largest = max(largest, error)
      #expect(error < 8e-4, "\(test.name) at \(x): \(y), not \(function(x))")
    }
    print("\(test.name): largest distance to the float function \(largest)")
  }

  /// From y to f(x), or to the neighbouring piece where x is less than the resolution below a knot.
  static func distance(_ y: Double, _ function: PiecewisePolynomial, _ x: Double) -> Double {
    let signed = function.signed
    // On a negative knot itself |x| belongs to the piece on its left, x to that on its right.
    var error = min(abs(y - function(x)), abs(y - signed(x)))
    for (index, knot) in signed.knots.enumerated()
    where x < knot && knot - x <= function.resolution + 0x1p-15 {
      error = min(error, abs(y - signed.pieces[index + 1](x)))
    }
    return error
  }

  struct SoftmaxCase: Sendable {
    var choice: ReplacementChoice
    var name: String
    /// Largest difference of an output whose values are below 8.
    var tolerance: Double

    init(
      _ replacement: any Replacement, tolerance: Double, clamp: ClosedRange<Double>? = nil
    ) {
      choice = ReplacementChoice(replacement, clamp: clamp)
      name = "\(replacement.summary)"
      self.tolerance = tolerance
    }
  }

  static let softmaxes = [
    SoftmaxCase(MinimaxSoftmax(), tolerance: 1e-3),
    SoftmaxCase(MinimaxSoftmax(degree: 5, squarings: 3, clip: -12), tolerance: 1e-3),
    SoftmaxCase(LimitSoftmax(), tolerance: 1e-3), SoftmaxCase(BOLTSoftmax(), tolerance: 1e-3),
    SoftmaxCase(TwoQuadSoftmax(), tolerance: 1e-3),
    SoftmaxCase(TwoQuadSoftmax(), tolerance: 1e-3, clamp: -5...40),
    SoftmaxCase(ReLUSoftmax(), tolerance: 1e-3),
    SoftmaxCase(ReLUSoftmax(epsilon: 0x1p-3), tolerance: 2e-3),
    SoftmaxCase(PowerSoftmax(exponent: 2), tolerance: 1e-3),
    SoftmaxCase(PowerSoftmax(exponent: 4), tolerance: 1e-3),
    SoftmaxCase(PowerSoftmax(exponent: 6), tolerance: 1e-3),
    SoftmaxCase(FittedSoftmax(), tolerance: 1e-3),
    SoftmaxCase(
      FittedSoftmax(maximumError: 0x1p-8, rootMeanSquareError: 0x1p-12), tolerance: 4e-3),
  ]

  /// Attention of two heads over `width` columns, whose queries, keys and values are the input.
  private static func attention(
    _ choice: ReplacementChoice, kind: ModelKind = .decoder, width: Int,
    scores: ClosedRange<Double>,
    bound: Double = 8
  ) -> LoneNode {
    LoneNode(
      kind: kind, width: width,
      operation: .attention(
        query: 0, key: 0, value: 0, AttentionSettings(headCount: 2, keyHeadCount: 2, scale: 1)),
      bound: bound, outputBound: bound, scores: scores, choice: choice)
  }

  /// Rows whose scores are all negative, far below the clip (as additive masks of -10000 would be),
  /// all equal (denominators up to the number of keys), and far apart.
  static let rows: [[Double]] = (0..<60).map { row in
    switch row % 6 {
    case 0: [-3, Double(row % 5), 0.5, 1]
    case 1: [3, 0.25, Double(row % 7) - 3, -0.5]
    case 2: [-6, 1, 1.5, Double(row % 3)]
    case 3: [0, 0, Double(row % 4) - 1, 2]
    case 4: [5, -1, -2, Double(row % 3) - 1]
    default: [-0.5, -0.5, 0.125, 0.25]
    }
  }

  @Test(arguments: softmaxes, [ModelKind.decoder, .encoder])
  func softmaxesAreTheirFunctions(test: SoftmaxCase, kind: ModelKind) throws {
    for weights in [
      CostWeights(
        secondsPerRound: 1, secondsPerByte: 0, secondsPerComparison: 0, secondsPerLookupCell: 0,
        secondsPerDealtByte: 0),
      CostWeights(
        secondsPerRound: 0, secondsPerByte: 0, secondsPerComparison: 1, secondsPerLookupCell: 1,
        secondsPerDealtByte: 0),
    ] {
      var node = Self.attention(test.choice, kind: kind, width: 4, scores: -40...60)
      node.recipe.outsideRange = .extend
      node.recipe = try node.recipe.resolved(
        for: node.model, calibration: node.calibration, weights: weights)
      guard case .softmax(let form)? = try node.form() else { throw CancellationError() }
      let results = try node.evaluate(Self.rows, capacity: kind == .encoder ? 64 : nil)
      let checked = kind == .decoder ? 59..<60 : 0..<60
      var largest = 0.0
      for (row, result) in zip(checked, results) {
        for head in 0..<2 {
          let columns = 2 * head..<2 * head + 2
          var attended = (0..<60).map { key in
            columns.reduce(0.0) { $0 + Self.rows[row][$1] * Self.rows[key][$1] }
          }
          form.apply(&attended)
          for column in columns {
            let exact = zip(attended, Self.rows).reduce(0.0) { $0 + $1.0 * $1.1[column] }
            largest = max(largest, abs(result[column] - exact))
          }
        }
      }
      print("\(test.name), \(kind): largest distance to the float function \(largest)")
      #expect(largest < test.tolerance, "\(test.name)")
    }
  }

  /// Pitfall 1: denominators above 253, where CrypTen's reciprocal diverges, and rows without
  /// weight.
  @Test(arguments: [ReLUSoftmax() as any Replacement, TwoQuadSoftmax(), PowerSoftmax()])
  func denominatorsOfAnySize(replacement: any Replacement) throws {
    // Scores of 900 for 60 keys make a sum of 54000; the last text's scores are 0 or below.
    for rows in [
      [[Double]](repeating: [30, 2], count: 60),
      (0..<60).map { $0 == 59 ? [-1, 5] : [1, Double($0 % 3)] },
    ] {
      var node = Self.attention(
        ReplacementChoice(replacement), width: 2, scores: -1000...1000, bound: 32)
      node.recipe.outsideRange = .extend
      try node.resolve()
      guard case .softmax(let form)? = try node.form() else { throw CancellationError() }
      let result = try node.evaluate(rows)[0]
      for column in 0..<2 {
        var attended = rows.map { $0[column] * rows[59][column] }
        let sum = attended.reduce(form.epsilon) { $0 + form.weight($1) }
        form.apply(&attended)
        let exact = zip(attended, rows).reduce(0.0) { $0 + $1.0 * $1.1[column] }
        // What one unit of every weight's fixed point may change.
        let unit = 60 * 0x1p-16 * 32 / max(sum * Self.scale(of: form), 1)
        #expect(
          abs(result[column] - exact) < 0.02 + 4 * unit, "\(result[column]), not \(exact)")
      }
    }
  }

  /// Pitfall 1 with the maximum subtracted: 400 equal scores make a sum of 400.
  @Test(arguments: [MinimaxSoftmax() as any Replacement, LimitSoftmax(), BOLTSoftmax()])
  func denominatorsOfManyKeys(replacement: any Replacement) throws {
    // CrypTen's: ten Newton steps from 3 exp(1 - 2x) + 0.003, with exp by eight squarings.
    var naive = 3 * pow(1 + (1 - 2 * 400.0) / 256, 256) + 0.003
    for _ in 0..<10 { naive = naive * (2 - 400 * naive) }
    #expect(!(abs(naive * 400 - 1) < 0.5))
    let count = 400
    let rows = (0..<count).map { [1.0, $0 < 100 ? 4 : 0] }
    var node = LoneNode(
      kind: .decoder, width: 2,
      operation: .attention(
        query: 0, key: 0, value: 0, AttentionSettings(headCount: 1, keyHeadCount: 1, scale: 1)),
      bound: 8,
      outputBound: 8, scores: -40...60, choice: ReplacementChoice(replacement),
      maximumPositions: 512)
    try node.resolve()
    // The last row's scores are 1 for all keys: 300 and more of equal weight.
    let result = try node.evaluate(rows)[0]
    #expect(abs(result[0] - 1) < 1e-3 && abs(result[1] - 1) < 1e-3, "\(result)")
  }

  private static func scale(of form: SoftmaxForm) -> Double { 1 / max(form.weight(1), 1e-9) }

  /// A row whose scores are all zero attends to nothing and writes zero, where 0/0 would be noise.
  @Test func rowsWithoutWeight() throws {
    var rows = (0..<40).map { key in [Double(key % 4) - 2, Double(key % 3)] }
    rows.append([0, 0])
    for replacement in [
      ReLUSoftmax() as any Replacement, ReLUSoftmax(epsilon: 0x1p-4), PowerSoftmax(),
    ] {
      var node = Self.attention(ReplacementChoice(replacement), width: 2, scores: -8...8)
      node.recipe.outsideRange = .extend
      try node.resolve()
      let result = try node.evaluate(rows)[0]
      #expect(result.allSatisfy { abs($0) < 0x1p-10 }, "\(result)")
    }
  }

  /// Scores that are below twice a large epsilon have their weights, whatever the masks are.
  @Test(arguments: [0x1p-6, 0x1p-3, 0.5])
  func scoresBelowALargeEpsilonCount(epsilon: Double) throws {
    // The last row's scores are 1.25 and 0.75 epsilon with the others, and nearly zero with itself.
    let rows = [[Double]](repeating: [1, 0.6], count: 20) + [[1.25 * epsilon, 1.25 * epsilon]]
    var node = Self.attention(
      ReplacementChoice(ReLUSoftmax(epsilon: epsilon)), width: 2, scores: -8...8)
    try node.resolve()
    guard case .softmax(let form)? = try node.form() else { throw CancellationError() }
    let result = try node.evaluate(rows)[0]
    for column in 0..<2 {
      var attended = rows.map { $0[column] * rows[20][column] }
      #expect(form.weight(attended[0]) == attended[0])
      form.apply(&attended)
      let exact = zip(attended, rows).reduce(0.0) { $0 + $1.0 * $1.1[column] }
      #expect(abs(result[column] - exact) < 2e-3, "\(result[column]), not \(exact)")
    }
  }

  /// Sums of many binades are divided by as soon as those that one table serves.
  @Test func aSmallEpsilonCostsNoFlight() throws {
    let flights = try [ReLUSoftmax(), ReLUSoftmax(epsilon: 0x1p-4)].map { replacement in
      var node = Self.attention(ReplacementChoice(replacement), width: 4, scores: -40...60)
      try node.resolve()
      return try node.program().rounds().max() ?? 0
    }
    #expect(flights[1] == flights[0], "\(flights)")
  }

  /// Scores a little below zero: as long as a comparison may let them through as negative weights,
  /// a sum of nothing else is divided by its own error.
  @Test func scoresJustBelowZero() throws {
    for step in 1...40 {
      let small = Double(step) * 0x1p-11
      // The last row's scores with the others are -small, that with itself nearly zero.
      let rows = [[Double]](repeating: [-1, 1], count: 20) + [[small, -small]]
      var node = Self.attention(ReplacementChoice(ReLUSoftmax()), width: 2, scores: -8...8)
      try node.resolve()
      guard case .softmax(let form)? = try node.form() else { throw CancellationError() }
      let result = try node.evaluate(rows)[0]
      for column in 0..<2 {
        var attended = rows.map { $0[column] * rows[20][column] }
        form.apply(&attended)
        let exact = zip(attended, rows).reduce(0.0) { $0 + $1.0 * $1.1[column] }
        #expect(abs(result[column] - exact) < 0.01, "\(small): \(result[column]), not \(exact)")
      }
    }
  }

  @Test(arguments: [false, true], [4, 48, 384])
  func affineNormalisations(isCentred: Bool, width: Int) throws {
    let rows = (0..<20).map { row -> [Double] in
      (0..<width).map { column -> Double in
        let phase = Double(7 * row + 3 * column * column)
        return 0.3 * Double(row + 1) * sin(phase) + Double(row) / 4
      }
    }
    for factor in [0.02, 0.7, 3] {
      let node = LoneNode(
        width: width,
        operation: isCentred
          ? .layerNorm(0, Normalisation(gamma: "one", beta: "zero", epsilon: 1e-5))
          : .rmsNorm(0, Normalisation(gamma: "one", epsilon: 1e-5)), bound: 16, outputBound: 50,
        choice: ReplacementChoice(AffineNormalisation(factor: factor)))
      let results = try node.evaluate(rows)
      for (row, result) in zip(rows, results) {
        let mean = isCentred ? row.reduce(0, +) / Double(width) : 0
        for (x, y) in zip(row, result) { #expect(abs(y - factor * (x - mean)) < 1e-3) }
      }
    }
  }
}
