// Runs one window of text through the stages of a converted model and compares them.

import Approximation
public import Bytes
import Foundation
public import Models
public import Program
import Randomness
public import Sharing

/// A converted model, ready to be evaluated in float and in the ring.
///
/// Weights are kept in float and as ring elements, 12 bytes a parameter, where that is within the
/// memory budget; those of larger models are read from the file tensor by tensor for every window.
/// A window of T tokens takes T times the widths of all nodes in float, and the attention scores of
/// a layer.
public struct Evaluator: Sendable {
  public let model: Model
  public let program: SecureProgram
  public let pooling: Pooling
  let nodes: [LoweredNode]
  /// In the order of the model's nodes.
  public let functions: [ReplacedFunction]
  /// Pending gamma and beta of normalisations that the following layers took in.
  let vectors: [String: [Float]]
  private let path: String
  private let interpreter: FloatInterpreter
  /// What stage `original` runs: the file's own weights, unless others were given.
  private let originalInterpreter: FloatInterpreter
  private let encoder: WeightEncoder
  /// Empty for a model that exceeds the budget.
  private let weights: [[UInt64]]
  private let tables: EmbeddingTables?

  /// Seed of the masks in stage `ring`: fixed, so that an evaluation gives the same numbers again.
  static let seeds = BatchSeeds(
    seed: Seed(bytes: SHA256.digest(Array("lodge/1/validation".utf8))))

  /// Reads the weights of the file at `path`.
  ///
  /// - Parameter reference: The checkpoint that stage `original` runs, for a file whose weights
  ///   were refitted or trained; the file's own weights where it is nil.
  /// - Throws: `InputError` for a model that cannot be lowered, for weights not finite, and for a
  ///   reference of another graph.
  public init(
    _ file: ModelFile, path: String, reference: LoadedModel? = nil, pooling: Pooling = .mean,
    memory: MemoryBudget = .default
  ) throws(InputError) {
    self.path = path
    self.pooling = pooling
    model = file.model
    let lowered = try file.lowered()
    program = lowered.program
    nodes = lowered.nodes
    functions = try ReplacedFunction.all(
      in: file.model, recipe: file.recipe, calibration: file.calibration)
    let source = FiniteWeights(file: file, path: path)
    interpreter = try FloatInterpreter(file.model, weights: source, memory: memory)
    if let reference {
      var graph = reference.model
      graph.padToken = file.model.padToken
      guard graph == file.model else {
        throw InputError(
          reference.path, "is another model than \(path) was converted from",
          hint: "give the checkpoint that its weights were refitted or trained from")
      }
      originalInterpreter = try FloatInterpreter(reference, memory: memory)
    } else {
      originalInterpreter = interpreter
    }
    encoder = WeightEncoder(source: path, weights: source)
    var weights: [[UInt64]] = []
    let byteCount = program.weights.reduce(0) { $0 + 8 * $1.elementCount }
    if byteCount <= memory.byteCount / 2 {
      for weight in program.weights { weights.append(try encoder.encode(weight)) }
    }
    self.weights = weights
    var vectors: [String: [Float]] = [:]
    for name in Set(nodes.flatMap { [$0.gamma, $0.beta] }.compactMap { $0 }) {
      vectors[name] = try source.weight(name)
    }
    self.vectors = vectors
    tables = program.clientInput == .embedding ? try EmbeddingTables(file) : nil
  }

  /// Whether no value of the program stands for `node`: see `LoweredNode.value`.
  public func isScaledLater(_ node: ModelNode) -> Bool {
    zip(model.nodes, nodes).contains { $0.name == node.name && $1.value == nil }
  }

  /// A simulator with the masks of a session, for `step`, or with `weights` of its own.
  func simulator(_ seeds: BatchSeeds, session: Int, weights: [[UInt64]] = []) -> RingSimulator {
    RingSimulator(
      program: program, weights: weights,
      streams: (0...1).map { seeds.streams(session: session, party: $0) },
      comparisonKey: BatchSeeds.comparisonKey(batch: seeds.identifier, session: session),
      noise: seeds.noise(session: session))
  }

  /// The output rows of one step in the simulator.
  func step(
    _ simulator: inout RingSimulator, _ step: SessionStep, input: [UInt64],
    observe: RingSimulator.Observer? = nil
  ) throws(InputError) -> [UInt64] {
    try simulator.step(step, input: input, observe: observe) { id throws(InputError) in
      weights.isEmpty ? try encoder.encode(program.weights[id]) : weights[id]
    }
  }

  /// Whether ring elements of the weights are kept in memory.
  public var keepsWeights: Bool { !weights.isEmpty }

  /// Ring elements of the client's rows for `tokens`, the first of them at position `start`.
  func input(_ tokens: [Int], start: Int = 0) throws(InputError) -> [UInt64] {
    if let tables { return try tables.rows(tokens, start: start) }
    var words = [UInt64](repeating: 0, count: tokens.count * model.vocabularySize)
    for (row, token) in tokens.enumerated() { words[row * model.vocabularySize + token] = 1 }
    return words
  }

  /// A session in which `tokens` are evaluated one by one, all behind the context of a prefix
  /// decoder: it gives the output of each.
  func session(_ tokens: [Int]) throws(InputError) -> SessionShape {
    switch model.kind {
    case .encoder:
      return SessionShape(kind: .encoder, promptCapacity: tokens.count, newCapacity: 0)
    case .decoder, .prefixDecoder:
      let prompt = try model.contextMarkers?.promptLength(of: tokens) ?? 1
      return SessionShape(
        kind: model.kind, promptCapacity: prompt, newCapacity: tokens.count - prompt + 1)
    }
  }

  /// The original model's output in float.
  func original(_ tokens: [Int]) throws(InputError) -> FloatMatrix {
    try originalInterpreter.run(tokens: tokens)
  }

  /// Output words as real numbers.
  func decoded(_ words: [UInt64]) -> [Float] {
    program.outputValues(words)
  }

  // MARK: Stages

  /// Evaluates a window in the stages `original`, `approximated` and `ring`.
  ///
  /// The ring simulator evaluates all steps of a session at once in which the tokens arrive one by
  /// one, as `SessionStep.dealing` says: the same program, primitives and masks as in service.
  ///
  /// - Parameter observesNodes: Whether the outputs of nodes and the widths of all ring values are
  ///   compared as well.
  func evaluate(_ window: EvaluationWindow, session number: Int, observesNodes: Bool)
    throws(InputError) -> WindowResult
  {
    var result = WindowResult(window, evaluator: self)
    let clock = ContinuousClock()
    var started = clock.now
    func lap(_ stage: Stage) {
      let now = clock.now
      result.seconds[stage] = (now - started) / .seconds(1)
      started = now
    }
    var originals = [[Float]](repeating: [], count: model.nodes.count)
    var failure: InputError?
    let original = try originalInterpreter.run(tokens: window.tokens) { node, kind, values in
      guard kind == .output else { return }
      if failure == nil, !values.allSatisfy(\.isFinite) {
        failure = InputError(
          path, place: model.nodes[node].name, "is not finite on text \(window.text)")
      }
      if observesNodes { originals[node] = values }
    }
    if let failure { throw failure }
    lap(.original)

    let recording = RecordingFunctions(functions)
    let approximated = try interpreter.replacing(recording.table).run(tokens: window.tokens) {
      node, kind, values in
      guard observesNodes, kind == .output else { return }
      for (x, y) in zip(values, originals[node]) {
        result.approximatedErrors[node].add(Double(x), original: Double(y))
      }
    }
    result.functions = recording.statistics
    lap(.approximated)

    let session = try session(window.tokens)
    let nodesByValue = Dictionary(
      nodes.enumerated().compactMap { node in node.element.value.map { ($0, [node.offset]) } },
      uniquingKeysWith: +)
    var simulator = simulator(Evaluator.seeds, session: number)
    let step =
      model.kind.isDecoder
      ? SessionStep.dealing(session)
      : SessionStep(session: session, rows: 0..<window.tokens.count, index: 0)
    let observe: RingSimulator.Observer = { value, words, operandBits in
      if let operandBits {
        // All of these bits are the number's: none is kept free, as views need one.
        result.widths[value].add(words, ringBits: operandBits + 1)
        return
      }
      let isBit = program.values[value].ringBits == 1
      if !isBit, value > 0 || program.clientInput == .embedding {
        result.widths[value].add(words, ringBits: program.values[value].ringBits)
      }
      for node in nodesByValue[value] ?? [] {
        compare(
          words, of: value, with: originals[node], node: node, &result.ringErrors[node])
      }
    }
    let output = try self.step(
      &simulator, step, input: input(window.tokens), observe: observesNodes ? observe : nil)
    let values = decoded(output)
    let ring = FloatMatrix(
      rowCount: values.count / original.columnCount, columnCount: original.columnCount,
      values: values)
    lap(.ring)

    // Of a context nothing is asked for.
    let firstRow = original.rowCount - ring.rowCount
    result.compare(
      original: original.dropFirst(firstRow), approximated: approximated.dropFirst(firstRow),
      ring: ring, firstRow: firstRow, pooling: pooling, number: number)
    return result
  }

  /// Adds the error of a node's value in the ring, which may lack the first rows.
  private func compare(
    _ words: [UInt64], of value: ValueID, with original: [Float], node: Int,
    _ error: inout RelativeError
  ) {
    let original = Array(original.suffix(words.count))
    let lowered = nodes[node]
    let scale = pow(0.5, Double(program.values[value].fractionalBits)) / lowered.factor
    let gamma = lowered.gamma.flatMap { vectors[$0] }
    let beta = lowered.beta.flatMap { vectors[$0] }
    let width = model.nodes[node].width
    var mean = 0.0
    var originalMean = 0.0
    for (index, word) in words.enumerated() {
      if !lowered.isCentred, index.isMultiple(of: width) {
        let row = words[index..<min(index + width, words.count)]
        mean = row.reduce(0) { $0 + Double(Int64(bitPattern: $1)) } * scale / Double(width)
      }
      if lowered.lacksMean, index.isMultiple(of: width) {
        let row = original[index..<min(index + width, original.count)]
        originalMean = row.reduce(0) { $0 + Double($1) } / Double(width)
      }
      var value = Double(Int64(bitPattern: word)) * scale - mean
      // Those of a group serve all.
      if let gamma { value *= Double(gamma[index % gamma.count]) }
      if let beta { value += Double(beta[index % beta.count]) }
      if let cap = lowered.softCap { value = cap * tanh(value / cap) }
      error.add(value, original: Double(original[index]) - originalMean)
    }
  }
}

/// The weights of a file, refused where they are not finite.
private struct FiniteWeights: WeightSource {
  let file: ModelFile
  let path: String

  func weight(_ name: String) throws(InputError) -> [Float] {
    try checked(file.weight(name), name, firstIndex: 0)
  }

  func weight(_ name: String, in elements: Range<Int>) throws(InputError) -> [Float] {
    try checked(file.weight(name, in: elements), name, firstIndex: elements.lowerBound)
  }

  private func checked(_ values: [Float], _ name: String, firstIndex: Int) throws(InputError)
    -> [Float]
  {
    if let index = values.firstIndex(where: { !$0.isFinite }) {
      throw InputError(
        path, place: "weights/\(name)", "element \(firstIndex + index) is \(values[index])",
        hint: "the checkpoint that it was converted from may be damaged")
    }
    return values
  }
}
