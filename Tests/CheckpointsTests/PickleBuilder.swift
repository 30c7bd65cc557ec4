// Writes pickles opcode by opcode, and PyTorch archives around them.

/// Bytes of a pickle, protocol 2.
struct PickleBuilder {
  var bytes: [UInt8] = [0x80, 2]

  static func opcodes(_ text: String) -> [UInt8] { Array(text.utf8) }

  mutating func raw(_ opcodes: [UInt8]) { bytes += opcodes }
  mutating func raw(_ opcodes: String) { bytes += Array(opcodes.utf8) }
  mutating func global(_ module: String, _ name: String) { raw("c\(module)\n\(name)\n") }

  mutating func text(_ value: String) {
    raw("X")
    bytes += ByteWriter.bytes(UInt32(value.utf8.count)) + Array(value.utf8)
  }

  mutating func integer(_ value: Int) {
    if let small = Int32(exactly: value) {
      raw("J")
      bytes += ByteWriter.bytes(small)
    } else {
      bytes += [0x8a, 8] + ByteWriter.bytes(Int64(value))
    }
  }

  mutating func tuple(_ values: [Int]) {
    raw("(")
    for value in values { integer(value) }
    raw("t")
  }

  mutating func storage(_ key: String, type: String = "FloatStorage", count: Int) {
    raw("(")
    text("storage")
    global("torch", type)
    text(key)
    text("cpu")
    integer(count)
    raw("tQ")
  }

  /// The call that makes a view of a storage.
  mutating func tensor(
    storage key: String, type: String = "FloatStorage", count: Int, offset: Int = 0,
    shape: [Int], strides: [Int]
  ) {
    global("torch._utils", "_rebuild_tensor_v2")
    raw("(")
    storage(key, type: type, count: count)
    integer(offset)
    tuple(shape)
    tuple(strides)
    raw([0x89])
    global("collections", "OrderedDict")
    raw(")R")
    raw("tR")
  }

  /// The same call with `sizes` pushing size and stride.
  mutating func tensorCall(sizes: (inout PickleBuilder) -> Void) {
    global("torch._utils", "_rebuild_tensor_v2")
    raw("(")
    storage("0", count: 6)
    integer(0)
    sizes(&self)
    raw([0x89, 0x7d])
    raw("tR")
  }

  /// A dictionary of one tensor "w", and what `more` adds to it.
  static func dictionary(
    count: Int = 6, offset: Int = 0, shape: [Int] = [2, 3], strides: [Int] = [3, 1],
    type: String = "FloatStorage", more: (inout PickleBuilder) -> Void = { _ in }
  ) -> [UInt8] {
    var pickle = PickleBuilder()
    pickle.raw("}(")
    pickle.text("w")
    pickle.tensor(
      storage: "0", type: type, count: count, offset: offset, shape: shape, strides: strides)
    more(&pickle)
    pickle.raw("u.")
    return pickle.bytes
  }

  /// An archive with `pickle` and six floats 0...5 as storage 0.
  static func archive(_ pickle: [UInt8], byteOrder: String? = "little") -> ZipBuilder {
    var zip = ZipBuilder()
    zip.entries = [ZipBuilder.Entry(name: "m/data.pkl", content: pickle)]
    if let byteOrder {
      zip.entries.append(ZipBuilder.Entry(name: "m/byteorder", content: Array(byteOrder.utf8)))
    }
    let floats = (0..<6).flatMap { ByteWriter.bytes(Float($0).bitPattern) }
    zip.entries.append(ZipBuilder.Entry(name: "m/data/0", content: floats))
    return zip
  }
}
