// Limits on the figures of an evaluation.

import Bytes
import Sharing
import TestSupport
import Testing
import Validation

struct ThresholdTests {
  static let decoder = Result { try EvaluatorTests.evaluate(.tiny(.opt())).result }
  static let encoder = Result { try EvaluatorTests.evaluate(.tiny(.bert())).result }

  static func thresholds(_ limits: [Criterion: Double]) -> Thresholds {
    var result = Thresholds()
    result.limits = limits
    return result
  }

  @Test func limitsAreKeptOrMissed() throws {
    let result = try Self.decoder.get()
    let kept = Self.thresholds([
      .maxPerplexityIncrease: 0.01, .minTop1: 0.5, .minTop5: 0.5, .maxMeanDivergence: 0.1,
      .maxMeanLogitError: 0.1, .maxLogitError: 1, .maxFixedPointError: 0.1, .minHeadroomBits: 1,
      .maxOutsideShare: 0,
    ])
    #expect(try kept.misses(of: result).isEmpty)
    let missed = Self.thresholds([
      .maxMeanLogitError: 1e-9, .minTop1: 0.5, .minHeadroomBits: 62, .maxLogitError: 1e-9,
    ])
    let misses = try missed.misses(of: result)
    #expect(misses.map(\.criterion) == [.maxMeanLogitError, .maxLogitError, .minHeadroomBits])
    #expect(misses.last?.text.contains("headroom in bits is ") == true)
    #expect(misses.last?.text.contains(", at least 62.00 is required") == true)
  }

  @Test func encodersHaveFiguresOfTheirOwn() throws {
    let result = try Self.encoder.get()
    #expect(try Self.thresholds([.minCosine: 0.999]).misses(of: result).isEmpty)
    #expect(try Self.thresholds([.minCosine: 1]).misses(of: result).count == 1)
    for criterion in [Criterion.maxPerplexityIncrease, .minTop1, .minSpearman, .maxSpearmanDrop] {
      #expect(throws: InputError.self) {
        try Self.thresholds([criterion: 0.5]).misses(of: result)
      }
    }
    #expect(throws: InputError.self) {
      try Self.thresholds([.minCosine: 0.5]).misses(of: Self.decoder.get())
    }
  }

  @Test func readsFiles() throws {
    let folder = try ScratchFolder()
    let path = try folder.write(
      "{\"maxPerplexityIncrease\": 0.005, \"minTop1\": 1}".utf8, to: "limits.json")
    #expect(
      try Thresholds(path: path).limits == [.maxPerplexityIncrease: 0.005, .minTop1: 1])
  }

  @Test(arguments: [
    ("{\"maxPerplexity\": 3}", "maxPerplexity: unknown key"),
    ("{\"minTop1\": \"1\"}", "minTop1: expected a number"),
    ("{\"minTop1\": 1.5}", "minTop1: 1.5 is outside 0.0...1.0"),
    ("{\"minTop1\": 1, \"minTop1\": 1}", "minTop1"), ("[]", "expected a JSON object"),
  ]) func refusesFiles(text: String, cause: String) throws {
    let folder = try ScratchFolder()
    let path = try folder.write(text.utf8, to: "limits.json")
    let error = #expect(throws: InputError.self) { try Thresholds(path: path) }
    #expect(error?.description.contains(cause) == true, "\(String(describing: error))")
  }

  @Test func optionsAreNamedLikeKeys() {
    #expect(Criterion.maxPerplexityIncrease.option == "max-perplexity-increase")
    #expect(Criterion.minTop1.option == "min-top1")
    #expect(Set(Criterion.allCases.map(\.help)).count == Criterion.allCases.count)
  }
}
