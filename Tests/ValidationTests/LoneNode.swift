// A model of one replaced node, lowered and run in the ring simulator on rows of real numbers.

import Approximation
import Bytes
import Foundation
import Models
import Program
import Randomness
import Sharing
import Validation

/// A node that reads the client's rows, with the ranges that lowering needs.
struct LoneNode {
  var model: Model
  var calibration: Calibration
  var recipe: Recipe

  /// `operation` reads value 0. `bound` is that of the rows, `outputBound` of the result.
  init(
    kind: ModelKind = .encoder, width: Int, operation: ModelOperation, bound: Double,
    outputBound: Double, scores: ClosedRange<Double>? = nil,
    variance: ClosedRange<Double>? = nil, choice: ReplacementChoice? = nil,
    maximumPositions: Int = 64
  ) {
    model = Model(
      family: "test", kind: kind, vocabularySize: 2, maximumPositions: maximumPositions,
      nodes: [
        ModelNode(
          name: "embed",
          operation: .embed(tokens: "t", positions: "p", positionOffset: 0, segments: nil),
          width: width), ModelNode(name: "node", operation: operation, width: width),
      ],
      weights: [
        WeightShape(name: "p", shape: [maximumPositions, width]),
        WeightShape(name: "t", shape: [2, width]),
        WeightShape(name: "one", shape: [width]), WeightShape(name: "zero", shape: [width]),
      ])
    calibration = Calibration()
    calibration.include(-bound...bound, node: "embed", quantity: .output)
    calibration.include(-outputBound...outputBound, node: "node", quantity: .output)
    if let scores { calibration.include(scores, node: "node", quantity: .scores) }
    if let variance { calibration.include(variance, node: "node", quantity: .variance) }
    recipe = .accurate
    recipe.embedding = .client
    recipe.headroom = 1
    if let choice, let operationClass = operation.operationClass {
      recipe.choose(choice, for: operationClass)
    }
  }

  /// The recipe's choice settled for the calibration.
  mutating func resolve(densities: (any DensitySource)? = nil) throws {
    recipe = try recipe.resolved(for: model, calibration: calibration, densities: densities)
  }

  func form() throws -> ReplacementForm? { try recipe.form(of: 1, in: model) }

  func program() throws -> SecureProgram {
    try SecureProgram.lower(model, recipe: recipe, calibration: calibration)
  }

  /// The rows that the program writes; gamma is one and beta zero.
  func evaluate(_ rows: [[Double]], capacity: Int? = nil) throws -> [[Double]] {
    let program = try program()
    let encoder = WeightEncoder(source: "test", weights: OnesAndZeros(model: model))
    let weights = try program.weights.map { try encoder.encode($0) }
    let batch = BatchSeeds(seed: Seed(bytes: [UInt8](repeating: 3, count: 32)))
    var simulator = RingSimulator(
      program: program, weights: weights,
      streams: (0...1).map { batch.streams(session: 0, party: $0) })
    let session = SessionShape(
      kind: model.kind, promptCapacity: capacity ?? rows.count,
      newCapacity: model.kind == .decoder ? 1 : 0)
    let scale = pow(2, Double(program.inputValue?.fractionalBits ?? 0))
    let words = simulator.step(
      SessionStep(session: session, rows: 0..<rows.count, index: 0),
      input: rows.flatMap { row in
        row.map { UInt64(bitPattern: Int64(($0 * scale).rounded())) }
      })
    let unit = pow(0.5, Double(program.outputValue?.fractionalBits ?? 0))
    let values = words.map { Double(Int64(bitPattern: $0)) * unit }
    let width = model.nodes.last?.width ?? 1
    return stride(from: 0, to: values.count, by: width).map { Array(values[$0..<$0 + width]) }
  }
}

/// Weights of the model that are 1 where their name says so, else 0.
private struct OnesAndZeros: WeightSource {
  let model: Model

  func weight(_ name: String) throws(InputError) -> [Float] {
    let count = model.weights.first { $0.name == name }?.elementCount ?? 0
    return [Float](repeating: name == "one" ? 1 : 0, count: count)
  }
}
