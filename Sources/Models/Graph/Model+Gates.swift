// Graphs with gates: nodes that are inserted, and the same model without them.

extension Model {
  /// Inserts `added` before node `index`; what they read is numbered as it will be.
  mutating func insert(_ added: [ModelNode], at index: Int) {
    for place in nodes.indices {
      nodes[place].operation = nodes[place].operation.renumbered {
        $0 >= index ? $0 + added.count : $0
      }
    }
    nodes.insert(contentsOf: added, at: index)
  }
}

extension Model {
  /// The same neurons without gates: all of them run.
  public var ungated: Model {
    var result = self
    result.nodes = []
    var numbers: [Int] = []
    var dropped = Set<String>()
    let decisive = decisiveNodes
    for (index, node) in nodes.enumerated() {
      if case .gated(let value, _) = node.operation {
        numbers.append(numbers[value])
      } else if decisive.contains(index) {
        numbers.append(-1)
        dropped.formUnion(node.operation.weights)
      } else {
        numbers.append(result.nodes.count)
        var node = node
        node.operation = node.operation.renumbered { numbers[$0] }
        result.nodes.append(node)
      }
    }
    result.weights.removeAll { dropped.contains($0.name) }
    return result
  }

  /// Nodes that nothing but gates read, and gates.
  private var decisiveNodes: Set<Int> {
    var result = Set<Int>()
    for (index, node) in nodes.enumerated().reversed() {
      let readers = nodes.indices.filter { nodes[$0].operation.inputs.contains(index) }
      if case .gates = node.operation {
        result.insert(index)
      } else if !readers.isEmpty, readers.allSatisfy(result.contains) {
        result.insert(index)
      }
    }
    return result
  }
}

extension ModelOperation {
  /// The same operation of other values.
  func renumbered(_ number: (ModelValue) -> ModelValue) -> ModelOperation {
    switch self {
    case .embed: self
    case .layerNorm(let input, let settings): .layerNorm(number(input), settings)
    case .rmsNorm(let input, let settings): .rmsNorm(number(input), settings)
    case .linear(let input, let weight, let bias):
      .linear(number(input), weight: weight, bias: bias)
    case .rotary(let input, let headCount, let positions):
      .rotary(number(input), headCount: headCount, positions)
    case .attention(let query, let key, let value, let settings):
      .attention(query: number(query), key: number(key), value: number(value), settings)
    case .activation(let input, let function): .activation(number(input), function)
    case .add(let left, let right): .add(number(left), number(right))
    case .multiply(let left, let right): .multiply(number(left), number(right))
    case .scale(let input, let factor): .scale(number(input), by: factor)
    case .softCap(let input, let cap): .softCap(number(input), cap: cap)
    case .pool(let input, let pooling): .pool(number(input), pooling)
    case .gates(let input): .gates(number(input))
    case .gated(let input, let gates): .gated(number(input), by: number(gates))
    }
  }
}
