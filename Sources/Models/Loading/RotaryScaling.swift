// Rotary positions that are stretched beyond the length of the original training.

import Bytes
import Foundation

/// How positions beyond those of the original training are squeezed into them.
enum RotaryScaling: Equatable {
  case none
  case linear(factor: Double)
  /// Grattafiori et al. 2024: long waves are stretched, short ones are not.
  case llama3(factor: Double, lowFrequency: Double, highFrequency: Double, originalLength: Int)
  /// Peng et al. 2023.
  case yarn(Yarn)
  /// What divides each frequency, as GGUF files hold it.
  case factors([Double])

  struct Yarn: Equatable {
    var factor: Double
    /// Turns over the original length from which on frequencies stay, and up to which they shrink.
    var betaFast: Double
    var betaSlow: Double
    /// Nil is the longest text.
    var originalLength: Int?
    var magnitude: Double
    /// Whether the bounds of the ramp are whole numbers.
    var isTruncated: Bool
  }

  /// Reads the object at `key`; nil after collecting what is wrong. What is known and not
  /// implemented is a fault, too, and leaves a graph whose other faults can be told.
  init?(_ configuration: inout Configuration, key: String) {
    let old = "\(key).type"
    let typeKey = configuration.has(old) ? old : "\(key).rope_type"
    if configuration.has(old), configuration.has("\(key).rope_type"),
      configuration.text(old) != configuration.text("\(key).rope_type")
    {
      configuration.fail(key, "type and rope_type differ")
      return nil
    }
    guard
      !configuration.refuse(
        typeKey, ["dynamic"],
        needs: "its base grows with the text, so that earlier keys would have to be turned anew"),
      !configuration.refuse(
        typeKey, ["longrope", "su"],
        needs: "its frequencies change where a text outgrows the original length, so that a "
          + "session would have to choose between two graphs")
    else {
      self = .none
      return
    }
    let fallback = configuration.has(key) && key == "rope_scaling" ? nil : "default"
    let type =
      configuration.isOfGGUF && configuration.text(typeKey) == "factors"
      ? 4
      : configuration.choice(
        typeKey, among: ["default": 0, "linear": 1, "llama3": 2, "yarn": 3], fallback: fallback)
    configuration.mention("\(key).factor", "number from 1, unless the type is default")
    for name in ["low_freq_factor", "high_freq_factor", "original_max_position_embeddings"] {
      configuration.mention("\(key).\(name)", "number, for llama3")
    }
    for name in Yarn.keys { configuration.mention("\(key).\(name)", "for yarn") }
    guard let type else { return nil }
    switch type {
    case 0: self = .none
    case 1:
      guard let factor = RotaryScaling.factor(&configuration, key) else { return nil }
      self = .linear(factor: factor)
    case 2:
      let factor = RotaryScaling.factor(&configuration, key)
      let low = configuration.positiveNumber("\(key).low_freq_factor")
      let high = configuration.positiveNumber("\(key).high_freq_factor")
      let length = configuration.integer(
        "\(key).original_max_position_embeddings", in: Limits.positions)
      guard let factor, let low, let high, let length else { return nil }
      guard low < high else {
        configuration.fail("\(key).low_freq_factor", "\(low) is not below \(high)")
        return nil
      }
      self = .llama3(
        factor: factor, lowFrequency: low, highFrequency: high, originalLength: length)
    case 4:
      guard let factors = configuration.numbers("\(key).factors", in: 1...0x1p20) else {
        return nil
      }
      self = .factors(factors)
    default:
      guard let yarn = Yarn(&configuration, key: key) else { return nil }
      self = .yarn(yarn)
    }
  }

  fileprivate static func factor(_ configuration: inout Configuration, _ key: String) -> Double? {
    guard let factor = configuration.positiveNumber("\(key).factor") else { return nil }
    guard factor >= 1 else {
      configuration.fail("\(key).factor", "\(factor) is below 1")
      return nil
    }
    return factor
  }
}

extension RotaryScaling.Yarn {
  fileprivate static let keys = [
    "beta_fast", "beta_slow", "attention_factor", "mscale", "mscale_all_dim", "truncate",
  ]

  fileprivate init?(_ configuration: inout Configuration, key: String) {
    let factor = RotaryScaling.factor(&configuration, key)
    let fast = configuration.positiveNumber("\(key).beta_fast", fallback: 32)
    let slow = configuration.positiveNumber("\(key).beta_slow", fallback: 1)
    let stated = configuration.positiveNumber("\(key).attention_factor", fallback: 1)
    let scale = configuration.positiveNumber("\(key).mscale", fallback: 1)
    let scaleOfAll = configuration.positiveNumber("\(key).mscale_all_dim", fallback: 1)
    let isTruncated = configuration.bool("\(key).truncate", fallback: true)
    let hasLength = configuration.has("\(key).original_max_position_embeddings")
    let length =
      hasLength
      ? configuration.integer("\(key).original_max_position_embeddings", in: Limits.positions) : 1
    guard let factor, let fast, let slow, let stated, let scale, let scaleOfAll, let isTruncated,
      let length
    else { return nil }
    self.factor = factor
    betaFast = fast
    betaSlow = slow
    originalLength = hasLength ? length : nil
    self.isTruncated = isTruncated
    func magnitude(_ scale: Double) -> Double {
      factor <= 1 ? 1 : 0.1 * scale * log(factor) + 1
    }
    if configuration.has("\(key).attention_factor") {
      self.magnitude = stated
    } else if configuration.has("\(key).mscale"), configuration.has("\(key).mscale_all_dim") {
      self.magnitude = magnitude(scale) / magnitude(scaleOfAll)
    } else {
      self.magnitude = magnitude(1)
    }
  }

  /// Pair `pair` of `dimensions` / 2, whose unscaled frequency is `frequency`.
  fileprivate func frequency(
    _ pair: Int, _ frequency: Double, base: Double, dimensions: Int, longestText: Int
  ) -> Double {
    let length = Double(originalLength ?? longestText)
    /// The pair that turns `turns` times over the original length.
    func place(_ turns: Double) -> Double {
      Double(dimensions) * log(length / (turns * 2 * .pi)) / (2 * log(base))
    }
    var (low, high) = (place(betaFast), place(betaSlow))
    if isTruncated { (low, high) = (low.rounded(.down), high.rounded(.up)) }
    low = max(low, 0)
    high = min(high, Double(dimensions - 1))
    if low == high { high += 0.001 }
    let ramp = min(max((Double(pair) - low) / (high - low), 0), 1)
    return frequency / factor * ramp + frequency * (1 - ramp)
  }
}

extension RotaryScaling {
  /// Changes unscaled positions of base `base` into scaled ones.
  func apply(to positions: inout RotaryPositions, base: Double, longestText: Int) {
    switch self {
    case .none: break
    case .linear(let factor): positions.frequencies = positions.frequencies.map { $0 / factor }
    case .llama3(let factor, let low, let high, let length):
      positions.frequencies = positions.frequencies.map { frequency in
        /// Turns over the original length.
        let turns = Double(length) * frequency / (2 * .pi)
        if turns > high { return frequency }
        if turns < low { return frequency / factor }
        let share = (turns - low) / (high - low)
        return (1 - share) * frequency / factor + share * frequency
      }
    case .factors(let factors):
      positions.frequencies = zip(positions.frequencies, factors).map { $0 / $1 }
    case .yarn(let yarn):
      let dimensions = positions.dimensions
      positions.frequencies = positions.frequencies.enumerated().map {
        yarn.frequency(
          $0, $1, base: base, dimensions: dimensions, longestText: longestText)
      }
      positions.magnitude = yarn.magnitude
    }
  }
}
