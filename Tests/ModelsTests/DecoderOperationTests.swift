// Rotary positions, RMSNorm, grouped-query attention and SwiGLU against plain formulas.

import Bytes
import Foundation
import Models
import TestSupport
import Testing

@Suite struct DecoderOperationTests {
  /// Weights by name; the embedding hands the rows of "rows" to the graph, token i being row i.
  private struct Weights: WeightSource {
    var values: [String: [Float]]

    func weight(_ name: String) throws(InputError) -> [Float] {
      guard let values = values[name] else { throw InputError("test", place: name, "is absent") }
      return values
    }
  }

  /// Outputs and observations of `nodes` on three rows of `width` numbers.
  private func run(
    width: Int, _ nodes: [ModelNode], vectors: [String: [Float]] = [:]
  ) throws -> [String: [Observation: [Double]]] {
    let rows = (0..<3 * width).map { Float(sin(Double($0) * 1.7)) }
    var weights = vectors
    weights["rows"] = rows
    let model = Model(
      family: "test", kind: .decoder, vocabularySize: 3, maximumPositions: 3,
      nodes: [
        ModelNode(
          name: "rows",
          operation: .embed(tokens: "rows", positions: nil, positionOffset: 0, segments: nil),
          width: width)
      ] + nodes,
      weights: [WeightShape(name: "rows", shape: [3, width])]
        + vectors.map { WeightShape(name: $0.key, shape: [$0.value.count]) })
    var seen: [String: [Observation: [Double]]] = [:]
    _ = try FloatInterpreter(model, weights: Weights(values: weights)).run(tokens: [0, 1, 2]) {
      seen[model.nodes[$0].name, default: [:]][$1] = $2.map(Double.init)
    }
    #expect(seen["rows"]?[.output] == rows.map(Double.init))
    return seen
  }

  private func difference(_ left: [Double], _ right: [Double]) -> Double {
    #expect(left.count == right.count)
    return zip(left, right).reduce(0) { max($0, abs($1.0 - $1.1)) }
  }

  /// Two heads of 6, of which 4 elements turn: pairs as complex numbers.
  @Test(arguments: [RotaryLayout.halves, .pairs]) func turnsPairs(layout: RotaryLayout) throws {
    let seen = try run(
      width: 12,
      [
        ModelNode(
          name: "rotary",
          operation: .rotary(
            0, headCount: 2, RotaryPositions(base: 100, dimensions: 4, layout: layout)), width: 12)
      ])
    let input = try #require(seen["rows"]?[.output])
    var expected = input
    for position in 0..<3 {
      for head in 0..<2 {
        for pair in 0..<2 {
          let start = position * 12 + head * 6
          let (first, second) = layout == .halves ? (pair, pair + 2) : (2 * pair, 2 * pair + 1)
          let radius = hypot(input[start + first], input[start + second])
          // The speeds are 100^0 and 100^(-1/2).
          let angle =
            atan2(input[start + second], input[start + first])
            + Double(position) * (pair == 0 ? 1 : 0.1)
          expected[start + first] = radius * cos(angle)
          expected[start + second] = radius * sin(angle)
        }
      }
    }
    #expect(difference(try #require(seen["rotary"]?[.output]), expected) < 1e-6)
  }

  @Test func normalisesByTheMeanSquare() throws {
    let gamma = (0..<5).map { Float($0) - 1.5 }
    let seen = try run(
      width: 5,
      [
        ModelNode(
          name: "norm", operation: .rmsNorm(0, Normalisation(gamma: "gamma", epsilon: 0.25)),
          width: 5)
      ], vectors: ["gamma": gamma])
    let input = try #require(seen["rows"]?[.output])
    let found = try #require(seen["norm"])
    #expect(Set(found.keys) == [.output, .variance])
    for row in 0..<3 {
      let elements = input[row * 5..<row * 5 + 5]
      let meanSquare = elements.reduce(0) { $0 + $1 * $1 } / 5
      #expect(abs(try #require(found[.variance])[row] - meanSquare) < 1e-6)
      let expected = zip(elements, gamma).map { $0 * Double($1) / (meanSquare + 0.25).squareRoot() }
      #expect(
        difference(Array(try #require(found[.output])[row * 5..<row * 5 + 5]), expected) < 1e-6)
    }
  }

  /// Four query heads that read two key heads give what four key heads give, each standing twice.
  @Test func groupsQueryHeads() throws {
    let double = (0..<8).flatMap { row in
      // Heads of 2: query head h = row / 2 reads key head h / 2.
      (0..<4).map { Float(row / 4 * 2 + row % 2 == $0 ? 1 : 0) }
    }
    let keep = (0..<4).flatMap { row in (0..<8).map { Float($0 == 2 * row ? 1 : 0) } }
    let shared = try runAttention(keep: keep, repeated: nil)
    let repeated = try runAttention(keep: keep, repeated: double)
    #expect(difference(shared, repeated) < 1e-6)
    #expect(shared.contains { abs($0) > 0.1 })
  }

  private func runAttention(keep: [Float], repeated: [Float]?) throws -> [Double] {
    let rows = (0..<24).map { Float(sin(Double($0) * 1.7)) }
    var nodes = [
      ModelNode(
        name: "rows",
        operation: .embed(tokens: "rows", positions: nil, positionOffset: 0, segments: nil),
        width: 8),
      ModelNode(name: "key", operation: .linear(0, weight: "keep", bias: nil), width: 4),
    ]
    var weights = [
      WeightShape(name: "rows", shape: [3, 8]), WeightShape(name: "keep", shape: [4, 8]),
    ]
    if repeated != nil {
      nodes.append(
        ModelNode(name: "twice", operation: .linear(1, weight: "double", bias: nil), width: 8))
      weights.append(WeightShape(name: "double", shape: [8, 4]))
    }
    let key = nodes.count - 1
    nodes.append(
      ModelNode(
        name: "attention",
        operation: .attention(
          query: 0, key: key, value: key,
          AttentionSettings(
            headCount: 4, keyHeadCount: repeated == nil ? 2 : 4, scale: 0.7)), width: 8))
    let model = Model(
      family: "test", kind: .decoder, vocabularySize: 3, maximumPositions: 3, nodes: nodes,
      weights: weights)
    let source = Weights(values: ["rows": rows, "keep": keep, "double": repeated ?? []])
    return try FloatInterpreter(model, weights: source).run(tokens: [0, 1, 2]).values.map(
      Double.init)
  }

  @Test func multipliesElements() throws {
    let seen = try run(
      width: 4,
      [
        ModelNode(name: "silu", operation: .activation(0, .silu), width: 4),
        ModelNode(name: "product", operation: .multiply(1, 0), width: 4),
      ])
    let input = try #require(seen["rows"]?[.output])
    let expected = input.map { $0 * $0 / (1 + exp(-$0)) }
    #expect(difference(try #require(seen["product"]?[.output]), expected) < 1e-6)
  }

  @Test func exactActivations() {
    let silu = Activation.silu.function
    for (x, expected) in [
      (0.0, 0.0), (1.0, 0.731058578630005), (-2.0, -0.238405844044235), (-800.0, 0.0),
    ] { #expect(abs(silu(x) - expected) < 1e-14) }
    // Close to the exact GELU, and not it.
    let tanh = Activation.geluTanh.function
    for (x, expected) in [
      (0.0, 0.0), (1.0, 0.841191990608276), (-1.0, -0.158808009391724), (3.0, 2.99636260791823),
    ] { #expect(abs(tanh(x) - expected) < 1e-13) }
  }
}
