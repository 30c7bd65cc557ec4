// How the client chooses the next token from logits: greedily, or drawn.

public import Bytes
import Foundation
import Randomness

/// The choice of a token, which the client makes by itself: no party learns it.
///
/// With a temperature T > 0 the token t is drawn with probability e^(logit_t / T) / sum over those
/// that are left: of all tokens the `mostTokens` likeliest, and of these the fewest, likeliest first,
/// that have the probability `mass` together.
public struct TokenSampler: Sendable {
  private let temperature: Double
  private let mostTokens: Int?
  private let mass: Double
  private let stream: RandomStream
  private var position = 0

  /// The likeliest token, the last of equal ones.
  public static let greedy = TokenSampler(
    temperature: 0, mostTokens: nil, mass: 1, seed: Seed(bytes: [UInt8](repeating: 0, count: 32)))

  private init(temperature: Double, mostTokens: Int?, mass: Double, seed: Seed) {
    self.temperature = temperature
    self.mostTokens = mostTokens
    self.mass = mass
    stream = RandomStream(
      seed: seed, label: StreamLabel(session: 0, party: 0, operation: 0, kind: 0, index: 0))
  }

  /// From the options `--temperature`, `--top-k`, `--top-p` and `--seed`.
  ///
  /// - Parameters:
  ///   - seed: Makes the same choices from the same logits; nil for the operating system's randomness.
  /// - Throws: `InputError` for options that do nothing without a temperature.
  public init(temperature: Double, topK: Int?, topP: Double?, seed: Int?) throws(InputError) {
    for (name, isGiven) in [("top-k", topK != nil), ("top-p", topP != nil), ("seed", seed != nil)]
    where isGiven && temperature == 0 {
      throw InputError(
        "--\(name)", "does nothing where the likeliest token is taken",
        hint: "give --temperature as well")
    }
    self.init(
      temperature: temperature, mostTokens: topK, mass: topP ?? 1,
      seed: seed.map { Seed(bytes: SHA256.digest(Array("lodge/1/sample/\($0)".utf8))) }
        ?? Seed.random())
  }

  /// The next token for `logits`, of which there is at least one.
  public mutating func token(_ logits: [Float]) -> Int {
    guard temperature > 0 else { return logits.indices.max { logits[$0] < logits[$1] } ?? 0 }
    var order = logits.indices.sorted { (logits[$0], $1) > (logits[$1], $0) }
    if let mostTokens { order.removeLast(max(order.count - mostTokens, 0)) }
    let largest = Double(logits[order[0]])
    var weights = order.map { exp((Double(logits[$0]) - largest) / temperature) }
    let all = weights.reduce(0, +)
    var sum = 0.0
    let last = weights.firstIndex { weight in
      sum += weight
      return sum >= mass * all
    }
    if let last { weights.removeLast(weights.count - last - 1) }
    // 53 bits, all that a Double below 1 has.
    let word = stream.words(at: position, count: 1)[0] >> 11
    position += 1
    var rest = Double(word) * 0x1p-53 * weights.reduce(0, +)
    for (token, weight) in zip(order, weights) {
      rest -= weight
      if rest < 0 { return token }
    }
    return order[weights.count - 1]
  }
}
