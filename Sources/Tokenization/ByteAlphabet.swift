// The characters that stand for bytes in the vocabularies of GPT-2 and its followers.

/// Printable Latin-1 characters stand for themselves, the others for U+0100 and on.
enum ByteAlphabet {
  static let scalars: [Unicode.Scalar] = {
    var result = [Unicode.Scalar](repeating: "\0", count: 256)
    var next: UInt32 = 0x100
    for byte in UInt8.min...UInt8.max {
      switch byte {
      case 0x21...0x7e, 0xa1...0xac, 0xae...0xff: result[Int(byte)] = Unicode.Scalar(byte)
      default:
        result[Int(byte)] = Unicode.Scalar(next) ?? "\0"
        next += 1
      }
    }
    return result
  }()

  private static let bytes: [Unicode.Scalar: UInt8] = Dictionary(
    uniqueKeysWithValues: scalars.enumerated().map { ($1, UInt8($0)) })

  /// The characters of the UTF-8 of `text`.
  static func scalars(_ text: Scalars) -> Scalars {
    var result: Scalars = []
    result.reserveCapacity(text.count)
    for scalar in text {
      for byte in UTF8.encode(scalar) ?? .init() { result.append(scalars[Int(byte)]) }
    }
    return result
  }

  /// The bytes that `token` stands for; nil where a character stands for none.
  static func bytes(_ token: String) -> [UInt8]? {
    var result: [UInt8] = []
    for scalar in token.unicodeScalars {
      guard let byte = bytes[scalar] else { return nil }
      result.append(byte)
    }
    return result
  }
}

extension [Unicode.Scalar] {
  init(_ text: String) { self = Array(text.unicodeScalars) }

  var utf8: [UInt8] { [UInt8](String(String.UnicodeScalarView(self)).utf8) }
}
