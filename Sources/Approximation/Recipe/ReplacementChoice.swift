// A replacement as a recipe holds it: with a note, and the range that inputs are clipped to.

public import Bytes

/// What a recipe says for a class, or for one node.
public struct ReplacementChoice: Sendable, Equatable {
  public var replacement: any Replacement
  /// Why it stands here, such as that a publication has none for this operation.
  public var note: String
  /// Inputs are clipped to this range first.
  public var clamp: ClosedRange<Double>?
  /// How this operation compares; nil: as the recipe says for all.
  public var comparison: Recipe.Comparison?

  public init(
    _ replacement: any Replacement, note: String = "", clamp: ClosedRange<Double>? = nil,
    comparison: Recipe.Comparison? = nil
  ) {
    self.replacement = replacement
    self.note = note
    self.clamp = clamp
    self.comparison = comparison
  }

  public var name: String { type(of: replacement).name }
  public var source: String { type(of: replacement).source }

  public func stands(for operationClass: OperationClass) -> Bool {
    type(of: replacement).classes.contains(operationClass)
  }

  public static func == (left: ReplacementChoice, right: ReplacementChoice) -> Bool {
    type(of: left.replacement) == type(of: right.replacement) && left.json == right.json
  }

  /// The replacement's function with inputs clipped, or nil while it is not resolved.
  public func form(at site: ReplacementSite) -> ReplacementForm? {
    guard let form = replacement.form(at: site), let clamp else {
      return replacement.form(at: site)
    }
    switch form {
    case .activation(let function): return .activation(function.clamped(to: clamp))
    case .softmax(var softmax):
      guard case .piecewise(let kernel) = softmax.kernel else { return form }
      softmax.kernel = .piecewise(kernel.clamped(to: clamp))
      return .softmax(softmax)
    case .normalisation, .permuted: return form
    }
  }
}

extension ReplacementChoice {
  public var json: JSON {
    var members = replacement.parameters
    members["replacement"] = .string(name)
    if !note.isEmpty { members["note"] = .string(note) }
    if let comparison { members["compare"] = .string(comparison.rawValue) }
    if let clamp { members["clamp"] = [.number(clamp.lowerBound), .number(clamp.upperBound)] }
    return .object(members)
  }

  /// Reads an object, or a name alone for a replacement with its usual parameters.
  init(json: JSON, for operationClass: OperationClass, source: String, place: String)
    throws(InputError)
  {
    var object = json
    if case .string = json { object = ["replacement": json] }
    var reader = try JSONReader(object, source: source, place: place)
    let name = try reader.string("replacement")
    let type = try ReplacementCatalogue.type(
      name, for: operationClass, reader.failure("replacement", ""))
    replacement = try type.init(&reader, for: operationClass)
    note = reader.contains("note") ? try reader.string("note") : ""
    clamp = try reader.optionalRange("clamp")
    comparison = reader.contains("compare") ? try reader.choice("compare", nil) : nil
    try reader.finish()
  }
}
