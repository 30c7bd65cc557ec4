// What a replacement is: a name in recipes, parameters, a source, and a function as data.

public import Bytes

/// One way to stand for an operation. A new one is a type with this protocol in a file of its own,
/// and a line in `ReplacementCatalogue`.
///
/// The float function and the secure program are both derived from `form`; costs are those of the
/// program, never a formula of their own.
public protocol Replacement: Sendable {
  /// Its name in recipes, unique for each class.
  static var name: String { get }
  /// The operations that it can stand for.
  static var classes: [OperationClass] { get }
  /// Where its formula is published.
  static var source: String { get }

  /// Reads the parameters of a recipe; `operationClass` is one of `classes`. Absent ones have
  /// defaults, and the caller refuses what is left unread.
  init(_ reader: inout JSONReader, for operationClass: OperationClass) throws(InputError)
  /// All parameters, as a recipe holds them.
  var parameters: [String: JSON] { get }

  /// Whether a model needs training with it: then it is no approximation of the operation.
  func needsTraining(for operationClass: OperationClass) -> Bool
  /// Its function at a site, or nil while it must be resolved.
  func form(at site: ReplacementSite) -> ReplacementForm?
  /// Inputs for which its published error holds: values that an activation reads, variances, or
  /// scaled scores (before a maximum is subtracted).
  func validRange(for operationClass: OperationClass) -> ClosedRange<Double>
  /// The replacement with everything that depends on the node settled.
  func resolved(for node: NodeStatistics) throws(InputError) -> any Replacement
  /// A few words for tables.
  var summary: String { get }
}

extension Replacement {
  public func needsTraining(for operationClass: OperationClass) -> Bool { false }
  public func validRange(for operationClass: OperationClass) -> ClosedRange<Double> {
    -Double.infinity...Double.infinity
  }
  public func resolved(for node: NodeStatistics) throws(InputError) -> any Replacement { self }
  public var summary: String {
    let values = parameters.sorted { $0.key < $1.key }.map { key, value in
      "\(key) \(value.text)"
    }
    return ([Self.name] + values).joined(separator: ", ")
  }
}

/// What is known of a node when its replacement is settled.
public struct NodeStatistics: Sendable {
  public var name: String
  public var site: ReplacementSite
  /// What the node reads: inputs of an activation, variances of rows, scaled scores.
  public var inputs: InputDensity
  /// Largest magnitude that the node reads, of rows of the vocabulary as well.
  public var reach: Double
  /// Scores less the maximum of their row, for softmax.
  public var centredScores: InputDensity?
  /// Epsilon of a normalisation.
  public var epsilon: Double
  /// How far seen ranges are widened.
  public var headroom: Double
  /// Of activations between operations.
  public var fractionalBits: Int
  /// Seconds that a form at this node costs over a session, at the network that costs are weighed
  /// at.
  public var cost: @Sendable (ReplacementForm) throws(InputError) -> Double

  public init(
    name: String, site: ReplacementSite, inputs: InputDensity, reach: Double? = nil,
    centredScores: InputDensity? = nil, epsilon: Double = 0, headroom: Double,
    fractionalBits: Int,
    cost: @escaping @Sendable (ReplacementForm) throws(InputError) -> Double
  ) {
    self.name = name
    self.site = site
    self.inputs = inputs
    self.reach = reach ?? inputs.bound
    self.centredScores = centredScores
    self.epsilon = epsilon
    self.headroom = headroom
    self.fractionalBits = fractionalBits
    self.cost = cost
  }
}
