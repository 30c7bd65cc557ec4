// The order of checks when a container is opened.

import Bytes
import Randomness

/// What an untrusted file holds, once its structure and its root digest have passed.
struct ContainerContent: Sendable {
  let kind: String
  let header: JSON
  let digest: [UInt8]
  /// By name in byte order.
  let datasets: [StoredDataset]

  init(_ file: OpenFile) throws(InputError) {
    let path = file.path
    let structure = try ContainerStructure(file.mapped())
    let fileByteCount = structure.file.byteCount
    kind = structure.kind
    digest = structure.digest
    datasets = structure.datasets.sorted { $0.description.precedes($1.description) }
    for (first, second) in zip(datasets, datasets.dropFirst())
    where first.description.name == second.description.name {
      throw InputError(path, place: first.description.name, "two datasets have this name")
    }
    header = try ContainerContent.header(
      structure.headerText, fileByteCount: fileByteCount, source: path)
    let found = ContainerFormat.digest(
      kind: kind, headerText: structure.headerText,
      datasets: datasets.map { ($0.description, sha256: $0.sha256) })
    guard found == digest else {
      throw InputError(path, place: "digest", "does not match the header and the datasets")
    }
    try ContainerContent.requireDisjoint(datasets, source: path)
    try ContainerContent.requireExpansion(
      datasets, fileByteCount: fileByteCount, source: path)
    for dataset in datasets { try dataset.requireFrames(in: file) }
  }

  private static func header(_ text: [UInt8], fileByteCount: Int, source: String)
    throws(InputError) -> JSON
  {
    do throws(InputError) {
      let header = try JSON.parse(
        text, source: source,
        memoryLimit: ContainerFormat.headerMemory(fileByteCount: fileByteCount))
      guard header.isCanonical(text) else {
        throw InputError(source, place: "header", "is not canonical JSON")
      }
      return header
    } catch {
      // The parser counts bytes in the text, not in the file.
      var error = error
      if error.place != "header" { error.place = "header, \(error.place)" }
      throw error
    }
  }

  /// What is compressed may expand to little more than the file has, all of it together.
  private static func requireExpansion(
    _ datasets: [StoredDataset], fileByteCount: Int, source: String
  ) throws(InputError) {
    let byteCount = datasets.reduce(0) {
      $0 + ($1.description.storage == .zstd ? $1.description.byteCount : 0)
    }
    let limit = ContainerFormat.expandedByteCount(fileByteCount: fileByteCount)
    guard byteCount <= limit else {
      throw InputError(
        source, "its zstd datasets hold \(byteCount) bytes, at most \(limit) are allowed")
    }
  }

  /// No byte may belong to two datasets, or twice to one.
  private static func requireDisjoint(
    _ datasets: [StoredDataset], source: String
  ) throws(InputError) {
    let ranges = datasets.flatMap { dataset in
      dataset.fileRanges.map { (range: $0, name: dataset.description.name) }
    }.sorted { $0.range.lowerBound < $1.range.lowerBound }
    for (first, second) in zip(ranges, ranges.dropFirst())
    where first.range.upperBound > second.range.lowerBound {
      throw InputError(source, place: second.name, "its bytes overlap those of \(first.name)")
    }
  }
}

extension StoredDataset {
  /// Every stored chunk must be a frame that states exactly the size of a chunk.
  func requireFrames(in file: OpenFile) throws(InputError) {
    guard case .chunks(let layout, let ranges) = location else { return }
    for (index, range) in ranges.enumerated() {
      let header = try file.bytes(
        in: range.lowerBound..<range.lowerBound + min(range.count, ZstdFrame.headerByteCount))
      guard ZstdFrame.contentByteCount(header: header) == layout.chunkByteCount,
        layout.chunkByteCount / ZstdFrame.maximumRatio <= range.count
      else {
        throw InputError(
          file.path, place: description.name,
          "chunk \(index) is not a zstd frame of \(layout.chunkByteCount) bytes")
      }
    }
  }
}
