// What a container states about a dataset: name, element type, shape and storage.

import Bytes

/// How the bytes of a dataset lie in the file.
public enum DatasetStorage: String, Sendable {
  /// One contiguous region that can be mapped, and filled from several threads.
  case raw
  /// Zstandard chunks of about 1 MiB along the first axis; for data that is compressible.
  case zstd
}

/// Name, element type, shape (rank 1 to 3, row-major) and storage of one dataset.
public struct DatasetDescription: Equatable, Sendable {
  /// Path from the root group: letters, digits, '_', '.', '-' and '/' between group names.
  public var name: String
  public var elementType: ElementType
  public var shape: [Int]
  public var storage: DatasetStorage

  public init(
    name: String, elementType: ElementType, shape: [Int], storage: DatasetStorage = .raw
  ) {
    self.name = name
    self.elementType = elementType
    self.shape = shape
    self.storage = storage
  }

  /// Product of the shape; meaningful once `validate` has passed.
  public var elementCount: Int { shape.contains(0) ? 0 : shape.reduce(1, &*) }

  /// Uncompressed bytes; meaningful once `validate` has passed.
  public var byteCount: Int { elementCount &* elementType.byteCount }
}

extension DatasetDescription {
  /// Order of the digest text: names compared byte by byte.
  func precedes(_ other: DatasetDescription) -> Bool {
    Array(name.utf8).lexicographicallyPrecedes(Array(other.name.utf8))
  }

  /// Throws where name, rank, extents or byte count break the rules of the format.
  func validate(source: String) throws(InputError) {
    guard DatasetDescription.isName(name) else {
      throw InputError(
        source, place: DatasetDescription.printable(name), "dataset name is not allowed",
        hint: "names hold letters, digits, '_', '.', '-' and '/'")
    }
    guard (1...3).contains(shape.count) else {
      throw InputError(source, place: name, "rank \(shape.count) is outside 1...3")
    }
    try validateSize(source: source)
    if storage == .zstd {
      let layout = ChunkLayout(shape: shape, elementByteCount: elementType.byteCount)
      guard layout.chunkByteCount <= ContainerFormat.maximumChunkByteCount else {
        throw InputError(
          source, place: name, "chunks of \(layout.chunkByteCount) bytes are beyond 2^22",
          hint: "store it raw, or make its first axis longer")
      }
    }
  }

  /// Throws where an extent is negative or the bytes, counting empty axes as 1, exceed 2^50.
  func validateSize(source: String) throws(InputError) {
    var byteCount = elementType.byteCount
    for extent in shape {
      let (product, overflow) = byteCount.multipliedReportingOverflow(by: max(extent, 1))
      guard extent >= 0, !overflow, product <= ContainerFormat.maximumDatasetByteCount else {
        throw InputError(
          source, place: name,
          "shape \(shape) is negative or beyond 2^50 bytes")
      }
      byteCount = product
    }
  }

  /// Throws where two names are equal or one is a group of the other.
  static func validate(_ datasets: [DatasetDescription], source: String) throws(InputError) {
    guard datasets.count <= ContainerFormat.maximumDatasetCount else {
      throw InputError(source, "\(datasets.count) datasets are beyond 65536")
    }
    var names: Set<String> = []
    for dataset in datasets {
      try dataset.validate(source: source)
      guard names.insert(dataset.name).inserted else {
        throw InputError(source, place: dataset.name, "two datasets have this name")
      }
    }
    for dataset in datasets {
      let parts = dataset.name.split(separator: "/")
      for count in 1..<max(parts.count, 1) {
        let group = parts[..<count].joined(separator: "/")
        guard !names.contains(group) else {
          throw InputError(source, place: group, "is a dataset and also a group")
        }
      }
    }
  }

  /// Whether `name` is allowed: 1 to 512 bytes, at most 8 parts, none empty, "." or "..".
  static func isName(_ name: String) -> Bool {
    guard (1...ContainerFormat.maximumNameByteCount).contains(name.utf8.count) else { return false }
    let parts = name.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count <= ContainerFormat.maximumGroupDepth else { return false }
    return parts.allSatisfy { part in
      !part.isEmpty && part != "." && part != ".."
        && part.utf8.allSatisfy { byte in
          switch byte {
          case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."),
            UInt8(ascii: "-"):
            true
          default: false
          }
        }
    }
  }

  /// `text` on one line: what is not printable ASCII becomes '?', and 80 bytes are enough.
  static func printable(_ text: String) -> String {
    String(
      decoding: text.utf8.prefix(80).map { (0x20..<0x7f).contains($0) ? $0 : UInt8(ascii: "?") },
      as: UTF8.self)
  }
}
