// The B-tree that says where the chunks of an HDF5 dataset lie (section III.A.1, node type 1).

import Bytes

/// Collects the chunks of one dataset and makes sure that each place of the grid has one.
struct HDF5ChunkTree {
  private let file: MappedFile
  private let datasetShape: [Int]
  private let chunkShape: [Int]
  private let name: String
  private var chunks: [HDF5Chunks.Chunk] = []
  private var seen: Set<[Int]> = []

  static func chunks(
    _ file: MappedFile, at address: UInt64, datasetShape: [Int], chunkShape: [Int], name: String,
    remainingStepCount: inout Int
  ) throws(InputError) -> [HDF5Chunks.Chunk] {
    let counts = zip(datasetShape, chunkShape).map { $0 == 0 ? 0 : ($0 - 1) / $1 + 1 }
    let expected = TensorDescription.elementCount(counts) ?? Int.max
    var tree = HDF5ChunkTree(
      file: file, datasetShape: datasetShape, chunkShape: chunkShape, name: name)
    if address != .max {
      try tree.visit(address, level: nil, remainingStepCount: &remainingStepCount)
    }
    guard tree.chunks.count == expected else {
      throw InputError(
        file.path, place: name,
        "byte \(Int(clamping: address)): \(tree.chunks.count) chunks are stored where \(expected) "
          + "are expected")
    }
    return tree.chunks
  }

  private init(file: MappedFile, datasetShape: [Int], chunkShape: [Int], name: String) {
    self.file = file
    self.datasetShape = datasetShape
    self.chunkShape = chunkShape
    self.name = name
  }

  private mutating func visit(
    _ address: UInt64, level expected: UInt8?, remainingStepCount: inout Int
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
      try HDF5Structure.step(&remainingStepCount, cursor)
      let byteCount = try cursor.integer(UInt32.self, "chunk size")
      let mask = try cursor.integer(UInt32.self, "filter mask")
      var offsets: [Int] = []
      for _ in 0..<chunkShape.count + 1 {
        offsets.append(Int(clamping: try cursor.integer(UInt64.self, "chunk offset")))
      }
      let child = try cursor.integer(UInt64.self, "child")
      if level > 0 {
        try visit(child, level: level - 1, remainingStepCount: &remainingStepCount)
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
      chunk.start[$0].isMultiple(of: chunkShape[$0]) && chunk.start[$0] < datasetShape[$0]
    }
    guard isInGrid, seen.insert(chunk.start).inserted else {
      throw InputError(
        file.path, place: name,
        "byte \(chunk.stored.lowerBound): the chunk at \(chunk.start) is misplaced, or a second one"
      )
    }
    chunks.append(chunk)
  }
}
