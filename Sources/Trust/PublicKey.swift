// Ed25519 public keys, written as OpenSSH writes them: one line, easy to paste.

public import Bytes
import Randomness

/// Names a party, a client, an owner or a dealer: whoever holds the private key.
public struct PublicKey: Hashable, Sendable, CustomStringConvertible {
  /// The 32 bytes of RFC 8032.
  public let bytes: [UInt8]

  static let algorithm = "ssh-ed25519"

  /// `bytes` must be 32.
  init(bytes: [UInt8]) {
    precondition(bytes.count == Ed25519.keyByteCount, "a public key has 32 bytes")
    self.bytes = bytes
  }

  /// Reads one line: `ssh-ed25519`, Base64, and a comment that is ignored.
  ///
  /// - Parameter source: Names the line in errors.
  public init(line: String, source: String) throws(InputError) {
    let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
    let kind = words.first ?? ""
    guard kind == Self.algorithm, words.count >= 2 else {
      let isOther = kind != Self.algorithm && (kind.hasPrefix("ssh-") || kind.hasPrefix("ecdsa-"))
      throw InputError(
        source, isOther ? "is not a key of the kind ssh-ed25519" : "is not a public key",
        hint: "one line of ssh-ed25519 AAAA..., as in the .pub file of 'lodge-party keygen'")
    }
    guard let blob = Base64.decode(words[1].utf8), let key = PublicKey(blob: blob) else {
      throw InputError(source, "is a damaged public key", hint: "copy the whole line again")
    }
    self = key
  }

  /// Reads `text`, which is a public key itself or the path of a file that holds just one.
  public init(textOrPath text: String) throws(InputError) {
    if text.hasPrefix("ssh-") {
      try self.init(line: text, source: "public key")
      return
    }
    let keys = try PublicKey.list(path: text)
    guard keys.count == 1 else {
      throw InputError(text, "holds \(keys.count) public keys, one is expected")
    }
    self = keys[0]
  }

  /// All keys of a file: one a line, empty lines and lines after `#` ignored.
  public static func list(path: String) throws(InputError) -> [PublicKey] {
    let bytes = try MappedFile(path: path).allBytes(atMost: 1 << 24)
    guard !bytes.starts(with: "-----BEGIN".utf8) else {
      throw InputError(
        path, "is a private key, a public key is expected", hint: "give the .pub file beside it")
    }
    var result: [PublicKey] = []
    let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    for (index, line) in lines.enumerated() {
      guard let text = String(validating: line, as: UTF8.self) else {
        throw InputError(path, place: "line \(index + 1)", "is not text")
      }
      let content = text.drop { $0.isWhitespace }
      if content.isEmpty || content.hasPrefix("#") { continue }
      do throws(InputError) {
        result.append(try PublicKey(line: String(content), source: path))
      } catch {
        throw InputError(path, place: "line \(index + 1)", error.cause, hint: error.hint)
      }
    }
    guard !result.isEmpty else { throw InputError(path, "holds no public key") }
    return result
  }

  /// Reads several keys with commas between them, each the key itself or the path of a file of keys.
  public static func list(textOrPath text: String) throws(InputError) -> [PublicKey] {
    // A path may have commas of its own.
    if FilePaths.exists(text) { return try list(path: text) }
    var result: [PublicKey] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let part = String(part)
      result += part.hasPrefix("ssh-") ? [try PublicKey(textOrPath: part)] : try list(path: part)
    }
    return result
  }

  /// Reads the binary form, which SSH puts into Base64.
  init?(blob: [UInt8]) {
    var reader = SSHReader(blob)
    guard reader.hasString(Self.algorithm), let bytes = reader.string(),
      bytes.count == Ed25519.keyByteCount, reader.isAtEnd
    else { return nil }
    self.bytes = bytes
  }

  var blob: [UInt8] {
    var writer = SSHWriter()
    writer.append(string: Self.algorithm)
    writer.append(string: bytes)
    return writer.taken()
  }

  /// The line without a comment.
  public var text: String { "\(Self.algorithm) \(Base64.text(blob))" }

  /// What `ssh-keygen -l` prints: short, and enough to tell keys apart.
  public var fingerprint: String {
    let digits = Base64.text(SHA256.digest(blob))
    return "SHA256:" + digits.prefix { $0 != "=" }
  }

  public var description: String { fingerprint }
}
