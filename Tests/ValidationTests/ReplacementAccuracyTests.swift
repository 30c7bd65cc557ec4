// Each replacement as it is lowered, in the ring simulator, against the exact function.

import Approximation
import Foundation
import Models
import Program
import Randomness
import Sharing
import TestSupport
import Testing
import Validation

struct ReplacementAccuracyTests {
  /// A model whose first node passes the client's rows through.
  static func model(kind: ModelKind = .encoder, width: Int, nodes: [ModelNode]) -> Model {
    Model(
      family: "test", kind: kind, vocabularySize: 2, maximumPositions: 64,
      nodes: [
        ModelNode(
          name: "embed",
          operation: .embed(tokens: "t", positions: "p", positionOffset: 0, segments: nil),
          width: width)
      ] + nodes,
      weights: [
        WeightShape(name: "p", shape: [64, width]), WeightShape(name: "t", shape: [2, width]),
        WeightShape(name: "one", shape: [width]), WeightShape(name: "zero", shape: [width]),
      ])
  }

  /// Rows of real numbers through a lowered model in the simulator.
  static func evaluate(_ model: Model, calibration: Calibration, rows: [[Double]]) throws
    -> [[Double]]
  {
    var recipe = Recipe.accurate
    recipe.embedding = .client
    recipe.headroom = 1
    let program = try SecureProgram.lower(model, recipe: recipe, calibration: calibration)
    let weights = program.weights.map { weight in
      [UInt64](
        repeating: weight.source.tensor == "one" ? 1 << UInt64(weight.fractionalBits) : 0,
        count: weight.elementCount)
    }
    let batch = BatchSeeds(seed: Seed(bytes: [UInt8](repeating: 3, count: 32)))
    var simulator = RingSimulator(
      program: program, weights: weights,
      streams: (0...1).map { batch.streams(session: 0, party: $0) })
    let session = SessionShape(
      kind: model.kind, promptCapacity: rows.count, newCapacity: model.kind == .decoder ? 1 : 0)
    let words = simulator.step(
      SessionStep(session: session, rows: 0..<rows.count, index: 0),
      input: rows.flatMap { row in
        row.map { UInt64(bitPattern: Int64(($0 * 65536).rounded())) }
      })
    let scale = pow(0.5, Double(program.outputValue?.fractionalBits ?? 0))
    let values = words.map { Double(Int64(bitPattern: $0)) * scale }
    let width = model.nodes.last?.width ?? 1
    return stride(from: 0, to: values.count, by: width).map { Array(values[$0..<$0 + width]) }
  }

  static func include(
    _ calibration: inout Calibration, _ node: String, _ quantity: ObservedQuantity,
    _ range: ClosedRange<Double>
  ) {
    calibration.include(range, node: node, quantity: quantity)
  }

  @Test(arguments: Activation.allCases)
  func activations(function: Activation) throws {
    let grid = (-4096...4096).map { Double($0) * 20 / 4096 }
    var calibration = Calibration()
    Self.include(&calibration, "embed", .output, -20...20)
    Self.include(&calibration, "activation", .output, -20...20)
    let model = Self.model(
      width: grid.count,
      nodes: [
        ModelNode(name: "activation", operation: .activation(0, function), width: grid.count)
      ])
    let result = try Self.evaluate(model, calibration: calibration, rows: [grid])[0]
    var largest = 0.0
    var sum = 0.0
    for (x, y) in zip(grid, result) {
      let error = abs(y - function.function(x))
      largest = max(largest, error)
      sum += error
    }
    print("\(function): maximum \(largest), mean \(sum / Double(grid.count))")
    // ReLU: a wrong side within 2^-8 of 0. GeLU: 6.5e-4 of the fit, 8.1e-4 of ReLU beyond 3.5.
    // SiLU: 1.4e-3 of the fit, 5e-4 of rounding its argument to 2^-10 with slopes up to 0.55.
    let limits: (maximum: Double, mean: Double) =
      switch function {
      case .relu: (0x1p-8, 2e-5)
      case .gelu, .geluTanh: (8.5e-4, 1e-4)
      case .silu: (2.1e-3, 8e-4)
      // tanh: 2.4e-4 of the lines, 1e-4 of rounding their argument.
      case .tanh: (4e-4, 2e-4)
      }
    #expect(largest <= limits.maximum)
    #expect(sum / Double(grid.count) < limits.mean)
  }

  @Test func rmsNorm() throws {
    let width = 24
    let rows = (0..<20).map { row -> [Double] in
      let scale = 0.05 * pow(1.4, Double(row))
      return (0..<width).map { column -> Double in
        let phase = Double(7 * row + 3 * column * column)
        return scale * (sin(phase) + 0.3)
      }
    }
    func meanSquare(_ row: [Double]) -> Double {
      row.reduce(0) { $0 + $1 * $1 } / Double(width)
    }
    let squares = rows.map(meanSquare)
    var calibration = Calibration()
    Self.include(&calibration, "embed", .output, -100...100)
    Self.include(&calibration, "norm", .variance, (squares.min() ?? 0)...(squares.max() ?? 1))
    Self.include(&calibration, "norm", .output, -20...20)
    let model = Self.model(
      width: width,
      nodes: [
        ModelNode(
          name: "norm", operation: .rmsNorm(0, Normalisation(gamma: "one", epsilon: 1e-5)),
          width: width)
      ])
    let results = try Self.evaluate(model, calibration: calibration, rows: rows)
    for (row, result) in zip(rows, results) {
      let root = (meanSquare(row) + 1e-5).squareRoot()
      for (x, y) in zip(row, result) { #expect(abs(y - x / root) < 1e-3) }
    }
  }

  @Test(arguments: [4, 48, 384])
  func layerNorm(width: Int) throws {
    var rows: [[Double]] = []
    for row in 0..<20 {
      let spread = 0.1 * pow(1.4, Double(row))
      rows.append(
        (0..<width).map { column -> Double in
          let phase = Double(7 * row + 3 * column * column)
          return spread * sin(phase) + Double(row) / 4
        })
    }
    func variance(_ row: [Double]) -> Double {
      let mean = row.reduce(0, +) / Double(width)
      return row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(width)
    }
    let variances = rows.map(variance)
    var calibration = Calibration()
    Self.include(&calibration, "embed", .output, -100...100)
    Self.include(
      &calibration, "norm", .variance, (variances.min() ?? 0)...(variances.max() ?? 1))
    Self.include(&calibration, "norm", .output, -20...20)
    let model = Self.model(
      width: width,
      nodes: [
        ModelNode(
          name: "norm",
          operation: .layerNorm(0, Normalisation(gamma: "one", beta: "zero", epsilon: 1e-5)),
          width: width)
      ])
    let results = try Self.evaluate(model, calibration: calibration, rows: rows)
    for (row, result) in zip(rows, results) {
      let mean = row.reduce(0, +) / Double(width)
      let root = (variance(row) + 1e-5).squareRoot()
      for (x, y) in zip(row, result) { #expect(abs(y - (x - mean) / root) < 1e-3) }
    }
  }

  /// Softmax over equal keys and over one dominant key, denominators far above 253, scores below
  /// the clip and rows whose scores are all negative: none may break the division.
  @Test(arguments: [ModelKind.decoder, .encoder])
  func attention(kind: ModelKind) throws {
    let width = 4
    let count = 60
    var rows: [[Double]] = []
    for row in 0..<count {
      let swing: Double = row % 2 == 0 ? 8 : -8
      rows.append([Double(row % 7) - 3, Double(row % 5) * swing, 1, Double(row % 3)])
    }
    var calibration = Calibration()
    Self.include(&calibration, "embed", .output, -32...32)
    Self.include(&calibration, "attention", .scores, -1100...1100)
    Self.include(&calibration, "attention", .output, -32...32)
    let model = Self.model(
      kind: kind, width: width,
      nodes: [
        ModelNode(
          name: "attention",
          operation: .attention(
            query: 0, key: 0, value: 0, AttentionSettings(headCount: 2, keyHeadCount: 2, scale: 1)),
          width: width)
      ])
    let results = try Self.evaluate(model, calibration: calibration, rows: rows)
    let checked = kind == .decoder ? count - 1..<count : 0..<count
    for (row, result) in zip(checked, results) {
      for head in 0..<2 {
        let columns = 2 * head..<2 * head + 2
        let keys = kind == .decoder ? row + 1 : count
        let scores = (0..<keys).map { key -> Double in
          var sum = 0.0
          for column in columns { sum += rows[row][column] * rows[key][column] }
          return sum
        }
        let weights = scores.map { exp($0 - (scores.max() ?? 0)) }
        let total = weights.reduce(0, +)
        for column in columns {
          var exact = 0.0
          for key in 0..<keys { exact += weights[key] * rows[key][column] / total }
          #expect(abs(result[column] - exact) < 0.01)
        }
      }
    }
  }
}
