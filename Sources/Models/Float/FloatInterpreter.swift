// Evaluates a Model graph on texts in single precision: the reference for everything secure.

public import Bytes

/// The plaintext meaning of a graph.
///
/// Weights are read once at initialisation where they fit the memory budget. Those of larger models
/// are read in parts whenever a node needs them, once for all texts that run together.
public struct FloatInterpreter: Sendable {
  /// Called with the index of a node in `Model.nodes`, and values of one observed quantity; several
  /// times with the parts of a quantity where there are several texts or heads.
  public typealias Observer = (_ nodeIndex: Int, _ kind: Observation, _ values: [Float]) -> Void

  public let model: Model
  let functions: FunctionTable
  private let weights: WeightStore
  /// Index of the last node that reads each value; the output's is past the end.
  private let lastUses: [Int]
  /// Whether each value has one row a text.
  private let isPooled: [Bool]

  /// Reads all weights of `model`, unless they exceed `memory`.
  /// - Throws: `InputError` where the source cannot give one.
  public init(
    _ model: Model, weights source: some WeightSource, functions: FunctionTable = .init(),
    memory: MemoryBudget = .default
  ) throws(InputError) {
    precondition(!model.nodes.isEmpty, "a model has at least one node")
    self.model = model
    self.functions = functions
    weights = try WeightStore(model, source: source, memory: memory)
    var lastUses = Array(model.nodes.indices)
    for (index, node) in model.nodes.enumerated() {
      for input in node.operation.inputs { lastUses[input] = index }
    }
    lastUses[model.nodes.count - 1] = model.nodes.count
    self.lastUses = lastUses
    isPooled = model.isPooled
  }

  /// Reads all weights of a loaded model, unless they exceed `memory`.
  public init(
    _ loaded: LoadedModel, functions: FunctionTable = .init(), memory: MemoryBudget = .default
  ) throws(InputError) {
    try self.init(loaded.model, weights: loaded, functions: functions, memory: memory)
  }

  /// What weights and activations may take.
  public var memory: MemoryBudget { weights.memory }

  /// Same model and weights with other functions.
  public func replacing(_ functions: FunctionTable) -> FloatInterpreter {
    FloatInterpreter(self, functions: functions)
  }

  /// The first `nodeCount` nodes, the last of which writes the output.
  public func prefix(_ nodeCount: Int) -> FloatInterpreter {
    FloatInterpreter(self, nodeCount: nodeCount)
  }

  private init(_ other: FloatInterpreter, nodeCount: Int) {
    var model = other.model
    model.nodes.removeSubrange(nodeCount...)
    self.model = model
    functions = other.functions
    weights = other.weights
    lastUses = other.lastUses.prefix(nodeCount - 1).map { min($0, nodeCount - 1) } + [nodeCount]
    isPooled = Array(other.isPooled.prefix(nodeCount))
  }

  private init(_ other: FloatInterpreter, functions: FunctionTable) {
    model = other.model
    self.functions = functions
    weights = other.weights
    lastUses = other.lastUses
    isPooled = other.isPooled
  }

  /// The output of the last node for the text `tokens`, [positions, width], or [1, width] where
  /// it is pooled: see `Model.output`.
  ///
  /// - Throws: `InputError` for no tokens, more than the position table has, ids outside the
  ///   vocabulary, or a text without the tokens that end the context of a prefix decoder.
  public func run(tokens: [Int], observe: Observer? = nil) throws(InputError) -> FloatMatrix {
    var batch = TextBatch()
    try batch.append(tokens, model: model)
    return FloatMatrix(
      rowCount: rows(of: model.nodes.count - 1, batch.texts[0], 0).count,
      columnCount: model.nodes[model.nodes.count - 1].width,
      values: try run(batch, observe: observe))
  }

  /// Runs `texts`, as many together as the memory budget allows, and calls `receive` with the index
  /// and the output of each, in order.
  ///
  /// `progress` is told how many evaluations of nodes are done, and of how many.
  /// - Throws: `InputError` for a text that the model does not take, naming the text in `source`,
  ///   before any text runs; and where a weight cannot be read.
  public func run(
    texts: [[Int]], source: String, observe: Observer? = nil,
    progress: (_ done: Int, _ total: Int) -> Void = { _, _ in },
    receive: (Int, FloatMatrix) -> Void = { _, _ in }
  ) throws(InputError) {
    let batches = try batches(texts, source: source)
    let total = batches.count * model.nodes.count
    let width = model.nodes[model.nodes.count - 1].width
    var index = 0
    for (number, batch) in batches.enumerated() {
      let output = try run(batch, observe: observe) {
        progress(number * model.nodes.count + $0 + 1, total)
      }
      for (place, text) in batch.texts.enumerated() {
        let rows = rows(of: model.nodes.count - 1, text, place)
        receive(
          index,
          FloatMatrix(
            rowCount: rows.count, columnCount: width,
            values: Array(output[rows.lowerBound * width..<rows.upperBound * width])))
        index += 1
      }
    }
  }

  /// Runs all `texts` together; before each linear node `fit` is given its index, what it reads and
  /// its weights, and may return others, which the node then uses.
  ///
  /// `residual` is the other term of the sum that reads the node's output, such as the residual
  /// stream; nil where no sum does, or where its other term is computed later.
  ///
  /// - Throws: as `run(texts:)` does, and what `fit` throws.
  public func refit(
    texts: [[Int]], source: String,
    _ fit: (
      _ nodeIndex: Int, _ input: FloatMatrix, _ residual: [Float]?, _ weights: LinearWeights
    ) throws(InputError) -> LinearWeights?
  ) throws(InputError) {
    var batch = TextBatch()
    for (index, tokens) in texts.enumerated() {
      do throws(InputError) {
        try batch.append(tokens, model: model)
      } catch {
        throw InputError(source, place: "text \(index)", error.cause, hint: error.hint)
      }
    }
    var values = [[Float]](repeating: [], count: model.nodes.count)
    for (index, node) in model.nodes.enumerated() {
      if case .linear(let input, let matrix, let bias) = node.operation {
        let current = LinearWeights(
          matrix: try weights.vector(matrix),
          bias: try bias.map { name throws(InputError) in try weights.vector(name) })
        let read = FloatMatrix(
          rowCount: rowCount(of: index, batch), columnCount: model.nodes[input].width,
          values: values[input])
        let residual = model.residualSum(of: index).map { values[$0.residual] }
        values[index] = MatrixProduct.affine(
          read, try fit(index, read, residual, current) ?? current)
      } else {
        values[index] = try evaluate(index, batch, values: values, observe: nil)
      }
      for input in node.operation.inputs where lastUses[input] == index { values[input] = [] }
    }
  }

  /// Rows of a value in a batch.
  private func rowCount(of value: ModelValue, _ batch: TextBatch) -> Int {
    isPooled[value] ? batch.texts.count : batch.rowCount
  }

  /// Rows of a value that belong to `text`, the text at `index` of its batch.
  private func rows(of value: ModelValue, _ text: TextBatch.Text, _ index: Int) -> Range<Int> {
    isPooled[value] ? index..<index + 1 : text.rows
  }

  private func batches(_ texts: [[Int]], source: String) throws(InputError) -> [TextBatch] {
    let limit = rowLimit
    var batches: [TextBatch] = []
    for (index, tokens) in texts.enumerated() {
      if batches.last.map({ $0.rowCount + tokens.count > limit }) ?? true {
        batches.append(TextBatch())
      }
      do throws(InputError) {
        try batches[batches.count - 1].append(tokens, model: model)
      } catch {
        throw InputError(source, place: "text \(index)", error.cause, hint: error.hint)
      }
    }
    return batches
  }

  /// Positions whose activations fit the budget together, at the node where most values are alive.
  ///
  /// Where weights are in memory nothing is saved by running texts together, and by itself each
  /// gives the same bits whatever the others are.
  private var rowLimit: Int {
    if weights.isResident { return 1 }
    var alive = 0
    var widest = 1
    for (index, node) in model.nodes.enumerated() {
      alive += node.width
      widest = max(widest, alive)
      for value in 0...index where lastUses[value] == index { alive -= model.nodes[value].width }
    }
    return max(1, weights.memory.activationByteCount / (widest * MemoryLayout<Float>.size))
  }

  private func run(
    _ batch: TextBatch, observe: Observer?, evaluated: (_ nodeIndex: Int) -> Void = { _ in }
  ) throws(InputError) -> [Float] {
    var values = [[Float]](repeating: [], count: model.nodes.count)
    for (index, node) in model.nodes.enumerated() {
      values[index] = try evaluate(index, batch, values: values, observe: observe)
      observe?(index, .output, values[index])
      for input in node.operation.inputs where lastUses[input] == index { values[input] = [] }
      if lastUses[index] == index { values[index] = [] }
      evaluated(index)
    }
    return values[model.nodes.count - 1]
  }

  func evaluate(
    _ index: Int, _ batch: TextBatch, values: [[Float]], observe: Observer?
  ) throws(InputError) -> [Float] {
    let node = model.nodes[index]
    switch node.operation {
    case .embed(let tokenTable, let positionTable, let offset, let segments):
      return try embed(
        batch, width: node.width, tokenTable: tokenTable, positionTable: positionTable,
        offset: offset, segments: segments)
    case .layerNorm(let input, let settings), .rmsNorm(let input, let settings):
      let isCentred = if case .layerNorm = node.operation { true } else { false }
      return normalise(
        values[input], name: node.name, width: node.width, isCentred: isCentred, settings,
        gamma: try settings.gamma.map { name throws(InputError) in try weights.vector(name) },
        beta: try settings.beta.map { name throws(InputError) in try weights.vector(name) },
        observe: observe.map { observe in { observe(index, .variance, $0) } })
    case .rotary(let input, let headCount, let positions):
      return rotary(
        values[input], batch, width: node.width, headCount: headCount, positions)
    case .linear(let input, let matrix, let bias):
      return try linear(
        values[input], rowCount: rowCount(of: index, batch), weight: matrix, bias: bias,
        inputs: model.nodes[input].width, outputs: node.width)
    case .attention(let query, let key, let value, let settings):
      var result = [Float](repeating: 0, count: batch.rowCount * node.width)
      let biasTable = try settings.biasTable.map { name throws(InputError) in
        try weights.vector(name)
      }
      for text in batch.texts {
        attention(
          query: values[query], key: values[key], value: values[value], name: node.name,
          shape: AttentionShape(
            firstRow: text.rows.lowerBound, keyCount: text.rows.count,
            positions: 0..<text.rows.count,
            headWidth: node.width / settings.headCount, settings: settings, biasTable: biasTable,
            isCausal: model.kind.isDecoder, contextLength: text.context.length),
          into: &result, observe: observe.map { observe in { observe(index, $0, $1) } })
      }
      return result
    case .activation(let input, let activation):
      let function = functions.activations[node.name] ?? activation.function
      return values[input].map { Float(function(Double($0))) }
    case .add(let left, let right):
      return zip(values[left], values[right]).map { $0 + $1 }
    case .multiply(let left, let right):
      return zip(values[left], values[right]).map { $0 * $1 }
    case .scale(let input, let factor):
      return values[input].map { Float(Double($0) * factor) }
    case .softCap(let input, let cap):
      let function = softCap(cap, name: node.name)
      return values[input].map { Float(function(Double($0))) }
    case .gates(let input): return values[input].map { $0 >= 0 ? 1 : 0 }
    case .gated(let input, let gates):
      let block = node.width / model.nodes[gates].width
      return values[input].enumerated().map { $1 * values[gates][$0 / block] }
    case .pool(let input, let pooling):
      return pool(values[input], batch, width: node.width, pooling)
    }
  }
}

extension FloatInterpreter {
  /// The output of the attention at `index` for the last rows of a decoder's text, of which `keys` and
  /// `values` hold all, row-major.
  ///
  /// - Parameters:
  ///   - query: [count, width], of the positions from `firstPosition` on.
  ///   - count: Rows of the query.
  func attend(
    _ index: Int, query: [Float], keys: [Float], values: [Float], firstPosition: Int, count: Int
  ) throws(InputError) -> [Float] {
    let node = model.nodes[index]
    guard case .attention(_, _, _, let settings) = node.operation else {
      preconditionFailure("the node is an attention")
    }
    var result = [Float](repeating: 0, count: count * node.width)
    attention(
      query: query, key: keys, value: values, name: node.name,
      shape: AttentionShape(
        firstRow: 0, keyCount: firstPosition + count,
        positions: firstPosition..<firstPosition + count,
        headWidth: node.width / settings.headCount, settings: settings,
        biasTable: try settings.biasTable.map { name throws(InputError) in
          try weights.vector(name)
        }, isCausal: true, contextLength: 0), into: &result, observe: nil)
    return result
  }
}

// MARK: Nodes that read weights

extension FloatInterpreter {
  private func embed(
    _ batch: TextBatch, width: Int, tokenTable: String, positionTable: String?, offset: Int,
    segments: String?
  ) throws(InputError) -> [Float] {
    let segment = try segments.map { name throws(InputError) in
      try weights.rows(0..<1, of: name, columnCount: width)
    }
    var result: [Float] = []
    result.reserveCapacity(batch.rowCount * width)
    // Rows that follow one another in the table are read at once: those of a whole vocabulary do.
    let tokens = batch.texts.flatMap(\.tokens)
    var first = 0
    while first < tokens.count {
      var last = first
      while last + 1 < tokens.count, last - first < 63, tokens[last + 1] == tokens[last] + 1 {
        last += 1
      }
      result += try weights.rows(
        tokens[first]..<tokens[last] + 1, of: tokenTable, columnCount: width)
      first = last + 1
    }
    guard segment != nil || positionTable != nil else { return result }
    var start = 0
    for text in batch.texts {
      for position in text.firstPosition..<text.firstPosition + text.tokens.count {
        if let segment { FloatInterpreter.add(segment, to: &result, at: start) }
        if let positionTable {
          FloatInterpreter.add(
            try weights.rows(
              position + offset..<position + offset + 1, of: positionTable, columnCount: width),
            to: &result, at: start)
        }
        start += width
      }
    }
    return result
  }

  private static func add(_ row: ArraySlice<Float>, to values: inout [Float], at start: Int) {
    for (index, value) in row.enumerated() { values[start + index] += value }
  }

  private func linear(
    _ input: [Float], rowCount: Int, weight: String, bias: String?, inputs: Int, outputs: Int
  ) throws(InputError) -> [Float] {
    var result: [Float] = []
    if let bias = try bias.map({ name throws(InputError) in try weights.vector(name) }) {
      result.reserveCapacity(rowCount * outputs)
      for _ in 0..<rowCount { result += bias }
    } else {
      result = [Float](repeating: 0, count: rowCount * outputs)
    }
    try weights.forEachPart(of: weight, rowCount: outputs, columnCount: inputs) { part in
      MatrixProduct.multiply(
        input, MatrixView(offset: 0, rowCount: rowCount, columnCount: inputs, stride: inputs),
        part.values,
        MatrixView(offset: 0, rowCount: part.rows.count, columnCount: inputs, stride: inputs),
        transposed: true, keep: 1, into: &result,
        MatrixView(
          offset: part.rows.lowerBound, rowCount: rowCount, columnCount: part.rows.count,
          stride: outputs))
    }
    return result
  }
}
