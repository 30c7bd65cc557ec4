// Secret numbers that the results of a permuted function are multiplied with.

extension PermutedFunction {
  /// A shared value u of the same shape, of which a number y of few bits is taken; nobody learns it.
  ///
  /// Party 1 masks its share of y as in an opening, party 0 knows X = y + c modulo 2^K, and so the parts
  /// of a view: y = A - c + C h 2^K with the top bit h of c and a bit C of X. What it answers gives party
  /// 1 v = pi(y) - w, w a pad of party 0: pi(A) + C H 2^K + delta, H the dealt share of pi(h), and the
  /// difference to the same with the other bit in place of H, less a pad of its own, which party 1 adds
  /// where its share of pi(h) is 1. With u = f(pi(x)) party 1 then sends u - r and u v - s: party 0
  /// adds w (u - r), and the dealt correction.
  public struct Factor: Hashable, Sendable {
    public var value: ValueID
    /// What of u the parties take: numbers of fewer bits than results have, |y| < 2^(bits - 2).
    public var opening: Opening

    public init(_ value: ValueID, opening: Opening) {
      self.value = value
      self.opening = opening
    }
  }

  /// The correlated array of which party 1's share chooses among what it was sent.
  package static let choiceComponent = 3
}

extension PermutedFunction.Factor {
  private var bits: UInt64 { UInt64(opening.bits) }

  /// What is dealt at one place: the word that takes away the mask and adds the pads, and h.
  package func dealt(mask: UInt64, pad: UInt64, differencePad: UInt64, choice: UInt64)
    -> (word: UInt64, topBit: UInt64)
  {
    let mask = opening.reduced(mask)
    return (0 &- mask &- pad &+ ((choice & 1) &* differencePad) &<< bits, mask &>> (bits - 1))
  }

  /// What party 0 sends for one place of the opened word X: a word and the difference to the other.
  package func sent(_ opened: UInt64, delta: UInt64, choice: UInt64, differencePad: UInt64)
    -> (word: UInt64, difference: UInt64)
  {
    let parts = ViewParts.of(opened, shift: 0, bits: opening.bits)
    let choice = choice & 1
    return (
      parts.base &+ parts.lift &* choice &+ delta,
      (parts.lift &>> bits) &* (1 &- 2 &* choice) &- differencePad
    )
  }

  /// What party 1 makes of it: y less party 0's pad.
  package func seen(_ word: UInt64, difference: UInt64, choice: UInt64) -> UInt64 {
    word &+ ((choice & 1) &* difference) &<< bits
  }
}

extension SecureProgram {
  /// Fractional bits of the results of a permuted function, its factor among them.
  func resultFractionalBits(_ function: PermutedFunction) -> Int {
    function.fractionalBits
      + (function.factor.map { values[$0.value].fractionalBits - $0.opening.shift } ?? 0)
  }
}
