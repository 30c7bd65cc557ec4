// The B-tree that says where the chunks of an HDF5 dataset lie (section III.A.1, node type 1).

import Bytes

/// Collects the chunks of one dataset.
struct HDF5ChunkTree {
  private let file: MappedFile
  private let rank: Int
  private(set) var chunks: [HDF5StoredChunk] = []

  init(
    _ file: MappedFile, at address: HDF5Address, rank: Int, budget: inout HDF5Budget
  ) throws(InputError) {
    self.file = file
    self.rank = rank
    if !address.isUndefined { try visit(address, level: nil, budget: &budget) }
  }

  private mutating func visit(
    _ address: HDF5Address, level expected: UInt8?, budget: inout HDF5Budget
  ) throws(InputError) {
    var cursor = try ByteCursor(file, at: address, "tree of chunks")
    let start = cursor.position
    try cursor.expect("TREE", "tree of chunks")
    let kind = try cursor.integer(UInt8.self, "node type")
    let level = try cursor.integer(UInt8.self, "node level")
    guard kind == 1, level <= 16, expected == nil || level == expected else {
      throw cursor.failure("not a node of a tree of chunks of this level", at: start)
    }
    let count = Int(try cursor.integer(UInt16.self, "entry count"))
    _ = try cursor.skip(16, "siblings")
    for _ in 0..<count {
      try budget.takeEntry(cursor)
      let byteCount = try cursor.integer(UInt32.self, "chunk size")
      let mask = try cursor.integer(UInt32.self, "filter mask")
      var offsets: [Int] = []
      for _ in 0..<rank + 1 {
        offsets.append(Int(clamping: try cursor.integer(UInt64.self, "chunk offset")))
      }
      let child = try cursor.address("child")
      if level > 0 {
        try visit(child, level: level - 1, budget: &budget)
      } else {
        offsets.removeLast()
        var data = try ByteCursor(file, at: child, "chunk")
        chunks.append(
          HDF5StoredChunk(
            start: offsets, stored: try data.skip(Int(byteCount), "chunk"), filterMask: mask))
      }
    }
  }
}
