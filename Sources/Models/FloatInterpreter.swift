// Evaluates a Model graph on one text in single precision: the reference for everything secure.

public import Bytes

/// The plaintext meaning of a graph. Weights are read and converted once, at initialisation.
public struct FloatInterpreter: Sendable {
  /// Called with the index of a node in `Model.nodes`, and the values of one observed quantity.
  public typealias Observer = (_ nodeIndex: Int, _ kind: Observation, _ values: [Float]) -> Void

  public let model: Model
  let functions: FunctionTable
  let weights: [String: [Float]]
  /// Index of the last node that reads each value; the output's is past the end.
  private let lastUses: [Int]

  /// Reads all weights of `model`.
  /// - Throws: `InputError` where the source cannot give one.
  public init(_ model: Model, weights source: some WeightSource, functions: FunctionTable = .init())
    throws(InputError)
  {
    precondition(!model.nodes.isEmpty, "a model has at least one node")
    self.model = model
    self.functions = functions
    var weights: [String: [Float]] = [:]
    for shape in model.weights {
      let values = try source.weight(shape.name)
      precondition(values.count == shape.elementCount, "the weight must have its declared shape")
      weights[shape.name] = values
    }
    self.weights = weights
    var lastUses = Array(model.nodes.indices)
    for (index, node) in model.nodes.enumerated() {
      for input in node.operation.inputs { lastUses[input] = index }
    }
    lastUses[model.nodes.count - 1] = model.nodes.count
    self.lastUses = lastUses
  }

  /// Reads all weights of a loaded model.
  public init(_ loaded: LoadedModel, functions: FunctionTable = .init()) throws(InputError) {
    try self.init(loaded.model, weights: loaded, functions: functions)
  }

  /// Same model and weights with other functions.
  public func replacing(_ functions: FunctionTable) -> FloatInterpreter {
    FloatInterpreter(self, functions: functions)
  }

  private init(_ other: FloatInterpreter, functions: FunctionTable) {
    model = other.model
    self.functions = functions
    weights = other.weights
    lastUses = other.lastUses
  }

  /// The output of the last node for the text `tokens`, [positions, width]: logits for a decoder,
  /// the last hidden state for an encoder.
  ///
  /// - Throws: `InputError` for no tokens, more than the position table has, ids outside the
  ///   vocabulary, or a text without the tokens that end the context of a prefix decoder.
  public func run(tokens: [Int], observe: Observer? = nil) throws(InputError) -> FloatMatrix {
    try model.check(tokens)
    let context = try model.contextMarkers?.context(of: tokens) ?? TextContext()
    var values = [[Float]](repeating: [], count: model.nodes.count)
    for (index, node) in model.nodes.enumerated() {
      values[index] = evaluate(
        index, tokens: tokens, context: context, values: values, observe: observe)
      observe?(index, .output, values[index])
      for input in node.operation.inputs where lastUses[input] == index { values[input] = [] }
    }
    let last = model.nodes.count - 1
    return FloatMatrix(
      rowCount: tokens.count, columnCount: model.nodes[last].width, values: values[last])
  }

  private func evaluate(
    _ index: Int, tokens: [Int], context: TextContext, values: [[Float]], observe: Observer?
  ) -> [Float] {
    let node = model.nodes[index]
    switch node.operation {
    case .embed(let tokenTable, let positionTable, let offset, let segments):
      return embed(
        tokens, width: node.width, tokenTable: weight(tokenTable),
        positionTable: positionTable.map(weight), offset: offset, segments: segments.map(weight))
    case .layerNorm(let input, let gamma, let beta, let epsilon):
      return layerNorm(
        values[input], name: node.name, gamma: weight(gamma), beta: weight(beta),
        epsilon: epsilon,
        observeVariances: observe.map { observe in { observe(index, .variance, $0) } })
    case .rmsNorm(let input, let gamma, let epsilon):
      return rmsNorm(
        values[input], name: node.name, gamma: weight(gamma), epsilon: epsilon,
        observeMeanSquares: observe.map { observe in { observe(index, .variance, $0) } })
    case .rotary(let input, let headCount, let base, let dimensions, let layout):
      return rotary(
        values[input], width: node.width, headCount: headCount, base: base,
        dimensions: dimensions, layout: layout, context: context)
    case .linear(let input, let matrix, let bias):
      return linear(
        values[input], rowCount: tokens.count, weight: weight(matrix), bias: bias.map(weight),
        inputs: model.nodes[input].width, outputs: node.width)
    case .attention(let query, let key, let value, let headCount, let keyHeadCount, let scale):
      return attention(
        query: values[query], key: values[key], value: values[value], name: node.name,
        shape: AttentionShape(
          positionCount: tokens.count, headWidth: node.width / headCount, headCount: headCount,
          keyHeadCount: keyHeadCount, isCausal: model.kind == .decoder,
          contextLength: context.length, scale: scale),
        observe: observe.map { observe in { observe(index, $0, $1) } })
    case .activation(let input, let activation):
      let function = functions.activations[node.name] ?? activation.function
      return values[input].map { Float(function(Double($0))) }
    case .add(let left, let right):
      return zip(values[left], values[right]).map { $0 + $1 }
    case .multiply(let left, let right):
      return zip(values[left], values[right]).map { $0 * $1 }
    }
  }

  private func weight(_ name: String) -> [Float] {
    guard let values = weights[name] else {
      preconditionFailure("the graph names weight \(name) without declaring it")
    }
    return values
  }
}

extension Model {
  /// Throws `InputError` unless `tokens` is a text that the model takes: not empty, not longer than
  /// the position table, all ids in the vocabulary.
  public func check(_ tokens: [Int]) throws(InputError) {
    guard !tokens.isEmpty else { throw InputError("tokens", "there are none") }
    guard tokens.count <= maximumPositions else {
      throw InputError(
        "tokens", "\(tokens.count) tokens, the model has positions for \(maximumPositions)")
    }
    for (position, token) in tokens.enumerated() where !(0..<vocabularySize).contains(token) {
      throw InputError(
        "tokens", place: "position \(position)",
        "token \(token) is outside the vocabulary of \(vocabularySize)")
    }
  }
}

extension ModelOperation {
  /// The values that the operation reads.
  public var inputs: [ModelValue] {
    switch self {
    case .embed: []
    case .layerNorm(let input, _, _, _), .rmsNorm(let input, _, _), .linear(let input, _, _),
      .rotary(let input, _, _, _, _), .activation(let input, _):
      [input]
    case .attention(let query, let key, let value, _, _, _): [query, key, value]
    case .add(let left, let right), .multiply(let left, let right): [left, right]
    }
  }
}
