// Fits to calibrated inputs: within their targets, certified, and better than what is published.

import Approximation
import Bytes
import Foundation
import Models
import TestSupport
import Testing

struct FittedTests {
  /// Inputs as feed-forward layers have them: mostly negative, with a long tail.
  static let inputs = InputDensity(
    samples: (0..<20_000).map { index in
      let u = (Double(index) * 0.618_033_988_749_895).truncatingRemainder(dividingBy: 1)
      let v = (Double(index) * 0.754_877_666_246_693).truncatingRemainder(dividingBy: 1)
      let normal = (-2 * log(max(u, 1e-9))).squareRoot() * cos(2 * .pi * v)
      return normal * 1.3 - 0.7
    })

  /// Scores less the maximum of rows of 64 normal scores.
  static func scores(spread: Double) -> InputDensity {
    var samples: [Double] = []
    for row in 0..<400 {
      let normal = (0..<64).map { column -> Double in
        let index = Double(row * 64 + column)
        let u = (index * 0.618_033_988_749_895).truncatingRemainder(dividingBy: 1)
        let v = (index * 0.754_877_666_246_693).truncatingRemainder(dividingBy: 1)
        return (-2 * log(max(u, 1e-9))).squareRoot() * cos(2 * .pi * v) * spread
      }
      let largest = normal.max() ?? 0
      samples += normal.map { $0 - largest }
    }
    return InputDensity(samples: samples)
  }

  static func node(
    _ operationClass: OperationClass, inputs: InputDensity, keyCount: Int = 1,
    cost: @escaping @Sendable (ReplacementForm) -> Double
  ) -> NodeStatistics {
    NodeStatistics(
      name: "node", site: ReplacementSite(operationClass, keyCount: keyCount), inputs: inputs,
      centredScores: operationClass == .softmax ? inputs : nil, headroom: 4, fractionalBits: 16,
      cost: { (form) throws(InputError) in cost(form) })
  }

  /// Fewer pieces, or lower degrees: the two ends of what fits may look like.
  static let costs: [@Sendable (ReplacementForm) -> Double] = [
    { form in
      guard case .activation(let function) = form else { return 0 }
      return Double(function.pieces.count)
    },
    { form in
      guard case .activation(let function) = form else { return 0 }
      return Double(function.pieces.map(\.degree).max() ?? 0)
    },
  ]

  @Test(arguments: [OperationClass.gelu, .geluTanh, .silu], [0, 1])
  func activationsKeepTheirTargets(operationClass: OperationClass, costIndex: Int) throws {
    let node = Self.node(operationClass, inputs: Self.inputs, cost: Self.costs[costIndex])
    let fitted = FittedActivation()
    let result = try #require(try fitted.resolved(for: node) as? PiecewiseActivation)
    let certified = try #require(result.maximumError)
    #expect(certified <= fitted.maximumError)
    // The certificate holds at every point of the reference, and is no idle claim.
    let reference = try ReferenceValues(operationClass.rawValue)
    let seen = reference.largestError(on: -12...12) { result.function($0) }.error
    #expect(seen <= certified && certified < 2 * seen, "\(seen) of \(certified)")
    // And on the other side of a knot that comparisons may take.
    let wrong = reference.largestError(on: -12...12) { x in
      let signed = result.function.signed
      let knots = signed.knots.filter { $0 > x && $0 - x < result.function.resolution }
      guard let knot = knots.last, let index = signed.knots.firstIndex(of: knot) else {
        return result.function(x)
      }
      return signed.pieces[index + 1](x)
    }
    #expect(wrong.error <= certified, "\(wrong)")
    let error = ReplacementError(.activation(result.function), at: node, tableTolerance: 0)
    #expect(error.mean < fitted.rootMeanSquareError * 1.1, "\(error)")
    let published: [any Replacement] = [
      ReLUActivation(), PUMAActivation(), BumbleBeeActivation(), BOLTActivation(), QuadActivation(),
    ]
    for other in published where type(of: other).classes.contains(operationClass) {
      let form = try PublishedErrorTests.function(other, operationClass)
      let theirs = ReplacementError(.activation(form), at: node, tableTolerance: 0)
      #expect(error.maximum < theirs.maximum, "\(type(of: other).name)")
      #expect(error.mean < theirs.mean, "\(type(of: other).name)")
    }
    #expect(
      try fitted.resolved(for: node).parameters == result.parameters, "fits are deterministic")
  }

  /// Pieces stand where inputs are: narrower inputs need fewer of them.
  @Test func knotsFollowTheInputs() throws {
    let narrow = InputDensity(samples: (0...999).map { 0.5 + Double($0) / 2000 })
    var counts: [Int] = []
    for inputs in [narrow, InputDensity(uniformOn: -4...4)] {
      let node = Self.node(.gelu, inputs: inputs, cost: Self.costs[1])
      let result = try #require(try FittedActivation().resolved(for: node) as? PiecewiseActivation)
      counts.append(result.function.pieces.count)
      #expect(result.function.pieces.allSatisfy { $0.degree <= 1 })
    }
    #expect(counts[0] < counts[1], "\(counts)")
  }

  @Test(arguments: [1.0, 2, 4])
  func exponentialsKeepTheirTargets(spread: Double) throws {
    let density = Self.scores(spread: spread)
    let fitted = FittedSoftmax()
    for prefersLines in [true, false] {
      let node = Self.node(.softmax, inputs: density, keyCount: 256) { form in
        guard case .softmax(let softmax) = form, case .piecewise(let kernel) = softmax.kernel,
          kernel.pieces.allSatisfy({ $0.degree <= 1 })
        else { return prefersLines ? 1 : 0 }
        return prefersLines ? 0 : 1
      }
      let result = try #require(try fitted.resolved(for: node) as? PiecewiseSoftmax)
      let certified = try #require(result.maximumError)
      #expect(certified <= fitted.maximumError)
      let reference = try ReferenceValues("exponential")
      let seen = reference.largestError(on: -16...0.5) { result.softmax.weight($0) }.error
      #expect(seen <= certified, "\(seen) of \(certified)")
      #expect(result.softmax.weight(-100) < 0x1p-100)
      let error = ReplacementError(.softmax(result.softmax), at: node, tableTolerance: 0)
      for other in [LimitSoftmax(), BOLTSoftmax()] as [any Replacement] {
        let form = try PublishedErrorTests.softmax(other)
        let theirs = ReplacementError(.softmax(form), at: node, tableTolerance: 0)
        #expect(error.maximum < theirs.maximum && error.mean < theirs.mean)
      }
    }
  }

  @Test func impossibleTargetsAreRefused() throws {
    let node = Self.node(.silu, inputs: Self.inputs) { _ in 0 }
    let error = try #require(
      inputError {
        _ = try FittedActivation(maximumError: 0x1p-14, rootMeanSquareError: 1e-14)
          .resolved(for: node)
      })
    #expect(error.place == "node" && error.hint.contains("maximumError"))
  }

  @Test func reluNeedsNoFit() throws {
    let node = Self.node(.relu, inputs: Self.inputs) { _ in 0 }
    #expect(try FittedActivation().resolved(for: node) is ReLUActivation)
  }
}
