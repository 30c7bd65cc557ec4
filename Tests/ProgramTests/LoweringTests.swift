// Lowering refuses what does not fit the ring, and names where.

import Approximation
import Bytes
import Models
import Program
import TestSupport
import Testing

struct LoweringTests {
  /// The error of lowering with one range widened.
  static func failure(
    _ checkpoint: TinyCheckpoint, node: String, _ quantity: ObservedQuantity = .output,
    to range: ClosedRange<Double>
  ) throws -> InputError? {
    let lowered = try Programs.lowered(checkpoint)
    var calibration = lowered.calibration
    calibration.include(range, node: node, quantity: quantity)
    return inputError {
      _ = try SecureProgram.lower(lowered.model, recipe: .accurate, calibration: calibration)
    }
  }

  @Test(arguments: [
    "layers.0.attention.value", "layers.0.attention.output", "layers.1.attentionResidual",
    "layers.0.feedForward.up", "layers.1.feedForward.down", "layers.1.feedForwardResidual",
    "logits", "embed",
  ])
  func rangesThatDoNotFitAreRefused(node: String) throws {
    let error = try #require(try Self.failure(.opt(), node: node, to: -1e17...1e17))
    #expect(error.source == "lowering")
    let layer = node.split(separator: ".").prefix(2).joined(separator: ".")
    #expect(error.place.hasPrefix(node) || error.place.hasPrefix(layer), "\(error)")
    #expect(error.cause.contains("ring"), "\(error)")
  }

  @Test(arguments: [true, false])
  func scoresThatDoNotFitAreRefused(isDecoder: Bool) throws {
    let error = try #require(
      try Self.failure(
        isDecoder ? .opt() : .bert(), node: "layers.1.attention", .scores, to: -1e12...1e12))
    #expect(error.place.hasPrefix("layers.1.attention."), "\(error)")
  }

  @Test func wideVarianceIsRefused() throws {
    let error = try #require(
      try Self.failure(
        .opt(), node: "layers.0.inputLayerNorm", .variance, to: 1e-9...1e16))
    #expect(error.place == "layers.0.inputLayerNorm", "\(error)")
  }

  /// Sums that only LayerNorms read come from weights without their means; no other weights do.
  @Test(arguments: [
    (TinyCheckpoint.opt(), true), (.gpt2(), true), (.llama(), false), (.bert(), false),
  ])
  func sumsOfLayerNormsLackTheirMean(checkpoint: TinyCheckpoint, isCentred: Bool) throws {
    let program = try Programs.lowered(checkpoint).program
    let centred = program.weights.filter { $0.source.isColumnCentred }.map(\.name)
    let layers = ["attention.output.weight", "feedForward.down.weight"]
    #expect(
      centred.sorted()
        == (isCentred ? (0...1).flatMap { layer in layers.map { "layers.\(layer).\($0)" } } : []))
    for name in program.weights.map(\.name) where name.hasSuffix(".bias") {
      let bias = program.weights.first { $0.name == name }
      #expect(bias?.source.isCentred == centred.contains(name.dropLast(4) + "weight"), "\(name)")
    }
    let embed = try #require(program.weights.first { $0.name == "embedTokens" })
    #expect(embed.source.isCentred == isCentred)
    // The sums are known in fewer bits than the ring has, and read so.
    if isCentred {
      let sums = program.nodes.filter { $0.label.hasSuffix("feedForwardResidual") }
      #expect(sums.count == 2)
      #expect(sums.allSatisfy { program.values[$0.outputs.lowerBound].ringBits < 64 })
    }
  }

  @Test func unseenNodesAreNamed() throws {
    let lowered = try Programs.lowered(.opt())
    let error = inputError {
      _ = try SecureProgram.lower(
        lowered.model, recipe: .accurate, calibration: Calibration())
    }
    #expect(error?.source == "calibration" && error?.place == "embed")
  }

  @Test func loweringIsDeterministic() throws {
    let first = try Programs.lowered(.bert())
    let second = try Programs.lowered(.bert())
    #expect(first.program == second.program)
    #expect(
      try SecureProgram.lower(
        first.model, recipe: Programs.withMaximum, calibration: first.calibration)
        == first.program)
  }
}
