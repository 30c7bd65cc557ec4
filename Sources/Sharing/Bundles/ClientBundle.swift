// client.bundle: the embedding tables, where the recipe hands them to the client.

public import Bytes
import Containers
import Models

/// Turns token identifiers into the input rows of a program.
public struct ClientBundle: Sendable {
  /// Its name in the folder of whoever holds it.
  public static let fileName = "client.bundle"
  public let conversion: Conversion
  private let tables: EmbeddingTables

  /// Writes the sums' two summands: the token table, and positions with segment row 0 added.
  static func write(
    to path: String, file: ModelFile, conversion: Conversion, memory: MemoryBudget
  ) throws(InputError) -> [UInt8] {
    guard let width = file.model.nodes.first?.width else {
      throw InputError(path, "the model has no embedding")
    }
    let writer = try ContainerWriter(
      path: path, kind: "client", header: .object(conversion.members),
      datasets: [
        (EmbeddingTables.Table.tokens, file.model.vocabularySize),
        (.positions, file.model.maximumPositions),
      ].map {
        DatasetDescription(
          name: $0.rawValue, elementType: .i32, shape: [$1, width], storage: .raw)
      } + [Salt.dataset])
    try Salt.write(to: writer)
    var written: [EmbeddingTables.Table: Int] = [:]
    try EmbeddingTables.forEachPart(of: file, memory) { (table, part, _) throws(InputError) in
      let first = written[table, default: 0]
      try writer.region(of: table.rawValue).write(part, atElement: first)
      written[table] = first + part.count
    }
    return try writer.finish()
  }

  /// Opens a bundle, and compares all of it with its signed manifest or, where no signature is
  /// asked for, with the digests in it.
  public init(path: String, access: FileAccess = .plain) throws(InputError) {
    let reader = try access.reader(
      path, kind: "client", entry: access.entry(ofBundle: path))
    var header = try JSONReader(reader.header, source: path)
    conversion = try Conversion(&header)
    try header.finish()
    try reader.requireExactly(["tokens", "positions", Salt.name])
    try Salt.check(reader)
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
