// How many fractional bits are taken, and what a recipe may say of them.

import Approximation
import Bytes
import Models
import Program
import TestSupport
import Testing
import Validation

@Suite struct PrecisionPlanTests {
  private static func plan(_ recipe: Recipe) throws -> PrecisionPlan {
    let folder = try ScratchFolder()
    let loaded = try ModelLoader.load(path: TinyCheckpoint.opt().write(to: folder))
    var calibration = try Calibration.observe(
      FloatInterpreter(loaded), texts: ScaleTests.texts, source: "texts")
    try calibration.measureWeights(of: loaded.model, loaded)
    return try PrecisionPlan(
      loaded.model, recipe: recipe, calibration: calibration,
      weights: CostWeights(roundTripSeconds: 0.01, bitsPerSecond: 1e9))
  }

  /// Of a range the number that costs least is taken, a bit less only where it saves; the program is
  /// that of the recipe.
  @Test func theCheapestIsTaken() throws {
    let plan = try Self.plan(.accurate)
    #expect(plan.candidates.map(\.fractionalBits) == [16, 15, 14])
    let taken = try #require(
      plan.candidates.first { $0.fractionalBits == plan.recipe.fractionalBits })
    #expect(plan.recipe.leastFractionalBits == taken.fractionalBits)
    for candidate in plan.candidates {
      #expect(
        taken.seconds + taken.deliverySeconds
          <= (candidate.seconds + candidate.deliverySeconds) * 1.003)
      // With more bits one that costs as much would have been taken.
      if candidate.fractionalBits > taken.fractionalBits {
        #expect(taken.seconds < candidate.seconds)
      }
    }
    var exact = Recipe.accurate
    exact.fractionalBits = taken.fractionalBits
    let alone = try Self.plan(exact)
    #expect(alone.candidates.isEmpty && alone.program == plan.program)
  }

  /// Fewer bits are taken where they save time, and for less that is dealt alone where comparisons are
  /// not made by keys: who chooses that wants less to be dealt.
  @Test func whatFewerBitsMustSave() {
    func candidate(_ dealt: Int, _ seconds: Double, delivery: Double = 0)
      -> PrecisionPlan.Candidate
    {
      PrecisionPlan.Candidate(
        fractionalBits: 14, flightCount: 94, openedByteCount: 230_000, dealtByteCount: dealt,
        seconds: seconds, deliverySeconds: delivery)
    }
    let old = candidate(1000, 1)
    for comparison in [Recipe.Comparison.keys, .bits, .lookups] {
      let isForLess = comparison != .keys
      for (dealt, seconds, isTaken) in [
        (1000, 0.997, true), (2000, 0.997, true), (1000, 0.998, false),
        (980, 1, isForLess), (981, 1, false), (500, 1.0001, false), (970, 0.998, isForLess),
      ] {
        #expect(
          candidate(dealt, seconds).isBetter(than: old, comparison: comparison) == isTaken,
          "\(comparison) \(dealt) \(seconds)")
      }
      // What is not dealt need not be sent.
      let large = candidate(1000, 1, delivery: 0.25)
      #expect(candidate(990, 1, delivery: 0.24).isBetter(than: large, comparison: comparison))
      #expect(!candidate(990, 1, delivery: 0.249).isBetter(than: large, comparison: comparison))
    }
  }

  /// The report shows what each number would cost, and says nothing where one was stated.
  @Test func theReportShowsThem() throws {
    func lines(_ recipe: Recipe) throws -> [Substring] {
      try NumbersModel(.opt(), texts: ScaleTests.texts, recipe: recipe).approximated.report.document
        .text(.plain).split(separator: "\n")
    }
    let planned = try lines(.accurate)
    let head = try #require(planned.firstIndex { $0.hasPrefix("fractional bits  token flights") })
    let rows = planned[(head + 2)..<(head + 5)]
    #expect(rows.map { $0.split(separator: " ").first } == ["16", "15", "14"])
    #expect(rows.count { $0.hasSuffix("taken") } == 1)
    #expect(!planned.contains { $0.contains("TextTable") })
    #expect(try !lines(.accurate.exact).contains { $0.contains("token flights") })
  }

  /// A number leaves nothing to plan, two are the fewest and the most, and both are written again.
  @Test func recipesStateThem() throws {
    func recipe(_ json: JSON) throws -> Recipe {
      try Recipe(json: ["name": "a", "fractionalBits": json], source: "a.json")
    }
    let (one, two) = (try recipe(13), try recipe([12, 15]))
    #expect(one.fractionalBits == 13 && one.leastFractionalBits == 13)
    #expect(two.fractionalBits == 15 && two.leastFractionalBits == 12)
    for recipe in [one, two, .accurate, .accurate.exact] {
      #expect(try Recipe(json: recipe.json, source: "again") == recipe)
    }
    #expect(Recipe.accurate.exact.leastFractionalBits == 16)
    for wrong: JSON in [7, 21, [14], [16, 14], [14, 15, 16], [7, 16], 16.0, "16", [14, 16.0]] {
      let error = try #require(inputError { _ = try recipe(wrong) })
      #expect(error.place == "fractionalBits", "\(wrong)")
    }
  }
}
