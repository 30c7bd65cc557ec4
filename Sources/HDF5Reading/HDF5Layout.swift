// How an HDF5 dataset is stored: layout and filter messages (section IV.A.2.i and l).

package import Bytes

/// Storage as the file states it; addresses are not checked yet.
package enum HDF5Layout {
  case contiguous(address: HDF5Address, byteCount: UInt64)
  case compact(Range<Int>)
  case chunked(lengths: [Int], elementByteCount: Int, index: HDF5ChunkIndex)

  package init(_ message: ByteCursor, generation: HDF5Generation, name: String)
    throws(InputError)
  {
    var cursor = message
    func failure(_ cause: String, hint: String = "") -> InputError {
      InputError(
        message.file.path, place: name, offset: message.position, cause, hint: hint)
    }
    let version = try cursor.integer(UInt8.self, "layout version")
    guard version == 3 || version == 4 && generation == .checksummed else {
      throw failure(
        "layout version \(version) is not read (virtual datasets have 4)",
        hint: generation == .classic ? HDF5Superblock.hint : "")
    }
    let kind = try cursor.integer(UInt8.self, "layout class")
    switch kind {
    case 0:
      let count = Int(try cursor.integer(UInt16.self, "size"))
      self = .compact(try cursor.skip(count, name))
    case 1:
      let address = try cursor.address("address")
      self = .contiguous(
        address: address, byteCount: try cursor.integer(UInt64.self, "stored size"))
    case 2 where version == 3:
      let rank = Int(try cursor.integer(UInt8.self, "rank of chunks"))
      guard (2...17).contains(rank) else {
        throw failure("chunks of rank \(rank - 1) are not read")
      }
      let tree = try cursor.address("tree address")
      var lengths: [Int] = []
      for _ in 0..<rank - 1 { lengths.append(Int(try cursor.integer(UInt32.self, "length"))) }
      self = .chunked(
        lengths: lengths, elementByteCount: Int(try cursor.integer(UInt32.self, "element size")),
        index: .tree(tree))
    case 2:
      let flags = try cursor.integer(UInt8.self, "chunk flags")
      let rank = Int(try cursor.integer(UInt8.self, "rank of chunks"))
      let width = Int(try cursor.integer(UInt8.self, "width of lengths"))
      guard (2...17).contains(rank), (1...8).contains(width) else {
        throw failure("chunks of rank \(rank - 1) and lengths of \(width) bytes are not read")
      }
      var lengths: [Int] = []
      for _ in 0..<rank {
        lengths.append(Int(clamping: try cursor.unsigned(byteCount: width, "length")))
      }
      let elementByteCount = lengths.removeLast()
      self = .chunked(
        lengths: lengths, elementByteCount: elementByteCount,
        index: try HDF5ChunkIndex(&cursor, flags: flags, name: name))
    default: throw failure("unknown layout class \(kind)")
    }
  }

  /// A filter pipeline message.
  package static func filters(_ message: ByteCursor) throws(InputError) -> [HDF5Filter] {
    var cursor = message
    let version = try cursor.integer(UInt8.self, "filter version")
    let count = try cursor.integer(UInt8.self, "filter count")
    guard version == 1 || version == 2, count <= 32 else {
      throw cursor.failure(
        "\(count) filters of version \(version) are not read", at: message.position)
    }
    if version == 1 { _ = try cursor.skip(6, "reserved bytes") }
    var result: [HDF5Filter] = []
    for _ in 0..<count {
      let start = cursor.position
      let number = try cursor.integer(UInt16.self, "filter")
      let hasName = version == 1 || number >= 256
      let nameByteCount = hasName ? Int(try cursor.integer(UInt16.self, "name length")) : 0
      _ = try cursor.skip(2, "filter flags")
      let valueCount = Int(try cursor.integer(UInt16.self, "value count"))
      let padded = version == 1 ? (nameByteCount + 7) & ~7 : nameByteCount
      _ = try cursor.skip(padded, "filter name")
      let paddedCount = version == 1 && !valueCount.isMultiple(of: 2) ? valueCount + 1 : valueCount
      _ = try cursor.skip(4 * paddedCount, "filter values")
      guard !result.contains(where: { $0.number == number }) else {
        throw cursor.failure("filter \(number) is there twice", at: start)
      }
      result.append(HDF5Filter(number: number, statedAt: start))
    }
    return result
  }
}

/// What every chunk of a dataset went through.
package struct HDF5Filter {
  /// Its registered number.
  package var number: UInt16
  package var statedAt: Int
}
