// Compression, digests and publication of a container under construction.

public import Bytes
import Randomness

extension ContainerWriter {
  /// Takes all digests, closes the file, makes it durable and gives it its name.
  /// - Returns: the 32-byte digest of the container.
  /// - Throws: `InputError` where a dataset is not filled or the file cannot be written; the
  ///   temporary file is then gone, and what was at `path` before is untouched.
  public consuming func finish() throws(InputError) -> [UInt8] {
    let filled = progress.close()
    for (description, fill) in zip(datasets, filled) where fill.byteCount < description.byteCount {
      throw InputError(
        temporary.finalPath, place: description.name,
        "only \(fill.byteCount) of \(description.byteCount) bytes were written")
    }
    let digests = try rawDigests(known: filled.map(\.digest))
    let digest = ContainerFormat.digest(
      kind: kind, headerText: Array(headerText.utf8),
      datasets: zip(datasets, digests).map { ($0, sha256: $1) })
    try output.close(names: datasets.map(\.name), digests: digests, rootDigest: digest)
    // What readers refuse must not get its name.
    _ = try ContainerContent(temporary.file)
    try temporary.publish()
    return digest
  }

  /// SHA-256 of every dataset; those of raw ones are taken from the file, several at a time.
  private func rawDigests(known: [[UInt8]?]) throws(InputError) -> [[UInt8]] {
    let file = temporary.file
    let (datasets, offsets) = (self.datasets, self.offsets)
    // The longest first, so that no thread starts it when the others are done.
    let order = datasets.indices.filter { known[$0] == nil }.sorted {
      datasets[$0].byteCount > datasets[$1].byteCount
    }
    let found = try ConcurrentTasks.map(order.count) { (task) throws(InputError) -> [UInt8] in
      let index = order[task]
      return try file.sha256(of: offsets[index]..<offsets[index] + datasets[index].byteCount)
    }
    var result = known.map { $0 ?? [] }
    for (task, index) in order.enumerated() { result[index] = found[task] }
    return result
  }

  /// Writes `bytes` as chunks and returns their SHA-256.
  ///
  /// Chunks are compressed in parallel and handed to libhdf5 in order: the file depends on neither
  /// the number of threads nor their timing.
  func compress(
    _ bytes: UnsafeRawBufferPointer, _ description: DatasetDescription
  ) throws(InputError) -> [UInt8] {
    let path = temporary.finalPath
    let layout = ChunkLayout(
      shape: description.shape, elementByteCount: description.elementType.byteCount)
    // Bounds the memory for compressed chunks; no influence on the file.
    let batch = max(2, min(32, (64 << 20) / layout.chunkByteCount))
    var digest = SHA256Hasher()
    var start = 0
    while start < layout.chunkCount {
      let count = min(batch, layout.chunkCount - start)
      let frames = try ConcurrentTasks.map(count) { (task) throws(InputError) -> [UInt8] in
        let range = layout.byteRange(ofChunk: start + task)
        return try unsafe ZstdFrame.compress(
          UnsafeRawBufferPointer(rebasing: bytes[range]), paddedTo: layout.chunkByteCount,
          source: path)
      }
      for task in 0..<count {
        unsafe digest.update(
          RawSpan(
            _unsafeBytes: UnsafeRawBufferPointer(
              rebasing: bytes[layout.byteRange(ofChunk: start + task)])))
      }
      try output.write(frames, firstChunk: start, layout: layout, description)
      start += count
    }
    return digest.finalize()
  }
}

extension OpenFile {
  /// SHA-256 of `range`, read in small blocks: each thread has one.
  func sha256(of range: Range<Int>) throws(InputError) -> [UInt8] {
    var digest = SHA256Hasher()
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 64)
    defer { unsafe buffer.deallocate() }
    var offset = range.lowerBound
    while offset < range.upperBound {
      let block = unsafe UnsafeMutableRawBufferPointer(
        rebasing: buffer[..<min(buffer.count, range.upperBound - offset)])
      try unsafe read(into: block, at: offset)
      unsafe digest.update(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(block)))
      offset += block.count
    }
    return digest.finalize()
  }
}
