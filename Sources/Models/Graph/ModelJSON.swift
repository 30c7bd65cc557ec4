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
    if output != kind.plainOutput { members["output"] = .string(output.rawValue) }
    if let padToken { members["padToken"] = .integer(padToken) }
    if let contextMarkers { members[ContextMarkers.key] = contextMarkers.json }
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
    if let value = reader.optional("output") {
      guard case .string(let text) = value, let output = ModelOutput(rawValue: text) else {
        throw reader.failure("output", "\(value.text) is not an output of a model")
      }
      self.output = output
    }
    if reader.contains("padToken") {
      padToken = try reader.integer("padToken", in: 0...vocabularySize - 1)
    }
    contextMarkers = try ContextMarkers(&reader, of: kind)
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
    case .layerNorm(_, let normalisation), .rmsNorm(_, let normalisation): normalisation.weights
    case .linear(_, let weight, let bias): [weight] + (bias.map { [$0] } ?? [])
    case .attention(_, _, _, let settings): settings.biasTable.map { [$0] } ?? []
    case .rotary, .activation, .add, .multiply, .scale, .softCap, .pool, .gates, .gated: []
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
    case .layerNorm(_, let normalisation):
      members["operation"] = "layerNorm"
      normalisation.write(to: &members)
    case .rmsNorm(_, let normalisation):
      members["operation"] = "rmsNorm"
      normalisation.write(to: &members)
    case .rotary(_, let headCount, let rotary):
      members["operation"] = "rotary"
      members["headCount"] = .integer(headCount)
      rotary.write(to: &members)
    case .linear(_, let weight, let bias):
      members["operation"] = "linear"
      members["weight"] = .string(weight)
      if let bias { members["bias"] = .string(bias) }
    case .attention(_, _, _, let settings):
      members["operation"] = "attention"
      settings.write(to: &members)
    case .activation(_, let activation):
      members["operation"] = "activation"
      members["function"] = .string(activation.rawValue)
    case .add: members["operation"] = "add"
    case .multiply: members["operation"] = "multiply"
    case .scale(_, let factor):
      members["operation"] = "scale"
      members["factor"] = .number(factor)
    case .softCap(_, let cap):
      members["operation"] = "softCap"
      members["cap"] = .number(cap)
    case .gates: members["operation"] = "gates"
    case .gated: members["operation"] = "gated"
    case .pool(_, let pooling):
      members["operation"] = "pool"
      members["pooling"] = .string(pooling.rawValue)
    }
    return .object(members)
  }

  init(_ reader: inout JSONReader) throws(InputError) {
    let name = try reader.string("name")
    let width = try reader.integer("width", in: 1...1 << 24)
    let inputs = try reader.integers("inputs")
    let kind = try reader.string("operation")
    let counts = [
      "embed": 0, "layerNorm": 1, "rmsNorm": 1, "linear": 1, "rotary": 1, "attention": 3,
      "activation": 1, "add": 2, "multiply": 2, "scale": 1, "softCap": 1, "pool": 1,
      "gates": 1, "gated": 2,
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
      let positions = try reader.optionalString("positions")
      operation = .embed(
        tokens: try reader.string("tokens"), positions: positions,
        positionOffset: positions == nil
          ? 0 : try reader.integer("positionOffset", in: 0...1 << 20),
        segments: try reader.optionalString("segments"))
    case "layerNorm": operation = .layerNorm(inputs[0], try Normalisation(&reader))
    case "rmsNorm": operation = .rmsNorm(inputs[0], try Normalisation(&reader))
    case "rotary":
      operation = .rotary(
        inputs[0], headCount: try reader.integer("headCount", in: 1...1 << 16),
        try RotaryPositions(&reader))
    case "linear":
      operation = .linear(
        inputs[0], weight: try reader.string("weight"),
        bias: try reader.optionalString("bias"))
    case "attention":
      operation = .attention(
        query: inputs[0], key: inputs[1], value: inputs[2], try AttentionSettings(&reader))
    case "activation":
      let text = try reader.string("function")
      guard let activation = Activation(rawValue: text) else {
        throw reader.failure("function", "unknown activation \"\(text)\"")
      }
      operation = .activation(inputs[0], activation)
    case "multiply": operation = .multiply(inputs[0], inputs[1])
    case "scale": operation = .scale(inputs[0], by: try reader.number("factor"))
    case "softCap": operation = .softCap(inputs[0], cap: try reader.number("cap"))
    case "gates": operation = .gates(inputs[0])
    case "gated": operation = .gated(inputs[0], by: inputs[1])
    case "pool":
      let text = try reader.string("pooling")
      guard let pooling = RowPooling(rawValue: text) else {
        throw reader.failure("pooling", "unknown pooling \"\(text)\"")
      }
      operation = .pool(inputs[0], pooling)
    default: operation = .add(inputs[0], inputs[1])
    }
    self.init(name: name, operation: operation, width: width)
  }
}
