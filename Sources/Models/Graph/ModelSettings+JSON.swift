// The stored form of the settings of operations, as members of their node.

import Bytes

extension JSONReader {
  /// The string at `key`, or nil where there is none.
  mutating func optionalString(_ key: String) throws(InputError) -> String? {
    guard let value = optional(key) else { return nil }
    guard case .string(let text) = value else { throw failure(key, "expected a string") }
    return text
  }
}

extension Normalisation {
  func write(to members: inout [String: JSON]) {
    if let gamma { members["gamma"] = .string(gamma) }
    if let beta { members["beta"] = .string(beta) }
    if groupCount != 1 { members["groupCount"] = .integer(groupCount) }
    members["epsilon"] = .number(epsilon)
  }

  init(_ reader: inout JSONReader) throws(InputError) {
    self.init(
      gamma: try reader.optionalString("gamma"), beta: try reader.optionalString("beta"),
      groupCount: try reader.integer("groupCount", default: 1, in: 1...1 << 16),
      epsilon: try reader.number("epsilon"))
  }
}

extension RotaryPositions {
  func write(to members: inout [String: JSON]) {
    members["frequencies"] = .array(frequencies.map(JSON.number))
    if magnitude != 1 { members["magnitude"] = .number(magnitude) }
    members["layout"] = .string(layout.rawValue)
  }

  /// Also reads what earlier versions wrote: base and dimensions of unscaled positions.
  init(_ reader: inout JSONReader) throws(InputError) {
    let text = try reader.string("layout")
    guard let layout = RotaryLayout(rawValue: text) else {
      throw reader.failure("layout", "unknown layout \"\(text)\"")
    }
    if reader.contains("base") {
      let base = try reader.number("base")
      let dimensions = try reader.integer("dimensions", in: 2...1 << 24)
      guard dimensions.isMultiple(of: layout == .twoPositions ? 4 : 2) else {
        throw reader.failure("dimensions", "\(dimensions) elements are no pairs")
      }
      self.init(base: base, dimensions: dimensions, layout: layout)
    } else {
      self.init(
        frequencies: try reader.numbers("frequencies"),
        magnitude: try reader.contains("magnitude") ? reader.number("magnitude") : 1, layout: layout
      )
    }
  }
}

extension AttentionSettings {
  func write(to members: inout [String: JSON]) {
    members["headCount"] = .integer(headCount)
    members["keyHeadCount"] = .integer(keyHeadCount)
    members["scale"] = .number(scale)
    if let window { members["window"] = .integer(window) }
    if let softCap { members["softCap"] = .number(softCap) }
    switch bias {
    case nil: break
    case .linear(let slopes): members["slopes"] = .array(slopes.map(JSON.number))
    case .relative(let table, let buckets):
      members["biasTable"] = .string(table)
      members["bucketCount"] = .integer(buckets.count)
      members["maximumDistance"] = .integer(buckets.maximumDistance)
    }
  }

  init(_ reader: inout JSONReader) throws(InputError) {
    self.init(
      headCount: try reader.integer("headCount", in: 1...1 << 16),
      keyHeadCount: try reader.integer("keyHeadCount", in: 1...1 << 16),
      scale: try reader.number("scale"))
    if reader.contains("window") { window = try reader.integer("window", in: 1...1 << 24) }
    if reader.contains("softCap") { softCap = try reader.number("softCap") }
    if reader.contains("slopes") {
      bias = .linear(slopes: try reader.numbers("slopes"))
    } else if let table = try reader.optionalString("biasTable") {
      bias = .relative(
        table: table,
        RelativeBuckets(
          count: try reader.integer("bucketCount", in: 4...1 << 16),
          maximumDistance: try reader.integer("maximumDistance", in: 2...1 << 24)))
    }
  }
}
