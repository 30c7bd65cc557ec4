// The header of a .npy file: magic, version, length, and a Python dictionary of three keys.

/// A checked header: `elementCount` elements of four bytes follow it and end the file.
struct NPYHeader {
  /// Magic, version and length, then the longest dictionary that version 1.0 can hold.
  static let longestByteCount = 10 + 0xffff
  static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
  static let maximumDimensionCount = 32

  private(set) var descriptor = ""
  private(set) var shape: [Int] = []
  private(set) var elementCount = 1
  private(set) var byteCount = 0

  /// Reads the header from `bytes`, the beginning of a file of `fileByteCount` bytes.
  init(_ bytes: [UInt8], fileByteCount: Int, source: String) throws(InputError) {
    guard bytes.count >= 10 else {
      throw InputError(source, "too short for a .npy file: \(fileByteCount) bytes")
    }
    guard bytes.starts(with: NPYHeader.magic) else {
      throw InputError(source, offset: 0, "not a .npy file: wrong magic")
    }
    guard bytes[6] == 1, bytes[7] == 0 else {
      throw InputError(source, offset: 6, ".npy version \(bytes[6]).\(bytes[7]), expected 1.0")
    }
    byteCount = 10 + Int(bytes[8]) + 256 * Int(bytes[9])
    guard byteCount <= bytes.count else {
      throw InputError(
        source, offset: 8, "header ends at byte \(byteCount), the file has \(fileByteCount)")
    }
    var dictionary = PythonDictionary(bytes: Array(bytes[..<byteCount]), source: source)
    try dictionary.read()
    guard let descriptor = dictionary.descriptor, let shape = dictionary.shape,
      let isColumnMajor = dictionary.isColumnMajor
    else {
      throw InputError(source, offset: 10, "header lacks 'descr', 'fortran_order' or 'shape'")
    }
    guard !isColumnMajor else {
      throw InputError(source, place: "fortran_order", "column-major arrays are not read")
    }
    guard shape.count <= NPYHeader.maximumDimensionCount else {
      throw InputError(source, place: "shape", "more than \(shape.count) dimensions")
    }
    for length in shape {
      let (product, overflow) = elementCount.multipliedReportingOverflow(by: length)
      guard !overflow else { throw InputError(source, place: "shape", "element count overflows") }
      elementCount = product
    }
    let (dataByteCount, overflow) = elementCount.multipliedReportingOverflow(by: 4)
    guard !overflow, dataByteCount == fileByteCount - byteCount else {
      throw InputError(
        source, place: "shape",
        "\(shape) needs \(elementCount) elements of 4 bytes, "
          + "\(fileByteCount - byteCount) bytes follow the header")
    }
    self.descriptor = descriptor
    self.shape = shape
  }

  /// A header as NumPy writes it, padded with spaces to a multiple of 64 bytes.
  static func bytes(descriptor: String, shape: [Int]) -> [UInt8] {
    let lengths = shape.map(String.init).joined(separator: ", ")
    let tuple = shape.count == 1 ? "(\(lengths),)" : "(\(lengths))"
    var text = "{'descr': '\(descriptor)', 'fortran_order': False, 'shape': \(tuple), }"
    let padding = 63 - (10 + text.utf8.count) % 64
    text += String(repeating: " ", count: padding) + "\n"
    let count = text.utf8.count
    return magic + [1, 0, UInt8(count & 255), UInt8(count >> 8)] + Array(text.utf8)
  }
}

/// The Python literal `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }` and no other.
private struct PythonDictionary {
  let bytes: [UInt8]
  let source: String
  var position = 10
  var descriptor: String?
  var isColumnMajor: Bool?
  var shape: [Int]?

  init(bytes: [UInt8], source: String) {
    self.bytes = bytes
    self.source = source
  }

  func failure(_ cause: String) -> InputError { InputError(source, offset: position, cause) }

  mutating func skipSpaces() {
    while position < bytes.count, bytes[position] == 0x20 { position += 1 }
  }

  /// Consumes `text` after spaces, or leaves the position after the spaces and returns false.
  mutating func take(_ text: StaticString) -> Bool {
    skipSpaces()
    let wanted = Array(text.description.utf8)
    guard bytes[position...].starts(with: wanted) else { return false }
    position += wanted.count
    return true
  }

  mutating func expect(_ text: StaticString) throws(InputError) {
    guard take(text) else { throw failure("expected \"\(text)\" in the .npy header") }
  }

  mutating func read() throws(InputError) {
    try expect("{")
    while !take("}") {
      let key = try quoted()
      try expect(":")
      switch key {
      case "descr" where descriptor == nil: descriptor = try quoted()
      case "fortran_order" where isColumnMajor == nil: isColumnMajor = try truth()
      case "shape" where shape == nil: shape = try tuple()
      default: throw failure("unknown or repeated key '\(key)' in the .npy header")
      }
      if take(",") { continue }
      try expect("}")
      break
    }
    skipSpaces()
    guard position == bytes.count - 1, bytes[position] == UInt8(ascii: "\n") else {
      throw failure("the .npy header must end with spaces and a line feed")
    }
  }

  mutating func quoted() throws(InputError) -> String {
    try expect("'")
    let start = position
    while position < bytes.count, bytes[position] != UInt8(ascii: "'") {
      guard (0x20..<0x7f).contains(bytes[position]), bytes[position] != UInt8(ascii: "\\") else {
        throw failure("unexpected byte in a .npy header string")
      }
      position += 1
    }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    try expect("'")
    return text
  }

  mutating func truth() throws(InputError) -> Bool {
    if take("True") { return true }
    try expect("False")
    return false
  }

  mutating func tuple() throws(InputError) -> [Int] {
    try expect("(")
    var lengths: [Int] = []
    while !take(")") {
      let start = position
      while position < bytes.count, (0x30...0x39).contains(bytes[position]) { position += 1 }
      guard let length = Int(String(decoding: bytes[start..<position], as: UTF8.self)) else {
        throw failure("expected a length in the .npy shape")
      }
      lengths.append(length)
      if take(",") { continue }
      // Without a comma "(3)" is a number in Python, not a tuple.
      guard lengths.count > 1 else { throw failure("expected ',' in the .npy shape") }
      try expect(")")
      break
    }
    return lengths
  }
}
