// What may be shown of any container: header without seeds, digest, and the table of datasets.

public import Bytes

/// A description of one container for people and scripts; holds no content of datasets.
public struct ContainerInspection: Sendable {
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
  public var table: String {
    var lines = ["file    \(path)", "kind    \(kind)", "digest  \(digest)", "header"]
    lines += header.indentedText.split(separator: "\n").map { "  \($0)" }
    var table = TextTable([
      ("name", .left), ("type", .left), ("shape", .left), ("storage", .left), ("bytes", .right),
      ("in file", .right),
    ])
    for row in rows {
      table.addRow([
        row.description.name, row.description.elementType.rawValue,
        row.description.shape.map(String.init).joined(separator: "x"),
        row.description.storage.rawValue, String(row.byteCount), String(row.storedByteCount),
      ])
    }
    lines.append(table.text)
    lines.append("\(rows.count) datasets, \(rows.reduce(0) { $0 + $1.byteCount }) bytes")
    return lines.joined(separator: "\n") + "\n"
  }

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
