// The fractal heap (File Format Specification, section III.G) that holds many or long messages.

import Bytes

/// Finds objects by their identifiers: in blocks whose sizes double, or by themselves when huge.
struct HDF5Heap {
  /// Bytes of an identifier.
  let identifierByteCount: Int

  private let file: MappedFile
  private let address: UInt64
  private let hasBlockChecksums: Bool
  private let hugeObjects: HDF5Address
  private let width: Int
  private let startByteCount: UInt64
  /// Rows whose blocks hold objects themselves.
  private let directRowCount: Int
  private let offsetByteCount: Int
  private let lengthByteCount: Int
  private let root: HDF5Address
  private let rootRowCount: Int
  /// Blocks whose checksum was found right.
  private var seen: Set<UInt64> = []
  /// Key, place and length of the huge objects, once one was asked for.
  private var huge: [UInt64: Range<Int>]?

  init(_ file: MappedFile, at address: HDF5Address, budget: inout HDF5Budget) throws(InputError) {
    var cursor = try ByteCursor(file, at: address, "heap")
    let start = cursor.position
    try cursor.expect("FRHP", "heap")
    try cursor.expect(version: 0, of: "heap")
    let identifierByteCount = Int(try cursor.integer(UInt16.self, "identifier length"))
    let filterByteCount = try cursor.integer(UInt16.self, "filter length")
    let flags = try cursor.integer(UInt8.self, "heap flags")
    let largestManaged = try cursor.integer(UInt32.self, "largest managed object")
    _ = try cursor.skip(8, "next huge identifier")
    hugeObjects = try cursor.address("tree of huge objects")
    _ = try cursor.skip(8 * 10, "statistics of the heap")
    width = Int(try cursor.integer(UInt16.self, "table width"))
    startByteCount = try cursor.integer(UInt64.self, "starting block size")
    let largestDirect = try cursor.integer(UInt64.self, "largest direct block")
    let offsetBitCount = Int(try cursor.integer(UInt16.self, "heap size"))
    _ = try cursor.skip(2, "starting rows")
    root = try cursor.address("root block")
    rootRowCount = Int(try cursor.integer(UInt16.self, "row count"))
    try cursor.expectChecksum(from: start, "heap", budget: &budget)
    guard filterByteCount == 0, (1...64).contains(offsetBitCount),
      width.nonzeroBitCount == 1, width <= 1 << 10,
      startByteCount.nonzeroBitCount == 1, largestDirect.nonzeroBitCount == 1,
      startByteCount <= largestDirect, largestDirect <= 1 << 32
    else { throw cursor.failure("a heap with sizes or filters that are not read", at: start) }
    self.file = file
    self.address = address.value
    self.identifierByteCount = identifierByteCount
    hasBlockChecksums = flags & 2 != 0
    directRowCount =
      largestDirect.trailingZeroBitCount - startByteCount.trailingZeroBitCount + 2
    offsetByteCount = (offsetBitCount + 7) / 8
    // As many bytes as the longest object or the largest block needs.
    lengthByteCount = min(
      (largestDirect.trailingZeroBitCount + 7) / 8,
      (31 - max(largestManaged, 1).leadingZeroBitCount) / 8 + 1)
    guard lengthByteCount > 0, identifierByteCount > offsetByteCount + lengthByteCount,
      rootRowCount <= 64
    else { throw cursor.failure("a heap with identifiers that are not read", at: start) }
  }

  /// The object with the identifier at `range` of the file.
  mutating func object(_ range: Range<Int>, budget: inout HDF5Budget) throws(InputError)
    -> ByteCursor
  {
    var cursor = ByteCursor(file, in: range)
    let kind = try cursor.integer(UInt8.self, "heap identifier")
    switch kind {
    case 0x00:
      let offset = try cursor.unsigned(byteCount: offsetByteCount, "heap offset")
      let byteCount = try cursor.unsigned(byteCount: lengthByteCount, "object length")
      return try managed(offset, byteCount: byteCount, range.lowerBound, &budget)
    case 0x10:
      let key = try cursor.unsigned(byteCount: min(cursor.remainingByteCount, 8), "object key")
      return try hugeObject(key, range.lowerBound, &budget)
    default:
      throw cursor.failure("a heap identifier of kind \(kind) is not read", at: range.lowerBound)
    }
  }

  /// Huge objects lie by themselves.
  private mutating func hugeObject(_ key: UInt64, _ place: Int, _ budget: inout HDF5Budget)
    throws(InputError) -> ByteCursor
  {
    if huge == nil {
      var found: [UInt64: Range<Int>] = [:]
      let records = try HDF5RecordTree.records(
        file, at: hugeObjects, kind: .hugeObjects, budget: &budget)
      for var record in records {
        var data = try ByteCursor(file, at: record.address("huge object"), "huge object")
        let byteCount = try record.integer(UInt64.self, "object length")
        let range = try data.skip(Int(clamping: byteCount), "huge object")
        found[try record.integer(UInt64.self, "object key")] = range
      }
      huge = found
    }
    guard let range = huge?[key] else {
      throw InputError(file.path, offset: place, "a huge object \(key) that is not in its heap")
    }
    return ByteCursor(file, in: range)
  }

  /// Bytes of each block of a row: two rows of the starting size, then twice as many a row.
  private func blockByteCount(row: Int) -> UInt64 { startByteCount << UInt64(max(row, 1) - 1) }

  /// Goes down from the root to the direct block that holds an offset.
  private mutating func managed(
    _ offset: UInt64, byteCount: UInt64, _ place: Int, _ budget: inout HDF5Budget
  ) throws(InputError) -> ByteCursor {
    func failure() -> InputError {
      InputError(file.path, offset: place, "an object at \(offset) that is not in its heap")
    }
    var block = root
    var blockOffset: UInt64 = 0
    var blockByteCount = startByteCount
    var rowCount = rootRowCount
    while rowCount > 0 {
      var row = 0
      var relative = offset - blockOffset
      while true {
        guard row < rowCount, row + startByteCount.trailingZeroBitCount < 60 else {
          throw failure()
        }
        blockByteCount = self.blockByteCount(row: row)
        let (rowByteCount, overflow) = blockByteCount.multipliedReportingOverflow(by: UInt64(width))
        guard !overflow else { throw failure() }
        if relative < rowByteCount { break }
        relative -= rowByteCount
        row += 1
      }
      let column = Int(relative / blockByteCount)
      let entry = row * width + column
      let child = try child(entry, of: block, at: blockOffset, rowCount: rowCount, &budget)
      blockOffset = offset - relative % blockByteCount
      block = child
      if row < directRowCount { break }
      // So many rows that they hold as many bytes as the block stands for.
      let firstRowBits = startByteCount.trailingZeroBitCount + width.trailingZeroBitCount
      let rows = blockByteCount.trailingZeroBitCount - firstRowBits + 1
      guard rows > 0, rows < rowCount else { throw failure() }
      rowCount = rows
    }
    guard !block.isUndefined else { throw failure() }
    var cursor = try ByteCursor(file, at: block, "heap block")
    let range = try cursor.skip(Int(clamping: blockByteCount), "heap block")
    let headerByteCount = try checkDirect(range, at: blockOffset, &budget)
    let start = offset - blockOffset
    guard start >= headerByteCount, start < blockByteCount, byteCount > 0,
      byteCount <= blockByteCount - start
    else {
      throw failure()
    }
    let first = range.lowerBound + Int(start)
    return ByteCursor(file, in: first..<first + Int(byteCount))
  }

  /// Entry `index` of an indirect block.
  private mutating func child(
    _ index: Int, of block: HDF5Address, at offset: UInt64, rowCount: Int,
    _ budget: inout HDF5Budget
  ) throws(InputError) -> HDF5Address {
    var cursor = try ByteCursor(file, at: block, "heap block")
    let start = cursor.position
    try cursor.expect("FHIB", "indirect heap block")
    try expectPlace(&cursor, offset)
    let entries = try cursor.skip(8 * width * rowCount, "heap blocks")
    if seen.insert(block.value).inserted {
      try cursor.expectChecksum(from: start, "indirect heap block", budget: &budget)
    }
    var entry = ByteCursor(
      file, in: entries.lowerBound + 8 * index..<entries.lowerBound + 8 * index + 8)
    return try entry.address("heap block")
  }

  /// Checks a direct block, and gives the length of what precedes its objects.
  private mutating func checkDirect(
    _ range: Range<Int>, at offset: UInt64, _ budget: inout HDF5Budget
  ) throws(InputError) -> UInt64 {
    var cursor = ByteCursor(file, in: range)
    try cursor.expect("FHDB", "heap block")
    try expectPlace(&cursor, offset)
    if hasBlockChecksums {
      let place = try cursor.skip(4, "checksum")
      if seen.insert(UInt64(range.lowerBound)).inserted {
        try budget.take(checked: range, of: file)
        // The checksum counts as zeros in itself.
        var bytes = try file.bytes(in: range)
        var stated = ByteCursor(file, in: place)
        for index in place { bytes[index - range.lowerBound] = 0 }
        let found = unsafe HDF5Checksum.lookup3(bytes.span.bytes)
        guard try stated.integer(UInt32.self, "checksum") == found else {
          throw cursor.failure("the checksum of a heap block is wrong", at: range.lowerBound)
        }
      }
    }
    return UInt64(cursor.position - range.lowerBound)
  }

  /// What every block states: its heap, and where in it it lies.
  private func expectPlace(_ cursor: inout ByteCursor, _ offset: UInt64) throws(InputError) {
    let start = cursor.position
    try cursor.expect(version: 0, of: "heap block")
    let heap = try cursor.address("heap")
    let found = try cursor.unsigned(byteCount: offsetByteCount, "block offset")
    guard heap.value == address, found == offset else {
      throw cursor.failure("a heap block of another heap or place", at: start)
    }
  }
}
