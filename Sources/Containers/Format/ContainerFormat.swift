// The constants and limits of formats/container.md, and the text that the digest is taken over.

import Bytes
import Randomness

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
  static let maximumChunkCount = 1024
  static let maximumChunkByteCount = 1 << 22
  /// The registered number of Zstandard.
  static let zstdFilter: UInt16 = 32015

  /// Chunks that are written are about this long.
  static let preferredChunkByteCount = 1 << 20
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

  /// How much the elements of all zstd datasets of a file may be together.
  static func expandedByteCount(fileByteCount: Int) -> Int {
    fileByteCount + (48 << 20)
  }

  /// Memory that the values of a header may take; a value of two bytes may take a hundred.
  static func headerMemory(fileByteCount: Int) -> Int { fileByteCount / 4 + (40 << 20) }

  /// The SHA-256 of the digest text of a container; `datasets` in any order.
  static func digest(
    kind: String, headerText: [UInt8], datasets: [(DatasetDescription, sha256: [UInt8])]
  ) -> [UInt8] {
    var digest = SHA256Hasher()
    digest.update(
      Array("format \(name)\nversion \(version)\nkind \(kind)\nheader \(headerText.count)\n".utf8))
    digest.update(headerText)
    digest.update(Array("\ndatasets \(datasets.count)\n".utf8))
    for (description, sha256) in datasets.sorted(by: { $0.0.precedes($1.0) }) {
      let shape = description.shape.map(String.init).joined(separator: "x")
      digest.update(
        Array(
          "\(description.name) \(description.elementType.rawValue) \(shape) \(sha256.hexadecimal)\n"
            .utf8))
    }
    return digest.finalize()
  }
}
