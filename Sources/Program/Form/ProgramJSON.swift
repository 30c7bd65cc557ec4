// The stored form of a program; `formats/program.md` specifies it.

public import Bytes
import Models

extension SecureProgram {
  /// Version of the stored form.
  public static let formatVersion = 3

  public var json: JSON {
    var members = output.members(of: kind)
    let always: [String: JSON] = [
      "version": .integer(SecureProgram.formatVersion), "family": .string(family),
      "kind": .string(kind.rawValue), "clientInput": .string(clientInput.rawValue),
      "vocabularySize": .integer(vocabularySize), "maximumPositions": .integer(maximumPositions),
      "values": .array(values.map(\.json)), "weights": .array(weights.map(\.json)),
      "operations": .array(nodes.map(\.json)),
    ]
    members.merge(always) { _, new in new }
    return .object(members)
  }

  /// Reads and validates a stored program.
  public init(json: JSON, source: String) throws(InputError) {
    var reader = try JSONReader(json, source: source, place: "program")
    let version = try reader.integer("version")
    guard version == SecureProgram.formatVersion else {
      var error = reader.failure("version", "\(version) is not \(SecureProgram.formatVersion)")
      error.hint =
        version < SecureProgram.formatVersion
        ? "this is of an earlier Lodge: share its model.lodge again (lodge-model share), and deal anew"
        : "this is of a later Lodge"
      throw error
    }
    self.init(
      family: try reader.string("family"),
      kind: try reader.choice("kind", ModelKind.init(rawValue:)),
      clientInput: try reader.choice("clientInput", ClientInput.init(rawValue:)),
      vocabularySize: try reader.integer("vocabularySize", in: 1...1 << 24),
      maximumPositions: try reader.integer("maximumPositions", in: 1...1 << 20))
    output = try OutputDescription(&reader, of: kind)
    for value in try reader.objects("values") { values.append(try ProgramValue(value)) }
    for weight in try reader.objects("weights") { weights.append(try ProgramWeight(weight)) }
    for node in try reader.objects("operations") {
      nodes.append(try ProgramNode(node, first: nodes.last?.outputs.upperBound ?? 0))
    }
    try reader.finish()
    try validate(source: source)
  }
}

extension JSONReader {
  mutating func choice<Value>(_ key: String, _ parse: (String) -> Value?) throws(InputError)
    -> Value
  {
    let text = try string(key)
    guard let value = parse(text) else { throw failure(key, "unknown value \"\(text)\"") }
    return value
  }

  mutating func objects(_ key: String) throws(InputError) -> [JSONReader] {
    var result: [JSONReader] = []
    for (index, element) in try array(key).enumerated() {
      result.append(try JSONReader(element, source: source, place: "\(path(key))[\(index)]"))
    }
    return result
  }

  /// Rows of integers, each of which fits `Int`.
  mutating func integerRows(_ key: String) throws(InputError) -> [[Int]] {
    var rows: [[Int]] = []
    for (index, row) in try array(key).enumerated() {
      guard case .array(let elements) = row else {
        throw failure("\(key)[\(index)]", "expected an array")
      }
      var values: [Int] = []
      for element in elements {
        guard case .integer(let value) = element else {
          throw failure("\(key)[\(index)]", "expected integers")
        }
        values.append(value)
      }
      rows.append(values)
    }
    return rows
  }
}

extension ProgramValue {
  var json: JSON {
    var members: [String: JSON] = [
      "rows": .string(shape.rows.rawValue), "fractionalBits": .integer(fractionalBits),
    ]
    let columns: [JSON] =
      switch shape.columns {
      case .fixed(let width): ["fixed", .integer(width)]
      case .keys(let heads, let halvings, _): ["keys", .integer(heads), .integer(halvings)]
      case .pairs(let heads, let halvings, _): ["pairs", .integer(heads), .integer(halvings)]
      case .sessionKeys(let heads, _): ["sessionKeys", .integer(heads)]
      case .blocks(let columns):
        ["blocks"]
          + [
            columns.gates, columns.count, columns.width, columns.pool.expected, columns.pool.spare,
          ].map(JSON.integer)
      case .blockKeys(let columns):
        ["blockKeys"]
          + [columns.gates, columns.count, columns.pool.expected, columns.pool.spare]
          .map(JSON.integer)
      }
    members["columns"] = .array(columns + (shape.columns.window.map { [.integer($0)] } ?? []))
    switch form {
    case .shared: members["form"] = "shared"
    case .opened: members["form"] = "opened"
    case .view(let shift):
      members["form"] = "view"
      members["shift"] = .integer(shift)
    case .revealed(let pool):
      members["form"] = "revealed"
      members["pool"] = pool.json
    }
    // Absent where 64, so that programs keep their digests.
    if ringBits != 64 { members["ringBits"] = .integer(ringBits) }
    return .object(members)
  }

  init(_ json: JSONReader) throws(InputError) {
    var reader = json
    let rows = try reader.choice("rows", RowExtent.init(rawValue:))
    let bits = try reader.integer("fractionalBits", in: -8...62)
    let columnPath = reader.failure("columns", "expected a kind of columns and its numbers")
    let elements = try reader.array("columns")
    var numbers: [Int] = []
    for element in elements.dropFirst() {
      guard case .integer(let number) = element, (0...1 << 24).contains(number) else {
        throw columnPath
      }
      numbers.append(number)
    }
    let columns: ColumnExtent
    // A window comes last, where there is one.
    let parameterCount =
      switch elements.first {
      case "keys", "pairs": 2
      case "blocks": 5
      case "blockKeys": 4
      default: 1
      }
    let window = numbers.count > parameterCount ? numbers.last : nil
    guard numbers.count == parameterCount + (window == nil ? 0 : 1), window != 0 else {
      throw columnPath
    }
    switch elements.first {
    case "fixed" where numbers[0] > 0 && window == nil: columns = .fixed(numbers[0])
    case "keys" where (1...4096).contains(numbers[0]) && numbers[1] <= 40:
      columns = .keys(heads: numbers[0], halvings: numbers[1], window: window)
    case "pairs" where (1...4096).contains(numbers[0]) && numbers[1] <= 40:
      columns = .pairs(heads: numbers[0], halvings: numbers[1], window: window)
    case "sessionKeys" where (1...4096).contains(numbers[0]):
      columns = .sessionKeys(heads: numbers[0], window: window)
    case "blocks"
    where window == nil && (1...4096).contains(numbers[1])
      && BlockColumns.widths.contains(numbers[2]):
      columns = .blocks(
        BlockColumns(
          gates: numbers[0], count: numbers[1], width: numbers[2],
          pool: BlockPool(expected: numbers[3], spare: numbers[4])))
    case "blockKeys" where window == nil && (1...4096).contains(numbers[1]):
      columns = .blockKeys(
        BlockColumns(
          gates: numbers[0], count: numbers[1], width: 1,
          pool: BlockPool(expected: numbers[2], spare: numbers[3])))
    default: throw columnPath
    }
    let form: ValueForm
    let formName = try reader.string("form")
    switch formName {
    case "shared": form = .shared
    case "opened": form = .opened
    case "view": form = .view(shift: try reader.integer("shift", in: 0...62))
    case "revealed": form = .revealed(try BlockPool(&reader))
    default: throw reader.failure("form", "unknown form \"\(formName)\"")
    }
    let ringBits =
      try reader.contains("ringBits") ? reader.integer("ringBits", in: 1...63) : 64
    try reader.finish()
    self.init(
      shape: ValueShape(rows, columns), form: form, fractionalBits: bits, ringBits: ringBits)
  }
}

extension BlockPool {
  var json: JSON { [.integer(expected), .integer(spare)] }

  init(_ reader: inout JSONReader) throws(InputError) {
    let numbers = try reader.integers("pool")
    guard numbers.count == 2, numbers.allSatisfy({ (0...1 << 24).contains($0) }) else {
      throw reader.failure("pool", "expected [expected, spare]")
    }
    self.init(expected: numbers[0], spare: numbers[1])
  }
}

extension BlockOrder {
  var json: JSON { [.string(gates), .integer(count)] }

  init?(_ reader: inout JSONReader, _ key: String) throws(InputError) {
    guard let value = reader.optional(key) else { return nil }
    guard case .array(let parts) = value, parts.count == 2, case .string(let gates) = parts[0],
      case .integer(let count) = parts[1], (1...4096).contains(count)
    else { throw reader.failure(key, "expected [gates, number of blocks]") }
    self.init(gates: gates, count: count)
  }
}

extension ProgramWeight {
  var json: JSON {
    var sourceMembers: [String: JSON] = ["factor": .number(source.factor)]
    if let tensor = source.tensor { sourceMembers["tensor"] = .string(tensor) }
    if let scale = source.columnScale { sourceMembers["columnScale"] = .string(scale) }
    // Absent where false, so that programs keep their digests.
    if source.isCentred { sourceMembers["isCentred"] = true }
    if source.isColumnCentred { sourceMembers["isColumnCentred"] = true }
    if let matrix = source.matrix { sourceMembers["matrix"] = .string(matrix) }
    if let vector = source.vector { sourceMembers["vector"] = .string(vector) }
    if let row = source.addedRow { sourceMembers["addedRow"] = .string(row) }
    if let blocks = source.rowBlocks { sourceMembers["rowBlocks"] = blocks.json }
    if let blocks = source.columnBlocks { sourceMembers["columnBlocks"] = blocks.json }
    if source.runCount != 1 { sourceMembers["runCount"] = .integer(source.runCount) }
    return [
      "name": .string(name), "rowCount": .integer(rowCount), "columnCount": .integer(columnCount),
      "fractionalBits": .integer(fractionalBits), "isTransposed": .bool(isTransposed),
      "source": .object(sourceMembers),
    ]
  }

  /// Most elements of a weight that a file may declare, 32 GiB of ring elements.
  static let maximumElementCount = 1 << 32

  init(_ json: JSONReader) throws(InputError) {
    var reader = json
    var source = try reader.object("source")
    var weightSource = WeightFormula(factor: try source.number("factor"))
    func name(_ key: String) throws(InputError) -> String? {
      guard let value = source.optional(key) else { return nil }
      guard case .string(let text) = value else { throw source.failure(key, "expected a string") }
      return text
    }
    weightSource.tensor = try name("tensor")
    weightSource.columnScale = try name("columnScale")
    if source.contains("isCentred") { weightSource.isCentred = try source.bool("isCentred") }
    if source.contains("isColumnCentred") {
      weightSource.isColumnCentred = try source.bool("isColumnCentred")
    }
    weightSource.matrix = try name("matrix")
    weightSource.vector = try name("vector")
    weightSource.addedRow = try name("addedRow")
    if source.contains("runCount") {
      weightSource.runCount = try source.integer("runCount", in: 2...1 << 16)
    }
    weightSource.rowBlocks = try BlockOrder(&source, "rowBlocks")
    weightSource.columnBlocks = try BlockOrder(&source, "columnBlocks")
    try source.finish()
    self.init(
      name: try reader.string("name"), rowCount: try reader.integer("rowCount", in: 1...1 << 28),
      columnCount: try reader.integer("columnCount", in: 1...1 << 28),
      fractionalBits: try reader.integer("fractionalBits", in: 0...62),
      isTransposed: try reader.bool("isTransposed"), source: weightSource)
    try reader.finish()
    guard elementCount <= ProgramWeight.maximumElementCount else {
      throw reader.failure("rowCount", "\(elementCount) elements are more than 2^32")
    }
  }
}
