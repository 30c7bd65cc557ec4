// Decoders: from token texts to the text that people read.

import Bytes

/// One of the decoders of Hugging Face's `tokenizers`; each changes the list of token texts.
indirect enum TokenDecoder: Sendable {
  case byteLevel
  case wordPiece(prefix: String, cleansUp: Bool)
  case metaspace(Unicode.Scalar, dropsFirst: Bool)
  case bytePairs(suffix: String)
  case byteFallback
  case fuse
  case strip(Unicode.Scalar, atStart: Int, atEnd: Int)
  case replace(Scalars, with: String)
  case sequence([TokenDecoder])

  func apply(_ tokens: [String]) -> [String] {
    switch self {
    case .sequence(let decoders): return decoders.reduce(tokens) { $1.apply($0) }
    case .byteLevel:
      let bytes = tokens.flatMap { ByteAlphabet.bytes($0) ?? Array($0.utf8) }
      return [String(decoding: bytes, as: UTF8.self)]
    case .wordPiece(let prefix, let cleansUp):
      return tokens.enumerated().map { index, token in
        var text = token
        if index > 0 {
          text =
            token.utf8.starts(with: prefix.utf8)
            ? String(decoding: token.utf8.dropFirst(prefix.utf8.count), as: UTF8.self)
            : " " + token
        }
        return cleansUp ? TokenDecoder.cleanedUp(text) : text
      }
    case .metaspace(let replacement, let dropsFirst):
      return tokens.enumerated().map { index, token in
        TokenDecoder.mapped(token) { scalar in
          scalar == replacement ? (index == 0 && dropsFirst ? nil : " ") : scalar
        }
      }
    case .bytePairs(let suffix):
      return tokens.enumerated().map { index, token in
        TokenDecoder.replaced(
          token, Scalars(suffix), with: index == tokens.count - 1 ? "" : " ")
      }
    case .byteFallback: return TokenDecoder.joinedBytes(tokens)
    case .fuse: return [tokens.joined()]
    case .strip(let scalar, let atStart, let atEnd):
      return tokens.map { token in
        var part = Scalars(token)[...]
        for _ in 0..<atStart where part.first == scalar { part.removeFirst() }
        for _ in 0..<atEnd where part.last == scalar { part.removeLast() }
        return String(String.UnicodeScalarView(part))
      }
    case .replace(let text, let content):
      return tokens.map { TokenDecoder.replaced($0, text, with: content) }
    }
  }

  private static func mapped(_ text: String, _ change: (Unicode.Scalar) -> Unicode.Scalar?)
    -> String
  {
    String(String.UnicodeScalarView(text.unicodeScalars.compactMap(change)))
  }

  private static func replaced(_ text: String, _ old: Scalars, with new: String) -> String {
    let scalars = Scalars(text)
    var result = Scalars()
    var index = 0
    while index < scalars.count {
      if !old.isEmpty, scalars[index...].starts(with: old) {
        result += Scalars(new)
        index += old.count
      } else {
        result.append(scalars[index])
        index += 1
      }
    }
    return String(String.UnicodeScalarView(result))
  }

  /// Spaces that English does not have, in the order of the reference.
  private static func cleanedUp(_ text: String) -> String {
    let rules = [
      (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"),
      (" 'm", "'m"), (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
    ]
    return rules.reduce(text) { replaced($0, Scalars($1.0), with: $1.1) }
  }

  /// Runs of tokens such as <0xE2> become the characters they spell, or a mark for each byte.
  private static func joinedBytes(_ tokens: [String]) -> [String] {
    var result: [String] = []
    var bytes: [UInt8] = []
    func finish() {
      guard !bytes.isEmpty else { return }
      if let text = String(validating: bytes, as: UTF8.self) {
        result.append(text)
      } else {
        result += [String](repeating: "\u{fffd}", count: bytes.count)
      }
      bytes = []
    }
    for token in tokens {
      if token.utf8.count == 6, token.hasPrefix("<0x"), token.hasSuffix(">"),
        let byte = UInt8(token.dropFirst(3).dropLast(), radix: 16)
      {
        bytes.append(byte)
      } else {
        finish()
        result.append(token)
      }
    }
    finish()
    return result
  }
}
