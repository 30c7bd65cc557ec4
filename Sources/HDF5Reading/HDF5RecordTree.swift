// The B-tree of version 2 (File Format Specification, section III.A.2), whose records index a heap.

import Bytes

/// Collects the records of one tree, in order.
struct HDF5RecordTree {
  /// What the records are, by their numbers, and how long each is.
  enum Kind: UInt8 {
    /// Huge objects of a heap: address, length and key.
    case hugeObjects = 1
    /// Links of a group: hash and heap identifier.
    case linkNames = 5
    /// Attributes: heap identifier, message flags, creation order and hash.
    case attributeNames = 8

    var recordByteCount: Int {
      switch self {
      case .hugeObjects: 24
      case .linkNames: 11
      case .attributeNames: 17
      }
    }
  }

  /// Signature, version, kind and checksum of a node.
  private static let prefixByteCount = 10
  private static let maximumDepth = 16

  private let file: MappedFile
  private let kind: Kind
  /// Bytes of the counts in a child pointer: of its own records, and of all below a child that lies
  /// at each depth.
  private var countByteCount = 0
  private var totalByteCounts: [Int] = []
  private var records: [ByteCursor] = []

  /// The record that each cursor reads; none where the address is undefined.
  static func records(
    _ file: MappedFile, at address: HDF5Address, kind: Kind, budget: inout HDF5Budget
  ) throws(InputError) -> [ByteCursor] {
    if address.isUndefined { return [] }
    var tree = HDF5RecordTree(file: file, kind: kind)
    try tree.read(at: address, &budget)
    return tree.records
  }

  private init(file: MappedFile, kind: Kind) {
    self.file = file
    self.kind = kind
  }

  private mutating func read(at address: HDF5Address, _ budget: inout HDF5Budget)
    throws(InputError)
  {
    var cursor = try ByteCursor(file, at: address, "tree of records")
    let start = cursor.position
    try cursor.expect("BTHD", "tree of records")
    try cursor.expect(version: 0, of: "tree of records")
    let found = try cursor.integer(UInt8.self, "tree type")
    let nodeByteCount = Int(try cursor.integer(UInt32.self, "node size"))
    let recordByteCount = Int(try cursor.integer(UInt16.self, "record size"))
    let depth = Int(try cursor.integer(UInt16.self, "depth"))
    _ = try cursor.skip(2, "percentages")
    let root = try cursor.address("root node")
    let rootCount = Int(try cursor.integer(UInt16.self, "record count"))
    let count = try cursor.integer(UInt64.self, "total record count")
    try cursor.expectChecksum(from: start, "tree of records", budget: &budget)
    guard found == kind.rawValue, recordByteCount == kind.recordByteCount,
      depth <= HDF5RecordTree.maximumDepth,
      nodeByteCount >= HDF5RecordTree.prefixByteCount + recordByteCount
    else {
      throw cursor.failure(
        "not a tree of records of type \(kind.rawValue) and a depth up to "
          + "\(HDF5RecordTree.maximumDepth)", at: start)
    }
    // How wide the counts are follows from how many records fit into a node of each depth.
    let leafCount = (nodeByteCount - HDF5RecordTree.prefixByteCount) / recordByteCount
    countByteCount = HDF5RecordTree.byteCount(of: UInt64(leafCount))
    totalByteCounts = [0]
    var total = UInt64(leafCount)
    for _ in 0..<depth {
      let pointer = 8 + countByteCount + totalByteCounts[totalByteCounts.count - 1]
      let inside =
        (nodeByteCount - HDF5RecordTree.prefixByteCount - pointer) / (recordByteCount + pointer)
      let (product, overflow) = UInt64(max(inside, 0) + 1).multipliedReportingOverflow(by: total)
      total = overflow ? .max - UInt64(max(inside, 0)) : product
      total += overflow ? 0 : UInt64(max(inside, 0))
      totalByteCounts.append(HDF5RecordTree.byteCount(of: total))
    }
    guard !root.isUndefined else {
      guard count == 0 else { throw cursor.failure("a tree of records without a root", at: start) }
      return
    }
    try visit(root, depth: depth, count: rootCount, &budget)
    guard UInt64(records.count) == count else {
      throw cursor.failure(
        "the tree holds \(records.count) records, \(count) are stated", at: start)
    }
  }

  /// Bytes of a count up to `limit`.
  private static func byteCount(of limit: UInt64) -> Int {
    (63 - max(limit, 1).leadingZeroBitCount) / 8 + 1
  }

  private mutating func visit(
    _ address: HDF5Address, depth: Int, count: Int, _ budget: inout HDF5Budget
  ) throws(InputError) {
    var cursor = try ByteCursor(file, at: address, "node of records")
    let start = cursor.position
    try cursor.expect(depth == 0 ? "BTLF" : "BTIN", "node of records")
    try cursor.expect(version: 0, of: "node of records")
    guard try cursor.integer(UInt8.self, "node type") == kind.rawValue else {
      throw cursor.failure("a node of another tree", at: start)
    }
    var own: [ByteCursor] = []
    for _ in 0..<count {
      try budget.takeEntry(cursor)
      own.append(
        ByteCursor(file, in: try cursor.skip(kind.recordByteCount, "record")))
    }
    guard depth > 0 else {
      try cursor.expectChecksum(from: start, "node of records", budget: &budget)
      records += own
      return
    }
    var children: [(address: HDF5Address, count: Int)] = []
    for _ in 0...count {
      let child = try cursor.address("child")
      let count = try cursor.unsigned(byteCount: countByteCount, "record count")
      _ = try cursor.skip(totalByteCounts[depth - 1], "total record count")
      children.append((child, Int(clamping: count)))
    }
    try cursor.expectChecksum(from: start, "node of records", budget: &budget)
    for (index, child) in children.enumerated() {
      try visit(child.address, depth: depth - 1, count: child.count, &budget)
      if index < own.count { records.append(own[index]) }
    }
  }
}
