// Well-formed HDF5 that breaks the rules of the format, made with libhdf5 itself.

import Bytes
import CHDF5
import Containers
import Foundation
import Testing

@Suite struct HostileStructureTests {
  let folder = try! ScratchFolder()

  /// The error for a sample container that `change` has edited.
  private func error(after change: (hid_t) -> Bool) throws -> InputError? {
    let path = folder.path("hostile")
    try Sample.write(to: path)
    let isChanged = try HDF5.locked(source: path) {
      let access = lodge_hdf5_file_access_list(64, 0)
      defer { H5Pclose(access) }
      let file = unsafe H5Fopen(path, 1, access)
      let isChanged = file >= 0 && change(file)
      return H5Fclose(file) >= 0 && isChanged
    }
    #expect(isChanged, "the change itself failed")
    return failure { () throws(InputError) in
      _ = try ContainerReader(path: path, kind: "model", verifying: false)
    }
  }

  private func makeSpace(_ extents: [UInt64], limits: [UInt64]? = nil) -> hid_t {
    unsafe H5Screate_simple(Int32(extents.count), extents, limits)
  }

  /// Adds a dataset with the attribute that a container wants.
  private func addDataset(
    _ file: hid_t, _ name: String, type: hid_t = lodge_hdf5_stored_type(0), space: hid_t,
    list: hid_t, withDigest: Bool = true
  ) -> Bool {
    let dataset = unsafe lodge_hdf5_create_dataset(file, name, type, space, list)
    guard dataset >= 0 else { return false }
    if withDigest { guard addBytes(dataset, "sha256", 32) else { return false } }
    return H5Dclose(dataset) >= 0
  }

  private func addBytes(_ object: hid_t, _ name: String, _ count: UInt64) -> Bool {
    let attribute = unsafe lodge_hdf5_create_attribute(
      object, name, lodge_hdf5_stored_type(0), makeSpace([count]))
    let zeros = [UInt8](repeating: 0, count: Int(count))
    return unsafe H5Awrite(attribute, lodge_hdf5_stored_type(0), zeros) >= 0
      && H5Aclose(attribute) >= 0
  }

  private func replaceText(_ file: hid_t, _ name: String, _ text: String) -> Bool {
    let type = lodge_hdf5_string_type(text.utf8.count)
    guard unsafe H5Adelete(file, name) >= 0 else { return false }
    let attribute = unsafe lodge_hdf5_create_attribute(file, name, type, H5Screate(H5S_SCALAR))
    return unsafe H5Awrite(attribute, type, Array(text.utf8)) >= 0 && H5Aclose(attribute) >= 0
  }

  private func zstdList(_ extents: [UInt64]) -> hid_t {
    let list = lodge_hdf5_dataset_creation_list()
    _ = unsafe lodge_hdf5_set_zstd_chunks(list, Int32(extents.count), extents, 3)
    return list
  }

  @Test func linksAreNotFollowed() throws {
    for (kind, link) in [
      (1, { unsafe H5Lcreate_soft("/shares", $0, "other", 0, 0) }),
      (64, { unsafe H5Lcreate_external("/etc/passwd", "/", $0, "other", 0, 0) }),
    ] as [(Int, (hid_t) -> herr_t)] {
      let error = try error { link($0) >= 0 }
      #expect(error?.place.hasPrefix("other: byte ") == true)
      #expect(error?.cause == "is a link of type \(kind), only hard links (0) are followed")
    }
    #expect(
      try error { unsafe H5Lcreate_hard($0, "shares", $0, "zz", 0, 0) >= 0 }?.cause
        == "is a second link to the same object")
    #expect(
      try error { unsafe H5Lcreate_hard($0, "public", $0, "public/again", 0, 0) >= 0 }?.cause
        == "is a second link to the same object")
  }

  @Test func attributesAreCheckedOneByOne() throws {
    for name in ["format", "version", "kind", "header", "digest"] {
      let error = try error { unsafe H5Adelete($0, name) >= 0 }
      #expect(error?.place == name)
      #expect(error?.cause == "missing attribute")
    }
    #expect(
      try error { addBytes($0, "more", 3) }?.cause
        == "the root group has 6 attributes where 5 are expected")
    #expect(try error { replaceText($0, "format", "locks") }?.cause == "is not \"lodge\"")
    #expect(
      try error { replaceText($0, "version", "1") }?.cause == "expected one u32 in the attribute")
    #expect(try error { replaceText($0, "kind", "Model!") }?.cause == "is not a lower-case word")
    #expect(
      try error { replaceText($0, "digest", "0123") }?.cause == "expected 32 u8 in the attribute")
    #expect(
      try error { unsafe H5Adelete($0, "kind") >= 0 && addBytes($0, "kind", 5) }?.cause
        == "expected a fixed-length, NUL-padded string")
    for (header, place, cause) in [
      ("{\"a\":1,\"a\":2}", "header, byte 7", "duplicate key \"a\""),
      ("{\"a\": 1}", "header", "is not canonical JSON"),
      ("{\"a\":1", "header, byte 6", "expected ',' or '}' in an object"),
      ("{}", "digest", "does not match the header and the datasets"),
    ] {
      let error = try error { replaceText($0, "header", header) }
      #expect(error?.place == place)
      #expect(error?.cause == cause)
    }
    #expect(
      try error { file in
        let dataset = unsafe H5Oopen(file, "shares", 0)
        return addBytes(dataset, "unit", 2) && H5Oclose(dataset) >= 0
      }?.cause == "2 attributes where 1 is expected")
    #expect(
      try error { file in
        let group = unsafe H5Oopen(file, "public", 0)
        return addBytes(group, "unit", 2) && H5Oclose(group) >= 0
      }?.cause == "a group must not have attributes")
  }

  @Test func datasetsAreCheckedOneByOne() throws {
    func cause(
      _ space: hid_t, _ list: hid_t, type: hid_t = lodge_hdf5_stored_type(0),
      name: String = "other", withDigest: Bool = true
    ) throws -> String? {
      try error {
        addDataset($0, name, type: type, space: space, list: list, withDigest: withDigest)
      }?.cause
    }
    let plain = lodge_hdf5_dataset_creation_list()
    let five = makeSpace([5])
    let raw = lodge_hdf5_dataset_creation_list()
    #expect(lodge_hdf5_set_contiguous(raw) >= 0)
    // A correct dataset that the root digest does not know.
    #expect(try cause(five, raw) == "does not match the header and the datasets")
    #expect(try cause(five, raw, withDigest: false) == "0 attributes where 1 is expected")
    #expect(try cause(five, raw, name: "o ther") == "dataset name is not allowed")
    #expect(try cause(five, raw, name: "o\nther") == "dataset name is not allowed")
    // Without early allocation nothing is stored.
    #expect(try cause(five, plain) == "the file does not hold its 5 bytes")
    #expect(
      try cause(makeSpace([1 << 60]), plain) == "shape [1152921504606846976] is beyond 2^50 bytes")
    #expect(
      try cause(makeSpace([1 << 40, 1 << 40]), plain)
        == "shape [1099511627776, 1099511627776] is negative or beyond 2^50 bytes")
    #expect(
      try cause(makeSpace([1, 1, 1, 1]), plain) == "rank 4 is outside 1...3")
    #expect(try cause(H5Screate(H5S_SCALAR), plain) == "rank 0 is outside 1...3")
    let bigEndian = H5Tcopy(lodge_hdf5_stored_type(3))
    #expect(H5Tset_order(bigEndian, H5T_ORDER_BE) >= 0)
    #expect(
      try cause(five, plain, type: bigEndian)
        == "the element type is not one of u8 to f64, little endian")
    #expect(
      try cause(five, plain, type: lodge_hdf5_string_type(8))
        == "the element type is not one of u8 to f64, little endian")
    let compact = lodge_hdf5_dataset_creation_list()
    #expect(H5Pset_layout(compact, H5D_COMPACT) >= 0)
    #expect(try cause(five, compact) == "compact datasets are not allowed")
    let external = lodge_hdf5_dataset_creation_list()
    #expect(unsafe H5Pset_external(external, "/etc/passwd", 0, 5) >= 0)
    #expect(try cause(five, external) == "external storage is not allowed")
    let virtual = lodge_hdf5_dataset_creation_list()
    #expect(unsafe H5Pset_virtual(virtual, five, "/etc/passwd", "/a", five) >= 0)
    #expect(try cause(five, virtual) == "unknown layout class 3")
    #expect(
      try error { file in
        unsafe H5Gclose(H5Gcreate2(file, "group", 0, 0, 0)) >= 0
      }?.cause == "the group is empty")
    #expect(
      try error { file in
        let type = H5Tcopy(lodge_hdf5_stored_type(3))
        return unsafe H5Tcommit2(file, "type", type, 0, 0, 0) >= 0
      }?.cause == "is neither a group nor a dataset")
  }

  @Test func chunksAreCheckedBeforeMemoryIsTaken() throws {
    func cause(_ extents: [UInt64], chunk: [UInt64], limits: [UInt64]? = nil) throws -> String? {
      try error {
        addDataset($0, "other", space: makeSpace(extents, limits: limits), list: zstdList(chunk))
      }?.cause
    }
    #expect(
      try cause([1 << 50], chunk: [1 << 28])
        == "4194304 chunks of 268435456 bytes; at most 1024 of 2^22 are allowed")
    #expect(
      try cause([1 << 32], chunk: [1 << 22]) == "0 chunks are stored where 1024 are expected")
    #expect(
      try cause([1 << 24], chunk: [1 << 23])
        == "2 chunks of 8388608 bytes; at most 1024 of 2^22 are allowed")
    #expect(
      try cause([8], chunk: [4], limits: [16]) == "a shape that can grow is not allowed")
    #expect(
      try cause([8, 8], chunk: [4, 4]) == "chunks are not whole rows of the dataset")
    #expect(
      try error { file in
        let list = lodge_hdf5_dataset_creation_list()
        return unsafe H5Pset_chunk(list, 1, [4]) >= 0
          && addDataset(file, "other", space: makeSpace([8]), list: list)
      }?.cause == "chunks must have the filter 32015 and no other")
    #expect(
      try error { file in
        let list = zstdList([4])
        return H5Pset_shuffle(list) >= 0
          && addDataset(file, "other", space: makeSpace([8]), list: list)
      }?.cause == "chunks must have the filter 32015 and no other")
    // A chunk marked as not compressed, and one that only the root digest gives away.
    func stored(_ bytes: [UInt8], mask: UInt32 = 0) throws -> String? {
      try error { file in
        guard addDataset(file, "other", space: makeSpace([1 << 20]), list: zstdList([1 << 20]))
        else { return false }
        let dataset = unsafe H5Oopen(file, "other", 0)
        let isWritten = unsafe H5Dwrite_chunk(dataset, 0, mask, [0], bytes.count, bytes) >= 0
        return isWritten && H5Oclose(dataset) >= 0
      }?.cause
    }
    #expect(try stored([1, 2, 3], mask: 1) == "chunk 0 is not compressed")
    #expect(try stored([1, 2, 3]) == "does not match the header and the datasets")
  }
}
