// The libhdf5 side of a container under construction: structure, chunks, attributes, closing.

import Bytes
import CHDF5
import Glibc
import Synchronization

/// An HDF5 file open for writing; abandoned, not written back, unless `close` has succeeded.
final class HDF5Output: Sendable {
  private let file: hid_t
  private let isClosed = Atomic(false)
  private let path: String

  private init(file: hid_t, path: String) {
    self.file = file
    self.path = path
  }

  deinit {
    guard !isClosed.load(ordering: .acquiring) else { return }
    let file = self.file
    try? HDF5.locked(source: path) { lodge_hdf5_abandon_file(file) }
  }

  /// Creates all datasets and attributes; gives the offset of each raw dataset, 0 for others.
  static func create(
    _ temporary: TemporaryFile, kind: String, headerText: String, datasets: [DatasetDescription]
  ) throws(InputError) -> (HDF5Output, offsets: [Int]) {
    let path = temporary.finalPath
    let output = try HDF5.locked(source: path) { () throws(InputError) in
      let creation = try HDF5Handle(
        lodge_hdf5_file_creation_list(), source: path, "cannot set up the file")
      let access = try HDF5Handle(
        lodge_hdf5_file_access_list(
          hsize_t(ContainerFormat.alignment), temporary.file.isNameless ? 1 : 0), source: path,
        "cannot set up the file")
      let file = unsafe lodge_hdf5_create_file(
        temporary.file.reopenPath, creation.id, access.id)
      guard file >= 0 else { throw HDF5.failure(path, "cannot create the file") }
      return HDF5Output(file: file, path: path)
    }
    let offsets = try HDF5.locked(source: path) { () throws(InputError) in
      try output.requireSameFile(as: temporary.file)
      try output.createRootAttributes(kind: kind, headerText: headerText)
      var offsets: [Int] = []
      try output.createGroups(of: datasets.map(\.name))
      for description in datasets { offsets.append(try output.createDataset(description)) }
      guard H5Fflush(output.file, H5F_SCOPE_LOCAL) >= 0 else {
        throw HDF5.failure(path, "cannot write the file")
      }
      return offsets
    }
    return (output, offsets)
  }

  /// The name could have been given to another file between our `open` and that of libhdf5.
  private func requireSameFile(as other: OpenFile) throws(InputError) {
    var status = stat()
    let expected = try other.status()
    guard unsafe fstat(lodge_hdf5_descriptor(file), &status) == 0,
      status.st_dev == expected.st_dev, status.st_ino == expected.st_ino
    else { throw InputError(path, "the temporary file was replaced by someone else") }
  }

  private func createRootAttributes(kind: String, headerText: String) throws(InputError) {
    try createAttribute(of: file, "format", text: ContainerFormat.name)
    var version = UInt32(ContainerFormat.version)
    try unsafe createAttribute(
      of: file, "version", type: ElementType.u32.hdf5Type, shape: [], value: &version)
    try createAttribute(of: file, "kind", text: kind)
    try createAttribute(of: file, "header", text: headerText)
    try createDigestAttribute(of: file, "digest", place: "")
  }

  /// Creates the groups that hold the datasets `names`, outer ones first.
  private func createGroups(of names: [String]) throws(InputError) {
    var made = Set<String>()
    for name in names {
      var group = ""
      for part in name.split(separator: "/").dropLast() {
        group += group.isEmpty ? "\(part)" : "/\(part)"
        guard made.insert(group).inserted else { continue }
        _ = try unsafe HDF5Handle(
          lodge_hdf5_create_group(file, group), source: path, place: group,
          "cannot create the group")
      }
    }
  }

  private func createDataset(_ description: DatasetDescription) throws(InputError) -> Int {
    let name = description.name
    let list = try HDF5Handle(
      lodge_hdf5_dataset_creation_list(), source: path, place: name, "cannot set up the dataset")
    let shape = description.shape.map { hsize_t($0) }
    switch description.storage {
    case .raw:
      guard lodge_hdf5_set_contiguous(list.id) >= 0 else {
        throw HDF5.failure(path, place: name, "cannot set up the dataset")
      }
    case .zstd:
      let layout = ChunkLayout(
        shape: description.shape, elementByteCount: description.elementType.byteCount)
      let chunk = [hsize_t(layout.rowsPerChunk)] + shape.dropFirst().map { max($0, 1) }
      let level = UInt32(ContainerFormat.zstdLevel)
      guard
        unsafe lodge_hdf5_set_zstd_chunks(list.id, Int32(chunk.count), chunk, level) >= 0
      else { throw HDF5.failure(path, place: name, "cannot set up the dataset") }
    }
    let space = try unsafe HDF5Handle(
      H5Screate_simple(Int32(shape.count), shape, nil), source: path, place: name,
      "cannot set up the shape")
    let dataset = try unsafe HDF5Handle(
      lodge_hdf5_create_dataset(
        file, name, description.elementType.hdf5Type, space.id, list.id),
      source: path, place: name, "cannot create the dataset")
    try createDigestAttribute(
      of: dataset.id, ContainerFormat.datasetAttribute, place: name)
    guard description.storage == .raw, description.byteCount > 0 else { return 0 }
    let offset = lodge_hdf5_contiguous_offset(dataset.id)
    guard offset > 0, let result = Int(exactly: offset) else {
      throw HDF5.failure(path, place: name, "cannot reserve the dataset")
    }
    return result
  }

  private func createAttribute(
    of object: hid_t, _ name: String, text: String
  ) throws(InputError) {
    var bytes = Array(text.utf8)
    let type = try HDF5Handle(
      lodge_hdf5_string_type(bytes.count), source: path, place: name, "cannot create the type")
    try unsafe createAttribute(of: object, name, type: type.id, shape: [], value: &bytes)
  }

  /// Space for a digest that `close` fills in, so that the file does not grow at the end.
  private func createDigestAttribute(
    of object: hid_t, _ name: String, place: String
  ) throws(InputError) {
    var zeros = [UInt8](repeating: 0, count: 32)
    try unsafe createAttribute(
      of: object, name, type: ElementType.u8.hdf5Type, shape: [32], value: &zeros)
  }

  private func createAttribute(
    of object: hid_t, _ name: String, type: hid_t, shape: [hsize_t], value: UnsafeRawPointer
  ) throws(InputError) {
    let space = try unsafe HDF5Handle(
      shape.isEmpty ? H5Screate(H5S_SCALAR) : H5Screate_simple(Int32(shape.count), shape, nil),
      source: path, place: name, "cannot set up the attribute")
    let attribute = try unsafe HDF5Handle(
      lodge_hdf5_create_attribute(object, name, type, space.id), source: path, place: name,
      "cannot create the attribute")
    guard unsafe H5Awrite(attribute.id, type, value) >= 0 else {
      throw HDF5.failure(path, place: name, "cannot write the attribute")
    }
  }

  /// Writes compressed chunks `firstChunk` and following of a dataset.
  func write(
    _ frames: [[UInt8]], firstChunk: Int, layout: ChunkLayout, _ description: DatasetDescription
  ) throws(InputError) {
    let name = description.name
    try HDF5.locked(source: path) { () throws(InputError) in
      let dataset = try unsafe HDF5Handle(
        lodge_hdf5_open_object(file, name), source: path, place: name, "cannot open the dataset")
      var offset = [hsize_t](repeating: 0, count: description.shape.count)
      for (index, frame) in frames.enumerated() {
        offset[0] = hsize_t((firstChunk + index) * layout.rowsPerChunk)
        guard unsafe lodge_hdf5_write_chunk(dataset.id, offset, frame.count, frame) >= 0 else {
          throw HDF5.failure(path, place: name, "cannot write a chunk")
        }
      }
    }
  }

  /// Fills in the digests and closes the file; libhdf5 reports a full disk only here.
  func close(names: [String], digests: [[UInt8]], rootDigest: [UInt8]) throws(InputError) {
    try HDF5.locked(source: path) { () throws(InputError) in
      for (name, digest) in zip(names, digests) {
        let dataset = try unsafe HDF5Handle(
          lodge_hdf5_open_object(file, name), source: path, place: name,
          "cannot open the dataset")
        try writeDigest(of: dataset.id, ContainerFormat.datasetAttribute, digest)
      }
      try writeDigest(of: file, "digest", rootDigest)
      guard H5Fflush(file, H5F_SCOPE_LOCAL) >= 0, H5Fclose(file) >= 0 else {
        throw HDF5.failure(path, "cannot write the file")
      }
      isClosed.store(true, ordering: .releasing)
    }
  }

  private func writeDigest(
    of object: hid_t, _ name: String, _ digest: [UInt8]
  ) throws(InputError) {
    let attribute = try unsafe HDF5Handle(
      lodge_hdf5_open_attribute(object, name), source: path, place: name,
      "cannot open the attribute")
    guard unsafe H5Awrite(attribute.id, ElementType.u8.hdf5Type, digest) >= 0 else {
      throw HDF5.failure(path, place: name, "cannot write the attribute")
    }
  }
}

extension ElementType {
  /// Identifier of the stored type; the lock must be held.
  var hdf5Type: hid_t {
    lodge_hdf5_stored_type(Int32(ElementType.allCases.firstIndex(of: self) ?? -1))
  }
}
