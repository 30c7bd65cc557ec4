// Walks an untrusted HDF5 file; a reader of ours, because libhdf5 crashes on damaged structures.

import Bytes

/// Collects the numeric datasets of one file in the classic layout.
struct HDF5Structure {
  static let maximumObjectCount = 1 << 16
  static let maximumDepth = 32

  let file: MappedFile
  private(set) var datasets: [HDF5Dataset] = []
  private var visited: Set<UInt64> = []
  /// Entries of trees and symbol tables that may still be read, which bounds time and memory.
  var remainingStepCount = 1 << 18

  /// - Throws: `InputError` with the byte or the object that breaks a rule.
  init(_ file: MappedFile) throws(InputError) {
    self.file = file
    let root = try HDF5Superblock(file).rootAddress
    visited.insert(root)
    try visit(try HDF5ObjectHeader(file, at: root), prefix: "", depth: 0)
    datasets.sort { $0.name < $1.name }
    for (first, second) in zip(datasets, datasets.dropFirst()) where first.name == second.name {
      throw InputError(file.path, place: first.name, "is there twice")
    }
  }

  private mutating func visit(_ group: HDF5ObjectHeader, prefix: String, depth: Int)
    throws(InputError)
  {
    guard depth <= HDF5Structure.maximumDepth else {
      throw InputError(
        file.path, place: prefix, "byte \(group.address): groups are nested more than 32 deep")
    }
    let links = try HDF5Group(group, in: file, remainingStepCount: &remainingStepCount).links
    for link in links {
      let name = prefix + link.name
      guard visited.insert(link.address).inserted else {
        throw InputError(
          file.path, place: name, "byte \(link.address): is a second link to the same object")
      }
      guard visited.count <= HDF5Structure.maximumObjectCount else {
        throw InputError(file.path, offset: group.address, "more than 65536 objects")
      }
      let header = try HDF5ObjectHeader(file, at: link.address)
      if header.has(.symbolTable) || header.has(.linkInfo) {
        try visit(header, prefix: name + "/", depth: depth + 1)
      } else if header.has(.layout) {
        let dataset = try HDF5Dataset(
          header, name: name, in: file, remainingStepCount: &remainingStepCount)
        if let dataset { datasets.append(dataset) }
      } else {
        throw InputError(
          file.path, place: name,
          "byte \(link.address): is neither a group nor a dataset that is read")
      }
    }
  }

  /// Counts one entry.
  static func step(_ remainingStepCount: inout Int, _ cursor: ByteCursor) throws(InputError) {
    guard remainingStepCount > 0 else {
      throw cursor.failure("more than 262144 entries of trees in one file")
    }
    remainingStepCount -= 1
  }
}
