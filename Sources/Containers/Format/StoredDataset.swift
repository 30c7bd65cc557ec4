// Where a checked dataset lies in its file.

import Bytes
import Randomness

/// A dataset of an open container, its digest, and the places of its bytes.
struct StoredDataset: Sendable {
  enum Location: Sendable {
    /// One region that starts here.
    case raw(offset: Int)
    /// The stored bytes of each chunk, in order.
    case chunks(ChunkLayout, [Range<Int>])
  }

  let description: DatasetDescription
  let sha256: [UInt8]
  let location: Location

  /// All parts of the file that hold bytes of this dataset.
  var fileRanges: [Range<Int>] {
    switch location {
    case .raw(let offset):
      description.byteCount == 0 ? [] : [offset..<offset + description.byteCount]
    case .chunks(_, let ranges): ranges
    }
  }

  /// Bytes in the file.
  var storedByteCount: Int { fileRanges.reduce(0) { $0 + $1.count } }

  /// Fills `output` with bytes `range` of the uncompressed dataset, both within it.
  func read(
    _ range: Range<Int>, from file: OpenFile, into output: UnsafeMutableRawBufferPointer
  ) throws(InputError) {
    switch location {
    case .raw(let offset):
      // Several threads: one alone does not use all of the memory's bandwidth.
      let block = 16 << 20
      try ConcurrentTasks.run((range.count + block - 1) / block) { (task) throws(InputError) in
        let part = task * block..<min((task + 1) * block, range.count)
        try unsafe file.read(
          into: UnsafeMutableRawBufferPointer(rebasing: output[part]),
          at: offset + range.lowerBound + part.lowerBound)
      }
    case .chunks(let layout, let stored):
      guard !range.isEmpty else { return }
      let first = range.lowerBound / layout.chunkByteCount
      let last = (range.upperBound - 1) / layout.chunkByteCount
      try ConcurrentTasks.run(last - first + 1) { (task) throws(InputError) in
        let chunk = layout.byteRange(ofChunk: first + task)
        let wanted = chunk.clamped(to: range)
        let target = unsafe UnsafeMutableRawBufferPointer(
          rebasing: output[
            wanted.lowerBound - range.lowerBound..<wanted.upperBound - range.lowerBound])
        let frame = try file.bytes(in: stored[first + task])
        if wanted.count == layout.chunkByteCount {
          try unsafe ZstdFrame.decompress(
            frame, into: target, source: file.path, place: description.name)
        } else {
          let whole = UnsafeMutableRawBufferPointer.allocate(
            byteCount: layout.chunkByteCount, alignment: 16)
          defer { unsafe whole.deallocate() }
          try unsafe ZstdFrame.decompress(
            frame, into: whole, source: file.path, place: description.name)
          let start = wanted.lowerBound - chunk.lowerBound
          unsafe target.copyMemory(
            from: UnsafeRawBufferPointer(rebasing: whole[start..<start + wanted.count]))
        }
      }
    }
  }

  /// SHA-256 of the uncompressed bytes, a few MiB at a time.
  func computeSHA256(from file: OpenFile) throws(InputError) -> [UInt8] {
    switch location {
    case .raw(let offset): return try file.sha256(of: offset..<offset + description.byteCount)
    case .chunks(let layout, let stored):
      var digest = SHA256Hasher()
      let whole = UnsafeMutableRawBufferPointer.allocate(
        byteCount: max(1, layout.chunkByteCount), alignment: 16)
      defer { unsafe whole.deallocate() }
      for (index, range) in stored.enumerated() {
        let frame = try file.bytes(in: range)
        try unsafe ZstdFrame.decompress(
          frame, into: whole, source: file.path, place: description.name)
        unsafe digest.update(
          RawSpan(
            _unsafeBytes: UnsafeRawBufferPointer(
              rebasing: whole[..<layout.byteRange(ofChunk: index).count])))
      }
      return digest.finalize()
    }
  }
}
