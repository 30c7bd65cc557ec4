// How much of an HDF5 file may be looked at, whatever its structure claims.

package import Bytes

/// Counts down over one file: trees, headers and blocks may be shared, so their size alone bounds
/// nothing.
package struct HDF5Budget {
  private let entryCount = 1 << 18
  private let messageCount: Int
  private let nameByteCount = 8 << 20

  private var remainingEntryCount: Int
  private var remainingMessageCount: Int
  private var remainingNameByteCount: Int
  private var remainingChecksumByteCount: Int

  /// - Parameter messageCount: Messages in all object headers together.
  package init(_ file: MappedFile, messageCount: Int = 1 << 18) {
    self.messageCount = messageCount
    remainingEntryCount = entryCount
    remainingMessageCount = messageCount
    remainingNameByteCount = nameByteCount
    remainingChecksumByteCount = file.byteCount
  }

  /// Takes one entry of a tree or a symbol table.
  mutating func takeEntry(_ cursor: ByteCursor) throws(InputError) {
    guard remainingEntryCount > 0 else {
      throw cursor.failure("more than \(entryCount) entries of trees in one file")
    }
    remainingEntryCount -= 1
  }

  /// Takes one message of an object header.
  mutating func takeMessage(_ cursor: ByteCursor) throws(InputError) {
    guard remainingMessageCount > 0 else {
      throw cursor.failure("more than \(messageCount) header messages in one file")
    }
    remainingMessageCount -= 1
  }

  /// Takes a name, or a path made of names, that is read at the byte `offset`.
  package mutating func take(name: String, at offset: Int, of file: MappedFile)
    throws(InputError)
  {
    remainingNameByteCount -= name.utf8.count
    guard remainingNameByteCount >= 0 else {
      throw InputError(
        file.path, offset: offset, "more than \(nameByteCount) bytes of names in one file")
    }
  }

  /// Takes a structure whose checksum is computed: together they have no more bytes than the file
  /// unless they overlap.
  mutating func take(checked range: Range<Int>, of file: MappedFile) throws(InputError) {
    remainingChecksumByteCount -= range.count
    guard remainingChecksumByteCount >= 0 else {
      throw InputError(
        file.path, offset: range.lowerBound, "structures with checksums overlap each other")
    }
  }
}
