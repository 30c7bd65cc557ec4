// What stands for softmax, as data: a weight of each score, and a division by the row's sum.

public import Bytes
import Foundation

/// The function of a score before squarings.
public enum ScoreKernel: Equatable, Sendable {
  case piecewise(PiecewisePolynomial)
  case scaled(ScaledPieces)
  /// exp itself.
  case exponential

  public func callAsFunction(_ x: Double) -> Double {
    switch self {
    case .piecewise(let function): function(x)
    case .scaled(let function): function(x)
    case .exponential: exp(x)
    }
  }
}

/// w_i / (sum of w + epsilon) over the allowed keys, w_i = kernel(s_i)^(2^squarings).
///
/// s_i is a scaled score, less the largest of its row where `subtractsMaximum`. Keys that are not
/// allowed have the weight 0, whatever the kernel is: the mask multiplies, it is never added to a
/// score.
public struct SoftmaxForm: Equatable, Sendable {
  public var subtractsMaximum: Bool
  public var kernel: ScoreKernel
  public var squarings: Int
  /// Keeps 0/0 from a row without weight; 0 where the maximum has the weight 1 at least.
  public var epsilon: Double

  public init(
    subtractsMaximum: Bool, kernel: ScoreKernel, squarings: Int = 0, epsilon: Double = 0
  ) {
    self.subtractsMaximum = subtractsMaximum
    self.kernel = kernel
    self.squarings = squarings
    self.epsilon = epsilon
  }

  /// The weight of one score before the division.
  public func weight(_ score: Double) -> Double {
    var power = kernel(score)
    for _ in 0..<squarings { power *= power }
    return power
  }

  /// Replaces a row of allowed scores by its attention weights.
  public func apply(_ row: inout [Double]) {
    let offset = subtractsMaximum ? row.max() ?? 0 : 0
    var sum = epsilon
    for index in row.indices {
      row[index] = weight(row[index] - offset)
      sum += row[index]
    }
    for index in row.indices { row[index] /= sum }
  }
}

extension SoftmaxForm {
  public var json: JSON {
    var members: [String: JSON] = [
      "subtractsMaximum": .bool(subtractsMaximum), "squarings": .integer(squarings),
      "epsilon": .number(epsilon),
    ]
    switch kernel {
    case .piecewise(let function): members["piecewise"] = function.json
    case .scaled(let function): members["scaled"] = function.json
    case .exponential: members["exponential"] = true
    }
    return .object(members)
  }

  /// Reads the members of `json` from `reader`, which may hold others.
  init(_ reader: inout JSONReader) throws(InputError) {
    subtractsMaximum = try reader.bool("subtractsMaximum")
    squarings = try reader.integer("squarings", default: 0, in: 0...8)
    epsilon = try reader.number("epsilon", default: 0, in: 0...1)
    if reader.contains("scaled") {
      var members = try reader.object("scaled")
      kernel = .scaled(try ScaledPieces(&members))
      try members.finish()
    } else if reader.contains("exponential") {
      kernel = .exponential
      guard try reader.bool("exponential"), subtractsMaximum, squarings == 0 else {
        throw reader.failure(
          "exponential", "is true where a maximum is subtracted, and without squarings")
      }
    } else {
      var members = try reader.object("piecewise")
      kernel = .piecewise(try PiecewisePolynomial(&members))
      try members.finish()
    }
    if subtractsMaximum {
      guard (0.9...1.1).contains(weight(0)) else {
        throw reader.failure(
          "piecewise", "the largest score of a row has the weight \(weight(0)), expected about 1")
      }
    } else if epsilon < 0x1p-30 {
      throw reader.failure("epsilon", "must be at least 2^-30 where no maximum is subtracted")
    }
  }
}
