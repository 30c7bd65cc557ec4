// client.bundle: the embedding tables, where the recipe hands them to the client.

import Approximation
public import Bytes
import Containers
import Models
import Program

/// Turns token identifiers into the input rows of a program.
public struct ClientBundle: Sendable {
  public let conversion: Conversion
  private let tables: EmbeddingTables

  /// Writes the sums' two summands: the token table, and positions with segment row 0 added.
  static func write(
    to path: String, file: ModelFile, conversion: Conversion, memory: MemoryBudget
  ) throws(InputError) -> [UInt8] {
    guard let node = file.model.nodes.first,
      case .embed(let tokens, let positions, let offset, let segments) = node.operation
    else { throw InputError(path, "the model has no embedding") }
    let encoder = WeightEncoder(source: "model", weights: file)
    let maximum = file.model.maximumPositions
    let vocabulary = file.model.vocabularySize
    let writer = try ContainerWriter(
      path: path, kind: "client", header: .object(conversion.members),
      datasets: [("tokens", vocabulary), ("positions", maximum)].map {
        DatasetDescription(name: $0, elementType: .i32, shape: [$1, node.width], storage: .raw)
      })
    /// Fills dataset `name` with the rows of a table from row `offset` on.
    func write(_ name: String, rows: Int, offset: Int, _ formula: WeightFormula)
      throws(InputError)
    {
      let region = writer.region(of: name)
      let table = ProgramWeight(
        name: name, rowCount: rows + offset, columnCount: node.width,
        fractionalBits: file.recipe.fractionalBits, source: formula)
      for part in table.parts(memory) where part.upperBound > offset * node.width {
        let wanted = part.clamped(to: offset * node.width..<table.elementCount)
        var values: [Int32] = []
        for word in try encoder.encode(table, in: wanted).words {
          guard let value = Int32(exactly: Int64(bitPattern: word)) else {
            throw InputError("model", place: name, "an element does not fit 32 bits")
          }
          values.append(value)
        }
        try region.write(values, atElement: wanted.lowerBound - offset * node.width)
      }
    }
    try write("tokens", rows: vocabulary, offset: 0, WeightFormula(tensor: tokens))
    try write(
      "positions", rows: maximum, offset: offset,
      WeightFormula(tensor: positions, addedRow: segments))
    return try writer.finish()
  }

  /// Opens a bundle and verifies its digests.
  public init(path: String) throws(InputError) {
    let reader = try ContainerReader(path: path, kind: "client", verifying: true)
    var header = try JSONReader(reader.header, source: path)
    conversion = try Conversion(&header)
    try header.finish()
    let shape = try reader.description(of: "tokens").shape
    guard shape.count == 2, shape[1] > 0,
      try reader.description(of: "positions").shape.last == shape[1]
    else {
      throw InputError(path, place: "tokens", "tables differ in width")
    }
    tables = EmbeddingTables(
      tokens: try reader.read("tokens", as: Int32.self),
      positions: try reader.read("positions", as: Int32.self), width: shape[1])
  }

  /// Rows of the token table.
  public var vocabularySize: Int { tables.vocabularySize }

  /// Input rows of `identifiers` from position `start` on.
  public func rows(_ identifiers: [Int], start: Int) throws(InputError) -> [UInt64] {
    try tables.rows(identifiers, start: start)
  }
}
