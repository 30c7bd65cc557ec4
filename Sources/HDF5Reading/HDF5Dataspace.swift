// The shape of an HDF5 dataset or attribute (File Format Specification, section IV.A.2.b).

package import Bytes

/// A dataspace message as it is stated.
package struct HDF5Dataspace: Equatable {
  package enum Kind: UInt8 {
    case scalar = 0
    case simple = 1
    /// Without a value.
    case null = 2
  }

  package var kind: Kind
  package var extents: [UInt64]
  /// How far the extents may grow, where it is stated.
  package var limits: [UInt64]?

  private static let maximumRank = 16

  /// - Parameter name: The object that has it, for errors.
  package init(_ message: ByteCursor, name: String) throws(InputError) {
    var cursor = message
    func failure(_ cause: String) -> InputError {
      InputError(message.file.path, place: name, offset: message.position, cause)
    }
    let version = try cursor.integer(UInt8.self, "dataspace version")
    let rank = Int(try cursor.integer(UInt8.self, "rank"))
    let flags = try cursor.integer(UInt8.self, "dataspace flags")
    let kind = try cursor.integer(UInt8.self, "dataspace type")
    switch version {
    case 1:
      // Version 1 has no kinds.
      self.kind = rank == 0 ? .scalar : .simple
      _ = try cursor.skip(4, "reserved bytes")
    case 2:
      guard let kind = Kind(rawValue: kind) else {
        throw failure("dataspace type \(kind) is not known")
      }
      self.kind = kind
    default: throw failure("dataspace version \(version) is not read")
    }
    guard rank <= HDF5Dataspace.maximumRank else {
      throw failure("rank \(rank), at most \(HDF5Dataspace.maximumRank) is read")
    }
    extents = []
    for _ in 0..<rank { extents.append(try cursor.integer(UInt64.self, "length")) }
    guard flags & 1 != 0 else { return }
    var limits: [UInt64] = []
    for _ in 0..<rank { limits.append(try cursor.integer(UInt64.self, "largest length")) }
    self.limits = limits
  }

  /// Whether the extents may become others.
  package var canGrow: Bool { limits.map { $0 != extents } ?? false }
}
