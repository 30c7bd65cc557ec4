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
    guard model.contextMarkers == nil else {
      throw InputError(
        "lowering", place: model.family, "a prefix decoder's context is not lowered yet")
    }
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
    program = lowering.builder.program
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
  public var value: ValueID
  /// The attention scale, which query projections take into their weights; else 1.
  public var factor: Double
  public var isCentred = true
  /// Names of the model's weights, of the node's width.
  public var gamma: String?
  public var beta: String?
}

/// A model value in the course of lowering.
enum LoweredValue {
  case plain(FixedValue)
  /// Not yet multiplied by gamma: linear layers take what is pending into their weights.
  case normalised(FixedValue, PendingNormalisation)
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
  var builder: ProgramBuilder
  var lowered: [LoweredValue] = []
  /// Values as the rest of the graph sees them: after the last attention only the last row counts.
  private var lastRows: [ValueID: FixedValue] = [:]
  private let lastAttention: Int?

  init(model: Model, recipe: Recipe, forms: [ReplacementForm?], calibration: Calibration) {
    self.model = model
    self.recipe = recipe
    self.forms = forms
    self.calibration = calibration
    builder = ProgramBuilder(
      program: SecureProgram(
        family: model.family, kind: model.kind,
        clientInput: recipe.embedding == .secret ? .oneHot : .embedding,
        vocabularySize: model.vocabularySize, maximumPositions: model.maximumPositions))
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

  /// Calibrated bound of a node's output, widened by the recipe's headroom.
  func outputBound(_ index: Int) throws(InputError) -> Double {
    try calibration.bound(model.nodes[index].name) * recipe.headroom
  }

  func weightShape(_ name: String) -> [Int] {
    model.weights.first { $0.name == name }?.shape ?? []
  }

  /// Indices of the nodes that read the value of node `index`.
  func consumers(of index: Int) -> [Int] {
    model.nodes.indices.filter { model.nodes[$0].operation.inputs.contains(index) }
  }

  mutating func lower(_ index: Int) throws(InputError) {
    let node = model.nodes[index]
    builder.label = node.name
    switch recipe.choice(for: node)?.comparison ?? recipe.comparison {
    case .keys: builder.comparison = .keys
    case .bits: builder.comparison = .bits
    }
    switch node.operation {
    case .embed(let tokens, let positions, let offset, let segments):
      lowered.append(
        .plain(
          try embed(
            index, tokens: tokens, positions: positions, offset: offset, segments: segments)))
    case .layerNorm(let input, let settings):
      lowered.append(
        try normalise(
          index, plain(input), form: normalisation(index), settings, isCentred: true))
    case .linear(let input, let weight, let bias):
      lowered.append(.plain(try linear(index, input, weight: weight, bias: bias)))
    case .attention(let query, let key, let value, let settings):
      let result = try attention(
        index, query: scaledQuery(query, settings), key: plain(key), value: plain(value),
        settings, form: softmax(index))
      lowered.append(.plain(result))
    case .activation(let input, _):
      lowered.append(.plain(try activation(index, plain(input), activation(index))))
    case .add(let left, let right):
      lowered.append(.plain(try residual(index, plain(left), plain(right))))
    case .rmsNorm(let input, let settings):
      lowered.append(
        try normalise(
          index, plain(input), form: normalisation(index), settings, isCentred: false))
    case .rotary(let input, let headCount, let positions):
      let rotation = Rotation(
        headCount: headCount, isInterleaved: positions.layout == .pairs,
        fractionalBits: Lowering.rotationBits, frequencies: positions.frequencies,
        magnitude: positions.magnitude)
      lowered.append(.plain(try rotate(index, plain(input), rotation)))
    case .multiply(let left, let right):
      lowered.append(.plain(try multiply(index, plain(left), plain(right))))
    case .scale(let input, let factor):
      let scale = queryScale(index)
      lowered.append(
        .plain(
          try scaled(plain(input), by: factor * scale, bound: outputBound(index) * scale)))
    case .softCap: throw notLowered("soft-capping")
    case .pool: throw notLowered("pooling")
    }
  }

  private func notLowered(_ what: String) -> InputError {
    InputError("lowering", place: builder.label, "\(what) is not lowered yet")
  }

  /// Materialises and reveals the last value.
  mutating func finish() throws(InputError) {
    builder.label = "output"
    let value = try plain(model.nodes.count - 1)
    _ = try builder.emit(.output(value.id), bits: [])
  }

  /// What each node's value has become.
  func traced() -> [LoweredNode] {
    lowered.enumerated().map { index, value in
      switch value {
      case .normalised(let value, let pending):
        return LoweredNode(
          value: value.id, factor: pending.scale / pending.factor,
          isCentred: !pending.isCentred, gamma: pending.gamma, beta: pending.beta)
      case .plain(let value):
        let isScaled =
          switch model.nodes[index].operation {
          case .linear, .rotary, .scale, .layerNorm, .rmsNorm: true
          default: false
          }
        return LoweredNode(value: value.id, factor: isScaled ? queryScale(index) : 1)
      }
    }
  }

  // MARK: Forms

  private func activation(_ index: Int) -> PiecewisePolynomial {
    guard case .activation(let function)? = forms[index] else { missing(index) }
    return function
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
    }
  }

  /// The last row of `value` once only the last row counts.
  mutating func cut(_ value: FixedValue) throws(InputError) -> FixedValue {
    guard let lastAttention, lowered.count > lastAttention,
      builder.shape(value.id).rows == .step
    else { return value }
    if let row = lastRows[value.id] { return row }
    let row = try builder.emit(.lastRow(value.id), bits: value.bits, bound: value.bound)
    lastRows[value.id] = row
    return row
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

  mutating func embed(
    _ index: Int, tokens: String, positions: String?, offset: Int, segments: String?
  ) throws(InputError) -> FixedValue {
    let bound = try outputBound(index)
    let width = model.nodes[index].width
    if recipe.embedding == .client {
      return builder.input(width: width, bits: bits, bound: bound)
    }
    let oneHot = builder.input(width: model.vocabularySize, bits: 0, bound: 1)
    // Without a table of positions the segment's row is added to that of the token.
    let table = builder.weight(
      ProgramWeight(
        name: tokens, rowCount: model.vocabularySize, columnCount: width, fractionalBits: bits,
        isTransposed: true,
        source: WeightFormula(tensor: tokens, addedRow: positions == nil ? segments : nil)))
    let opened = try builder.open(oneHot)
    let rows = try builder.emit(.linear(opened.id, weight: table), bits: bits, bound: bound)
    guard let positions else { return rows }
    let positionTable = builder.weight(
      ProgramWeight(
        name: positions, rowCount: weightShape(positions)[0], columnCount: width,
        fractionalBits: bits, source: WeightFormula(tensor: positions, addedRow: segments)))
    return try builder.emit(
      .addWeight(rows.id, weight: positionTable, rows: .positions(offset: offset)), bits: bits,
      bound: bound)
  }

  mutating func linear(_ index: Int, _ input: ModelValue, weight: String, bias: String?)
    throws(InputError) -> FixedValue
  {
    let node = model.nodes[index]
    let factor = queryScale(index)
    let bound = try outputBound(index) * factor
    var source = WeightFormula(tensor: weight, factor: factor)
    var biasSource: WeightFormula?
    if let bias { biasSource = WeightFormula(tensor: bias, factor: factor) }
    var value: FixedValue
    var weightBits = bits
    if case .normalised(let normalised, let pending) = lowered[input] {
      value = try cut(normalised)
      source.columnScale = pending.gamma
      source.runCount = runCount(of: pending.gamma, width: model.nodes[input].width)
      source.isCentred = pending.isCentred
      source.factor = factor * pending.factor
      if let beta = pending.beta {
        biasSource = WeightFormula(
          tensor: bias, matrix: weight, vector: beta,
          runCount: runCount(of: beta, width: model.nodes[input].width), factor: factor)
      }
      // A small factor makes small weights, which need more fractional bits to be as precise.
      weightBits += max(-Int(log2(pending.factor).rounded(.down)), 0)
    } else {
      value = try plain(input)
    }
    let inputWidth = model.nodes[input].width
    // A wide input is better truncated after the layer, when it has become narrow.
    let truncatesFirst =
      value.bits > bits
      && (!builder.fits(bits: value.bits + bits, bound: bound)
        || (inputWidth <= node.width && consumers(of: index).contains(where: isResidual)))
    if truncatesFirst { value = try builder.rescale(value, to: bits) }
    weightBits = max(
      min(weightBits, 61 - value.bits - PieceLayout.integerBits(bound)), bits)
    let matrix = builder.weight(
      ProgramWeight(
        name: "\(node.name).weight", rowCount: node.width, columnCount: inputWidth,
        fractionalBits: weightBits, source: source))
    let opened = try builder.open(value)
    let product = try builder.emit(
      .linear(opened.id, weight: matrix), bits: value.bits + weightBits, bound: bound)
    guard let biasSource else { return product }
    return try addBias(
      product, name: "\(node.name).bias", source: biasSource, width: node.width)
  }

  func isResidual(_ index: Int) -> Bool {
    if case .add = model.nodes[index].operation { return true }
    return false
  }

  /// Fractional bits of cosines and sines.
  static let rotationBits = 16

  /// Rotary positions: local, but the factors need room above the value.
  mutating func rotate(_ index: Int, _ value: FixedValue, _ rotation: Rotation)
    throws(InputError) -> FixedValue
  {
    let bound = try outputBound(index) * queryScale(index)
    var input = value
    if !builder.fits(bits: value.bits + rotation.fractionalBits, bound: 2 * bound) {
      input = try builder.rescale(value, to: bits)
    }
    return try builder.emit(
      .rotate(input.id, rotation), bits: input.bits + rotation.fractionalBits, bound: bound)
  }

  /// Product of two values element by element, each truncated in the round that opens it.
  mutating func multiply(_ index: Int, _ left: FixedValue, _ right: FixedValue)
    throws(InputError) -> FixedValue
  {
    let first = try builder.open(left, bits: bits)
    let second = try builder.open(right, bits: bits)
    return try builder.emit(
      .multiply(first.id, second.id), bits: first.bits + second.bits, bound: outputBound(index))
  }

  /// The residual stream keeps twice the usual fractional bits, so that it is never truncated.
  mutating func residual(_ index: Int, _ left: FixedValue, _ right: FixedValue)
    throws(InputError) -> FixedValue
  {
    let bound = try outputBound(index)
    func narrowed(_ value: FixedValue) throws(InputError) -> FixedValue {
      value.bits > 2 * bits ? try builder.rescale(value, to: 2 * bits) : value
    }
    return try builder.add(narrowed(left), narrowed(right), bound: bound)
  }
}
