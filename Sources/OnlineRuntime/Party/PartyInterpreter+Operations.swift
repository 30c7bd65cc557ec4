// The local part of every primitive, on one party's shares.

import Bytes
import Program

extension PartyInterpreter {
  /// Evaluates a node that does not communicate.
  mutating func evaluate(_ index: Int, _ node: ProgramNode, _ step: SessionStep)
    throws(InputError)
  {
    let first = node.outputs.lowerBound
    func shape(_ value: ValueID) -> ValueShape { program.values[value].shape }
    func component(_ number: Int) throws(InputError) -> [UInt64] {
      let component = derived[index].components[number]
      return try words(
        node: index, component: number,
        ranges: step.dealtRanges(component.shape).map { component.words(of: $0) })
    }
    func components(_ indices: Range<Int>) throws(InputError) -> [[UInt64]] {
      var result: [[UInt64]] = []
      for index in indices { result.append(try component(index)) }
      return result
    }
    switch node.operation {
    case .input, .open, .output: break  // handled by `step`
    case .view(let x, let shift):
      guard let opened = masked[x] else { break }
      let parts = ViewParts(
        opened: opened.base, shift: shift, bits: program.values[x].ringBits)
      masked[first] = MaskedWords(
        base: parts.base, parts: try components(0..<2), lift: parts.lift)
    case .truncate(let x):
      guard let view = masked[x] else { break }
      shared[first] = share(of: view)
    case .linear(let x, let id):
      guard let opened = masked[x] else { break }
      // W (X - r) = W X - W r, with the dealt share of W r.
      shared[first] = difference(
        program.weights[id].product(opened.base, weights[id]), try component(0))
    case .scale(let x, let id):
      guard let opened = masked[x] else { break }
      shared[first] = difference(
        program.weights[id].scaled(opened.base, weights[id]), try component(0))
    case .scores(let query, let key, let heads, let keyHeads, _):
      guard let queries = masked[query], let keys = caches[key] ?? masked[key] else { break }
      shared[first] = bilinear(queries, keys, product: try component(0)) {
        step.scores(
          $0, $1, shape(first), heads: heads, keyHeads: keyHeads,
          headWidth: (shape(query).width ?? 0) / heads)
      }
    case .mix(let weights, let value, let heads, let keyHeads):
      guard let left = masked[weights], let rows = caches[value] ?? masked[value] else { break }
      shared[first] = bilinear(left, rows, product: try component(0)) {
        step.mix(
          $0, shape(weights), $1, heads: heads, keyHeads: keyHeads,
          headWidth: (shape(value).width ?? 0) / keyHeads)
      }
    case .multiply(let x, let y):
      guard let left = masked[x], var right = masked[y] else { break }
      right.base = step.broadcast(right.base, shape(y), to: shape(x))
      right.parts = right.parts.map { step.broadcast($0, shape(y), to: shape(x)) }
      right.lift = right.lift.map { step.broadcast($0, shape(y), to: shape(x)) }
      let products = try components(0..<left.parts.count * right.parts.count)
      shared[first] = multiply(left, right, products: products)
    case .polynomial(let x, let coefficients):
      guard let value = masked[x] else { break }
      let powers = try components(derived[index].components.indices)
      for (output, polynomial) in zip(node.outputs, coefficients) {
        shared[output] = self.polynomial(
          polynomial, of: value, powers: powers, degree: (coefficients.map(\.count).max() ?? 1) - 1)
      }
    case .piecewiseLinear(let x, let function):
      guard let opened = masked[x] else { break }
      let ranges = step.dealtRanges(shape(x))
      let all = derived[index].components.indices
      switch function.comparison {
      case .keys:
        let results = try piecewise(
          index, function, opened, ranges, components: components(all))
        for (output, result) in zip(node.outputs, results) { shared[output] = result }
      case .bits where !ranges.isEmpty:
        // Known after some rounds of its own.
        comparisons[index] = try pendingComparison(
          index, function, opened, ranges, components: components(all.dropLast()))
      case .bits: break
      }
    case .exponential(let x, let function):
      guard let opened = masked[x] else { break }
      let (words, count) = (try component(0), function.cells.count)
      shared[first] = step.cellPlaces(opened.base, shape(x), function.cells, tops: function.tops)
        .enumerated().map { element, place in
          words[element * count + place.cell] &* function.factor(place.offset)
        }
    case .coarseSteps(let x, let function):
      guard let opened = masked[x] else { break }
      let words = try component(0)
      let places = step.cellPlaces(opened.base, shape(x), function.cells, tops: function.tops)
      for output in node.outputs { shared[output] = [UInt64](repeating: 0, count: places.count) }
      for (element, place) in places.enumerated() {
        let bits = function.bits(words, from: element * function.wordCount, cell: place.cell)
        for (output, bit) in zip(node.outputs, bits) { shared[output][element] = bit }
      }
    case .lookup(let x, let function):
      guard let opened = masked[x] else { break }
      shared[first] = try lookup(index, function, opened, step.dealtRanges(shape(x)))
    case .combine(let terms, let constant):
      shared[first] = step.combine(
        terms.map { (shared[$0.value], shape($0.value), $0.coefficient) },
        constant: constant &* constantFactor)
    case .addWeight(let x, let id, let rows):
      shared[first] = step.addWeight(shared[x], shape(x), weights[id], rows: rows)
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

  /// This party's share of an opened value or view.
  private func share(of value: MaskedWords) -> [UInt64] {
    let rest = value.rest
    return rest.indices.map { value.base[$0] &* constantFactor &+ rest[$0] }
  }

  private func difference(_ left: [UInt64], _ right: [UInt64]) -> [UInt64] {
    left.indices.map { left[$0] &- right[$0] }
  }

  /// (X - r)(Y - s) = (X - r) Y - X s + r s, for a bilinear `form` and the dealt share of r s.
  private func bilinear(
    _ x: MaskedWords, _ y: MaskedWords, product: [UInt64],
    _ form: (_ x: [UInt64], _ y: [UInt64]) -> [UInt64]
  ) -> [UInt64] {
    let first = form(share(of: x), y.base)
    let second = form(x.base, y.parts[0])
    return product.indices.map { product[$0] &+ first[$0] &- second[$0] }
  }

  /// x y for x = a + sum c_i m_i and y = b + sum d_j n_j, with dealt shares of every m_i n_j.
  private func multiply(_ x: MaskedWords, _ y: MaskedWords, products: [[UInt64]]) -> [UInt64] {
    let left = x.rest
    let right = y.rest
    return x.base.indices.map { index in
      var sum = constantFactor &* x.base[index] &* y.base[index]
      sum &+= x.base[index] &* right[index] &+ y.base[index] &* left[index]
      for i in x.parts.indices {
        for j in y.parts.indices {
          sum &+=
            x.coefficient(i, index) &* y.coefficient(j, index)
            &* products[i * y.parts.count + j][index]
        }
      }
      return sum
    }
  }

  /// P(a - t + B h) = sum_i Q_i(a) t^i + sum_i (Q_i(a + B) - Q_i(a)) h t^i, where
  /// Q_i(a) = (-1)^i sum_{k >= i} p_k C(k, i) a^(k - i).
  private func polynomial(
    _ coefficients: [UInt64], of value: MaskedWords, powers: [[UInt64]], degree: Int
  ) -> [UInt64] {
    var taylor: [[UInt64]] = []
    for i in coefficients.indices {
      var binomial: UInt64 = 1
      var row: [UInt64] = []
      for k in i..<coefficients.count {
        if k > i { binomial = binomial * UInt64(k) / UInt64(k - i) }
        let signed = i % 2 == 0 ? binomial : 0 &- binomial
        row.append(signed &* coefficients[k])
      }
      taylor.append(row)
    }
    func horner(_ row: [UInt64], _ a: UInt64) -> UInt64 {
      var sum: UInt64 = 0
      for coefficient in row.reversed() { sum = sum &* a &+ coefficient }
      return sum
    }
    return value.base.indices.map { index in
      let a = value.base[index]
      var sum = constantFactor &* horner(taylor[0], a)
      for i in 1..<taylor.count {
        let power = i == 1 ? value.parts[0][index] : powers[i - 2][index]
        sum &+= horner(taylor[i], a) &* power
      }
      if let lift = value.lift, lift[index] != 0 {
        let lifted = a &+ lift[index]
        for i in 0..<taylor.count - 1 {
          let power = i == 0 ? value.parts[1][index] : powers[degree - 2 + i][index]
          sum &+= (horner(taylor[i], lifted) &- horner(taylor[i], a)) &* power
        }
      }
      return sum
    }
  }
}
