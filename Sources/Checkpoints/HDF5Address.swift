// Addresses that an HDF5 file states, and reading from them.

import Bytes

/// A byte of the file, unchecked, and the byte at which it is stated.
struct HDF5Address: Equatable {
  var value: UInt64
  var statedAt: Int

  /// Whether it stands for nothing.
  var isUndefined: Bool { value == .max }
}

extension ByteCursor {
  /// Reads from an address up to the end of the file.
  init(_ file: MappedFile, at address: HDF5Address, _ what: String) throws(InputError) {
    guard address.value < UInt64(file.byteCount) else {
      throw InputError(
        file.path, offset: address.statedAt,
        "the address \(address.value) (\(what)) is not in the file")
    }
    self.init(file, in: Int(address.value)..<file.byteCount)
  }

  mutating func address(_ what: String) throws(InputError) -> HDF5Address {
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
}
