// Which replacement stands for each non-linear operation, and the precision of everything.

public import Bytes
public import Models

/// The parameters of a conversion; see `formats/recipe.md`.
public struct Recipe: Equatable, Sendable {
  /// Who holds the embedding table.
  public enum Embedding: String, Sendable, CaseIterable {
    /// The table is a secret weight; the client shares one-hot rows.
    case secret
    /// The client is given the table and shares its rows.
    case client
  }

  /// What happens where calibrated inputs lie outside the range that a replacement is made for.
  public enum OutsideRange: String, Sendable, CaseIterable {
    /// The conversion is refused.
    case refuse
    /// Inputs are clipped to the range first.
    case clamp
    /// The formula is evaluated as it stands.
    case extend
  }

  /// How values are compared with each other and with the knots of functions.
  public enum Comparison: String, Sendable, CaseIterable {
    /// By one comparison key an element: one round.
    case keys
    /// By keys, and two lines that meet at 0, as of ReLU, by the point key of a cell, which is
    /// shorter: one round, fewer bytes, more computation. Off by the resolution about 0.
    case lookups
    /// By dealt bits where that pays: a few rounds more, and a small part of the dealt bytes.
    case bits
  }

  public var name: String
  public var embedding: Embedding
  /// Fractional bits of weights and of activations between operations: the most that a plan may
  /// take. Setting them leaves nothing to plan.
  public var fractionalBits: Int {
    didSet { leastFractionalBits = fractionalBits }
  }
  /// The fewest that a plan may take where that saves flights or bytes.
  public private(set) var leastFractionalBits: Int
  /// Calibrated ranges are widened by this factor.
  public var headroom: Double
  /// Relative error of the reciprocal of a row's sum of exponentials, which multiplies all of it.
  public var reciprocalTolerance: Double { max(tableTolerance, 0x1p-14) }
  /// Largest relative error of the tables for 1/x (softmax) and 1/sqrt(x) (normalisation).
  public var tableTolerance: Double
  public var outsideRange: OutsideRange
  /// For every operation whose choice has none.
  public var comparison: Comparison
  /// Of the blocks that gates leave closed, the thousandths that run all the same, by chance:
  /// patterns tell less, and what runs adds its neurons.
  public var noise: Int
  /// Most of it.
  public static let largestNoise = 500
  /// One for each class.
  public private(set) var choices: [OperationClass: ReplacementChoice]
  /// Those that differ in a layer, by its number.
  public private(set) var layers: [Int: [OperationClass: ReplacementChoice]]
  /// Those that differ at a node, by its name; they come before those of its layer.
  public private(set) var nodes: [String: [OperationClass: ReplacementChoice]]

  /// The recipe that others are changes of.
  init(name: String) {
    self.name = name
    embedding = .secret
    fractionalBits = 16
    leastFractionalBits = 14
    headroom = 4
    tableTolerance = 0x1p-15
    outsideRange = .refuse
    comparison = .keys
    noise = 0
    choices = [:]
    layers = [:]
    nodes = [:]
    for operationClass in OperationClass.allCases {
      let replacement: any Replacement =
        switch operationClass {
        case .relu: ReLUActivation()
        case .gelu, .geluTanh, .silu: CheapestActivation.accurate
        case .tanh: LinesActivation.accurate(for: operationClass)
        case .softmax: ExactSoftmax()
        case .layerNorm, .rmsNorm: ExactNormalisation()
        }
      choices[operationClass] = ReplacementChoice(replacement)
    }
  }

  /// Leaves it to a plan how many fractional bits of `range` there are.
  public mutating func planFractionalBits(in range: ClosedRange<Int>) {
    fractionalBits = range.upperBound
    leastFractionalBits = range.lowerBound
  }

  /// The recipe with as many fractional bits as it allows.
  public var exact: Recipe {
    var result = self
    result.planFractionalBits(in: fractionalBits...fractionalBits)
    return result
  }

  // MARK: Choices

  /// Chooses `choice` for every operation of the class.
  public mutating func choose(_ choice: ReplacementChoice, for operationClass: OperationClass) {
    precondition(choice.stands(for: operationClass), "a replacement for another class")
    choices[operationClass] = choice
  }

  /// Chooses `choice` for the operations of the class in one layer.
  public mutating func choose(
    _ choice: ReplacementChoice, for operationClass: OperationClass, inLayer layer: Int
  ) {
    precondition(choice.stands(for: operationClass), "a replacement for another class")
    layers[layer, default: [:]][operationClass] = choice
  }

  /// Chooses `choice` for one node, which is of the class.
  public mutating func choose(
    _ choice: ReplacementChoice, for operationClass: OperationClass, atNode name: String
  ) {
    precondition(choice.stands(for: operationClass), "a replacement for another class")
    nodes[name, default: [:]][operationClass] = choice
  }

  /// What is chosen for `node`, or nil where nothing is replaced.
  public func choice(for node: ModelNode) -> ReplacementChoice? {
    guard let operationClass = node.operation.operationClass else { return nil }
    if let choice = nodes[node.name]?[operationClass] { return choice }
    if let layer = node.layer, let choice = layers[layer]?[operationClass] { return choice }
    return choices[operationClass]
  }

  /// The function of node `index` of `model`, or nil where nothing is replaced.
  /// - Throws: `InputError` where the recipe must be resolved first.
  public func form(of index: Int, in model: Model) throws(InputError) -> ReplacementForm? {
    let node = model.nodes[index]
    guard let site = model.site(of: index), let choice = choice(for: node) else { return nil }
    guard let form = choice.form(at: site) else {
      throw InputError(
        "recipe", place: node.name,
        "\"\(choice.name)\" depends on the calibration and is not resolved",
        hint: "convert the model with `lodge-model approximate`")
    }
    return form
  }
}

extension ModelNode {
  /// The number in "layers.3.attention", or nil for a node outside the layers.
  public var layer: Int? {
    let parts = name.split(separator: ".")
    return parts.count > 1 && parts[0] == "layers" ? Int(parts[1]) : nil
  }
}
