// Recipes as strict JSON: a misspelt option that is ignored gives a model that nobody asked for.

public import Bytes
import Models

extension Recipe {
  /// The recipe with all its members.
  public var json: JSON {
    func object(_ choices: [OperationClass: ReplacementChoice]) -> [String: JSON] {
      Dictionary(uniqueKeysWithValues: choices.map { ($0.rawValue, $1.json) })
    }
    var members = object(choices)
    members["name"] = .string(name)
    members["embedding"] = .string(embedding.rawValue)
    members["fractionalBits"] =
      leastFractionalBits == fractionalBits
      ? .integer(fractionalBits)
      : .array([.integer(leastFractionalBits), .integer(fractionalBits)])
    members["headroom"] = .number(headroom)
    members["tableTolerance"] = .number(tableTolerance)
    members["outsideRange"] = .string(outsideRange.rawValue)
    members["compare"] = .string(comparison.rawValue)
    if noise > 0 { members["noise"] = .integer(noise) }
    if !layers.isEmpty {
      members["layers"] = .object(
        Dictionary(
          uniqueKeysWithValues: layers.map { (String($0), JSON.object(object($1))) }))
    }
    if !nodes.isEmpty { members["nodes"] = .object(nodes.mapValues { .object(object($0)) }) }
    return .object(members)
  }

  /// Reads a recipe. Members that are absent have the values of its `base`, or else of `accurate`.
  /// - Throws: `InputError` for unknown members and replacements, other types and senseless values.
  public init(json: JSON, source: String) throws(InputError) {
    var reader = try JSONReader(json, source: source)
    var recipe = Recipe.accurate
    if reader.contains("base") {
      let base = try reader.string("base")
      guard let found = Recipe.shipped(base) else {
        throw Recipe.unknown(base, reader.failure("base", ""))
      }
      recipe = found
    }
    recipe.name = try reader.string("name")
    recipe.embedding = try reader.choice("embedding", recipe.embedding)
    try recipe.readFractionalBits(&reader)
    recipe.headroom = try reader.number("headroom", default: recipe.headroom, in: 1...64)
    recipe.tableTolerance = try reader.number(
      "tableTolerance", default: recipe.tableTolerance, in: 1e-8...0.1)
    recipe.outsideRange = try reader.choice("outsideRange", recipe.outsideRange)
    recipe.comparison = try reader.choice("compare", recipe.comparison)
    recipe.noise = try reader.integer("noise", default: recipe.noise, in: 0...Recipe.largestNoise)
    for (operationClass, choice) in try Recipe.choices(&reader) {
      recipe.choose(choice, for: operationClass)
    }
    try recipe.readLayers(&reader)
    try recipe.readNodes(&reader)
    try reader.finish()
    self = recipe
  }

  /// The choices of all classes that `reader` has.
  private static func choices(_ reader: inout JSONReader) throws(InputError) -> [(
    OperationClass, ReplacementChoice
  )] {
    var result: [(OperationClass, ReplacementChoice)] = []
    for operationClass in OperationClass.allCases {
      guard let value = reader.optional(operationClass.rawValue) else { continue }
      result.append(
        (
          operationClass,
          try ReplacementChoice(
            json: value, for: operationClass, source: reader.source,
            place: reader.path(operationClass.rawValue))
        ))
    }
    return result
  }

  /// A number, or the fewest and the most.
  private mutating func readFractionalBits(_ reader: inout JSONReader) throws(InputError) {
    let key = "fractionalBits"
    let allowed = 8...20
    guard reader.contains(key) else { return }
    switch try reader.value(key) {
    case .integer(let bits):
      guard allowed.contains(bits) else {
        throw reader.failure(
          key, "\(bits) is outside \(allowed.lowerBound)...\(allowed.upperBound)")
      }
      fractionalBits = bits
    case .array(let ends):
      guard ends.count == 2, case .integer(let least) = ends[0], case .integer(let most) = ends[1],
        least <= most, allowed.contains(least), allowed.contains(most)
      else {
        throw reader.failure(
          key, "expected the fewest and the most, of \(allowed.lowerBound)...\(allowed.upperBound)")
      }
      planFractionalBits(in: least...most)
    default: throw reader.failure(key, "expected an integer, or the fewest and the most")
    }
  }

  private mutating func readLayers(_ reader: inout JSONReader) throws(InputError) {
    for (key, members) in try Recipe.objects("layers", &reader) {
      guard let layer = Int(key), layer >= 0, String(layer) == key else {
        throw reader.failure("layers.\(key)", "\"\(key)\" is not the number of a layer")
      }
      var members = members
      for (operationClass, choice) in try Recipe.choices(&members) {
        choose(choice, for: operationClass, inLayer: layer)
      }
      try members.finish()
    }
  }

  private mutating func readNodes(_ reader: inout JSONReader) throws(InputError) {
    for (name, members) in try Recipe.objects("nodes", &reader) {
      var members = members
      for (operationClass, choice) in try Recipe.choices(&members) {
        choose(choice, for: operationClass, atNode: name)
      }
      try members.finish()
    }
  }

  /// The members of the object `key`, each an object of choices, by their keys.
  private static func objects(_ key: String, _ reader: inout JSONReader) throws(InputError) -> [(
    String, JSONReader
  )] {
    guard let value = reader.optional(key) else { return [] }
    guard case .object(let members) = value else {
      throw reader.failure(key, "expected an object of objects")
    }
    var result: [(String, JSONReader)] = []
    for (name, value) in members.sorted(by: { $0.key < $1.key }) {
      result.append(
        (
          name,
          try JSONReader(value, source: reader.source, place: reader.path("\(key).\(name)"))
        ))
    }
    return result
  }

  static func unknown(_ name: String, _ failure: InputError) -> InputError {
    let names = shipped.map(\.name)
    var error = failure
    error.cause = "there is no recipe \"\(name)\""
    let nearest = nearestName(to: name, among: names).map { "did you mean \"\($0)\"? " } ?? ""
    error.hint = "\(nearest)shipped recipes: \(names.joined(separator: ", ")); or give a .json file"
    return error
  }
}

extension JSONReader {
  /// One of the names of an enumeration; absent, it is `fallback`, or an error where that is nil.
  mutating func choice<Choice: RawRepresentable & CaseIterable>(
    _ key: String, _ fallback: Choice?
  ) throws(InputError) -> Choice where Choice.RawValue == String {
    if let fallback, !contains(key) { return fallback }
    let text = try string(key)
    guard let value = Choice(rawValue: text) else {
      let names = Choice.allCases.map(\.rawValue)
      var error = failure(key, "\"\(text)\" is not one of \(names.joined(separator: ", "))")
      if let nearest = nearestName(to: text, among: names) {
        error.hint = "did you mean \"\(nearest)\"?"
      }
      throw error
    }
    return value
  }
}
