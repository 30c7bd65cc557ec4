// The stored form of a Model graph, inside model.lodge.

public import Bytes

extension Model {
  public var json: JSON {
    var members: [String: JSON] = [
      "family": .string(family), "kind": .string(kind.rawValue),
      "vocabularySize": .integer(vocabularySize), "maximumPositions": .integer(maximumPositions),
      "nodes": .array(nodes.map(\.json)),
      "weights": .array(
        weights.map {
          ["name": .string($0.name), "shape": .array($0.shape.map(JSON.integer))]
        }),
    ]
    if let contextMarkers {
      members["contextMarkers"] = [
        "startToken": .integer(contextMarkers.startToken),
        "maskTokens": .array(contextMarkers.maskTokens.map(JSON.integer)),
      ]
    }
    return .object(members)
  }

  /// Reads a stored graph; every node may read earlier nodes and declared weights only.
  public init(json: JSON, source: String) throws(InputError) {
    var reader = try JSONReader(json, source: source, place: "model")
    let kindText = try reader.string("kind")
    guard let kind = ModelKind(rawValue: kindText) else {
      throw reader.failure("kind", "\"\(kindText)\" is not a kind of model")
    }
    self.init(
      family: try reader.string("family"), kind: kind,
      vocabularySize: try reader.integer("vocabularySize", in: 1...1 << 24),
      maximumPositions: try reader.integer("maximumPositions", in: 1...1 << 24), nodes: [],
      weights: [])
    if let value = reader.optional("contextMarkers") {
      var entry = try JSONReader(value, source: source, place: reader.path("contextMarkers"))
      contextMarkers = ContextMarkers(
        startToken: try entry.integer("startToken"), maskTokens: try entry.integers("maskTokens"))
      try entry.finish()
    }
    for (index, element) in try reader.array("weights").enumerated() {
      var entry = try JSONReader(
        element, source: source, place: "\(reader.path("weights"))[\(index)]")
      let shape = WeightShape(name: try entry.string("name"), shape: try entry.integers("shape"))
      guard shape.shape.allSatisfy({ (1...1 << 28).contains($0) }),
        (1...2).contains(shape.shape.count)
      else { throw entry.failure("shape", "expected one or two sizes") }
      try entry.finish()
      weights.append(shape)
    }
    let names = Set(weights.map(\.name))
    for (index, element) in try reader.array("nodes").enumerated() {
      var entry = try JSONReader(
        element, source: source, place: "\(reader.path("nodes"))[\(index)]")
      let node = try ModelNode(&entry)
      try entry.finish()
      for input in node.operation.inputs where !(0..<index).contains(input) {
        throw entry.failure("inputs", "node \(input) does not stand before node \(index)")
      }
      for weight in node.operation.weights where !names.contains(weight) {
        throw entry.failure("operation", "reads the undeclared weight \(weight)")
      }
      nodes.append(node)
      if let problem = geometryProblem(ofNode: index) {
        throw entry.failure("operation", "\(node.name) \(problem)")
      }
    }
    try reader.finish()
    guard !nodes.isEmpty else { throw InputError(source, place: "model", "has no nodes") }
  }
}

extension ModelOperation {
  /// Names of the weights this operation reads.
  public var weights: [String] {
    switch self {
    case .embed(let tokens, let positions, _, let segments):
      [tokens] + [positions, segments].compactMap(\.self)
    case .layerNorm(_, let gamma, let beta, _): [gamma, beta]
    case .rmsNorm(_, let gamma, _): [gamma]
    case .linear(_, let weight, let bias): [weight] + (bias.map { [$0] } ?? [])
    case .rotary, .attention, .activation, .add, .multiply: []
    }
  }
}

extension ModelNode {
  var json: JSON {
    var members: [String: JSON] = ["name": .string(name), "width": .integer(width)]
    members["inputs"] = .array(operation.inputs.map(JSON.integer))
    switch operation {
    case .embed(let tokens, let positions, let offset, let segments):
      members["operation"] = "embed"
      members["tokens"] = .string(tokens)
      if let positions {
        members["positions"] = .string(positions)
        members["positionOffset"] = .integer(offset)
      }
      if let segments { members["segments"] = .string(segments) }
    case .layerNorm(_, let gamma, let beta, let epsilon):
      members["operation"] = "layerNorm"
      members["gamma"] = .string(gamma)
      members["beta"] = .string(beta)
      members["epsilon"] = .number(epsilon)
    case .rmsNorm(_, let gamma, let epsilon):
      members["operation"] = "rmsNorm"
      members["gamma"] = .string(gamma)
      members["epsilon"] = .number(epsilon)
    case .rotary(_, let headCount, let base, let dimensions, let layout):
      members["operation"] = "rotary"
      members["headCount"] = .integer(headCount)
      members["base"] = .number(base)
      members["dimensions"] = .integer(dimensions)
      members["layout"] = .string(layout.rawValue)
    case .linear(_, let weight, let bias):
      members["operation"] = "linear"
      members["weight"] = .string(weight)
      if let bias { members["bias"] = .string(bias) }
    case .attention(_, _, _, let headCount, let keyHeadCount, let scale):
      members["operation"] = "attention"
      members["headCount"] = .integer(headCount)
      members["keyHeadCount"] = .integer(keyHeadCount)
      members["scale"] = .number(scale)
    case .activation(_, let activation):
      members["operation"] = "activation"
      members["function"] = .string(activation.rawValue)
    case .add: members["operation"] = "add"
    case .multiply: members["operation"] = "multiply"
    }
    return .object(members)
  }

  init(_ reader: inout JSONReader) throws(InputError) {
    let name = try reader.string("name")
    let width = try reader.integer("width", in: 1...1 << 24)
    let inputs = try reader.integers("inputs")
    let kind = try reader.string("operation")
    func optional(_ key: String) throws(InputError) -> String? {
      guard let value = reader.optional(key) else { return nil }
      guard case .string(let text) = value else { throw reader.failure(key, "expected a string") }
      return text
    }
    let counts = [
      "embed": 0, "layerNorm": 1, "rmsNorm": 1, "linear": 1, "rotary": 1, "attention": 3,
      "activation": 1, "add": 2, "multiply": 2,
    ]
    guard let count = counts[kind] else {
      throw reader.failure("operation", "unknown operation \"\(kind)\"")
    }
    guard inputs.count == count else {
      throw reader.failure("inputs", "\(kind) reads \(count) values, not \(inputs.count)")
    }
    let operation: ModelOperation
    switch kind {
    case "embed":
      let positions = try optional("positions")
      operation = .embed(
        tokens: try reader.string("tokens"), positions: positions,
        positionOffset: positions == nil
          ? 0 : try reader.integer("positionOffset", in: 0...1 << 20),
        segments: try optional("segments"))
    case "layerNorm":
      operation = .layerNorm(
        inputs[0], gamma: try reader.string("gamma"), beta: try reader.string("beta"),
        epsilon: try reader.number("epsilon"))
    case "rmsNorm":
      operation = .rmsNorm(
        inputs[0], gamma: try reader.string("gamma"), epsilon: try reader.number("epsilon"))
    case "rotary":
      let text = try reader.string("layout")
      guard let layout = RotaryLayout(rawValue: text) else {
        throw reader.failure("layout", "unknown layout \"\(text)\"")
      }
      operation = .rotary(
        inputs[0], headCount: try reader.integer("headCount", in: 1...1 << 16),
        base: try reader.number("base"),
        dimensions: try reader.integer("dimensions", in: 2...1 << 24), layout: layout)
    case "linear":
      operation = .linear(
        inputs[0], weight: try reader.string("weight"), bias: try optional("bias"))
    case "attention":
      operation = .attention(
        query: inputs[0], key: inputs[1], value: inputs[2],
        headCount: try reader.integer("headCount", in: 1...1 << 16),
        keyHeadCount: try reader.integer("keyHeadCount", in: 1...1 << 16),
        scale: try reader.number("scale"))
    case "activation":
      let text = try reader.string("function")
      guard let activation = Activation(rawValue: text) else {
        throw reader.failure("function", "unknown activation \"\(text)\"")
      }
      operation = .activation(inputs[0], activation)
    case "multiply": operation = .multiply(inputs[0], inputs[1])
    default: operation = .add(inputs[0], inputs[1])
    }
    self.init(name: name, operation: operation, width: width)
  }
}
