// The operations of the ring simulator that masks take part in, and polynomials.

import Program

/// Plaintext results of operations on opened values, with the masks that opened them.
enum RingFunctions {
  /// The words shifted right by `shift` as a view of them does it: rounded down, or that plus one.
  static func view(_ words: [UInt64], mask: [UInt64], shift: Int) -> [UInt64] {
    precondition(words.count == mask.count, "every word is opened under a mask")
    var result = words
    for index in result.indices {
      let r = mask[index]
      let parts = ViewParts.of(words[index] &+ r, shift: shift)
      result[index] = parts.base &- (r &>> UInt64(shift)) &+ (r &>> 63) &* parts.lift
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
  static func piecewise(_ function: PiecewiseLinear, _ words: [UInt64], mask: [UInt64])
    -> [[UInt64]]
  {
    precondition(words.count == mask.count, "every word is opened under a mask")
    let arguments =
      function.shift == 0 ? words : view(words, mask: mask, shift: function.shift)
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
}
