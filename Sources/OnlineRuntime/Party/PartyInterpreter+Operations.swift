// The local part of every primitive, on one party's shares.

import Bytes
import Program
import Rings

extension PartyInterpreter {
  /// Evaluates a node that does not communicate.
  mutating func evaluate(_ index: Int, _ node: ProgramNode, _ step: SessionStep)
    throws(InputError)
  {
    let first = node.outputs.lowerBound
    func shape(_ value: ValueID) -> ValueShape { program.values[value].shape }
    func component(_ number: Int) throws(InputError) -> [UInt64] {
      let component = program.correlationComponents(index)[number]
      return try material.words(
        node: index, component: number, ranges: step.dealtRanges(component.shape))
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
      let parts = ViewParts(opened: opened.base, shift: shift)
      masked[first] = MaskedWords(
        base: parts.base, parts: try components(0..<2), lift: parts.lift)
    case .truncate(let x):
      guard let view = masked[x] else { break }
      shared[first] = share(of: view)
    case .linear(let x, let id):
      guard let opened = masked[x] else { break }
      shared[first] = linear(opened, shape(x), step, id, product: try component(0))
    case .scale(let x, let id):
      guard let opened = masked[x] else { break }
      let weight = weights[id]
      let product = try component(0)
      shared[first] = product.indices.map {
        opened.base[$0] &* weight[$0 % weight.count] &- product[$0]
      }
    case .scores(let query, let key, let heads):
      guard let queries = masked[query], let keys = caches[key] ?? masked[key] else { break }
      shared[first] = scores(
        queries, keys, step, shape(first), heads: heads, width: shape(query).width ?? 0,
        product: try component(0))
    case .mix(let weights, let value, let heads):
      guard let left = masked[weights], let rows = caches[value] ?? masked[value] else { break }
      shared[first] = mix(
        left, shape(weights), rows, step, heads: heads, width: shape(value).width ?? 0,
        product: try component(0))
    case .multiply(let x, let y):
      guard let left = masked[x], var right = masked[y] else { break }
      right.base = step.broadcast(right.base, shape(y), to: shape(x))
      right.parts = right.parts.map { step.broadcast($0, shape(y), to: shape(x)) }
      right.lift = right.lift.map { step.broadcast($0, shape(y), to: shape(x)) }
      let products = try components(0..<left.parts.count * right.parts.count)
      shared[first] = multiply(left, right, products: products)
    case .polynomial(let x, let coefficients):
      guard let value = masked[x] else { break }
      let powers = try components(program.correlationComponents(index).indices)
      for (output, polynomial) in zip(node.outputs, coefficients) {
        shared[output] = self.polynomial(
          polynomial, of: value, powers: powers, degree: (coefficients.map(\.count).max() ?? 1) - 1)
      }
    case .piecewiseLinear(let x, let function):
      guard let opened = masked[x] else { break }
      let shares = try components(program.correlationComponents(index).indices)
      let results = try piecewise(
        index, function, opened, step.dealtRanges(shape(x)), components: shares)
      for (output, result) in zip(node.outputs, results) { shared[output] = result }
    case .combine(let terms, let constant):
      shared[first] = step.combine(
        terms.map { (shared[$0.value], shape($0.value), $0.coefficient) },
        constant: constant &* constantFactor)
    case .addWeight(let x, let id, let rows):
      shared[first] = addWeight(shared[x], shape(x), step, id, rows)
    case .sum(let x, let runs): shared[first] = step.sum(shared[x], shape(x), runs: runs)
    case .pairDifference(let x): shared[first] = step.pairDifference(shared[x], shape(x))
    case .pairMerge(let x, let y):
      shared[first] = step.pairMerge(shared[x], shape(x), pairs: shared[y])
    case .padKeys(let x): shared[first] = step.padKeys(shared[x], shape(x))
    case .padRows(let x): shared[first] = step.padRows(shared[x], shape(x))
    case .lastRow(let x): shared[first] = step.lastRow(shared[x], shape(x))
    }
  }

  /// This party's share of an opened value or view.
  private func share(of value: MaskedWords) -> [UInt64] {
    let rest = value.rest
    return rest.indices.map { value.base[$0] &* constantFactor &+ rest[$0] }
  }

  /// W (X - r) = W X - W r, with the dealt share of W r.
  private func linear(
    _ opened: MaskedWords, _ shape: ValueShape, _ step: SessionStep, _ id: WeightID,
    product: [UInt64]
  ) -> [UInt64] {
    let weight = program.weights[id]
    let left = MatrixSlice(opened.base, stride: weight.inputCount)
    let right = MatrixSlice(weights[id], stride: weight.columnCount)
    let rows = step.rowCount(shape.rows)
    var result =
      weight.isTransposed
      ? RingProduct.plain(
        left, right, rows: rows, columns: weight.outputCount, inner: weight.inputCount)
      : RingProduct.transposed(
        left, right, rows: rows, columns: weight.outputCount, inner: weight.inputCount)
    for index in result.indices { result[index] &-= product[index] }
    return result
  }

  /// (X - r)(Y - s) = X Y - X s - r Y + r s = (X - r) Y - X s + r s, for one head at a time.
  private func scores(
    _ query: MaskedWords, _ key: MaskedWords, _ step: SessionStep, _ shape: ValueShape,
    heads: Int, width: Int, product: [UInt64]
  ) -> [UInt64] {
    let headWidth = width / heads
    let keyCount = key.base.count / width
    let left = share(of: query)
    var result = product
    let runs = step.runs(shape, count: heads)
    for head in 0..<heads {
      func slice(_ words: [UInt64]) -> MatrixSlice {
        MatrixSlice(words, offset: head * headWidth, stride: width)
      }
      let first = RingProduct.transposed(
        slice(left), slice(key.base), rows: step.rows.count, columns: keyCount, inner: headWidth)
      let second = RingProduct.transposed(
        slice(query.base), slice(key.parts[0]), rows: step.rows.count, columns: keyCount,
        inner: headWidth)
      for row in 0..<step.rows.count {
        for (column, element) in runs[row * heads + head].enumerated() {
          let place = row * keyCount + column
          result[element] &+= first[place] &- second[place]
        }
      }
    }
    return result
  }

  /// The same product for attention weights, summed over the keys.
  private func mix(
    _ weights: MaskedWords, _ shape: ValueShape, _ rows: MaskedWords, _ step: SessionStep,
    heads: Int, width: Int, product: [UInt64]
  ) -> [UInt64] {
    let headWidth = width / heads
    let keyCount = rows.base.count / width
    let left = share(of: weights)
    var result = product
    for head in 0..<heads {
      func mixed(_ weights: [UInt64], _ rows: [UInt64]) -> [UInt64] {
        RingProduct.plain(
          MatrixSlice(
            step.dense(weights, shape, head: head, keyCapacity: keyCount), stride: keyCount),
          MatrixSlice(rows, offset: head * headWidth, stride: width), rows: step.rows.count,
          columns: headWidth, inner: keyCount)
      }
      let first = mixed(left, rows.base)
      let second = mixed(weights.base, rows.parts[0])
      for row in 0..<step.rows.count {
        for column in 0..<headWidth {
          let place = row * headWidth + column
          result[row * width + head * headWidth + column] &+= first[place] &- second[place]
        }
      }
    }
    return result
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

  private func addWeight(
    _ words: [UInt64], _ shape: ValueShape, _ step: SessionStep, _ id: WeightID,
    _ rows: WeightRows
  ) -> [UInt64] {
    let width = program.weights[id].columnCount
    var result = words
    for index in result.indices {
      let row: Int =
        switch rows {
        case .bias: 0
        case .positions(let offset): step.position(shape.rows, index / width) + offset
        }
      result[index] &+= weights[id][row * width + index % width]
    }
    return result
  }
}
