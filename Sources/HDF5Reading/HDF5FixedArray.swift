// The fixed array that says where filtered chunks lie (File Format Specification, section VII.C).

import Bytes

/// Reads the entries of one array; more than a thousand lie in pages, which are not read.
enum HDF5FixedArray {
  /// Chunks went through a filter, so that each has a size of its own.
  private static let filteredChunks: UInt8 = 1

  /// The chunks that are stored, by the counts and the shape of the grid's chunks.
  static func chunks(
    _ file: MappedFile, at address: HDF5Address, chunkCounts: [Int], chunkShape: [Int],
    budget: inout HDF5Budget
  ) throws(InputError) -> [HDF5StoredChunk] {
    if address.isUndefined { return [] }
    var cursor = try ByteCursor(file, at: address, "array of chunks")
    let start = cursor.position
    try cursor.expect("FAHD", "array of chunks")
    try cursor.expect(version: 0, of: "array of chunks")
    let client = try cursor.integer(UInt8.self, "array type")
    let entryByteCount = Int(try cursor.integer(UInt8.self, "entry size"))
    let pageBits = try cursor.integer(UInt8.self, "page bits")
    let count = try cursor.integer(UInt64.self, "entry count")
    let blockAddress = try cursor.address("array block")
    try cursor.expectChecksum(from: start, "array of chunks", budget: &budget)
    let expected = chunkCounts.reduce(1, *)
    guard client == filteredChunks, (13...20).contains(entryByteCount),
      count == UInt64(expected), pageBits >= 64 || count <= 1 << UInt64(pageBits)
    else {
      throw cursor.failure(
        "not an array of \(expected) filtered chunks without pages", at: start)
    }
    if blockAddress.isUndefined { return [] }
    let places = try entries(
      ByteCursor(file, at: blockAddress, "array block"), of: address, count: expected,
      entryByteCount: entryByteCount, &budget)
    var result: [HDF5StoredChunk] = []
    for (index, place) in places.enumerated() {
      var entry = place
      let address = try entry.address("chunk")
      if address.isUndefined { continue }
      let byteCount = try entry.unsigned(byteCount: entryByteCount - 12, "chunk size")
      let mask = try entry.integer(UInt32.self, "filter mask")
      var data = try ByteCursor(file, at: address, "chunk")
      var rest = index
      var position: [Int] = []
      for (count, length) in zip(chunkCounts, chunkShape).reversed() {
        position.insert(rest % count * length, at: 0)
        rest /= count
      }
      result.append(
        HDF5StoredChunk(
          start: position, stored: try data.skip(Int(clamping: byteCount), "chunk"),
          filterMask: mask))
    }
    return result
  }

  /// A cursor on every entry.
  private static func entries(
    _ block: ByteCursor, of header: HDF5Address, count: Int, entryByteCount: Int,
    _ budget: inout HDF5Budget
  ) throws(InputError) -> [ByteCursor] {
    var cursor = block
    let start = cursor.position
    try cursor.expect("FADB", "array block")
    try cursor.expect(version: 0, of: "array block")
    guard try cursor.integer(UInt8.self, "array type") == filteredChunks,
      try cursor.address("array of chunks").value == header.value
    else { throw cursor.failure("a block of another array", at: start) }
    var result: [ByteCursor] = []
    for _ in 0..<count {
      try budget.takeEntry(cursor)
      result.append(
        ByteCursor(cursor.file, in: try cursor.skip(entryByteCount, "array entry")))
    }
    try cursor.expectChecksum(from: start, "array block", budget: &budget)
    return result
  }
}
