// Modulo which power of two each operation's results are known.

extension SecureProgram {
  /// Ring bits of all values that `operation` writes, whose form and shape are right.
  /// - Throws: `ShapeError` where the operand has too few bits.
  func inferRingBits(_ operation: Operation) throws(ShapeError) -> Int {
    func ring(_ value: ValueID) -> Int { values[value].ringBits }
    func need(_ opening: Opening, of x: ValueID) throws(ShapeError) {
      guard opening.shift + opening.bits <= ring(x) else {
        throw ShapeError(
          cause: "\(opening.bits) bits above bit \(opening.shift) of a value of \(ring(x)) bits")
      }
    }
    switch operation {
    case .input, .view, .truncate, .exponential: return 64
    case .piecewiseLinear(_, let function): return function.resultRingBits
    case .coarseSteps: return CoarseSteps.ringBits
    case .lookup(_, let function): return function.resultBits
    case .reveal: return 64
    case .open(let x, let opening), .openBlocks(let x, let opening):
      try need(opening, of: x)
      return opening.bits
    case .widen(let x, let bits):
      let opened = ring(openedValue(x))
      guard bits >= opened + 2 else {
        throw ShapeError(cause: "\(bits) bits are not two more than the \(opened) that are opened")
      }
      return bits
    case .permuted(let x, let function):
      try need(function.opening, of: x)
      if let factor = function.factor { try need(factor.opening, of: factor.value) }
      return function.resultBits
    case .combine(let terms, _):
      return terms.reduce(64) { bits, term in
        min(bits, ring(term.value) + term.coefficient.trailingZeroBitCount)
      }
    case .rotate(let x, _), .linear(let x, _), .blockLinear(let x, _, _), .selectBlocks(let x, _),
      .spreadBlocks(let x),
      .scale(let x, _), .polynomial(let x, _),
      .addWeight(let x, _, _), .addDistance(let x, _), .sum(let x, _), .pairDifference(let x),
      .padKeys(let x), .padRows(let x), .lastRow(let x), .firstRow(let x), .meanRow(let x, _):
      return ring(x)
    case .scores(let x, let y, _, _, _), .mix(let x, let y, _, _), .multiply(let x, let y),
      .pairMerge(let x, let y):
      return min(ring(x), ring(y))
    case .output(let x, let bits):
      guard bits <= ring(x) else {
        throw ShapeError(cause: "the output has \(ring(x)) bits, not \(bits)")
      }
      return bits
    }
  }
}
