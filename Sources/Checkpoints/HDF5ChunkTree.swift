// The B-tree that says where the chunks of an HDF5 dataset lie (section III.A.1, node type 1).

import Bytes

/// Collects the chunks of one dataset and makes sure that each place of the grid has one.
struct HDF5ChunkTree {
  /// Chunks of one shape that cover a dataset; those at the end may reach beyond it.
  struct Grid {
    var datasetShape: [Int]
    var chunkShape: [Int]
    var elementByteCount: Int

    /// Bytes of one chunk, and of all; nil where that overflows.
    var byteCounts: (chunk: Int, all: Int)? {
      guard let chunk = TensorDescription.elementCount(chunkShape + [elementByteCount]),
        let all = chunkCount.flatMap({ TensorDescription.elementCount([$0, chunk]) })
      else { return nil }
      return (chunk, all)
    }

    var chunkCount: Int? {
      TensorDescription.elementCount(
        zip(datasetShape, chunkShape).map { $0 == 0 ? 0 : ($0 - 1) / $1 + 1 })
    }
  }

  private let file: MappedFile
  private let grid: Grid
  private let name: String
  private var chunks: [HDF5Chunks.Chunk] = []
  private var seen: Set<[Int]> = []

  static func chunks(
    _ file: MappedFile, at address: HDF5Address, grid: Grid, name: String,
    budget: inout HDF5Budget
  ) throws(InputError) -> [HDF5Chunks.Chunk] {
    let limit = AllocationLimit.byteCount(fileByteCount: file.byteCount)
    // Chunks may share their bytes, so that decoding all of them takes time whatever the file's
    // size.
    guard let byteCounts = grid.byteCounts, byteCounts.chunk <= limit / 8,
      byteCounts.all / 2 <= limit, let expected = grid.chunkCount
    else {
      throw InputError(
        file.path, place: name, offset: address.statedAt,
        "chunks of shape \(grid.chunkShape) for shape \(grid.datasetShape) are beyond what a file "
          + "of \(file.byteCount) bytes holds")
    }
    var tree = HDF5ChunkTree(file: file, grid: grid, name: name)
    if !address.isUndefined { try tree.visit(address, level: nil, budget: &budget) }
    guard tree.chunks.count == expected else {
      throw InputError(
        file.path, place: name, offset: address.statedAt,
        "\(tree.chunks.count) chunks are stored where \(expected) are expected")
    }
    return tree.chunks
  }

  private init(file: MappedFile, grid: Grid, name: String) {
    self.file = file
    self.grid = grid
    self.name = name
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
      for _ in 0..<grid.chunkShape.count + 1 {
        offsets.append(Int(clamping: try cursor.integer(UInt64.self, "chunk offset")))
      }
      let child = try cursor.address("child")
      if level > 0 {
        try visit(child, level: level - 1, budget: &budget)
      } else {
        offsets.removeLast()
        var data = try ByteCursor(file, at: child, "chunk")
        try add(
          HDF5Chunks.Chunk(
            start: offsets, stored: try data.skip(Int(byteCount), "chunk"), filterMask: mask))
      }
    }
  }

  private mutating func add(_ chunk: HDF5Chunks.Chunk) throws(InputError) {
    let isInGrid = chunk.start.indices.allSatisfy {
      chunk.start[$0].isMultiple(of: grid.chunkShape[$0])
        && chunk.start[$0] < grid.datasetShape[$0]
    }
    guard isInGrid, seen.insert(chunk.start).inserted else {
      throw InputError(
        file.path, place: name, offset: chunk.stored.lowerBound,
        "the chunk at \(chunk.start) is misplaced, or a second one")
    }
    chunks.append(chunk)
  }
}
