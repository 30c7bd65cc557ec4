// The constants and limits of formats/container.md, and the text that the digest is taken over.

import Bytes

/// Numbers and names that writer and reader share; the numbering of rules is that of the format.
enum ContainerFormat {
  static let name = "lodge"
  static let version = 1
  /// Attributes of the root group, all of which must be there and nothing else.
  static let rootAttributes = ["format", "version", "kind", "header", "digest"]
  static let datasetAttribute = "sha256"

  static let maximumHeaderByteCount = 64 << 20
  static let maximumKindByteCount = 32
  static let maximumNameByteCount = 512
  static let maximumGroupDepth = 8
  static let maximumDatasetCount = 65_536
  static let maximumDatasetByteCount = 1 << 50
  static let maximumChunkCount = 4096
  static let maximumChunkByteCount = 1 << 28

  /// Chunks are about this long and there are at most `preferredChunkCount` of them.
  static let preferredChunkByteCount = 1 << 20
  static let preferredChunkCount = 1024
  static let zstdLevel = 3
  /// Where raw regions start: a cache line, so that mapped words are aligned.
  static let alignment = 64

  /// Whether `kind` is a lower-case word such as "model" or "blind-dealer".
  static func isKind(_ kind: String) -> Bool {
    guard let first = kind.utf8.first, (0x61...0x7a).contains(first) else { return false }
    return kind.utf8.count <= maximumKindByteCount
      && kind.utf8.allSatisfy {
        (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == UInt8(ascii: "-")
      }
  }

  /// The text whose SHA-256 is the `digest` of a container; `datasets` in any order.
  static func digestText(
    kind: String, headerText: String, datasets: [(DatasetDescription, sha256: [UInt8])]
  ) -> String {
    var text = "format \(name)\nversion \(version)\nkind \(kind)\n"
    text += "header \(headerText.utf8.count)\n\(headerText)\n"
    text += "datasets \(datasets.count)\n"
    for (description, sha256) in datasets.sorted(by: { $0.0.precedes($1.0) }) {
      let shape = description.shape.map(String.init).joined(separator: "x")
      text += "\(description.name) \(description.elementType.rawValue) \(shape)"
      text += " \(sha256.hexadecimal)\n"
    }
    return text
  }
}
