// How much of an HDF5 file may be looked at, whatever its structure claims.

import Bytes

/// Counts down over one file: trees and headers may be shared, so their size alone bounds nothing.
struct HDF5Budget {
  static let entryCount = 1 << 18
  static let messageCount = 1 << 18
  static let nameByteCount = 8 << 20

  private var remainingEntryCount = entryCount
  private var remainingMessageCount = messageCount
  private var remainingNameByteCount = nameByteCount

  /// Takes one entry of a tree or a symbol table.
  mutating func takeEntry(_ cursor: ByteCursor) throws(InputError) {
    guard remainingEntryCount > 0 else {
      throw cursor.failure("more than \(HDF5Budget.entryCount) entries of trees in one file")
    }
    remainingEntryCount -= 1
  }

  /// Takes one message of an object header.
  mutating func takeMessage(_ cursor: ByteCursor) throws(InputError) {
    guard remainingMessageCount > 0 else {
      throw cursor.failure("more than \(HDF5Budget.messageCount) header messages in one file")
    }
    remainingMessageCount -= 1
  }

  /// Takes a name, or a path made of names, that is read at the byte `offset`.
  mutating func take(name: String, at offset: Int, of file: MappedFile) throws(InputError) {
    remainingNameByteCount -= name.utf8.count
    guard remainingNameByteCount >= 0 else {
      throw InputError(
        file.path, offset: offset,
        "more than \(HDF5Budget.nameByteCount) bytes of names in one file")
    }
  }
}
