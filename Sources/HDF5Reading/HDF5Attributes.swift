// The attributes of an HDF5 object: messages in its header, or in a heap with an index of names.

package import Bytes

/// One attribute, of which nothing but its name is looked at yet.
package struct HDF5Attribute {
  package var name: String
  package var datatype: HDF5Datatype
  package var dataspace: HDF5Dataspace
  /// Its elements: all that follows in its message.
  package var value: ByteCursor

  private static let sharedFlags: UInt8 = 3

  /// An attribute message of version 3 (section IV.A.2.m).
  fileprivate init(_ message: ByteCursor, budget: inout HDF5Budget) throws(InputError) {
    var cursor = message
    let start = cursor.position
    try cursor.expect(version: 3, of: "attribute")
    let flags = try cursor.integer(UInt8.self, "attribute flags")
    let nameByteCount = Int(try cursor.integer(UInt16.self, "name length"))
    let typeByteCount = Int(try cursor.integer(UInt16.self, "datatype length"))
    let spaceByteCount = Int(try cursor.integer(UInt16.self, "dataspace length"))
    _ = try cursor.skip(1, "character set")
    guard flags & HDF5Attribute.sharedFlags == 0 else {
      throw cursor.failure("shared messages are not read", at: start)
    }
    // With its NUL.
    guard nameByteCount > 1 else { throw cursor.failure("an attribute without a name", at: start) }
    name = try cursor.text(byteCount: nameByteCount - 1, "attribute name")
    try budget.take(name: name, at: start, of: cursor.file)
    _ = try cursor.skip(1, "end of the name")
    let type = try cursor.skip(typeByteCount, "datatype")
    let space = try cursor.skip(spaceByteCount, "dataspace")
    datatype = try HDF5Datatype(ByteCursor(cursor.file, in: type))
    dataspace = try HDF5Dataspace(ByteCursor(cursor.file, in: space), name: name)
    value = cursor
  }
}

extension HDF5ObjectHeader {
  /// All attributes, in no order; of the checksummed generation only.
  package func attributes(in file: MappedFile, budget: inout HDF5Budget) throws(InputError)
    -> [HDF5Attribute]
  {
    var result: [HDF5Attribute] = []
    for message in try all(.attribute) {
      result.append(try HDF5Attribute(message, budget: &budget))
    }
    guard var cursor = try one(.attributeInfo) else { return result }
    try cursor.expect(version: 0, of: "attribute info")
    let flags = try cursor.integer(UInt8.self, "attribute info flags")
    if flags & 1 != 0 { _ = try cursor.skip(2, "creation index") }
    let heapAddress = try cursor.address("heap address")
    let treeAddress = try cursor.address("tree address")
    guard !heapAddress.isUndefined else { return result }
    var heap = try HDF5Heap(file, at: heapAddress, budget: &budget)
    let records = try HDF5RecordTree.records(
      file, at: treeAddress, kind: .attributeNames, budget: &budget)
    for var record in records {
      let identifier = try record.skip(heap.identifierByteCount, "heap identifier")
      guard try record.integer(UInt8.self, "message flags") & 2 == 0 else {
        throw record.failure("shared messages are not read", at: identifier.lowerBound)
      }
      result.append(
        try HDF5Attribute(heap.object(identifier, budget: &budget), budget: &budget))
    }
    return result
  }
}
