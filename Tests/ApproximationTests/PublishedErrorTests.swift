// Every replacement against functions computed to 30 digits, at its documented error.

import Approximation
import Foundation
import Models
import TestSupport
import Testing

struct PublishedErrorTests {
  /// The function of a replacement for an activation.
  static func function(_ replacement: some Replacement, _ operationClass: OperationClass) throws
    -> PiecewisePolynomial
  {
    guard case .activation(let function)? = replacement.form(at: ReplacementSite(operationClass))
    else { throw CancellationError() }
    return function
  }

  static func softmax(_ replacement: some Replacement, keyCount: Int = 256) throws -> SoftmaxForm {
    guard
      case .softmax(let form)? = replacement.form(
        at: ReplacementSite(.softmax, keyCount: keyCount))
    else { throw CancellationError() }
    return form
  }

  struct Case: Sendable {
    var replacement: any Replacement
    var operationClass: OperationClass
    var interval: ClosedRange<Double>
    var error: Double
    var place: Double
  }

  /// Section 1.1, 1.2 and 6 of the reference digest.
  @Test(arguments: [
    Case(
      replacement: ReLUActivation(), operationClass: .gelu, interval: -12...12, error: 0.16997,
      place: 0.7518),
    Case(
      replacement: ReLUActivation(), operationClass: .silu, interval: -12...12, error: 0.2785,
      place: -1.2785),
    Case(
      replacement: QuadActivation(), operationClass: .gelu, interval: -5...5, error: 2.375,
      place: -5),
    Case(
      replacement: QuadActivation(), operationClass: .gelu, interval: -2...2, error: 0.561,
      place: 0),
    Case(
      replacement: PUMAActivation(), operationClass: .gelu, interval: -12...12, error: 0.01991,
      place: 3),
    Case(
      replacement: PUMAActivation(), operationClass: .geluTanh, interval: -12...12, error: 0.0195,
      place: 3),
    Case(
      replacement: PUMAActivation(), operationClass: .silu, interval: -12...12, error: 0.0719,
      place: 4),
    Case(
      replacement: BumbleBeeActivation(), operationClass: .gelu, interval: -12...12,
      error: 0.00522, place: -3),
    Case(
      replacement: BumbleBeeActivation(), operationClass: .silu, interval: -12...12,
      error: 0.0099, place: 8),
    Case(
      replacement: BOLTActivation(), operationClass: .gelu, interval: -12...12, error: 0.00936,
      place: 2.7),
    Case(
      replacement: MinimaxActivation(degree: 6, limit: 3.5), operationClass: .gelu,
      interval: -12...12, error: 8.15e-4, place: 3.5),
    Case(
      replacement: MinimaxActivation(degree: 8, limit: 10), operationClass: .silu,
      interval: -12...12, error: 1.42e-3, place: 0),
    Case(
      replacement: MinimaxActivation(degree: 5, limit: 3), operationClass: .gelu,
      interval: -12...12, error: 0.00405, place: 3),
  ])
  func activationsHaveTheirDocumentedError(test: Case) throws {
    let function = try Self.function(test.replacement, test.operationClass)
    let reference = try ReferenceValues(test.operationClass.rawValue)
    let (error, place) = reference.largestError(on: test.interval) { function($0) }
    #expect(abs(error - test.error) <= 0.01 * test.error, "\(test.replacement): \(error)")
    if test.place != 0 {
      // Even parts err on both sides alike.
      #expect(abs(abs(place) - abs(test.place)) < 0.05, "\(test.replacement): at \(place)")
    }
  }

  @Test func meanErrorsAreTheDocumentedOnes() throws {
    let reference = try ReferenceValues("gelu")
    let documented: [(any Replacement, Double)] = [
      (ReLUActivation(), 0.0500), (QuadActivation(), 0.684), (PUMAActivation(), 0.00286),
      (BumbleBeeActivation(), 0.00101), (BOLTActivation(), 0.00118),
    ]
    for (replacement, mean) in documented {
      let function = try Self.function(replacement, .gelu)
      let found = reference.meanError(on: -5...5) { function($0) }
      #expect(abs(found - mean) < 0.02 * mean, "\(replacement): \(found)")
    }
  }

  /// Section 1.3; the weights of the softmax forms before the division.
  @Test func exponentialsHaveTheirDocumentedError() throws {
    let reference = try ReferenceValues("exponential")
    func error(_ form: SoftmaxForm, on interval: ClosedRange<Double> = -16...0) -> Double {
      reference.largestError(on: interval) { form.weight($0) }.error
    }
    for (squarings, documented) in [(4, 0.0173), (5, 0.00855), (6, 0.00425), (7, 0.00212)] {
      let clip = max(-14, -pow(2, Double(squarings)))
      let found = error(try Self.softmax(LimitSoftmax(squarings: squarings, clip: clip)))
      #expect(abs(found - documented) < 0.01 * documented, "t = \(squarings): \(found)")
    }
    let bolt = error(try Self.softmax(BOLTSoftmax()))
    #expect(abs(bolt - 0.00213) < 3e-5, "\(bolt)")
    // 16 times the polynomial's error, on scores up to what a missed maximum leaves above zero.
    let minimax = error(try Self.softmax(MinimaxSoftmax()), on: -16...0.5)
    #expect(minimax < 2.5e-4, "\(minimax)")
  }

  /// What the exponential of the recipe `accurate` is before its squarings.
  @Test func polynomialOfTheAccurateExponential() throws {
    guard case .piecewise(let kernel) = try Self.softmax(MinimaxSoftmax()).kernel else {
      throw CancellationError()
    }
    for (x, _) in try ReferenceValues("exponential").points where (-14...0.5).contains(x) {
      #expect(abs(kernel(x) - exp(x / 16)) < 7.5e-6)
    }
  }

  @Test func floatFunctionsAgreeWithTheReference() throws {
    for activation in [Activation.gelu, .geluTanh, .silu] {
      let reference = try ReferenceValues(activation.rawValue)
      let error = reference.largestError(on: -12...12, activation.function).error
      #expect(error < 1e-12, "\(activation): \(error)")
      let even = try #require(ReferenceFunctions.evenPart(activation))
      #expect(reference.largestError(on: -12...12) { $0 / 2 + even(abs($0)) }.error < 1e-12)
    }
  }

  /// The bounds that certified errors rest on hold for second differences of the references.
  @Test func curvaturesAreBounded() throws {
    for activation in [Activation.gelu, .geluTanh, .silu] {
      let step = 1.0 / 128
      let grid = (-1536...1536).map { activation.function(Double($0) * step) }
      let largest = (1..<grid.count - 1).reduce(0.0) {
        max($0, abs(grid[$1 - 1] - 2 * grid[$1] + grid[$1 + 1]) / (step * step))
      }
      let bound = ReferenceFunctions.curvatureBound(activation)
      #expect(largest <= bound && largest > 0.95 * bound, "\(activation): \(largest)")
    }
  }
}
