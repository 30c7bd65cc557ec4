// Gates of feed-forward layers: which neurons stay, in which blocks, and what decides about a
// block.

import Bytes
public import Checkpoints

/// A file of gates, as `tools/finetune --sparsity` and `lodge-model sparsify` write it.
///
/// Of a gated layer it holds the neurons that stay, block after block, and a low-rank linear map of
/// what the layer's attention reads: block b of a position runs where (high (low x) + bias)_b >= 0.
/// `formats/gates.md` specifies the file.
struct GateFile {
  /// What stands before the names of its tensors beside those of the checkpoint.
  static let prefix = "gates:"
  static let ranks = Model.gateRanks
  static let blockWidths = 1...64
  static let blockCounts = 1...4096

  /// Gates of one layer.
  struct Layer {
    /// The neurons that stay, in the order of blocks.
    var order: [Int]
    /// Nil where nothing decides and all neurons that stay run.
    var predictor: Predictor?
  }

  struct Predictor {
    var rank: Int
    var inputWidth: Int
    var blockCount: Int
  }

  let source: Safetensors
  /// By the number of the layer.
  let layers: [Int: Layer]
  /// What decides about the heads of attention, by the number of the layer.
  let heads: [Int: Predictor]

  var path: String { source.path }

  /// Reads the file at `path`: its header, and the orders.
  /// - Throws: one `InputError` with all that does not fit together.
  init(path: String) throws(InputError) {
    source = try Safetensors(path: path)
    guard source.metadata["format"] == "lodge-gates" else {
      throw InputError(
        path, place: "__metadata__.format", "is not \"lodge-gates\"",
        hint: "gates are written by `lodge-model sparsify` and `tools/finetune --sparsity`")
    }
    guard source.metadata["version"] == "1" else {
      throw InputError(path, place: "__metadata__.version", "is not 1, the version that is read")
    }
    var problems = ProblemList()
    var layers: [Int: Layer] = [:]
    let tensors = Dictionary(uniqueKeysWithValues: source.tensors.map { ($0.name, $0) })
    let parts = ["order", "low", "high", "bias"]
    let heads = GateFile.heads(source.tensors, &problems)
    for tensor in source.tensors where !GateFile.isOfHeads(tensor.name) {
      let words = tensor.name.split(separator: ".", omittingEmptySubsequences: false)
      guard words.count == 3, words[0] == "layers", parts.contains(String(words[2])),
        let number = Int(words[1]), String(number) == words[1]
      else {
        problems.add(tensor.name, ": is no tensor of this format")
        continue
      }
      if words[2] != "order" {
        if tensors["layers.\(number).order"] == nil {
          problems.add(tensor.name, ": layers.\(number).order is missing")
        }
        if !tensor.type.isReadableAsFloat {
          problems.add(tensor.name, ": is of type \(tensor.type.rawValue)")
        }
        continue
      }
      guard let order = try source.integers(tensor.name) else {
        problems.add(tensor.name, ": is of type \(tensor.type.rawValue), expected I32")
        continue
      }
      func shape(_ part: String) -> [Int]? { tensors["layers.\(number).\(part)"]?.shape }
      var layer = Layer(order: order)
      if tensor.shape.count != 1 || order.isEmpty {
        problems.add(tensor.name, ": has shape \(tensor.shape), expected one axis")
      } else if Set(order).count != order.count || order.contains(where: { $0 < 0 }) {
        problems.add(tensor.name, ": names a neuron twice, or one below 0")
      } else if let low = shape("low"), let high = shape("high"), let bias = shape("bias") {
        guard
          let predictor = GateFile.predictor(
            "layers.\(number)", low: low, high: high, bias: bias, &problems)
        else { continue }
        let width = order.count / high[0]
        guard order.count == width * high[0], GateFile.blockWidths.contains(width) else {
          problems.add(
            tensor.name,
            ": \(order.count) neurons are not \(high[0]) blocks of "
              + "\(GateFile.blockWidths.lowerBound) to \(GateFile.blockWidths.upperBound)")
          continue
        }
        layer.predictor = predictor
      } else if parts.dropFirst().contains(where: { shape($0) != nil }) {
        problems.add(tensor.name, ": low, high and bias stand together, or none of them")
        continue
      }
      layers[number] = layer
    }
    if layers.isEmpty, heads.isEmpty, problems.isEmpty { problems.add("holds no layer") }
    try problems.check(source: path)
    self.layers = layers
    self.heads = heads
  }

  /// What tensors `low`, `high` and `bias` of the shapes given decide with; nil, and a problem of
  /// `name`, where they do not.
  static func predictor(
    _ name: String, low: [Int], high: [Int], bias: [Int], _ problems: inout ProblemList
  ) -> Predictor? {
    guard low.count == 2, high.count == 2, high[1] == low[0], bias == [high[0]],
      blockCounts.contains(high[0])
    else {
      problems.add(name, ": low \(low), high \(high) and bias \(bias) do not fit together")
      return nil
    }
    guard ranks.contains(low[0]) else {
      problems.add(
        "\(name).low",
        ": has rank \(low[0]), \(ranks.lowerBound) to \(ranks.upperBound) are read")
      return nil
    }
    return Predictor(rank: low[0], inputWidth: low[1], blockCount: high[0])
  }

  /// What to say of a model that has these gates.
  var notice: String {
    let gated = layers.values.count { $0.predictor != nil }
    let removed = layers.values.count - gated
    func count(_ count: Int) -> String { "\(count) " + (count == 1 ? "layer" : "layers") }
    var parts: [String] = []
    if gated > 0 || heads.isEmpty {
      parts.append("the feed-forward networks of \(count(gated))")
    }
    if !heads.isEmpty { parts.append("the heads of \(count(heads.count))") }
    return "\(FilePaths.lastComponent(of: path)) gates " + parts.joined(separator: " and ")
      + (removed > 0 ? ", and leaves out neurons of \(removed) more" : "")
  }

  /// `built` with the neurons that stay alone, and with gates.
  /// - Throws: one `InputError` with every layer that the model does not have, or that is of another
  ///   size.
  func applied(to built: BuiltModel) throws(InputError) -> BuiltModel {
    var result = built
    var problems = ProblemList()
    for (number, layer) in layers.sorted(by: { $0.key < $1.key }) {
      guard let place = FeedForwardPlace(layer: number, of: result.model) else {
        problems.add(
          "layers.\(number)", ": the model has no such layer with one feed-forward network")
        continue
      }
      if let largest = layer.order.max(), largest >= place.width {
        problems.add("layers.\(number).order", ": neuron \(largest) of \(place.width)")
        continue
      }
      let input = result.model.nodes[place.gateInput].width
      if let predictor = layer.predictor, predictor.inputWidth != input {
        problems.add(
          "layers.\(number).low",
          ": has \(predictor.inputWidth) inputs, what attention reads has \(input)")
        continue
      }
      GateFile.keep(layer.order, at: place, in: &result)
      if let predictor = layer.predictor {
        GateFile.insert(predictor, layer: number, at: place, in: &result)
      }
    }
    for (layer, predictor) in heads.sorted(by: { $0.key < $1.key }) {
      GateFile.insert(heads: predictor, layer: layer, in: &result, &problems)
    }
    try problems.check(source: path)
    result.model.weights = result.bindings.sorted { $0.key < $1.key }.map {
      WeightShape(name: $0.key, shape: $0.value.shape)
    }
    return result
  }

  /// Leaves the neurons `order`, in this order.
  private static func keep(
    _ order: [Int], at place: FeedForwardPlace, in built: inout BuiltModel
  ) {
    for index in place.nodes { built.model.nodes[index].width = order.count }
    for index in place.writers {
      guard case .linear(_, let weight, let bias) = built.model.nodes[index].operation else {
        continue
      }
      for name in [weight, bias].compactMap(\.self) { built.bindings[name]?.keepOutputs(order) }
    }
    guard case .linear(_, let down, _) = built.model.nodes[place.reader].operation else { return }
    built.bindings[down]?.keepInputs(order)
  }

  /// Inserts the nodes that decide before those that write neurons, and the product with their bits
  /// before the down-projection.
  private static func insert(
    _ predictor: Predictor, layer: Int, at place: FeedForwardPlace, in built: inout BuiltModel
  ) {
    let inner = built.model.nodes[place.inner].width
    let first = place.writers.reduce(place.reader, min)
    insert(
      predictor, name: "layers.\(layer).gate", stored: "layers.\(layer)", reading: place.gateInput,
      at: first, in: &built)
    let activation = place.inner + 3
    built.model.insert(
      [
        ModelNode(
          name: "layers.\(layer).feedForward.gated",
          operation: .gated(activation, by: first + 2), width: inner)
      ], at: activation + 1)
    // The down-projection reads what is gated.
    let reader = place.reader + 4
    if case .linear(_, let weight, let bias) = built.model.nodes[reader].operation {
      built.model.nodes[reader].operation = .linear(activation + 1, weight: weight, bias: bias)
    }
  }

  /// Inserts the three nodes of `predictor` before node `first`, called `name` and with the tensors
  /// `stored`; the last of them, first + 2, gives the bits.
  static func insert(
    _ predictor: Predictor, name: String, stored: String, reading input: ModelValue, at first: Int,
    in built: inout BuiltModel
  ) {
    let shapes = [
      "low": [predictor.rank, predictor.inputWidth],
      "high": [predictor.blockCount, predictor.rank], "bias": [predictor.blockCount],
    ]
    for (part, shape) in shapes {
      built.bindings["\(name).\(part)"] = WeightBinding(
        shape: shape, key: "\(prefix)\(stored).\(part)", storedShape: shape)
    }
    built.model.insert(
      [
        ModelNode(
          name: "\(name).projection",
          operation: .linear(input, weight: "\(name).low", bias: nil), width: predictor.rank),
        ModelNode(
          name: "\(name).score",
          operation: .linear(first, weight: "\(name).high", bias: "\(name).bias"),
          width: predictor.blockCount),
        ModelNode(name: name, operation: .gates(first + 1), width: predictor.blockCount),
      ], at: first)
  }
}

/// Where the feed-forward network of a layer stands in a graph.
private struct FeedForwardPlace {
  /// What the layer's attention reads.
  var gateInput: ModelValue
  /// Linear nodes that write neurons.
  var writers: [Int]
  /// All nodes as wide as the neurons.
  var nodes: [Int]
  /// The value that the down-projection reads.
  var inner: ModelValue
  /// The down-projection.
  var reader: Int

  var width: Int

  /// Nil where the graph has no such layer.
  init?(layer: Int, of model: Model) {
    func node(_ name: String) -> Int? {
      model.nodes.firstIndex { $0.name == "layers.\(layer).\(name)" }
    }
    guard let query = node("attention.query"), let up = node("feedForward.up"),
      let activation = node("feedForward.activation"), let down = node("feedForward.down"),
      case .linear(let gateInput, _, _) = model.nodes[query].operation,
      case .linear(let inner, _, _) = model.nodes[down].operation
    else { return nil }
    self.gateInput = gateInput
    self.inner = inner
    reader = down
    writers = [up] + [node("feedForward.gate")].compactMap(\.self)
    nodes = writers + [activation] + [node("feedForward.product")].compactMap(\.self)
    width = model.nodes[up].width
  }
}

/// A checkpoint's tensors and those of its gates.
struct GatedSource: TensorSource {
  let original: any TensorSource
  let gates: Safetensors

  var path: String { original.path }
  var formatName: String { original.formatName }
  var tensors: [TensorDescription] { original.tensors }
  var aliases: [String: String] { original.aliases }
  var notices: [String] { original.notices }

  private func gate(_ name: String) -> String? {
    name.hasPrefix(GateFile.prefix) ? String(name.dropFirst(GateFile.prefix.count)) : nil
  }

  func tensor(_ name: String) throws(InputError) -> TensorDescription {
    if let gate = gate(name) { return try gates.tensor(gate) }
    return try original.tensor(name)
  }

  func floats(_ name: String, in elements: Range<Int>) throws(InputError) -> [Float] {
    if let gate = gate(name) { return try gates.floats(gate, in: elements) }
    return try original.floats(name, in: elements)
  }
}

extension Model {
  /// Ranks of the product that decides about the blocks or heads of a layer.
  public static let gateRanks = 1...1024
}

extension LoadedModel {
  /// The file of the model's gates, where it has any.
  public var gates: Safetensors? { (checkpoint.source as? GatedSource)?.gates }
}
