// The embedding tables as ring elements, where the recipe hands them to the client.

import Approximation
public import Bytes
import Models
import Program

/// Token and position tables whose rows a client adds up and shares.
public struct EmbeddingTables: Sendable {
  /// Row-major [vocabularySize, width].
  let tokens: [Int32]
  /// Row-major [maximumPositions, width]; the segment row of an encoder is added already.
  let positions: [Int32]
  let width: Int

  init(tokens: [Int32], positions: [Int32], width: Int) {
    self.tokens = tokens
    self.positions = positions
    self.width = width
  }

  /// Encodes the tables of `file` with the fractional bits of the program's input.
  public init(_ file: ModelFile) throws(InputError) {
    var tables: [Table: [Int32]] = [.tokens: [], .positions: []]
    var columnCount = 0
    try EmbeddingTables.forEachPart(of: file, .default) { (table, part, width) throws(InputError) in
      tables[table, default: []] += part
      columnCount = width
    }
    self.init(
      tokens: tables[.tokens] ?? [], positions: tables[.positions] ?? [], width: columnCount)
  }

  /// The names of the tables in files.
  enum Table: String {
    case tokens
    case positions
  }

  /// Calls `body` with consecutive parts of the token table and then of the position table, encoded
  /// with the fractional bits of the program's input, and with their number of columns.
  static func forEachPart(
    of file: ModelFile, _ memory: MemoryBudget,
    _ body: (Table, [Int32], _ width: Int) throws(InputError) -> Void
  ) throws(InputError) {
    guard let node = file.model.nodes.first,
      case .embed(let tokens, let positions, let offset, let segments) = node.operation
    else { throw InputError("model", "the model has no embedding") }
    let encoder = WeightEncoder(source: "model", weights: file)
    let bits = try file.program().inputValue?.fractionalBits ?? file.recipe.fractionalBits
    for (table, rowCount, offset, formula) in [
      (Table.tokens, file.model.vocabularySize, 0, WeightFormula(tensor: tokens)),
      (
        .positions, file.model.maximumPositions, offset,
        WeightFormula(tensor: positions, addedRow: segments)
      ),
    ] {
      let first = offset * node.width
      let weight = ProgramWeight(
        name: table.rawValue, rowCount: rowCount + offset, columnCount: node.width,
        fractionalBits: bits, source: formula)
      for part in weight.parts(memory) where part.upperBound > first {
        let wanted = part.clamped(to: first..<weight.elementCount)
        var values: [Int32] = []
        for word in try encoder.encode(weight, in: wanted).words {
          guard let value = Int32(exactly: Int64(bitPattern: word)) else {
            throw InputError("model", place: table.rawValue, "an element does not fit 32 bits")
          }
          values.append(value)
        }
        try body(table, values, node.width)
      }
    }
  }

  /// Rows of the token table.
  public var vocabularySize: Int { tokens.count / width }

  /// Input rows of `identifiers` from position `start` on.
  /// - Throws: `InputError` for a token or a position outside the tables.
  public func rows(_ identifiers: [Int], start: Int) throws(InputError) -> [UInt64] {
    var result: [UInt64] = []
    for (index, token) in identifiers.enumerated() {
      let position = start + index
      guard (0..<tokens.count / width).contains(token), position < positions.count / width else {
        throw InputError("tokens", "token \(token) at position \(position) is outside the tables")
      }
      for column in 0..<width {
        let sum =
          Int64(tokens[token * width + column]) + Int64(positions[position * width + column])
        result.append(UInt64(bitPattern: sum))
      }
    }
    return result
  }
}
