// The local part of every primitive, on one party's shares.

import Bytes
import Program
import Randomness
import Rings

extension PartyInterpreter {
  /// Evaluates a node that does not communicate.
  mutating func evaluate(_ index: Int, _ node: ProgramNode, _ step: SessionStep)
    throws(InputError)
  {
    let first = node.outputs.lowerBound
    func shape(_ value: ValueID) -> ValueShape { program.values[value].shape }
    func component(_ number: Int) throws(InputError) -> [UInt64] {
      try words(node: index, component: number)
    }
    func components(_ indices: Range<Int>) throws(InputError) -> [[UInt64]] {
      var result: [[UInt64]] = []
      result.reserveCapacity(indices.count)
      for index in indices { result.append(try component(index)) }
      return result
    }
    switch node.operation {
    case .input, .open, .widen, .openBlocks, .reveal, .output: break  // handled by `step`
    case .view(let x, let shift):
      guard let opened = masked[x] else { break }
      let parts = ViewParts(
        opened: opened.base, shift: shift, bits: program.values[x].ringBits)
      masked[first] = MaskedWords(
        base: parts.base, parts: try components(0..<2), lift: parts.lift)
    case .truncate(let x):
      guard let view = masked[x] else { break }
      shared[first] = view.share(factor: constantFactor)
    case .linear(let x, let id):
      // W (X - r) = W X - W r, with the dealt share of W r.
      shared[first] = try weightProduct(component(0), x, id) {
        program.weights[id].product($0, weights[id])
      }
    case .blockLinear(let x, _, let id):
      let dealt = step.gathered(try component(0), shape(first))
      shared[first] = weightProduct(dealt, x, id) {
        step.blockProduct($0, shape(first), program.weights[id], weights[id].words)
      }
    case .selectBlocks(let x, _):
      shared[first] = step.gathered(shared[x], shape(first))
    case .spreadBlocks(let x): shared[first] = step.spread(shared[x], shape(x))
    case .scale(let x, let id):
      shared[first] = try weightProduct(component(0), x, id) {
        program.weights[id].scaled($0, weights[id].words)
      }
    case .scores(let query, let key, let heads, let keyHeads, _):
      guard let queries = masked[query], let keys = keys(key, step) else { break }
      shared[first] = bilinear(queries, keys, product: try component(0)) {
        step.scores(
          $0, $1, shape(first), heads: heads, keyHeads: keyHeads,
          headWidth: (shape(query).width ?? 0) / heads)
      }
    case .mix(let weights, let value, let heads, let keyHeads):
      guard let left = masked[weights],
        let rows = rows(of: value, count: step.mixedRowCount(shape(weights)))
      else { break }
      shared[first] = bilinear(left, rows, product: try component(0)) {
        step.mix(
          $0, shape(weights), $1, heads: heads, keyHeads: keyHeads,
          headWidth: (shape(value).width ?? 0) / keyHeads)
      }
    case .multiply(let x, let y):
      guard let left = masked[x], let right = masked[y] else { break }
      let products = try components(0..<left.parts.count * right.parts.count)
      shared[first] = left.multiplied(
        by: step.serving(shape(x), right, shape(y)), products: products, factor: constantFactor)
    case .polynomial(let x, let coefficients):
      guard let value = masked[x] else { break }
      let powers = try components(derived[index].components.indices)
      let degree = (coefficients.map(\.count).max() ?? 1) - 1
      for (output, polynomial) in zip(node.outputs, coefficients) {
        shared[output] = value.polynomial(
          polynomial, powers: powers[..<(degree - 1)], topPowers: powers[(degree - 1)...],
          factor: constantFactor)
      }
    case .piecewiseLinear(let x, let function):
      guard let opened = masked[x] else { break }
      let ranges = ranges[derived[index].components[0].shape]
      let all = derived[index].components.indices
      switch function.comparison {
      case .keys:
        let results = try piecewise(
          index, function, opened, ranges, components: components(all))
        for (output, result) in zip(node.outputs, results) { shared[output] = result }
      case .bits where !ranges.isEmpty:
        let comparison = try pendingComparison(
          index, function, opened, ranges, components: components(all.dropLast()))
        if let results = comparison.resultsWithoutOpening(constantFactor: constantFactor) {
          for (output, result) in zip(node.outputs, results) { shared[output] = result }
        } else {
          // Known after some rounds of its own.
          pending[index] = comparison
        }
      case .bits: break
      }
    case .exponential(let x, let function):
      guard let opened = masked[x] else { break }
      shared[first] = try exponentials(index, function, opened, shape(x), step)
    case .coarseSteps(let x, let function):
      guard let opened = masked[x] else { break }
      let bits = step.coarseBits(opened.base, shape(x), function, dealt: try component(0))
      for (output, bits) in zip(node.outputs, bits) { shared[output] = bits }
    case .lookup(let x, let function):
      guard let opened = masked[x] else { break }
      shared[first] = try lookup(
        index, function, opened, factor: function.factor.flatMap { masked[$0] },
        step.dealtRanges(shape(x)))
    case .permuted(let x, let function):
      if !shared[x].isEmpty { try beginPermutation(index, function, x, step) }
    case .combine(let terms, let constant):
      shared[first] = step.combine(
        terms.map { (shared[$0.value], shape($0.value), $0.coefficient) },
        constant: constant &* constantFactor)
    case .addWeight(let x, let id, let rows):
      shared[first] =
        weights[id].isEmpty
        ? shared[x] : step.addWeight(shared[x], shape(x), weights[id].words, rows: rows)
    case .addDistance(let x, let slopes):
      shared[first] = step.addDistance(
        shared[x], shape(x), slopes: slopes, constantFactor: constantFactor)
    case .rotate(let x, let rotation):
      shared[first] = step.rotate(shared[x], shape(x), rotation)
    case .sum(let x, let runs): shared[first] = step.sum(shared[x], shape(x), runs: runs)
    case .pairDifference(let x): shared[first] = step.pairDifference(shared[x], shape(x))
    case .pairMerge(let x, let y):
      shared[first] = step.pairMerge(shared[x], shape(x), pairs: shared[y])
    case .padKeys(let x): shared[first] = step.padKeys(shared[x], shape(x))
    case .padRows(let x): shared[first] = step.padRows(shared[x], shape(x))
    case .lastRow(let x): shared[first] = step.lastRow(shared[x], shape(x))
    case .firstRow(let x): shared[first] = step.firstRow(shared[x], shape(x))
    case .meanRow(let x, let bits):
      shared[first] = step.meanRow(shared[x], shape(x), fractionalBits: bits)
    }
  }

  /// The rows of a value of attention that hold the text, by position.
  private func keys(_ value: ValueID, _ step: SessionStep) -> MaskedWords? {
    guard let rows = caches[value] ?? masked[value], !step.text.isDense,
      let width = program.values[value].shape.width
    else { return caches[value] ?? masked[value] }
    return MaskedWords(
      base: step.text.rows(of: rows.base, width: width),
      parts: rows.parts.map { step.text.rows(of: $0, width: width) })
  }

  /// The first `count` rows of a value of attention, by slot: those that are not opened yet as zero and this
  /// party's share of their masks, for weights of zero whose own masks are known.
  private func rows(of value: ValueID, count: Int) -> MaskedWords? {
    guard var rows = caches[value] ?? masked[value], let width = program.values[value].shape.width
    else { return nil }
    let missing = rows.base.count..<max(count * width, rows.base.count)
    if !missing.isEmpty, let opener = openers[value], let mask = derived[opener].mask {
      rows.base += [UInt64](repeating: 0, count: missing.count)
      rows.parts[0] += mask.stream.words(in: [missing])
    }
    return rows
  }

  /// `product` of the opened value `x` less what is dealt; a weight that is zero needs no `x`.
  private func weightProduct(
    _ dealt: [UInt64], _ x: ValueID, _ id: WeightID, _ product: ([UInt64]) -> [UInt64]
  ) -> [UInt64] {
    if weights[id].isEmpty {
      return difference([UInt64](repeating: 0, count: dealt.count), dealt)
    }
    guard let opened = masked[x] else { return [] }
    return difference(product(opened.base), dealt)
  }

  private func difference(_ left: consuming [UInt64], _ right: [UInt64]) -> [UInt64] {
    var result = left
    WordArrays.best.add(right, times: .max, to: &result)
    return result
  }

  /// (X - r)(Y - s) = (X - r) Y - X s + r s, for a bilinear `form` and the dealt share of r s.
  private func bilinear(
    _ x: MaskedWords, _ y: MaskedWords, product: consuming [UInt64],
    _ form: (_ x: [UInt64], _ y: [UInt64]) -> [UInt64]
  ) -> [UInt64] {
    var result = product
    WordArrays.best.add(form(x.share(factor: constantFactor), y.base), to: &result)
    WordArrays.best.add(form(x.base, y.parts[0]), times: .max, to: &result)
    return result
  }
}

extension SessionStep {
  /// `narrow` as `MaskedWords.multiplied` takes it for a value of shape `wide`: as it is where each
  /// column serves equal runs, else repeated.
  fileprivate func serving(
    _ wide: ValueShape, _ narrow: MaskedWords, _ shape: ValueShape
  ) -> MaskedWords {
    if shape == wide || hasEqualRuns(wide, count: shape.width ?? 1) { return narrow }
    return MaskedWords(
      base: broadcast(narrow.base, shape, to: wide),
      parts: narrow.parts.map { broadcast($0, shape, to: wide) },
      lift: narrow.lift.map { broadcast($0, shape, to: wide) })
  }
}
