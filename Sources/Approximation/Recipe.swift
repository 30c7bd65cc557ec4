// Which replacement stands for each non-linear operation, with its parameters.

public import Bytes

/// The parameters of a conversion; see `formats/recipe.md`.
public struct Recipe: Equatable, Sendable {
  /// Who holds the embedding table.
  public enum Embedding: String, Sendable, CaseIterable {
    /// The table is a secret weight; the client shares one-hot rows.
    case secret
    /// The client is given the table and shares its rows.
    case client
  }

  public var name: String
  public var embedding: Embedding
  /// Fractional bits of weights and of activations between operations.
  public var fractionalBits: Int
  /// Calibrated ranges are widened by this factor.
  public var headroom: Double
  /// GeLU is x/2 + P(|x|) for |x| < geluLimit, P of this degree, and ReLU outside.
  public var geluDegree: Int
  public var geluLimit: Double
  /// SiLU likewise.
  public var siluDegree: Int
  public var siluLimit: Double
  /// exp(x) for softmax: 0 >= x >= expClip after subtracting the maximum; a polynomial of this
  /// degree for exp(x / 2^expSquarings), then that many squarings.
  public var expDegree: Int
  public var expSquarings: Int
  public var expClip: Double
  /// Largest relative error of the tables for 1/x (softmax) and 1/sqrt(x) (normalisation).
  public var tableTolerance: Double

  /// No fine-tuning needed: errors of every replacement are below what 16 fractional bits leave.
  public static let accurate = Recipe(
    name: "accurate", embedding: .secret, fractionalBits: 16, headroom: 4, geluDegree: 6,
    geluLimit: 3.5, siluDegree: 8, siluLimit: 10, expDegree: 4, expSquarings: 4, expClip: -14,
    tableTolerance: 0x1p-15)
}

extension Recipe {
  public var json: JSON {
    [
      "name": .string(name), "embedding": .string(embedding.rawValue),
      "fractionalBits": .integer(fractionalBits), "headroom": .number(headroom),
      "geluDegree": .integer(geluDegree), "geluLimit": .number(geluLimit),
      "siluDegree": .integer(siluDegree), "siluLimit": .number(siluLimit),
      "expDegree": .integer(expDegree), "expSquarings": .integer(expSquarings),
      "expClip": .number(expClip), "tableTolerance": .number(tableTolerance),
    ]
  }

  /// Reads a recipe; keys that are absent keep the value of `accurate`, unknown keys are errors.
  public init(json: JSON, source: String) throws(InputError) {
    self = .accurate
    var reader = try JSONReader(json, source: source)
    name = try reader.string("name")
    func has(_ key: String) -> Bool {
      if case .object(let members) = json { return members[key] != nil }
      return false
    }
    if has("embedding") {
      let text = try reader.string("embedding")
      guard let value = Embedding(rawValue: text) else {
        throw reader.failure("embedding", "\"\(text)\" is not \"secret\" or \"client\"")
      }
      embedding = value
    }
    if has("fractionalBits") { fractionalBits = try reader.integer("fractionalBits", in: 8...20) }
    if has("geluDegree") { geluDegree = try reader.integer("geluDegree", in: 4...8) }
    if has("siluDegree") { siluDegree = try reader.integer("siluDegree", in: 4...8) }
    if has("expDegree") { expDegree = try reader.integer("expDegree", in: 2...8) }
    if has("expSquarings") { expSquarings = try reader.integer("expSquarings", in: 1...8) }
    func number(_ key: String, _ value: inout Double, _ range: ClosedRange<Double>)
      throws(InputError)
    {
      guard has(key) else { return }
      value = try reader.number(key)
      guard range.contains(value) else {
        throw reader.failure(key, "\(value) is outside \(range.lowerBound)...\(range.upperBound)")
      }
    }
    try number("headroom", &headroom, 1...64)
    try number("geluLimit", &geluLimit, 1...8)
    try number("siluLimit", &siluLimit, 1...20)
    try number("expClip", &expClip, -40 ... -4)
    try number("tableTolerance", &tableTolerance, 1e-8...0.1)
    try reader.finish()
  }
}

extension Recipe {
  /// Recipes that ship with Lodge.
  public static let named: [Recipe] = [.accurate]

  /// A shipped recipe by name, or the recipe in a JSON file.
  public static func named(_ text: String) throws(InputError) -> Recipe {
    if let recipe = named.first(where: { $0.name == text }) { return recipe }
    guard text.hasSuffix(".json") else {
      throw InputError(
        "--recipe", "there is no recipe \"\(text)\"",
        hint: "shipped recipes: \(named.map(\.name).joined(separator: ", ")); or give a .json file")
    }
    return try Recipe(json: JSON.read(text), source: text)
  }
}
