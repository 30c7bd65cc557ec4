// Rotary positions as public integer factors, the same on every machine.

public import Models

/// Turns pairs of columns by an angle that grows with the position.
///
/// Pair i of a head at position t, (a, b), becomes (a c - b s, b c + a s) with c and s the cosine
/// and sine of the phase t * turns[i] / 2^64 of a full turn, times the magnitude and
/// 2^fractionalBits, and rounded.
public struct Rotation: Equatable, Sendable {
  public var headCount: Int
  public var layout: RotaryLayout
  public var fractionalBits: Int
  /// Full turns a position times 2^64, for each pair; of two positions, for each pair of either.
  public var turns: [UInt64]
  /// The magnitude of cosines and sines times 2^30.
  public var magnitude: UInt64

  /// The magnitude 1.
  public static let unitMagnitude: UInt64 = 1 << 30
  /// Largest magnitude times 2^30.
  public static let maximumMagnitude: UInt64 = 1 << 40

  public init(
    headCount: Int, layout: RotaryLayout, fractionalBits: Int, turns: [UInt64],
    magnitude: UInt64 = unitMagnitude
  ) {
    self.headCount = headCount
    self.layout = layout
    self.fractionalBits = fractionalBits
    self.turns = turns
    self.magnitude = magnitude
  }

  /// The rotation with angle frequencies[i], in 0...1, a position for pair i, and a magnitude in
  /// 2^-30...2^10.
  public init(headCount: Int, fractionalBits: Int, _ positions: RotaryPositions) {
    self.init(
      headCount: headCount, layout: positions.layout, fractionalBits: fractionalBits,
      turns: positions.frequencies.map { UInt64($0 / (2 * .pi) * 0x1p64) },
      magnitude: UInt64((positions.magnitude * 0x1p30).rounded()))
  }

  /// Columns of a head that are turned; those beyond stay.
  public var turnedCount: Int { turns.count * (layout == .twoPositions ? 4 : 2) }

  /// The columns of a head that pair `pair` of all is.
  func columns(pair: Int) -> (first: Int, second: Int) {
    let count = turns.count
    return switch layout {
    case .halves: (pair, pair + count)
    case .pairs: (2 * pair, 2 * pair + 1)
    // Those of the second position come after all of the first.
    case .twoPositions: pair < count ? (pair, pair + count) : (pair + count, pair + 2 * count)
    }
  }

  /// Cosine and sine of pair `pair` at `position`, times the magnitude and 2^fractionalBits.
  public func factors(position: Int, pair: Int) -> (cosine: UInt64, sine: UInt64) {
    let phase = UInt64(position) &* turns[pair]
    let drop = Int64(62 - fractionalBits)
    func rounded(_ value: Int64) -> UInt64 {
      guard magnitude != Rotation.unitMagnitude else {
        return UInt64(bitPattern: (value + (1 << (drop - 1))) >> drop)
      }
      let product = Int128(value) * Int128(magnitude) + 1 << (Int128(drop) + 29)
      return UInt64(bitPattern: Int64(product >> (Int128(drop) + 30)))
    }
    return (
      rounded(FixedTrigonometry.sine(phase &+ 1 &<< 62)), rounded(FixedTrigonometry.sine(phase))
    )
  }
}

/// Sine in integer arithmetic, so that two parties never differ in a bit.
enum FixedTrigonometry {
  /// pi / 2 times 2^62.
  static let quarterTurn: Int64 = 7_244_019_458_077_122_842

  /// sin(2 pi phase / 2^64) * 2^62, to about 2^-58.
  static func sine(_ phase: UInt64) -> Int64 {
    let quadrant = phase &>> 62
    let fraction = Int64(phase & (1 << 62 - 1))
    let angle = product(fraction, quarterTurn)
    // Odd quadrants run the quarter wave backwards, which is the cosine.
    let value = quadrant % 2 == 0 ? sineOfQuarter(angle) : cosineOfQuarter(angle)
    return quadrant < 2 ? value : -value
  }

  /// a b / 2^62.
  private static func product(_ a: Int64, _ b: Int64) -> Int64 {
    let wide = a.multipliedFullWidth(by: b)
    return wide.high << 2 | Int64(wide.low >> 62)
  }

  /// x (1 - x^2/(2*3) (1 - x^2/(4*5) (...))) for 0 <= x < pi / 2 in units of 2^-62.
  private static func sineOfQuarter(_ x: Int64) -> Int64 {
    product(x, series(x, offset: 1))
  }

  /// 1 - x^2/(1*2) (1 - x^2/(3*4) (...)).
  private static func cosineOfQuarter(_ x: Int64) -> Int64 { series(x, offset: 0) }

  private static func series(_ x: Int64, offset: Int64) -> Int64 {
    // x^2 may exceed 2: halve it to stay inside 64 bits.
    let half = product(x, x / 2)
    var sum: Int64 = 1 << 62
    for term in stride(from: Int64(12), to: 0, by: -1) {
      let divisor = (2 * term - 1 + offset) * (2 * term + offset)
      sum = 1 << 62 - product(half / divisor, sum) * 2
    }
    return sum
  }
}

extension SessionStep {
  /// `words` of shape `shape` turned by `rotation`; the scale grows by its fractional bits.
  public func rotate(_ words: [UInt64], _ shape: ValueShape, _ rotation: Rotation) -> [UInt64] {
    let width = shape.width ?? 0
    let headWidth = width / rotation.headCount
    let count = rotation.turns.count
    var result = words.map { $0 &<< UInt64(rotation.fractionalBits) }
    for row in 0..<rowCount(shape.rows) {
      let position = position(shape.rows, row)
      for pair in 0..<rotation.turnedCount / 2 {
        let place =
          switch rotation.layout {
          case .halves, .pairs: position
          case .twoPositions where pair < count: contextPosition(position)
          case .twoPositions: blockPosition(position)
          }
        let (cosine, sine) = rotation.factors(position: place, pair: pair % count)
        let columns = rotation.columns(pair: pair)
        for head in 0..<rotation.headCount {
          let start = row * width + head * headWidth
          let (first, second) = (start + columns.first, start + columns.second)
          let (a, b) = (words[first], words[second])
          result[first] = a &* cosine &- b &* sine
          result[second] = b &* cosine &+ a &* sine
        }
      }
    }
    return result
  }
}
