// What a replacement costs: it is lowered alone, and the cost interpreter is asked.

public import Approximation
public import Bytes
public import Models

/// Seconds that flights, bytes and comparisons take, so that costs can be compared.
public struct CostWeights: Sendable {
  /// An exchange takes one way: half a round trip.
  public var secondsPerRound: Double
  public var secondsPerByte: Double
  /// Of one evaluation of a comparison key, by one party.
  public var secondsPerComparison: Double
  /// Of one cell of a lookup, by one party.
  public var secondsPerLookupCell: Double
  /// Of a byte of dealt keys and words in both files together: each party reads its own and digests
  /// it.
  public var secondsPerDealtByte: Double

  public init(
    secondsPerRound: Double, secondsPerByte: Double, secondsPerComparison: Double,
    secondsPerLookupCell: Double, secondsPerDealtByte: Double
  ) {
    self.secondsPerRound = secondsPerRound
    self.secondsPerByte = secondsPerByte
    self.secondsPerComparison = secondsPerComparison
    self.secondsPerLookupCell = secondsPerLookupCell
    self.secondsPerDealtByte = secondsPerDealtByte
  }

  /// A round trip of 10 ms, 1 Gbps, 50 ns a comparison, between one of many with the same key and
  /// one alone, and 3 ns a cell, as `lodge-bench kernels` measures them, and a digest of 1 GB/s.
  public static let reference = CostWeights(
    secondsPerRound: 0.005, secondsPerByte: 8e-9, secondsPerComparison: 5e-8,
    secondsPerLookupCell: 3e-9, secondsPerDealtByte: 5e-10)

  /// A network's latency and bandwidth, with the comparisons of the reference.
  public init(roundTripSeconds: Double, bitsPerSecond: Double) {
    self.init(
      secondsPerRound: roundTripSeconds / 2, secondsPerByte: 8 / bitsPerSecond,
      secondsPerComparison: CostWeights.reference.secondsPerComparison,
      secondsPerLookupCell: CostWeights.reference.secondsPerLookupCell,
      secondsPerDealtByte: CostWeights.reference.secondsPerDealtByte)
  }

  /// What those nodes that satisfy the predicate take in `session`: in its first step, and in each
  /// further one what they take in the last.
  public func seconds(
    _ program: SecureProgram, _ session: SessionShape,
    where included: (ProgramNode) -> Bool = { _ in true }
  ) -> Double {
    func seconds(_ step: SessionStep) -> Double {
      let cost = program.cost(of: step, where: included)
      return Double(cost.roundCount) * secondsPerRound
        + Double(cost.openedWordCount * 8) * secondsPerByte
        + Double(cost.comparisonCount) * secondsPerComparison
        + Double(cost.lookupCellCount) * secondsPerLookupCell
    }
    let dealt = program.correlationCost(of: session, where: included)
    let reading =
      Double((0...1).reduce(0) { $0 + dealt.byteCount(party: $1) }) * secondsPerDealtByte
    let first = seconds(session.firstStep) + reading
    guard session.newCapacity > 1 else { return first }
    return first + Double(session.newCapacity - 1) * seconds(session.lastStep)
  }
}

extension SessionShape {
  /// Of a prompt or text of `count` tokens, as many as there is room for unless given, and of a row for
  /// every further token.
  public func steps(prompt count: Int? = nil) -> [SessionStep] {
    (0..<max(newCapacity, 1)).map { step($0, prompt: count ?? promptCapacity) }
  }
  /// That of the whole prompt or text.
  public var firstStep: SessionStep { step(0, prompt: promptCapacity) }
  /// That of the last token, or that of the whole prompt or text where it is the only one.
  public var lastStep: SessionStep { step(max(newCapacity, 1) - 1, prompt: promptCapacity) }

  private func step(_ index: Int, prompt count: Int) -> SessionStep {
    let rows = index == 0 ? 0..<count : count + index - 1..<count + index
    return SessionStep(session: self, rows: rows, index: index)
  }

  /// A prompt of 64 and 32 new tokens, or a text of 64, or as much as the model takes.
  public static func reference(for model: Model) -> SessionShape {
    guard model.kind.isDecoder else {
      return SessionShape(
        kind: .encoder, promptCapacity: min(64, model.maximumPositions), newCapacity: 0)
    }
    let prompt = min(64, max(model.maximumPositions / 2, 1))
    return SessionShape(
      kind: model.kind, promptCapacity: prompt,
      newCapacity: min(32, model.maximumPositions - prompt + 1))
  }
}

extension SecureProgram {
  /// A program of node `index` alone with `form`, up to what its readers take.
  ///
  /// It starts with the node's input as the client's, opened or truncated by nobody yet, and ends
  /// with the first linear layer or product that reads the node, where there is one.
  public static func lowerAlone(
    _ model: Model, node index: Int, form: ReplacementForm, recipe: Recipe,
    calibration: Calibration
  ) throws(InputError) -> SecureProgram {
    let node = model.nodes[index]
    var calibration = calibration
    var alone = model
    let input = "lodge.input"
    func append(_ name: String, _ operation: ModelOperation, width: Int) {
      alone.nodes.append(ModelNode(name: name, operation: operation, width: width))
    }
    alone.nodes = []
    let inputs = node.operation.inputs
    var width = node.width
    if case .attention = node.operation {} else { width = model.nodes[inputs[0]].width }
    var forms: [ReplacementForm?] = [nil, form]
    append(
      input, .embed(tokens: "", positions: nil, positionOffset: 0, segments: nil), width: width)
    let source =
      if case .attention(_, _, let value, _) = node.operation { value } else { inputs[0] }
    calibration.include(
      try calibration.range(model.nodes[source].name, .output), node: input, quantity: .output)
    switch node.operation {
    case .attention(_, _, _, var settings):
      settings.keyHeadCount = settings.headCount
      settings.scale = 1
      append(
        node.name, .attention(query: 0, key: 0, value: 0, settings), width: width)
    case .layerNorm(_, let settings):
      append(node.name, .layerNorm(0, settings), width: width)
    case .rmsNorm(_, let settings):
      append(node.name, .rmsNorm(0, settings), width: width)
    case .activation(_, let activation):
      append(node.name, .activation(0, activation), width: width)
    case .embed, .linear, .rotary, .add, .multiply, .scale, .softCap, .pool, .gates, .gated:
      preconditionFailure("\(node.name) has no replacement")
    }
    for reader in model.nodes where reader.operation.inputs.contains(index) {
      if case .linear(_, let weight, let bias) = reader.operation {
        append(reader.name, .linear(1, weight: weight, bias: bias), width: reader.width)
      } else if case .multiply = reader.operation {
        append(reader.name, .multiply(1, 0), width: reader.width)
      } else {
        continue
      }
      forms.append(nil)
      break
    }
    var recipe = recipe
    recipe.embedding = .client
    return try LoweredModel(alone, recipe: recipe, forms: forms, calibration: calibration).program
  }
}

extension Recipe {
  /// The recipe settled for `model`: see `resolved(for:densities:cost:)`. Costs are weighed over
  /// the reference session.
  public func resolved(
    for model: Model, calibration: Calibration, densities: (any DensitySource)? = nil,
    weights: CostWeights = .reference
  ) throws(InputError) -> Recipe {
    let session = SessionShape.reference(for: model)
    return try resolved(for: model, densities: densities ?? calibration) {
      (index, form) throws(InputError) in
      let program = try SecureProgram.lowerAlone(
        model, node: index, form: form, recipe: self, calibration: calibration)
      return weights.seconds(program, session)
    }
  }

  /// Whether a choice for `model` is no approximation: ranges then differ from the original's.
  public func needsTraining(_ model: Model) -> Bool {
    model.nodes.contains { node in
      guard let choice = choice(for: node), let operationClass = node.operation.operationClass
      else { return false }
      return choice.replacement.needsTraining(for: operationClass)
    }
  }
}
