// What correlations are for, what each kind takes in the files, and what it must take.

/// A kind of correlated randomness.
public enum CorrelationKind: String, CaseIterable, Sendable {
  /// Masks multiplied with weights or with each other.
  case products
  /// Powers of masks, for polynomials.
  case powers
  /// Masks shifted by truncated bits, and their top bits.
  case shiftedMasks = "shifted masks"
  /// Top bits of compared windows times mask parts.
  case windowBits = "window bits"
  case comparisonKeys = "comparison keys"
}

/// Bytes of one kind in both files of a session together.
public struct CorrelationSize: Equatable, Sendable {
  /// Elements or keys.
  public var count = 0
  public var storedByteCount = 0
  /// What is needed however it is encoded, in bits: 64 for a ring element of which one party's share is
  /// a seed's; for a comparison key with n levels and p payload words n (130 + 64 p) + 64 p in
  /// each file, the correction words and control bits of Boyle et al. 2021 at 128 bits of security.
  public var minimumBitCount = 0

  public init() {}
}

extension SecureProgram {
  /// The correlations of one session by kind.
  public func correlationSizes(of session: SessionShape) -> [CorrelationKind: CorrelationSize] {
    var sizes: [CorrelationKind: CorrelationSize] = [:]
    for (index, node) in nodes.enumerated() {
      for component in correlationComponents(index) {
        let count = session.dealtCount(component.shape)
        sizes[component.meaning.kind, default: .init()].count += count
        sizes[component.meaning.kind, default: .init()].storedByteCount += 8 * count
        sizes[component.meaning.kind, default: .init()].minimumBitCount += 64 * count
      }
      if case .piecewiseLinear(let x, let function) = node.operation {
        let count = session.dealtCount(values[x].shape)
        let bits = function.levels * (130 + 64 * function.payload) + 64 * function.payload
        sizes[.comparisonKeys, default: .init()].count += count
        sizes[.comparisonKeys, default: .init()].storedByteCount +=
          2 * count * function.keyByteCount
        sizes[.comparisonKeys, default: .init()].minimumBitCount += 2 * count * bits
      }
    }
    return sizes
  }
}

extension CorrelationComponent.Meaning {
  var kind: CorrelationKind {
    switch self {
    case .maskProduct, .partProduct: .products
    case .maskPower, .topBitTimesPower: .powers
    case .shiftedMask, .topBit: .shiftedMasks
    case .windowBit: .windowBits
    }
  }
}
