// Reads the structure of a container through libhdf5; every answer is checked before it is used.

import Bytes
import CHDF5
import Glibc

/// Walks one file under the lock and collects what `ContainerReader` needs.
struct HDF5Input: ~Copyable {
  let file: HDF5Handle
  let path: String
  let fileByteCount: Int
  var datasets: [StoredDataset] = []
  var visited: Set<UInt64> = []

  /// Opens `source` by its name and makes sure that it is still the same file.
  init(_ source: OpenFile, byteCount: Int) throws(InputError) {
    let path = source.path
    let access = try HDF5Handle(
      lodge_hdf5_file_access_list(hsize_t(ContainerFormat.alignment), source.isNameless ? 1 : 0),
      source: path,
      "cannot be opened")
    let file = try unsafe HDF5Handle(
      lodge_hdf5_open_file(source.reopenPath, access.id), source: path, "cannot be opened")
    var status = stat()
    let expected = try source.status()
    guard unsafe fstat(lodge_hdf5_descriptor(file.id), &status) == 0,
      status.st_dev == expected.st_dev, status.st_ino == expected.st_ino
    else { throw InputError(path, "was replaced while it was opened") }
    self.file = file
    self.path = path
    fileByteCount = byteCount
  }

  /// Collects the datasets of `object`, a group, and below; `prefix` ends in '/' or is empty.
  mutating func visit(group: hid_t, prefix: String) throws(InputError) {
    let links = try linkNames(of: group, place: prefix.isEmpty ? "/" : prefix)
    for link in links {
      let name = prefix + link
      guard DatasetDescription.isName(name) else {
        throw InputError(
          path, place: DatasetDescription.printable(name), "dataset name is not allowed")
      }
      let object = try unsafe HDF5Handle(
        lodge_hdf5_open_object(group, link), source: path, place: name, "cannot be opened")
      var address: UInt64 = 0
      var attributeCount: UInt64 = 0
      guard unsafe lodge_hdf5_object_info(object.id, &address, &attributeCount) >= 0 else {
        throw HDF5.failure(path, place: name, "cannot be read")
      }
      guard visited.insert(address).inserted else {
        throw InputError(path, place: name, "is a second link to the same object")
      }
      guard visited.count <= ContainerFormat.maximumDatasetCount else {
        throw InputError(path, "more than 65536 objects")
      }
      switch H5Iget_type(object.id) {
      case H5I_GROUP:
        guard attributeCount == 0 else {
          throw InputError(path, place: name, "a group must not have attributes")
        }
        let before = datasets.count
        try visit(group: object.id, prefix: name + "/")
        guard datasets.count > before else {
          throw InputError(path, place: name, "the group is empty")
        }
      case H5I_DATASET:
        datasets.append(
          try dataset(object.id, name: name, attributeCount: Int(clamping: attributeCount)))
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
            let name = unsafe name
          else { return -1 }
          let text = unsafe String(cString: name)
          if isHard == 0 {
            unsafe list.pointee.refused = text
            return 1
          }
          unsafe list.pointee.names.append(text)
          return unsafe list.pointee.names.count > ContainerFormat.maximumDatasetCount ? 1 : 0
        }, list)
    }
    if let name = found.refused {
      throw InputError(
        path, place: DatasetDescription.printable(name), "soft and external links are not allowed")
    }
    guard status >= 0 else { throw HDF5.failure(path, place: place, "cannot be listed") }
    guard status == 0 else { throw InputError(path, place: place, "more than 65536 objects") }
    return found.names.sorted()
  }

  private struct LinkList {
    var names: [String] = []
    var refused: String?
  }
}
