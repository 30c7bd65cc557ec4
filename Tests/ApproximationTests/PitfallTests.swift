// Mistakes of earlier systems, section 0 of the reference digest: each naive form fails here.

import Approximation
import Bytes
import Foundation
import Models
import TestSupport
import Testing

struct PitfallTests {
  static func apply(_ form: SoftmaxForm, _ row: [Double]) -> [Double] {
    var row = row
    form.apply(&row)
    return row
  }

  /// Pitfall 2: the naive limit exponential is 244 at -70, where exp is nothing.
  @Test func limitIsClippedBeforeItExplodes() throws {
    func naive(_ x: Double, _ squarings: Int) -> Double {
      pow(1 + x / pow(2, Double(squarings)), pow(2, Double(squarings)))
    }
    #expect(naive(-70, 5) > 240)
    let form = try PublishedErrorTests.softmax(LimitSoftmax())
    for score in [(-14.0).nextDown, -33, -70, -600, -10_000] { #expect(form.weight(score) == 0) }
    #expect(Self.apply(form, [0, -10_000, -70]) == [1, 0, 0])
    // A recipe cannot move the clip to where the limit turns.
    let error = inputError {
      _ = try Recipe(
        json: ["name": "a", "softmax": ["replacement": "limit", "squarings": 4, "clip": -17]],
        source: "a.json")
    }
    #expect(error?.place == "softmax.clip")
  }

  /// Pitfall 4: the clip is a distance from the maximum, not a score.
  @Test func clipComesAfterTheMaximum() throws {
    let form = try PublishedErrorTests.softmax(LimitSoftmax())
    let row = Self.apply(form, [-30, -31, -50])
    #expect(abs(row[0] - 1 / (1 + exp(-1))) < 0.01)
    #expect(row[1] > 0.25 && row[2] == 0)
  }

  /// Pitfall 3: PUMA's polynomial is 0.0199 away at its knot, more than the paper states.
  @Test func pumaErrsMoreThanItStates() throws {
    let function = try PublishedErrorTests.function(PUMAActivation(), .gelu)
    #expect(abs(function(3) - 3.01587) < 1e-5)
    #expect(abs(function(3) - Activation.gelu.function(3)) > 0.01403)
    #expect(function(3.0.nextUp.nextUp) == 3.0.nextUp.nextUp)
  }

  /// Pitfall 5: the training form, not the benchmark form.
  @Test func quadIsTheTrainingForm() throws {
    let function = try PublishedErrorTests.function(QuadActivation(), .gelu)
    for x in [-5.0, -1, 0, 0.5, 3] {
      #expect(function(x) == 0.125 * x * x + 0.25 * x + 0.5)
      #expect(abs(function(x) - (0.125 * x * x + 0.5 * x + 0.25)) == abs(0.25 - 0.25 * x))
    }
  }

  /// Pitfall 6: a row whose scores are all negative has no weight; it is not 0/0.
  @Test func rowsWithoutPositiveScores() throws {
    let form = try PublishedErrorTests.softmax(ReLUSoftmax(epsilon: 0x1p-16))
    #expect(Self.apply(form, [-1, -3, 0]) == [0, 0, 0])
    #expect((0 / 0.0).isNaN)
    #expect(abs(Self.apply(form, [1, -3, 3])[2] - 0.75) < 1e-5)
    for replacement in [
      TwoQuadSoftmax(scale: 64) as any Replacement, PowerSoftmax(exponent: 4, scale: 16),
    ] {
      let form = try PublishedErrorTests.softmax(replacement)
      let zero = replacement is PowerSoftmax ? 0.0 : -5
      #expect(Self.apply(form, [zero, zero]) == [0, 0])
    }
    // A recipe cannot leave epsilon out where no maximum is subtracted.
    var json = form.json.setting(["epsilon"], to: nil)
    json = json.setting(["replacement"], to: "piecewise")
    let error = inputError { _ = try Recipe(json: ["name": "a", "softmax": json], source: "a") }
    #expect(error?.place == "softmax.epsilon")
  }

  /// Pitfall 7: (s + 5)^2 of an additive mask of -10000 takes the whole row.
  @Test func twoQuadTakesNoAdditiveMask() throws {
    let form = try PublishedErrorTests.softmax(TwoQuadSoftmax(scale: 64))
    let masked = Self.apply(form, [2, 1, -10_000])
    #expect(masked[2] > 0.9999)
    // Keys that are not allowed are no part of the row.
    let allowed = Self.apply(form, [2, 1])
    #expect(abs(allowed[0] - 49.0 / 85) < 1e-4 && abs(allowed[1] - 36.0 / 85) < 1e-4)
  }

  /// Pitfall 8: BOLT's constants are right as 0.5 x + P(|x|), and wrong with ReLU added.
  @Test func boltIsNotAddedToReLU() throws {
    let function = try PublishedErrorTests.function(BOLTActivation(), .gelu)
    let reference = try ReferenceValues("gelu")
    #expect(reference.largestError(on: -2.7...2.7) { function($0) }.error < 0.0094)
    let naive = reference.largestError(on: -2.7...2.7) { function($0) - $0 / 2 + max($0, 0) }
    #expect(naive.error > 1)
    // Motzkin's form and the monomials are the same polynomial.
    for step in 0...27 {
      let a = Double(step) / 10
      let u = 0.14439048359960427 * a
      let z = (u - 0.7077117131613893) * a + 4.5702822654246535
      let motzkin = (z + u - 8.15444702051307) * z + 16.382265425072532
      #expect(abs(function(a) - a / 2 - motzkin) < 1e-12 || a >= 2.7)
    }
  }
}
