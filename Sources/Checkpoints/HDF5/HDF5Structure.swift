// Walks an untrusted HDF5 file; a reader of ours, because libhdf5 crashes on damaged structures.

import Bytes
import HDF5Reading

/// Collects the numeric datasets of one file in the classic layout.
struct HDF5Structure {
  static let maximumObjectCount = 1 << 16
  static let maximumDepth = 32

  let file: MappedFile
  private(set) var datasets: [HDF5Dataset] = []
  private var visited: Set<UInt64> = []
  private var budget: HDF5Budget

  /// - Throws: `InputError` with the byte or the object that breaks a rule.
  init(_ file: MappedFile) throws(InputError) {
    self.file = file
    budget = HDF5Budget(file)
    let root = try HDF5Superblock(classic: file).rootAddress
    visited.insert(root.value)
    try visit(try header(at: root), prefix: "", depth: 0)
    datasets.sort { $0.name < $1.name }
    for (first, second) in zip(datasets, datasets.dropFirst()) where first.name == second.name {
      throw InputError(
        file.path, place: first.name, offset: second.address, "a second dataset has this name")
    }
  }

  private mutating func header(at address: HDF5Address) throws(InputError) -> HDF5ObjectHeader {
    try HDF5ObjectHeader(file, at: address, generation: .classic, budget: &budget)
  }

  private mutating func visit(_ group: HDF5ObjectHeader, prefix: String, depth: Int)
    throws(InputError)
  {
    guard depth <= HDF5Structure.maximumDepth else {
      throw InputError(
        file.path, place: prefix, offset: group.address,
        "groups are nested more than \(HDF5Structure.maximumDepth) deep")
    }
    let links = try HDF5Group(group, in: file, budget: &budget).links
    for link in links {
      let name = prefix + link.name
      try budget.take(name: name, at: link.address.statedAt, of: file)
      guard visited.insert(link.address.value).inserted else {
        throw InputError(
          file.path, place: name, offset: link.address.statedAt,
          "is a second link to the same object")
      }
      guard visited.count <= HDF5Structure.maximumObjectCount else {
        throw InputError(
          file.path, offset: group.address, "more than \(HDF5Structure.maximumObjectCount) objects")
      }
      let header = try header(at: link.address)
      if header.isGroup {
        try visit(header, prefix: name + "/", depth: depth + 1)
      } else if header.has(.layout) {
        let dataset = try HDF5Dataset(
          header, name: name, in: file, budget: &budget)
        if let dataset { datasets.append(dataset) }
      } else {
        throw InputError(
          file.path, place: name, offset: header.address,
          "is neither a group nor a dataset that is read")
      }
    }
  }
}
