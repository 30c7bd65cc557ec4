// Whom a file is sealed for.

public import Bytes

/// A public key that the age tool can seal a file for: `age1...` or `ssh-ed25519 ...`.
public struct AgeRecipient: Equatable, Sendable {
  /// As age takes it after `-r`.
  let text: String

  /// Reads `text`, which is a key itself or the path of a file that holds just one.
  ///
  /// - Throws: `InputError` where it is neither; whether age accepts the key, `AgeTool.check`
  ///   tells.
  public init(textOrPath text: String) throws(InputError) {
    if let recipient = AgeRecipient(line: text) {
      self = recipient
      return
    }
    let bytes = try MappedFile(path: text).allBytes(atMost: 1 << 20)
    let lines = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
      .filter { !$0.hasPrefix("#") && !$0.allSatisfy(\.isWhitespace) }
    guard lines.count == 1, let recipient = AgeRecipient(line: String(lines[0])) else {
      throw InputError(
        text, "does not hold one public key of age or SSH",
        hint: "a line of age1... or ssh-ed25519 AAAA..., as 'lodge-party keygen' prints it")
    }
    self = recipient
  }

  private init?(line: String) {
    let words = line.split(whereSeparator: \.isWhitespace)
    if words.count == 1, words[0].hasPrefix("age1") {
      text = String(words[0])
    } else if words.count >= 2, words[0] == PublicKey.algorithm {
      text = "\(words[0]) \(words[1])"
    } else {
      return nil
    }
  }
}
