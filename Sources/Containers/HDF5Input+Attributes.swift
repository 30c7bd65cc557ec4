// Attributes of an untrusted container: type, shape and size are checked before they are read.

import Bytes
import CHDF5

extension HDF5Input {
  /// Throws unless the root group has exactly the five attributes of the format.
  func requireRootAttributes() throws(InputError) {
    var address: UInt64 = 0
    var count: UInt64 = 0
    guard unsafe lodge_hdf5_object_info(file.id, &address, &count) >= 0 else {
      throw HDF5.failure(path, "the root group cannot be read")
    }
    for name in ContainerFormat.rootAttributes {
      guard unsafe H5Aexists(file.id, name) > 0 else {
        H5Eclear2(hid_t(H5E_DEFAULT))
        throw InputError(path, place: name, "missing attribute")
      }
    }
    guard count == ContainerFormat.rootAttributes.count else {
      throw InputError(path, "the root group has \(count) attributes where 5 are expected")
    }
  }

  /// A scalar, fixed-length, NUL-padded string of at most `limit` bytes.
  func text(
    of object: hid_t, _ name: String, atMost limit: Int
  ) throws(InputError) -> String {
    let attribute = try open(object, name, place: name)
    let type = try HDF5Handle(
      H5Aget_type(attribute.id), source: path, place: name, "the attribute cannot be read")
    guard H5Tget_class(type.id) == H5T_STRING, H5Tis_variable_str(type.id) == 0,
      H5Tget_strpad(type.id) == H5T_STR_NULLPAD, try extents(of: attribute.id, name).isEmpty
    else { throw InputError(path, place: name, "expected a fixed-length, NUL-padded string") }
    let count = H5Tget_size(type.id)
    guard count > 0, count <= min(limit, fileByteCount) else {
      throw InputError(path, place: name, "\(count) bytes where 1 to \(limit) are allowed")
    }
    var bytes = [UInt8](repeating: 0, count: count)
    guard unsafe H5Aread(attribute.id, type.id, &bytes) >= 0 else {
      throw HDF5.failure(path, place: name, "the attribute cannot be read")
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw InputError(path, place: name, "is not valid UTF-8")
    }
    return text
  }

  /// A scalar u32.
  func integer(of object: hid_t, _ name: String) throws(InputError) -> Int {
    let attribute = try open(object, name, place: name)
    try require(.u32, shape: [], of: attribute.id, place: name)
    var value: UInt32 = 0
    guard unsafe H5Aread(attribute.id, ElementType.u32.hdf5Type, &value) >= 0 else {
      throw HDF5.failure(path, place: name, "the attribute cannot be read")
    }
    return Int(value)
  }

  /// 32 elements of u8; errors are reported at `place`.
  func digest(of object: hid_t, _ name: String, place: String) throws(InputError) -> [UInt8] {
    let attribute = try open(object, name, place: place)
    try require(.u8, shape: [32], of: attribute.id, place: place)
    var bytes = [UInt8](repeating: 0, count: 32)
    guard unsafe H5Aread(attribute.id, ElementType.u8.hdf5Type, &bytes) >= 0 else {
      throw HDF5.failure(path, place: place, "the attribute cannot be read")
    }
    return bytes
  }

  private func open(
    _ object: hid_t, _ name: String, place: String
  ) throws(InputError) -> HDF5Handle {
    try unsafe HDF5Handle(
      lodge_hdf5_open_attribute(object, name), source: path, place: place,
      "the attribute \(name) cannot be read")
  }

  private func require(
    _ elementType: ElementType, shape: [Int], of attribute: hid_t, place: String
  ) throws(InputError) {
    let type = try HDF5Handle(
      H5Aget_type(attribute), source: path, place: place, "the attribute cannot be read")
    guard H5Tequal(type.id, elementType.hdf5Type) > 0, try extents(of: attribute, place) == shape
    else {
      let expected = shape.isEmpty ? "one" : "\(shape[0])"
      throw InputError(
        path, place: place, "expected \(expected) \(elementType.rawValue) in the attribute")
    }
  }

  /// Empty for a scalar.
  private func extents(of attribute: hid_t, _ place: String) throws(InputError) -> [Int] {
    let space = try HDF5Handle(
      H5Aget_space(attribute), source: path, place: place, "the attribute cannot be read")
    switch H5Sget_simple_extent_type(space.id) {
    case H5S_SCALAR: return []
    case H5S_SIMPLE: return try shape(of: space.id, place: place)
    default: throw InputError(path, place: place, "the attribute has no value")
    }
  }

  /// Extents of a simple space of rank 1 to 3 that cannot grow.
  func shape(of space: hid_t, place: String) throws(InputError) -> [Int] {
    let rank = Int(H5Sget_simple_extent_ndims(space))
    guard (1...3).contains(rank) else {
      throw InputError(path, place: place, "rank \(rank) is outside 1...3")
    }
    var extents = [hsize_t](repeating: 0, count: rank)
    var limits = extents
    guard unsafe H5Sget_simple_extent_dims(space, &extents, &limits) == rank else {
      throw HDF5.failure(path, place: place, "the shape cannot be read")
    }
    guard extents == limits else {
      throw InputError(path, place: place, "a shape that can grow is not allowed")
    }
    guard extents.allSatisfy({ $0 <= ContainerFormat.maximumDatasetByteCount }) else {
      throw InputError(path, place: place, "shape \(extents) is beyond 2^50 bytes")
    }
    return extents.map { Int($0) }
  }
}
