// Addresses that an HDF5 file states, and reading from them.

package import Bytes

/// A byte of the file, unchecked, and the byte at which it is stated.
package struct HDF5Address: Equatable {
  package var value: UInt64
  package var statedAt: Int

  /// Whether it stands for nothing.
  package var isUndefined: Bool { value == .max }
}

extension ByteCursor {
  /// Reads from an address up to the end of the file.
  package init(_ file: MappedFile, at address: HDF5Address, _ what: String) throws(InputError) {
    guard address.value < UInt64(file.byteCount) else {
      throw InputError(
        file.path, offset: address.statedAt,
        "the address \(address.value) (\(what)) is not in the file")
    }
    self.init(file, in: Int(address.value)..<file.byteCount)
  }

  package mutating func address(_ what: String) throws(InputError) -> HDF5Address {
    let start = position
    return HDF5Address(value: try integer(UInt64.self, what), statedAt: start)
  }

  /// Passes over `signature`.
  mutating func expect(_ signature: String, _ what: String) throws(InputError) {
    let start = position
    guard try file.bytes(in: skip(signature.utf8.count, what)) == Array(signature.utf8) else {
      throw failure("no \(what), whose signature is \(signature)", at: start)
    }
  }

  /// Passes over a version that must be `version`.
  mutating func expect(version: UInt8, of what: String) throws(InputError) {
    let start = position
    let found = try integer(UInt8.self, what)
    guard found == version else {
      throw failure("version \(found) of \(what) is not read", at: start)
    }
  }
}
