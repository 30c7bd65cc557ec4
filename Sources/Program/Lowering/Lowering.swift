// Lowers a Model graph with a recipe and calibrated ranges to a secure program.

public import Approximation
public import Bytes
import Foundation
public import Models

extension SecureProgram {
  /// The secure program of `model` under `recipe`, with scales chosen from `calibration`.
  ///
  /// - Throws: `InputError` naming the tensor whose range does not fit the ring, the node that
  ///   the calibration does not cover, or the one whose replacement is not resolved.
  public static func lower(_ model: Model, recipe: Recipe, calibration: Calibration)
    throws(InputError) -> SecureProgram
  {
    try LoweredModel(model, recipe: recipe, calibration: calibration).program
  }
}

/// A lowered program that still knows which of its values stand for the model's nodes.
public struct LoweredModel: Sendable {
  public let program: SecureProgram
  /// In the order of `Model.nodes`.
  public let nodes: [LoweredNode]

  /// Lowers `model`; throws as `SecureProgram.lower` does.
  public init(_ model: Model, recipe: Recipe, calibration: Calibration) throws(InputError) {
    var forms: [ReplacementForm?] = []
    for index in model.nodes.indices { forms.append(try recipe.form(of: index, in: model)) }
    try self.init(model, recipe: recipe, forms: forms, calibration: calibration)
  }

  /// The same with the replacement of each node, or nil where nothing is replaced.
  init(
    _ model: Model, recipe: Recipe, forms: [ReplacementForm?], calibration: Calibration
  ) throws(InputError) {
    var lowering = Lowering(
      model: model, recipe: recipe, forms: forms, calibration: calibration)
    for index in model.nodes.indices { try lowering.lower(index) }
    try lowering.finish()
    program = lowering.builder.program.withoutUnreadBits().comparingGatesBeside()
    try program.validate(source: "lowering")
    nodes = lowering.traced()
  }
}

/// Where the value of a model node stands in a program.
///
/// node = gamma * value / factor + beta, gamma and beta only where they are named, and the value
/// less the mean of its row unless it is centred: what the following layers take into their
/// weights.
public struct LoweredNode: Equatable, Sendable {
  /// Nil where no value of the program stands for the node.
  public var value: ValueID?
  /// The attention scale, which query projections take into their weights; else 1.
  public var factor: Double
  public var isCentred = true
  /// Whether the value is less the mean of its row, which the node is not.
  public var lacksMean = false
  /// Names of the model's weights, of the node's width.
  public var gamma: String?
  public var beta: String?
  /// What the reader of the output does to it.
  public var softCap: Double?
}

/// A model value in the course of lowering.
enum LoweredValue {
  case plain(FixedValue)
  /// Not yet multiplied by gamma: linear layers take what is pending into their weights.
  case normalised(FixedValue, PendingNormalisation)
  /// Not yet divided by the root of the variance either: linear layers take its rows as they are.
  case unscaled(UnscaledRows, PendingNormalisation)
  /// What a linear layer made of unscaled rows.
  case scaledLater(UnscaledProduct)
  /// The input of an activation whose only reader multiplies what it gives.
  case activatedLater(FixedValue, DeferredActivation)
}

/// What is made of an activation's input.
enum DeferredActivation {
  case permuted(OperationClass)
  case piecewise(PiecewisePolynomial)
}

/// factor * gamma * (x - mean of x, where it is centred) + beta.
struct PendingNormalisation {
  /// Of the width, or of that of a group.
  var gamma: String?
  var beta: String?
  /// What beta is multiplied by, as the value already is: see `queryScale`.
  var scale = 1.0
  var factor = 1.0
  var isCentred = false
  var groupCount = 1
}

/// Walks the graph once, node by node.
struct Lowering {
  let model: Model
  let recipe: Recipe
  private let forms: [ReplacementForm?]
  let calibration: Calibration
  private(set) var stream = ResidualStream()
  var builder: ProgramBuilder
  /// That of the node which is lowered.
  private(set) var comparison = Recipe.Comparison.keys
  var lowered: [LoweredValue] = []
  /// Values as the rest of the graph sees them: after the last attention only the last row counts.
  private var lastRows: [ValueID: FixedValue] = [:]
  let lastAttention: Int?
  /// The node of gates that decide about blocks of each node's value.
  let gates: [Int: Int]
  /// The same of heads: see `Model.headGates`.
  let headGates: (attentions: [Int: Int], queries: [Int: Int])
  /// Revealed bits by the node of gates.
  var gateBits: [Int: ValueID] = [:]

  init(model: Model, recipe: Recipe, forms: [ReplacementForm?], calibration: Calibration) {
    self.model = model
    self.recipe = recipe
    self.forms = forms
    self.calibration = calibration
    gates = model.gatedNodes
    headGates = model.headGates
    builder = ProgramBuilder(
      program: SecureProgram(
        family: model.family, kind: model.kind,
        clientInput: recipe.embedding == .secret ? .oneHot : .embedding,
        vocabularySize: model.vocabularySize, maximumPositions: model.maximumPositions,
        output: OutputDescription(
          meaning: model.output, padToken: model.padToken, contextMarkers: model.contextMarkers)))
    stream = ResidualStream(model, recipe: recipe) { index in
      switch forms[index] {
      case .normalisation(.exact), .permuted: true
      default: false
      }
    }
    lastAttention =
      model.kind == .encoder
      ? nil
      : model.nodes.lastIndex {
        if case .attention = $0.operation { return true }
        return false
      }
  }

  /// Fractional bits of weights and of truncated activations.
  var bits: Int { recipe.fractionalBits }

  var varianceHeadroom: Double { calibration.varianceHeadroom(recipe.headroom, for: model) }

  /// Calibrated bound of a node's output, widened by the recipe's headroom.
  func outputBound(_ index: Int) throws(InputError) -> Double {
    max(try calibration.bound(model.nodes[index].name), 0x1p-40) * recipe.headroom
  }

  func weightShape(_ name: String) -> [Int] {
    model.weights.first { $0.name == name }?.shape ?? []
  }

  /// Indices of the nodes that read the value of node `index`.
  func consumers(of index: Int) -> [Int] {
    model.nodes.indices.filter { model.nodes[$0].operation.inputs.contains(index) }
  }

  /// The same, with those of a gated value for the node that gates it.
  func readers(of index: Int) -> [Int] {
    consumers(of: index).flatMap { consumer in
      if case .gated(index, _) = model.nodes[consumer].operation { return consumers(of: consumer) }
      return [consumer]
    }
  }

  /// What is emitted from here on is of node `index`, and compared as its replacement says.
  private mutating func begin(_ index: Int) {
    let node = model.nodes[index]
    builder.label = node.name
    comparison = recipe.choice(for: node)?.comparison ?? recipe.comparison
    switch comparison {
    case .keys, .lookups: builder.comparison = .keys
    case .bits: builder.comparison = .bits
    }
  }

  mutating func lower(_ index: Int) throws(InputError) {
    begin(index)
    switch model.nodes[index].operation {
    case .embed(let tokens, let positions, let offset, let segments):
      lowered.append(
        .plain(
          try embed(
            index, tokens: tokens, positions: positions, offset: offset, segments: segments)))
    case .layerNorm(let input, let settings):
      lowered.append(
        isPermuted(index)
          ? try permutedNormalisation(index, plain(input), settings, isCentred: true)
          : try normalise(
            index, plain(input), form: normalisation(index), settings,
            isCentred: !stream.centred.contains(input)))
    case .linear(let input, let weight, let bias):
      lowered.append(try linear(index, input, weight: weight, bias: bias))
    case .attention(let query, let key, let value, let settings):
      let result = try attention(
        index, query: scaledQuery(query, settings), key: plain(key), value: plain(value),
        settings, form: isPermuted(index) ? nil : softmax(index))
      lowered.append(.plain(result))
    case .activation(let input, _):
      let activation: DeferredActivation =
        if case .permuted(let operationClass)? = forms[index] {
          .permuted(operationClass)
        } else {
          .piecewise(self.activation(index))
        }
      let value = try plain(input)
      lowered.append(
        isActivatedLater(index)
          ? .activatedLater(value, activation)
          : .plain(try self.activation(index, value, activation)))
    case .add(let left, let right):
      lowered.append(.plain(try residual(index, plain(left), plain(right))))
    case .rmsNorm(let input, let settings):
      lowered.append(
        isPermuted(index)
          ? try permutedNormalisation(index, plain(input), settings, isCentred: false)
          : try normalise(
            index, plain(input), form: normalisation(index), settings, isCentred: false))
    case .rotary(let input, let headCount, let positions):
      let rotation = Rotation(
        headCount: headCount, fractionalBits: Lowering.rotationBits, positions)
      if case .scaledLater(var product) = lowered[input],
        product.bias == nil || product.gates == nil
      {
        // Turned before they are scaled: the factors need room above a value.
        product.value = try rotate(index, product.value, rotation, bound: product.value.bound)
        product.rotation = rotation
        lowered.append(.scaledLater(product))
      } else {
        let bound = try outputBound(index) * queryScale(index)
        lowered.append(.plain(try rotate(index, plain(input), rotation, bound: bound)))
      }
    case .multiply(let left, let right):
      lowered.append(.plain(try product(index, left, right)))
    case .scale(let input, let factor):
      let scale = queryScale(index)
      lowered.append(
        .plain(
          try scaled(plain(input), by: factor * scale, bound: outputBound(index) * scale)))
    case .softCap(let input, let cap): lowered.append(.plain(try softCap(index, input, cap)))
    case .gates(let input): lowered.append(.plain(try reveal(index, plain(input))))
    case .gated(let input, _): lowered.append(.plain(try plain(input)))
    case .pool(let input, let pooling):
      lowered.append(.plain(try pool(plain(input), pooling, bound: outputBound(index))))
    }
  }

  /// Materialises and reveals the last value.
  mutating func finish() throws(InputError) {
    builder.label = "output"
    let value = try plain(model.nodes.count - 1)
    if let seen = calibration.ranges[model.nodes[model.nodes.count - 1].name]?[.output] {
      let largest = max(abs(seen.lowerBound), abs(seen.upperBound))
      if largest > 0 { builder.program.output.bound = 2 * largest }
    }
    // Numbers some bits beyond what is calibrated are told as such. Of rows that fill a word the number of
    // words tells how many they are.
    var outputBits = min(value.bits + wholeBits(value.bound), builder.ringBits(value))
    if outputBits * (builder.shape(value.id).width ?? 0) < 64 {
      outputBits = builder.ringBits(value)
    }
    _ = try builder.emit(.output(value.id, bits: outputBits), bits: [])
  }

  /// What each node's value has become.
  func traced() -> [LoweredNode] {
    let nodes = model.nodes.indices
    return lowered.enumerated().map { index, value in
      // Of these some columns are there.
      if gates[index] != nil { return LoweredNode(value: nil, factor: 1) }
      switch model.nodes[index].operation {
      case .gates: return LoweredNode(value: gateBits[index], factor: 1)
      case .gated: return LoweredNode(value: nil, factor: 1)
      default: break
      }
      switch value {
      case .unscaled, .scaledLater, .activatedLater: return LoweredNode(value: nil, factor: 1)
      case .normalised(let value, let pending):
        return LoweredNode(
          value: value.id, factor: pending.scale / pending.factor,
          isCentred: !pending.isCentred, gamma: pending.gamma, beta: pending.beta)
      case .plain(let value):
        // Queries of heads that run, where only some do.
        if builder.shape(value.id).columns.runningBlocks != nil {
          return LoweredNode(value: nil, factor: 1)
        }
        let isScaled =
          switch model.nodes[index].operation {
          case .linear, .rotary, .scale, .layerNorm, .rmsNorm: true
          default: false
          }
        var node = LoweredNode(value: value.id, factor: isScaled ? queryScale(index) : 1)
        node.lacksMean = stream.centred.contains(index)
        if case .softCap(_, let cap) = model.nodes[index].operation, index == nodes.upperBound - 1 {
          node.softCap = cap
        }
        return node
      }
    }
  }

  // MARK: Forms

  private func activation(_ index: Int) -> PiecewisePolynomial {
    guard case .activation(let function)? = forms[index] else { missing(index) }
    return function
  }

  func isPermuted(_ index: Int) -> Bool {
    if case .permuted? = forms[index] { return true }
    return false
  }

  func isPermutedActivation(_ index: Int) -> Bool {
    if case .activation = model.nodes[index].operation { return isPermuted(index) }
    return false
  }

  private func softmax(_ index: Int) -> SoftmaxForm {
    guard case .softmax(let form)? = forms[index] else { missing(index) }
    return form
  }

  private func normalisation(_ index: Int) -> NormalisationForm {
    guard case .normalisation(let form)? = forms[index] else { missing(index) }
    return form
  }

  /// Recipes check that a replacement stands for the class of its operation.
  private func missing(_ index: Int) -> Never {
    preconditionFailure("\(model.nodes[index].name) has a replacement of another class")
  }

  // MARK: Operands

  /// The value of a node as a shared value, with gamma and beta applied where they are pending.
  mutating func plain(_ index: Int) throws(InputError) -> FixedValue {
    switch lowered[index] {
    case .plain(let value):
      return try cut(value)
    case .normalised(let value, let pending):
      let result = try materialise(index, cut(value), pending)
      lowered[index] = .plain(result)
      return result
    case .unscaled(let rows, let pending):
      let result = try scaled(materialise(index, rows, pending))
      lowered[index] = .plain(result)
      return result
    case .scaledLater(let product):
      let result = try scaled(product)
      lowered[index] = .plain(result)
      return try cut(result)
    case .activatedLater(let value, let activation):
      let (label, comparisons) = (builder.label, (comparison, builder.comparison))
      begin(index)
      let result = try self.activation(index, value, activation)
      builder.label = label
      (comparison, builder.comparison) = comparisons
      lowered[index] = .plain(result)
      return result
    }
  }

  /// The last row of `value` once only the last row counts.
  mutating func cut(_ value: FixedValue) throws(InputError) -> FixedValue {
    guard isCut(value.id) else { return value }
    if let row = lastRows[value.id] { return row }
    let row = try builder.emit(.lastRow(value.id), bits: value.bits, bound: value.bound)
    lastRows[value.id] = row
    return row
  }

  /// Whether of `value` the last row alone counts.
  func isCut(_ value: ValueID) -> Bool {
    guard let lastAttention, lowered.count > lastAttention else { return false }
    return builder.shape(value).rows == .step
  }

  mutating func addBias(_ value: FixedValue, name: String, source: WeightFormula, width: Int)
    throws(InputError) -> FixedValue
  {
    let weight = builder.weight(
      ProgramWeight(
        name: name, rowCount: 1, columnCount: width, fractionalBits: value.bits, source: source))
    return try builder.emit(
      .addWeight(value.id, weight: weight, rows: .bias), bits: value.bits, bound: value.bound)
  }

  // MARK: Nodes

  func isResidual(_ index: Int) -> Bool {
    if case .add = model.nodes[index].operation { return true }
    return false
  }

  /// Fractional bits of cosines and sines.
  static let rotationBits = 16

  /// Rotary positions: local, but the factors need room above the value.
  mutating func rotate(
    _ index: Int, _ value: FixedValue, _ rotation: Rotation, bound: Double
  ) throws(InputError) -> FixedValue {
    var input = value
    if !builder.fits(bits: value.bits + rotation.fractionalBits, bound: 2 * bound) {
      input = try truncated(value)
    }
    return try builder.emit(
      .rotate(input.id, rotation), bits: input.bits + rotation.fractionalBits, bound: bound)
  }

  private mutating func activation(
    _ index: Int, _ value: FixedValue, _ activation: DeferredActivation
  ) throws(InputError) -> FixedValue {
    switch activation {
    case .permuted(let operationClass):
      try permutedActivation(index, value, operationClass)
    case .piecewise(let function): try self.activation(index, value, function)
    }
  }

  /// Whether a product alone reads activation `index`, and another value.
  private func isActivatedLater(_ index: Int) -> Bool {
    let consumers = consumers(of: index)
    guard consumers.count == 1, let reader = consumers.first,
      case .multiply(let left, let right) = model.nodes[reader].operation
    else { return false }
    return isActivation(left) != isActivation(right)
  }

  private func isActivation(_ index: Int) -> Bool {
    if case .activation = model.nodes[index].operation { return true }
    return false
  }

  /// Node `index`, the product of two others: in the messages of an activation where it fits there.
  private mutating func product(_ index: Int, _ left: ModelValue, _ right: ModelValue)
    throws(InputError) -> FixedValue
  {
    let (active, other) = isActivation(left) ? (left, right) : (right, left)
    if case .activatedLater(let value, let activation) = lowered[active] {
      let product =
        switch activation {
        case .permuted(let operationClass):
          try permutedProduct(index, value, operationClass, other)
        case .piecewise(let function): try lookupProduct(index, value, function, other)
        }
      if let product { return product }
    }
    return try multiply(index, plain(left), plain(right))
  }

  /// Product of two values element by element, each truncated in the round that opens it.
  mutating func multiply(_ index: Int, _ left: FixedValue, _ right: FixedValue)
    throws(InputError) -> FixedValue
  {
    let bits = factorBits(left, right)
    let first = try builder.open(left, bits: bits.left)
    let second = try builder.open(right, bits: bits.right)
    return try builder.emit(
      .multiply(first.id, second.id), bits: first.bits + second.bits, bound: outputBound(index))
  }
}
