// The order of checks when a container is opened.

import Bytes
import CHDF5
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
    let fileByteCount = try file.byteCount()
    try Superblock.check(file, byteCount: fileByteCount)
    let (kind, headerText, digest, found) = try HDF5.locked(source: path) { () throws(InputError) in
      var input = try HDF5Input(file, byteCount: fileByteCount)
      let root = input.file.id
      try input.requireRootAttributes()
      guard try input.text(of: root, "format", atMost: 16) == ContainerFormat.name else {
        throw InputError(path, place: "format", "is not \"\(ContainerFormat.name)\"")
      }
      let version = try input.integer(of: root, "version")
      guard version == ContainerFormat.version else {
        throw InputError(
          path, place: "version", "\(version) is not supported, 1 is",
          hint: "use the release of Lodge that wrote this file")
      }
      let kind = try input.text(
        of: root, "kind", atMost: ContainerFormat.maximumKindByteCount)
      let headerText = try input.text(
        of: root, "header", atMost: ContainerFormat.maximumHeaderByteCount)
      let digest = try input.digest(of: root, "digest", place: "digest")
      try input.visit(group: root, prefix: "")
      return (kind, headerText, digest, input.datasets)
    }
    guard ContainerFormat.isKind(kind) else {
      throw InputError(path, place: "kind", "is not a lower-case word")
    }
    self.kind = kind
    self.digest = digest
    datasets = found.sorted { $0.description.precedes($1.description) }
    header = try ContainerContent.header(headerText, source: path)
    let text = ContainerFormat.digestText(
      kind: kind, headerText: headerText,
      datasets: datasets.map { ($0.description, sha256: $0.sha256) })
    guard SHA256.digest(Array(text.utf8)) == digest else {
      throw InputError(path, place: "digest", "does not match the header and the datasets")
    }
    try ContainerContent.requireDisjoint(datasets, source: path)
    for dataset in datasets { try dataset.requireFrames(in: file) }
  }

  private static func header(_ text: String, source: String) throws(InputError) -> JSON {
    do throws(InputError) {
      let header = try JSON.parse(text, source: source)
      guard header.text == text else {
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
