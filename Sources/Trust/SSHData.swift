// The binary encoding of SSH (RFC 4251, section 5): big-endian lengths before strings.

/// Reads strings and integers from the front of a byte string; nil where it is too short.
struct SSHReader {
  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  var isAtEnd: Bool { position == bytes.count }

  mutating func number() -> UInt32? {
    guard let four = take(4) else { return nil }
    return four.reduce(0) { $0 << 8 | UInt32($1) }
  }

  mutating func string() -> [UInt8]? { number().flatMap { take(Int($0)) } }

  mutating func take(_ count: Int) -> [UInt8]? {
    guard count <= bytes.count - position else { return nil }
    defer { position += count }
    return Array(bytes[position..<position + count])
  }

  /// Whether the next string is `text`.
  mutating func hasString(_ text: String) -> Bool { string() == Array(text.utf8) }
}

/// Appends strings and integers.
struct SSHWriter {
  private(set) var bytes: [UInt8]

  init(magic: String = "") {
    bytes = []
    // Growing would leave copies of secrets behind.
    bytes.reserveCapacity(1024)
    bytes += magic.utf8
  }

  mutating func append(_ number: UInt32) {
    for shift in [24, 16, 8, 0] as [UInt32] {
      bytes.append(UInt8(truncatingIfNeeded: number >> shift))
    }
  }

  mutating func append(string: [UInt8]) {
    append(UInt32(string.count))
    bytes += string
  }

  mutating func append(string: String) { append(string: Array(string.utf8)) }

  mutating func append(raw: [UInt8]) { bytes += raw }

  /// The bytes, of which the writer keeps no copy: the caller can wipe them.
  consuming func taken() -> [UInt8] { bytes }
}

/// Base64 between lines that name what it is, as OpenSSH writes keys and signatures.
enum SSHArmor {
  static let lineByteCount = 70

  static func encode(_ bytes: [UInt8], label: String) -> [UInt8] {
    let digits = Base64Lines.folded(bytes)
    return Array("-----BEGIN \(label)-----\n".utf8) + digits
      + Array("-----END \(label)-----\n".utf8)
  }

  /// The bytes between the lines; nil where `text` is anything else.
  static func decode(_ text: [UInt8], label: String) -> [UInt8]? {
    let lines = text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
      .map { $0.last == UInt8(ascii: "\r") ? $0.dropLast() : $0 }
    guard let first = lines.first, first.elementsEqual("-----BEGIN \(label)-----".utf8),
      let end = lines.firstIndex(where: { $0.elementsEqual("-----END \(label)-----".utf8) }),
      lines[(end + 1)...].allSatisfy({ $0.isEmpty })
    else { return nil }
    return Base64Lines.joined(lines[1..<end])
  }
}
