// Every family and head in fixed point and in two parties, against the same model in float.

import Approximation
import Bytes
import Foundation
import Models
import Program
import Sharing
import TestSupport
import Testing
import Validation

struct FamilySimulationTests {
  /// What needs something of its own in a secure program.
  static let runInParties = FamilyVector.all.filter {
    [
      "bloom", "gemma2", "gemma3", "qwen3-window", "llama-yarn", "olmo2", "opt-projected",
      "gpt-neox", "modernbert-classes", "mpnet-embedding-mean-unit", "t5-encoder-gated",
      "bert-classes", "electra-token-classes", "distilbert-masked",
    ].contains($0.name)
  }

  static func convert(_ vector: FamilyVector) throws -> ConvertedModel {
    // Ranges then cover what is run.
    try ConvertedModel(
      path: vector.folder.path, calibrationTexts: vector.texts,
      output: vector.head == "embedding" ? .embedding : nil)
  }

  /// Mean below 0.005 where outputs are of the order of 10, and in proportion elsewhere; 0.0035 against
  /// the graph whose functions are replaced in float, too, which leaves the rounding: a dozen numbers of
  /// the smallest heads scatter by a half around what 200 texts give on average, 0.0031.
  static func check(
    _ difference: LogitDifference, _ rounding: LogitDifference, largest: Float, _ name: String
  ) {
    let scale = max(Double(largest) / 10, 0.2)
    print("\(name): \(difference), rounding \(rounding), largest \(largest)")
    #expect(difference.mean < 0.005 * scale, "\(name)")
    #expect(difference.maximum < 0.05 * scale, "\(name)")
    #expect(rounding.mean < 0.0035 * scale, "\(name)")
  }

  @Test func indexIsThere() throws {
    #expect(try FamilyVector.read().count > 80)
    #expect(Self.runInParties.count == 14)
  }

  /// All texts of a vector in the exact simulator, token by token in decoders.
  @Test(arguments: FamilyVector.all) func everyFamilyAndHead(vector: FamilyVector) throws {
    let converted = try Self.convert(vector)
    let isDecoder = converted.program.kind == .decoder
    let meanings: [String: ModelOutput] = ["maskedLogits": .tokenLogits]
    #expect(
      converted.program.output.meaning == meanings[vector.head]
        ?? ModelOutput(rawValue: vector.head))
    let replaced = converted.interpreter.replacing(
      try FunctionTable(converted.loaded.model, recipe: .accurate))
    var (difference, rounding) = (LogitDifference(), LogitDifference())
    var largest: Float = 0
    for text in vector.texts {
      let session = SessionShape(
        kind: converted.program.kind, promptCapacity: isDecoder ? 1 : text.count,
        newCapacity: isDecoder ? text.count : 0)
      var simulator = RingSimulator(
        program: converted.program, weights: converted.weights,
        streams: (0...1).map { SimulatedRun.streams(party: $0) })
      let output = converted.decoded(
        simulator.step(.dealing(session), input: converted.oneHot(text)))
      let reference = try converted.interpreter.run(tokens: text).values
      difference.add(output, reference)
      rounding.add(output, try replaced.run(tokens: text).values)
      largest = reference.reduce(largest) { max($0, abs($1)) }
    }
    Self.check(difference, rounding, largest: largest, vector.name)
  }

  /// The simulator's words by two parties, at the cost that shapes tell.
  @Test(arguments: runInParties) func inTwoParties(vector: FamilyVector) throws {
    let converted = try Self.convert(vector)
    let text = Array((vector.texts.first { $0.count > 8 } ?? []).prefix(11))
    let isDecoder = converted.program.kind == .decoder
    let steps = isDecoder ? [Array(text[..<9]), [text[9]], [text[10]]] : [text]
    // A text may be shorter than the session.
    let session = SessionShape(
      kind: converted.program.kind, promptCapacity: isDecoder ? 10 : 13,
      newCapacity: isDecoder ? 3 : 0)
    let outputs = try SimulatedRun.compare(
      converted.program, converted.weights, session,
      steps: steps.map { (converted.oneHot($0), $0.count) }
    ).outputs
    // The simulator's words are within the bounds; these are near what they should be.
    let reference = try converted.interpreter.run(tokens: text)
    for (index, output) in outputs.enumerated() {
      var difference = LogitDifference()
      difference.add(
        converted.decoded(output),
        isDecoder ? reference.row(8 + index) : reference.values[...])
      #expect(difference.maximum < 0.1, "\(vector.name), step \(index)")
    }
  }
}
