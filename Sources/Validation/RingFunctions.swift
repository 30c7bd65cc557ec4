// The operations of the ring simulator that masks take part in, and polynomials.

import Program

/// Plaintext results of operations on opened values, with the masks that opened them.
enum RingFunctions {
  /// The words shifted right by `shift` as a view of them does it: rounded down, or that plus one.
  static func view(_ words: [UInt64], mask: [UInt64], shift: Int, bits: Int) -> [UInt64] {
    precondition(words.count == mask.count, "every word is opened under a mask")
    var result = words
    for index in result.indices {
      let r = mask[index]
      let parts = ViewParts.of(words[index] &+ r, shift: shift, bits: bits)
      result[index] =
        parts.base &- (r &>> UInt64(shift)) &+ (r &>> UInt64(bits - 1)) &* parts.lift
    }
    return result
  }

  /// The sum of coefficients[i] * word^i for each word.
  static func polynomial(_ coefficients: [UInt64], _ words: [UInt64]) -> [UInt64] {
    guard let highest = coefficients.last else { return words.map { _ in 0 } }
    let rest = Array(coefficients.dropLast().reversed())
    var result = words
    for index in result.indices {
      let word = words[index]
      var sum = highest
      for coefficient in rest { sum = sum &* word &+ coefficient }
      result[index] = sum
    }
    return result
  }

  /// Every output of `function`: the last piece, plus the steps of all knots that x counts as
  /// below.
  ///
  /// - Parameter quiet: Of a function with noise, 1 for the elements that are compared and 0 for others.
  static func piecewise(
    _ function: PiecewiseLinear, _ words: [UInt64], mask: [UInt64], quiet: [UInt64]? = nil
  ) -> [[UInt64]] {
    precondition(words.count == mask.count, "every word is opened under a mask")
    let arguments =
      function.isViewed
      ? view(words, mask: mask, shift: function.shift, bits: function.openedBits) : words
    var results = function.outputs.indices.map { output in
      let last = function.lastPiece(output)
      return arguments.map { last.slope &* $0 &+ last.intercept }
    }
    let steps = function.outputs.indices.map(function.steps)
    let keep = UInt64.max &>> UInt64(64 - function.comparedBits)
    let top = UInt64(function.comparedBits - 1)
    let dropped = UInt64(function.droppedBits)
    // All ones where the word counts as below the knot.
    var below = [UInt64](repeating: 0, count: words.count)
    for (knot, place) in function.knots.enumerated() {
      let place = UInt64(bitPattern: Int64(place))
      for index in words.indices {
        let r = mask[index]
        let window = (words[index] &+ r &- place) &>> dropped
        below[index] = 0 &- (((window &- (r &>> dropped)) & keep) &>> top)
      }
      if let quiet { for index in words.indices { below[index] &*= quiet[index] } }
      for output in results.indices {
        let step = steps[output][knot]
        // Moved out and back: written in place, without a check for sharing at every element.
        var result = exchange(&results[output], with: [])
        for index in words.indices {
          result[index] &+= below[index] & (step.slope &* arguments[index] &+ step.intercept)
        }
        results[output] = result
      }
    }
    return results
  }

  /// What an `open` reveals of the words, without its mask: floor(x / 2^shift), or that plus one,
  /// as signed numbers of `opening.bits` bits.
  ///
  /// The one is the carry between the low bits of two parties' shares. It is that of the shares
  /// whose low bits `shares` begin with, or where `opened` has a public word that under the mask
  /// fits x with the other carry, of the parties that revealed it.
  static func opened(
    _ words: [UInt64], ringBits: Int, _ opening: Opening, shares: [UInt64], mask: [UInt64],
    opened: [UInt64]?
  ) -> [UInt64] {
    let ring = UInt64.max &>> UInt64(64 - ringBits)
    let shift = UInt64(opening.shift)
    return words.indices.map { index in
      let word = words[index] & ring
      guard shift > 0 else { return signed(word, bits: opening.bits) }
      let low = word & (1 &<< shift &- 1)
      var result = word &>> shift
      if let opened {
        let seen = opening.reduced(opened[index] &- mask[index])
        if seen == opening.reduced(result &+ 1) { result &+= 1 }
      } else if shares[index] &>> (64 &- shift) <= low {
        result &+= 1
      }
      return signed(result, bits: opening.bits)
    }
  }

  /// `word` modulo 2^bits as a signed number.
  static func signed(_ word: UInt64, bits: Int) -> UInt64 {
    let unused = UInt64(64 - bits)
    return UInt64(bitPattern: Int64(bitPattern: word &<< unused) &>> Int64(unused))
  }

  /// The exponentials of opened words, as two parties compute them together.
  static func exponential(
    _ function: Exponential, mask: [UInt64], places: [(cell: Int, offset: UInt64)]
  ) -> [UInt64] {
    let factors = Exponential.Factors(function)
    return zip(places, mask).map { function.value(place: $0, mask: $1, factors) }
  }

  /// The results for opened words, as two parties compute them together.
  static func lookup(_ function: Lookup, _ words: [UInt64], mask: [UInt64]) -> [UInt64] {
    function.values(opened: zip(words, mask).map(&+), masks: mask)
  }

  /// The bits of opened words for each bound.
  static func coarseSteps(
    _ function: CoarseSteps, mask: [UInt64], places: [(cell: Int, offset: UInt64)]
  ) -> [[UInt64]] {
    function.bounds.map { bound in
      zip(mask, places).map { mask, place in
        let cell = Int(function.cells.reduced(mask) &>> UInt64(function.cells.bits))
        return function.isReached(bound, cell: place.cell, maskCell: cell) ? 1 : 0
      }
    }
  }
}
