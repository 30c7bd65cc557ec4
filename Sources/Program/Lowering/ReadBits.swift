// Openings with no more bits than what is made of them is read with.

extension SecureProgram {
  /// The same program, in which values that only sums and products with weights are made of are opened,
  /// and results of permuted functions given, modulo no more than the power of two that somebody reads
  /// of these.
  ///
  /// Everything in between is a function modulo any power of two, so that nothing else changes.
  package func withoutUnreadBits() -> SecureProgram {
    var read = [Int](repeating: 0, count: values.count)
    var result = self
    for index in nodes.indices.reversed() {
      let node = nodes[index]
      let wanted = node.outputs.reduce(0) { max($0, read[$1]) }
      switch node.operation {
      case .open(let x, let opening):
        let bits = kept(opening.bits, wanted, node)
        result.nodes[index].operation = .open(x, Opening(shift: opening.shift, bits: bits))
        read[x] = max(read[x], opening.shift + bits)
      case .widen(let x, let bits):
        let opened = values[openedValue(x)].ringBits
        result.nodes[index].operation = .widen(x, bits: max(kept(bits, wanted, node), opened + 2))
        read[x] = max(read[x], values[x].ringBits)
      case .permuted(let x, var function):
        // A factor has fewer bits than the product.
        let least = function.factor.map { $0.opening.bits + 1 } ?? 0
        function.resultBits = max(kept(function.resultBits, wanted, node), least)
        result.nodes[index].operation = .permuted(x, function)
        read[x] = max(read[x], function.opening.shift + function.opening.bits)
        if let factor = function.factor {
          read[factor.value] = max(
            read[factor.value], factor.opening.shift + factor.opening.bits)
        }
      case .output(let x, let bits): read[x] = max(read[x], bits)
      case .linear(let x, _), .blockLinear(let x, _, _), .scale(let x, _), .rotate(let x, _),
        .addWeight(let x, _, _), .addDistance(let x, _), .sum(let x, _), .selectBlocks(let x, _),
        .spreadBlocks(let x), .pairDifference(let x), .padKeys(let x), .padRows(let x),
        .lastRow(let x), .firstRow(let x), .meanRow(let x, _):
        read[x] = max(read[x], wanted)
      case .pairMerge(let x, let y):
        read[x] = max(read[x], wanted)
        read[y] = max(read[y], wanted)
      case .combine(let terms, _):
        for term in terms {
          let bits = wanted - term.coefficient.trailingZeroBitCount
          read[term.value] = max(read[term.value], bits)
        }
      case .input: break
      case .reveal, .openBlocks, .view, .truncate, .scores, .mix, .multiply, .polynomial,
        .piecewiseLinear, .exponential, .coarseSteps, .lookup:
        for x in node.operation.inputs { read[x] = max(read[x], values[x].ringBits) }
      }
    }
    result.inferAllRingBits()
    return result
  }

  /// Of `bits` that `node` gives those that are read, where any are, and with which no number is cut.
  private func kept(_ bits: Int, _ read: Int, _ node: ProgramNode) -> Int {
    guard read > 0, let first = node.outputs.first else { return bits }
    return min(bits, max(read, values[first].fractionalBits + Self.leastWholeBits))
  }

  /// Bits before the point that every number keeps, sign included.
  private static let leastWholeBits = 16

  /// Sets the ring bits of all values to those that the operations give.
  private mutating func inferAllRingBits() {
    for node in nodes {
      guard let bits = try? inferRingBits(node.operation) else {
        preconditionFailure("\(node.label) reads bits that were left out")
      }
      for value in node.outputs { values[value].ringBits = bits }
    }
  }
}
