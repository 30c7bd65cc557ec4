// What may be shown of any container: header without seeds, digest, and the table of datasets.

public import Bytes

/// A description of one container for people and scripts; holds no content of datasets.
public struct ContainerInspection: Report, Sendable {
  /// One line of the table of datasets.
  public struct Row: Sendable, Equatable {
    public let description: DatasetDescription
    /// Bytes of the elements.
    public let byteCount: Int
    /// Bytes that they take in the file.
    public let storedByteCount: Int
    /// SHA-256 of the elements, lower-case hexadecimal.
    public let sha256: String
  }

  public let path: String
  public let kind: String
  /// Lower-case hexadecimal.
  public let digest: String
  /// The header, with "(secret)" for every member whose key contains "seed".
  public let header: JSON
  /// By name in byte order.
  public let rows: [Row]
  /// Whether people are shown all of the header and every dataset, and not those of all layers
  /// together.
  public var isComplete = false

  /// Opens and, where `verifying`, verifies the container of any kind at `path`.
  public init(path: String, verifying: Bool = true) throws(InputError) {
    self.init(try ContainerReader(path: path, kind: nil, verifying: verifying))
  }

  public init(_ reader: ContainerReader) {
    path = reader.path
    kind = reader.kind
    digest = reader.digest.hexadecimal
    header = ContainerInspection.withoutSeeds(reader.header)
    rows = reader.stored.map { dataset in
      Row(
        description: dataset.description, byteCount: dataset.description.byteCount,
        storedByteCount: dataset.storedByteCount,
        sha256: dataset.sha256.hexadecimal)
    }
  }

  /// Everything, for scripts.
  public var json: JSON {
    [
      "path": .string(path), "kind": .string(kind), "digest": .string(digest), "header": header,
      "datasets": .array(
        rows.map { row in
          [
            "name": .string(row.description.name),
            "type": .string(row.description.elementType.rawValue),
            "shape": .array(row.description.shape.map(JSON.integer)),
            "storage": .string(row.description.storage.rawValue),
            "bytes": .integer(row.byteCount), "storedBytes": .integer(row.storedByteCount),
            "sha256": .string(row.sha256),
          ]
        }),
    ]
  }

  /// Kind, digest, indented header and an aligned table of the datasets, for people.
  public var document: TextDocument {
    let shown = isComplete ? header : summarised
    let lines = shown.indentedText.split(separator: "\n").map { "  \($0)" }
    var table = TextTable([
      ("name", .name), ("number", .right), ("type", .left), ("shape", .left), ("storage", .left),
      ("size", .right), ("in file", .right),
    ])
    let groups = rows.grouped { row -> [String] in
      let name = row.description.name
      return [
        isComplete ? name : namePattern(name), row.description.elementType.rawValue,
        row.description.shape.map(String.init).joined(separator: "x"),
        row.description.storage.rawValue,
      ]
    }
    for (cells, rows) in groups {
      table.addRow(
        [cells[0], "\(rows.count)"] + cells.dropFirst()
          + [
            Quantity.text(byteCount: rows.reduce(0) { $0 + $1.byteCount }),
            Quantity.text(byteCount: rows.reduce(0) { $0 + $1.storedByteCount }),
          ])
    }
    let size = Quantity.text(byteCount: rows.reduce(0) { $0 + $1.byteCount })
    return """
      file    \(path)
      kind    \(kind)
      digest  \(digest)
      header
      \(lines.joined(separator: "\n"))

      \(table)

      \(Quantity.count(rows.count, "dataset")), \(size).\
      \(isComplete ? "" : " --all shows all of the header, and every dataset.")
      """
  }

  /// The header without its long members.
  private var summarised: JSON {
    guard case .object(let members) = header else { return header }
    return .object(
      members.mapValues { member in
        member.indentedText.utf8.count > ContainerInspection.longestMember
          ? .string("... (--all)") : member
      })
  }

  /// Characters of a header's member that are shown without being asked for.
  private static let longestMember = 200

  private static func withoutSeeds(_ value: JSON) -> JSON {
    switch value {
    case .object(let members):
      .object(
        Dictionary(
          uniqueKeysWithValues: members.map { key, value in
            (key, key.lowercased().contains("seed") ? "(secret)" : withoutSeeds(value))
          }))
    case .array(let elements): .array(elements.map(withoutSeeds))
    default: value
    }
  }
}
