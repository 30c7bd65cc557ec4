// The tables of tools/measure/README.md on what permuted values give away; slow, so only where LODGE_MEASURE is set.

import Approximation
import Bytes
import Foundation
import Models
import TestSupport
import Testing

/// `tools/measure/leakage` runs it.
@Suite(
  .serialized, .enabled(if: ProcessInfo.processInfo.environment["LODGE_MEASURE"] != nil))
struct LeakageMeasurement {
  private static let few = [256, 320, 512, 1024]

  private func recovery(_ recipe: String) throws -> WeightRecovery {
    var recovery = WeightRecovery(
      queries: Queries(try ConvertedModel.fixture(recipe: .named(recipe))))
    recovery.token = 100
    return recovery
  }

  private func show(_ what: String, _ results: [WeightRecovery.Result]) {
    let cells = results.map { result in
      "\(result.count): " + (result.error.map { String(format: "%.4f", $0) } ?? "too few")
    }
    print("\(what) | \(cells.joined(separator: ", "))")
  }

  @Test(arguments: ["permllm", "elements", "accurate"])
  func deviatingAtOutput(recipe: String) throws {
    show(
      "\(recipe), output matrix, deviating",
      try recovery(recipe).deviatingAtOutput(counts: Self.few, size: 1))
  }

  /// Rows that `elements` changes are not yet divided by their size, about 1/8.
  @Test(arguments: [("permllm", 1.0), ("elements", 0.125)])
  func deviating(recipe: String, scale: Double) throws {
    show(
      "\(recipe), first layer, deviating",
      try recovery(recipe).deviating(counts: Self.few, size: scale * 0x1p-10))
  }

  @Test func repeating() throws {
    show(
      "permllm, first layer, repeating",
      try recovery("permllm").repeating(counts: Self.few + [4096]))
  }

  @Test(arguments: ["permllm", "elements"]) func spans(recipe: String) throws {
    show(
      "\(recipe), span of the first layer, repeating",
      try recovery(recipe).repeatingWithoutInputs(counts: [512, 2048]))
  }

  @Test func spansUnderMasks() throws {
    show(
      "accurate, span of the first layer, repeating",
      try recovery("accurate").repeatingUnderMasks(counts: [512]))
  }

  @Test func answers() throws {
    show(
      "span of the output matrix, answers",
      try recovery("accurate").asking(tokens: Array(0..<1024), counts: Self.few))
  }

  @Test(arguments: ["permllm", "elements", "accurate"]) func tokens(recipe: String) throws {
    let matching = TokenMatching(
      converted: try ConvertedModel.fixture(recipe: .named(recipe)))
    let path = Repository.fixtures.appending(path: "opt-dickens-5m/calibration.json").path
    let prompts = try TokenFile.read(path).prefix(4).map { Array($0.prefix(8)) }
    for label in [
      "layers.0.inputLayerNorm", "layers.0.feedForward.activation", "layers.4.inputLayerNorm",
      "layers.4.feedForward.activation",
    ] {
      guard let place = matching.place(label) else { continue }
      var right = 0
      for (number, prompt) in prompts.enumerated() {
        right += zip(try matching.prompt(prompt, place, number: number), prompt)
          .count { $0 == $1 }
      }
      print("\(recipe), tokens at \(label) | \(right) of \(prompts.reduce(0) { $0 + $1.count })")
    }
  }

  /// Patterns of running blocks over a number of sessions of 256 tokens, of the gated fixture, with
  /// `noise` thousandths of the closed gates opened.
  @Test(arguments: [1, 4, 16], [0, 20, 100]) func blocks(sessions: Int, noise: Int) throws {
    let folder = Repository.fixtures.appending(path: "opt-dickens-gated").path
    let patterns = BlockPatterns(try FloatInterpreter(ModelLoader.load(path: folder)))
    let models = try #require(Repository.sharedModels)
    let path = models.appending(path: "opt-dickens-5m/reference/eval_ids.npy").path
    let array = try NPY.readIntegers(path)
    let windows = (0..<array.shape[0]).map { window in
      (0..<array.shape[1]).map { Int(array.values[window * array.shape[1] + $0]) }
    }
    var random = SplitMix(1)
    let texts = Repository.fixtures.appending(path: "opt-dickens-5m/calibration.json").path
    // How much noise there is the program tells.
    let own = BlockPatterns.noisy(
      try patterns.rows(TokenFile.read(texts)), noise: noise, &random)
    let seen = BlockPatterns.noisy(
      try patterns.rows(Array(windows.prefix(sessions))), noise: noise, &random)
    let read = BlockPatterns.noisy(
      try patterns.rows(Array(windows.suffix(4))), noise: noise, &random)
    let order = patterns.order(&random)
    let numbered = patterns.numbered(seen, order)
    let known = BlockPatterns.readTokens(of: patterns.numbered(read, order), known: numbered)
    let guess = patterns.aligned(seen: numbered, model: own)
    let running = order.indices.filter { place in numbered.contains { $0.bits[place] } }
    let right = running.count { guess[$0] == order[$0] }
    // What its own texts look like in numbers, as far as it has found them.
    var inverse = [Int](repeating: 0, count: order.count)
    for (place, block) in guess.enumerated() { inverse[block] = place }
    let translated = own.map { row in
      var bits = [Bool](repeating: false, count: order.count)
      for block in row.bits.indices where row.bits[block] { bits[inverse[block]] = true }
      return BlockPatterns.Row(token: row.token, bits: bits)
    }
    let byModel = BlockPatterns.readTokens(of: patterns.numbered(read, order), known: translated)
    print(
      "blocks, \(sessions) sessions, noise \(noise) | numbers found \(right) of \(running.count), "
        + String(format: "tokens read %.3f by known prompts, %.3f by the model", known, byModel))
  }
}
