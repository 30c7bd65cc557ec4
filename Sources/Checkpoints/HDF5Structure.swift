// Walks an untrusted HDF5 file through libhdf5; every answer is checked before it is used.

import Bytes
import CHDF5
import HDF5Library

/// Collects the numeric datasets of one file; lives under the lock.
struct HDF5Structure: ~Copyable {
  static let maximumObjectCount = 1 << 16
  static let maximumDepth = 32

  let file: HDF5Handle
  let path: String
  let fileByteCount: Int
  private(set) var datasets: [HDF5Dataset] = []
  private var visited: Set<UInt64> = []
  /// Steps of libhdf5's chunk lists that may still be made; see `chunks`.
  var remainingChunkSteps = 1 << 30

  init(path: String, fileByteCount: Int) throws(InputError) {
    let access = try HDF5Handle(
      lodge_hdf5_file_access_list(1), source: path, "cannot be opened")
    file = try unsafe HDF5Handle(
      lodge_hdf5_open_file(path, access.id), source: path, "cannot be opened as HDF5")
    self.path = path
    self.fileByteCount = fileByteCount
  }

  mutating func visitAll() throws(InputError) {
    var address: UInt64 = 0
    var attributeCount: UInt64 = 0
    guard unsafe lodge_hdf5_object_info(file.id, &address, &attributeCount) >= 0 else {
      throw HDF5.failure(path, "the root group cannot be read")
    }
    visited.insert(address)
    try visit(group: file.id, prefix: "", depth: 0)
  }

  private mutating func visit(group: hid_t, prefix: String, depth: Int) throws(InputError) {
    guard depth <= HDF5Structure.maximumDepth else {
      throw InputError(path, place: prefix, "groups are nested more than 32 deep")
    }
    for link in try linkNames(of: group, place: prefix.isEmpty ? "/" : prefix) {
      let name = prefix + link
      let object = try unsafe HDF5Handle(
        lodge_hdf5_open_object(group, link), source: path, place: name, "cannot be opened")
      var address: UInt64 = 0
      var attributeCount: UInt64 = 0
      guard unsafe lodge_hdf5_object_info(object.id, &address, &attributeCount) >= 0 else {
        throw HDF5.failure(path, place: name, "cannot be read")
      }
      guard visited.insert(address).inserted else {
        throw InputError(
          path, place: name, "byte \(address): is a second link to the same object")
      }
      guard visited.count <= HDF5Structure.maximumObjectCount else {
        throw InputError(path, "more than 65536 objects")
      }
      switch H5Iget_type(object.id) {
      case H5I_GROUP: try visit(group: object.id, prefix: name + "/", depth: depth + 1)
      case H5I_DATASET:
        if let dataset = try dataset(object.id, name: name) { datasets.append(dataset) }
      default: throw InputError(path, place: name, "is neither a group nor a dataset")
      }
    }
  }

  /// Names of the links of a group, all of which must be hard links.
  private func linkNames(of group: hid_t, place: String) throws(InputError) -> [String] {
    var found = LinkList()
    let status = unsafe withUnsafeMutablePointer(to: &found) { list in
      unsafe lodge_hdf5_visit_links(
        group,
        { context, name, isHard in
          guard let list = unsafe context?.assumingMemoryBound(to: LinkList.self),
            let name = unsafe name, let text = unsafe String(validatingCString: name)
          else { return -1 }
          if isHard == 0 {
            unsafe list.pointee.refused = text
            return 1
          }
          unsafe list.pointee.names.append(text)
          return unsafe list.pointee.names.count > HDF5Structure.maximumObjectCount ? 1 : 0
        }, list)
    }
    if let name = found.refused {
      throw InputError(path, place: name, "soft and external links are not followed")
    }
    guard status >= 0 else { throw HDF5.failure(path, place: place, "cannot be listed") }
    guard status == 0 else { throw InputError(path, place: place, "more than 65536 objects") }
    return found.names
  }

  private struct LinkList {
    var names: [String] = []
    var refused: String?
  }
}
