// The structure of an untrusted container: attributes of the root, and all datasets.

import Bytes
import HDF5Reading

/// Walks one file and collects what a reader needs; nothing is believed that is not checked.
struct ContainerStructure {
  /// The attributes of the root group, as they are stated.
  private(set) var kind = ""
  private(set) var headerText: [UInt8] = []
  private(set) var digest: [UInt8] = []
  private(set) var datasets: [StoredDataset] = []

  let file: MappedFile
  var budget: HDF5Budget
  private var visited: Set<UInt64> = []
  private var path: String { file.path }

  /// An object has a few messages, and there are at most 65,536 objects.
  private static let maximumMessageCount = 1 << 20

  init(_ file: MappedFile) throws(InputError) {
    self.file = file
    budget = HDF5Budget(file, messageCount: ContainerStructure.maximumMessageCount)
    let address = try HDF5Superblock(checksummed: file, budget: &budget).rootAddress
    visited.insert(address.value)
    let root = try header(at: address)
    guard root.isGroup else { throw InputError(path, "the root is not a group") }
    try readAttributes(root)
    try visit(root, prefix: "")
  }

  private mutating func header(at address: HDF5Address) throws(InputError) -> HDF5ObjectHeader {
    try HDF5ObjectHeader(file, at: address, generation: .checksummed, budget: &budget)
  }

  /// The five attributes of the root group, none of which may be missing.
  private mutating func readAttributes(_ root: HDF5ObjectHeader) throws(InputError) {
    let attributes = try root.attributes(in: file, budget: &budget)
    func attribute(_ name: String) throws(InputError) -> HDF5Attribute {
      guard let found = attributes.first(where: { $0.name == name }) else {
        throw InputError(path, place: name, "missing attribute")
      }
      return found
    }
    for name in ContainerFormat.rootAttributes { _ = try attribute(name) }
    guard attributes.count == ContainerFormat.rootAttributes.count else {
      throw InputError(
        path, "the root group has \(attributes.count) attributes where 5 are expected")
    }
    guard
      try attribute("format").text(atMost: 16, place: "format")
        == Array(ContainerFormat.name.utf8)
    else { throw InputError(path, place: "format", "is not \"\(ContainerFormat.name)\"") }
    let version = try attribute("version").integer(place: "version")
    guard version == ContainerFormat.version else {
      throw InputError(
        path, place: "version", "\(version) is not supported, 1 is",
        hint: "use the release of Lodge that wrote this file")
    }
    let kind = try attribute("kind").text(
      atMost: ContainerFormat.maximumKindByteCount, place: "kind")
    self.kind = String(decoding: kind, as: UTF8.self)
    guard ContainerFormat.isKind(self.kind) else {
      throw InputError(path, place: "kind", "is not a lower-case word")
    }
    headerText = try attribute("header").text(
      atMost: ContainerFormat.maximumHeaderByteCount, place: "header")
    digest = try attribute("digest").digest(place: "digest")
  }

  /// Collects the datasets of a group and below; `prefix` ends in '/' or is empty.
  private mutating func visit(_ group: HDF5ObjectHeader, prefix: String) throws(InputError) {
    let links = try HDF5Group(group, in: file, budget: &budget).links
    for link in links {
      let name = prefix + link.name
      // A link's own name is one part of a path.
      guard DatasetDescription.isName(name), !link.name.utf8.contains(UInt8(ascii: "/")) else {
        throw InputError(
          path, place: DatasetDescription.printable(name), "dataset name is not allowed")
      }
      try budget.take(name: name, at: link.address.statedAt, of: file)
      guard visited.insert(link.address.value).inserted else {
        throw InputError(path, place: name, "is a second link to the same object")
      }
      guard visited.count <= ContainerFormat.maximumDatasetCount else {
        throw InputError(path, "more than 65536 objects")
      }
      let object = try header(at: link.address)
      if object.isGroup {
        guard try object.attributes(in: file, budget: &budget).isEmpty else {
          throw InputError(path, place: name, "a group must not have attributes")
        }
        let before = datasets.count
        try visit(object, prefix: name + "/")
        guard datasets.count > before else {
          throw InputError(path, place: name, "the group is empty")
        }
      } else if object.has(.layout) {
        datasets.append(try dataset(object, name: name))
      } else {
        throw InputError(path, place: name, "is neither a group nor a dataset")
      }
    }
  }
}

extension HDF5Attribute {
  private func failure(_ place: String, _ cause: String) -> InputError {
    InputError(value.file.path, place: place, cause)
  }

  /// A scalar, fixed-length, NUL-padded string of 1 to `limit` bytes.
  fileprivate func text(atMost limit: Int, place: String) throws(InputError) -> [UInt8] {
    guard case .text(let byteCount) = datatype, dataspace.kind == .scalar else {
      throw failure(place, "expected a fixed-length, NUL-padded string")
    }
    guard byteCount > 0, byteCount <= limit else {
      throw failure(place, "\(byteCount) bytes where 1 to \(limit) are allowed")
    }
    var value = value
    return try value.file.bytes(in: value.skip(byteCount, place))
  }

  /// A scalar u32.
  fileprivate func integer(place: String) throws(InputError) -> Int {
    guard datatype == .integer(byteCount: 4, isSigned: false), dataspace.kind == .scalar else {
      throw failure(place, "expected one u32 in the attribute")
    }
    var value = value
    return Int(try value.integer(UInt32.self, place))
  }

  /// 32 elements of u8; errors are reported at `place`.
  func digest(place: String) throws(InputError) -> [UInt8] {
    guard datatype == .integer(byteCount: 1, isSigned: false), dataspace.kind == .simple,
      dataspace.extents == [32], !dataspace.canGrow
    else { throw failure(place, "expected 32 u8 in the attribute") }
    var value = value
    return try value.file.bytes(in: value.skip(32, place))
  }
}
