// client.bundle: the embedding tables, where the recipe hands them to the client.

import Approximation
public import Bytes
import Containers
import Models
import Program

/// Turns token identifiers into the input rows of a program.
public struct ClientBundle: Sendable {
  public let conversion: Conversion
  private let tokens: [Int32]
  private let positions: [Int32]
  private let width: Int

  /// Writes the sums' two summands: the token table, and positions with segment row 0 added.
  static func write(to path: String, file: ModelFile, conversion: Conversion) throws(InputError)
    -> [UInt8]
  {
    guard let node = file.model.nodes.first,
      case .embed(let tokens, let positions, let offset, let segments) = node.operation
    else { throw InputError(path, "the model has no embedding") }
    let encoder = WeightEncoder(source: "model") { name throws(InputError) in
      try file.weight(name)
    }
    let maximum = file.model.maximumPositions
    func encode(_ name: String, rows: Int, formula: WeightFormula) throws(InputError) -> [Int32] {
      let words = try encoder.encode(
        ProgramWeight(
          name: name, rowCount: rows, columnCount: node.width,
          fractionalBits: file.recipe.fractionalBits, source: formula))
      var result: [Int32] = []
      for word in words {
        guard let value = Int32(exactly: Int64(bitPattern: word)) else {
          throw InputError("model", place: name, "an element does not fit 32 bits")
        }
        result.append(value)
      }
      return result
    }
    let positionRows = maximum + offset
    let table = try encode(
      tokens, rows: file.model.vocabularySize, formula: WeightFormula(tensor: tokens))
    let positionTable = try encode(
      "positions", rows: positionRows,
      formula: WeightFormula(tensor: positions, addedRow: segments))
    let writer = try ContainerWriter(
      path: path, kind: "client", header: .object(conversion.members),
      datasets: [
        DatasetDescription(
          name: "tokens", elementType: .i32, shape: [file.model.vocabularySize, node.width],
          storage: .zstd),
        DatasetDescription(
          name: "positions", elementType: .i32, shape: [maximum, node.width], storage: .zstd),
      ])
    try writer.write("tokens", values: table)
    try writer.write("positions", values: Array(positionTable.dropFirst(offset * node.width)))
    return try writer.finish()
  }

  /// Opens a bundle and verifies its digests.
  public init(path: String) throws(InputError) {
    let reader = try ContainerReader(path: path, kind: "client", verifying: true)
    var header = try JSONReader(reader.header, source: path)
    conversion = try Conversion(&header)
    try header.finish()
    let shape = try reader.description(of: "tokens").shape
    guard shape.count == 2, try reader.description(of: "positions").shape.last == shape[1] else {
      throw InputError(path, place: "tokens", "tables differ in width")
    }
    width = shape[1]
    tokens = try reader.read("tokens", as: Int32.self)
    positions = try reader.read("positions", as: Int32.self)
  }

  /// Rows of the token table.
  public var vocabularySize: Int { tokens.count / width }

  /// Input rows of `identifiers` from position `start` on.
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
