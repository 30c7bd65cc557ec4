// Where the chunks of a dataset lie, whichever index the file has for them.

package import Bytes

/// One stored chunk.
package struct HDF5StoredChunk: Sendable {
  /// Index of its first element along each axis.
  package var start: [Int]
  /// Its bytes in the file.
  package var stored: Range<Int>
  /// Bit i is set where filter i was skipped.
  package var filterMask: UInt32
}

/// Chunks of one shape that cover a dataset; those at the end may reach beyond it.
package struct HDF5ChunkGrid {
  package var datasetShape: [Int]
  package var chunkShape: [Int]
  package var elementByteCount: Int

  package init(datasetShape: [Int], chunkShape: [Int], elementByteCount: Int) {
    self.datasetShape = datasetShape
    self.chunkShape = chunkShape
    self.elementByteCount = elementByteCount
  }

  /// Bytes of one chunk, and of all; nil where that overflows.
  package var byteCounts: (chunk: Int, all: Int)? {
    guard let chunk = HDF5ChunkGrid.product(chunkShape + [elementByteCount]),
      let all = chunkCount.flatMap({ HDF5ChunkGrid.product([$0, chunk]) })
    else { return nil }
    return (chunk, all)
  }

  package var chunkCount: Int? { HDF5ChunkGrid.product(chunkCounts) }

  /// Chunks along each axis.
  fileprivate var chunkCounts: [Int] {
    zip(datasetShape, chunkShape).map { $0 == 0 ? 0 : ($0 - 1) / $1 + 1 }
  }

  private static func product(_ factors: [Int]) -> Int? {
    var result = 1
    for factor in factors {
      let (product, overflow) = result.multipliedReportingOverflow(by: factor)
      guard factor >= 0, !overflow else { return nil }
      result = product
    }
    return result
  }
}

package enum HDF5ChunkIndex {
  /// A B-tree of version 1.
  case tree(HDF5Address)
  /// One chunk for all elements.
  case single(HDF5Address, byteCount: UInt64, filterMask: UInt32)
  /// A fixed array, in the order of the grid.
  case fixedArray(HDF5Address)

  private static let singleWithFilter: UInt8 = 2

  /// What a layout message of version 4 says (section IV.A.2.i).
  init(_ cursor: inout ByteCursor, flags: UInt8, name: String) throws(InputError) {
    let start = cursor.position
    let kind = try cursor.integer(UInt8.self, "index type")
    switch kind {
    case 1 where flags & HDF5ChunkIndex.singleWithFilter != 0:
      let byteCount = try cursor.integer(UInt64.self, "chunk size")
      let mask = try cursor.integer(UInt32.self, "filter mask")
      self = .single(try cursor.address("chunk"), byteCount: byteCount, filterMask: mask)
    case 3:
      _ = try cursor.skip(1, "page bits")
      self = .fixedArray(try cursor.address("array of chunks"))
    default:
      throw InputError(
        cursor.file.path, place: name, offset: start,
        "chunks with an index of type \(kind) are not read")
    }
  }

  /// Where it is stated.
  package var statedAt: Int {
    switch self {
    case .tree(let address), .single(let address, _, _), .fixedArray(let address):
      address.statedAt
    }
  }

  /// All chunks of a dataset: one for each place of `grid`, whose size its reader has checked.
  package func chunks(
    _ file: MappedFile, grid: HDF5ChunkGrid, name: String, budget: inout HDF5Budget
  ) throws(InputError) -> [HDF5StoredChunk] {
    let found: [HDF5StoredChunk]
    switch self {
    case .tree(let address):
      found = try HDF5ChunkTree(file, at: address, rank: grid.chunkShape.count, budget: &budget)
        .chunks
    case .single(let address, let byteCount, let mask):
      if address.isUndefined {
        found = []
      } else {
        var data = try ByteCursor(file, at: address, "chunk")
        found = [
          HDF5StoredChunk(
            start: grid.chunkShape.map { _ in 0 },
            stored: try data.skip(Int(clamping: byteCount), "chunk"), filterMask: mask)
        ]
      }
    case .fixedArray(let address):
      found = try HDF5FixedArray.chunks(
        file, at: address, chunkCounts: grid.chunkCounts, chunkShape: grid.chunkShape,
        budget: &budget)
    }
    var seen: Set<[Int]> = []
    for chunk in found {
      let isInGrid = chunk.start.indices.allSatisfy {
        chunk.start[$0].isMultiple(of: grid.chunkShape[$0])
          && chunk.start[$0] < grid.datasetShape[$0]
      }
      guard isInGrid, seen.insert(chunk.start).inserted else {
        throw InputError(
          file.path, place: name, offset: chunk.stored.lowerBound,
          "the chunk at \(chunk.start) is misplaced, or a second one")
      }
    }
    guard found.count == grid.chunkCount else {
      throw InputError(
        file.path, place: name, offset: statedAt,
        "\(found.count) chunks are stored where \(grid.chunkCount ?? 0) are expected")
    }
    return found
  }
}
