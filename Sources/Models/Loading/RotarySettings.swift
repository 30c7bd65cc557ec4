// What config.json says about rotary positions: base, share of a head, and scaling.

import Bytes

/// Rotary positions as the Hugging Face library states them, which is in two ways: keys of their
/// own and `rope_scaling`, or all together in `rope_parameters`.
struct RotarySettings {
  var base: Double
  /// The part of a head's elements that is turned.
  var share: Double
  var scaling: RotaryScaling

  /// Keys of the older way, and what the library takes where they are absent.
  struct Keys {
    var base = "rope_theta"
    var baseFallback = 10_000.0
    /// Nil where the whole head is turned.
    var share: String?
    var shareFallback = 1.0
    /// Nil where the older way has none.
    var scaling: String? = "rope_scaling"
    /// The newer way, which may have an object of these for each type of layer.
    var parameters = "rope_parameters"
  }

  /// Reads all settings; nil after collecting what is wrong.
  init?(_ configuration: inout Configuration, _ keys: Keys = Keys()) {
    let hasParameters = configuration.has(keys.parameters)
    let oldBase = configuration.positiveNumber(keys.base, fallback: keys.baseFallback)
    let newBase = configuration.positiveNumber(
      "\(keys.parameters).rope_theta", fallback: hasParameters ? nil : oldBase ?? 1,
      meaning: keys.base)
    configuration.requireEqual(keys.base, "\(keys.parameters).rope_theta")
    let newShareKey = "\(keys.parameters).partial_rotary_factor"
    var share: Double? = 1
    if let key = keys.share {
      let old = configuration.positiveNumber(key, fallback: keys.shareFallback)
      share = configuration.positiveNumber(newShareKey, fallback: old ?? 1, meaning: key)
    } else {
      for key in ["partial_rotary_factor", newShareKey] {
        configuration.require(key, oneOf: [1, 1.0], fallback: 1)
      }
    }
    let scaling: RotaryScaling?
    if let key = hasParameters ? keys.parameters : keys.scaling {
      scaling = RotaryScaling(&configuration, key: key)
    } else {
      scaling = RotaryScaling.none
    }
    if hasParameters, let old = keys.scaling {
      for member in ["type", "rope_type", "factor"] {
        configuration.requireEqual("\(old).\(member)", "\(keys.parameters).\(member)")
      }
    }
    guard let base = hasParameters ? newBase : oldBase, let share, let scaling else { return nil }
    guard base >= 1 else {
      configuration.fail(keys.base, "\(base) is below 1")
      return nil
    }
    guard share <= 1 else {
      configuration.fail(keys.share ?? newShareKey, "\(share) is above 1")
      return nil
    }
    self.base = base
    self.share = share
    self.scaling = scaling
  }

  /// The positions of heads of `sizes`; nil after collecting that these cannot be turned.
  ///
  /// - Parameter key: what a fault is reported for.
  func positions(
    _ configuration: inout Configuration, _ sizes: TransformerSizes, layout: RotaryLayout = .halves,
    key: String = "head_dim"
  ) -> RotaryPositions? {
    let dimensions = Int(Double(sizes.headWidth) * share)
    guard dimensions > 0, dimensions.isMultiple(of: 2) else {
      configuration.fail(key, "heads of \(dimensions) elements cannot be turned by pairs")
      return nil
    }
    var positions = RotaryPositions(base: base, dimensions: dimensions, layout: layout)
    if case .factors(let factors) = scaling, factors.count != dimensions / 2 {
      configuration.fail(
        "rope_scaling.factors", "\(factors.count) factors do not fit \(dimensions / 2) pairs")
      return nil
    }
    scaling.apply(to: &positions, base: base, longestText: sizes.positions)
    return positions
  }
}
