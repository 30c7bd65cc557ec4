// What correlations are for, what each kind takes in the files, and what it must take.

import Rings

/// A kind of correlated randomness.
public enum CorrelationKind: String, CaseIterable, Sendable {
  /// Masks multiplied with weights or with each other.
  case products
  /// Powers of masks, for polynomials.
  case powers
  /// Masks shifted by truncated bits, and their top bits.
  case shiftedMasks = "shifted masks"
  /// Cells in which masks lie.
  case cells
  /// Top bits of compared windows times mask parts.
  case windowBits = "window bits"
  case comparisonKeys = "comparison keys"
  case pointKeys = "point keys"
  /// Mask bits of comparisons by bits times mask parts.
  case resultBits = "result bits"
  /// Thresholds of masks and products of mask bits, for comparisons by bits.
  case comparedBits = "compared bits"
  /// Masks of permuted functions, permuted.
  case permutations
}

/// Bytes of one kind in both files of a session together.
public struct CorrelationSize: Equatable, Sendable {
  /// Elements, keys or bits.
  public var count = 0
  public var storedByteCount = 0
  /// What is needed however it is encoded, in bits: 64 for a ring element, 1 for a bit, of which
  /// one party's share is a seed's; for a comparison key whose tree has d levels and 2^t places
  /// below each last node, with p payload words of k bits, d (129 + p k) + 2^t p k in each file: the
  /// correction words and control bits of Boyle et al. 2021 with seeds of 127 bits. Point keys have no
  /// words on the levels.
  public var minimumBitCount = 0

  public init() {}
}

extension SecureProgram {
  /// The correlations of one session by kind.
  public func correlationSizes(of session: SessionShape) -> [CorrelationKind: CorrelationSize] {
    var sizes: [CorrelationKind: CorrelationSize] = [:]
    for (index, node) in nodes.enumerated() {
      for component in correlationComponents(index) {
        let kind = component.meaning.kind
        let words = component.wordCount(session)
        sizes[kind, default: .init()].storedByteCount += component.wordByteCount * words
        switch component.layout {
        case .words, .lanes:
          sizes[kind, default: .init()].count += words
          sizes[kind, default: .init()].minimumBitCount += component.readBits * words
        case .tiles(let planeCount):
          let bits = session.dealtCount(component.shape) * planeCount
          sizes[kind, default: .init()].count += bits
          sizes[kind, default: .init()].minimumBitCount += bits
        }
      }
      guard let (value, key) = node.operation.dealtKey else { continue }
      let count = session.dealtCount(values[value].shape)
      let kind = key.kind
      sizes[kind, default: .init()].count += count
      sizes[kind, default: .init()].storedByteCount += 2 * count * key.byteCount
      sizes[kind, default: .init()].minimumBitCount +=
        2 * count * key.minimumBitCount(wordBits: values[node.outputs.lowerBound].ringBits)
    }
    return sizes
  }
}

extension DealtKey {
  fileprivate var kind: CorrelationKind {
    switch self {
    case .comparison: .comparisonKeys
    case .point: .pointKeys
    }
  }

  fileprivate func minimumBitCount(wordBits: Int) -> Int {
    switch self {
    case .comparison(let layout):
      layout.depth * (129 + layout.payload * wordBits)
        + (layout.payload * wordBits) << layout.tailBits
    case .point(let layout):
      layout.depth * 129 + (layout.payload * wordBits) << layout.tailBits
    }
  }
}

extension CorrelationComponent.Meaning {
  var kind: CorrelationKind {
    switch self {
    case .maskProduct, .partProduct: .products
    case .maskPower, .topBitTimesPower: .powers
    case .shiftedMask, .topBit, .upperMask: .shiftedMasks
    case .cells: .cells
    case .windowBit, .quietBit: .windowBits
    case .resultBit: .resultBits
    case .comparedBits: .comparedBits
    case .permutedMask, .unpermutedMask, .permutedFactor, .permutedTopBit: .permutations
    }
  }
}
