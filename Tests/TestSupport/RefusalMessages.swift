// Every message with which a reader refuses a file, found in the sources themselves.

import Foundation

/// One place in the sources that refuses something.
public struct RefusalMessage: CustomStringConvertible {
  public var file: String
  public var line: Int
  /// The parts of its text between values.
  var parts: [String]

  public var text: String { parts.joined(separator: "...") }
  public var description: String { "\(file):\(line): \(text)" }

  /// Whether `error` may be this message: it has all parts in their order.
  public func matches(_ error: String) -> Bool {
    var rest = error[...]
    for part in parts {
      guard let range = rest.range(of: part) else { return false }
      rest = rest[range.upperBound...]
    }
    return true
  }

  /// The calls that make errors, and in which argument their text is: the unlabelled literal.
  private static let calls = ["failure(", "InputError(", "problems.add(", "refuse(", "fail("]

  /// All messages of the Swift file at `path` below the repository.
  public static func all(in path: String) throws -> [RefusalMessage] {
    let text = Array(
      try String(contentsOf: Repository.root.appending(path: path), encoding: .utf8))
    var result: [RefusalMessage] = []
    var line = 1
    var index = 0
    while index < text.count {
      if text[index] == "\n" { line += 1 }
      let call = calls.first { text[index...].starts(with: $0) }
      let isWord = index > 0 && (text[index - 1].isLetter || text[index - 1] == "(")
      if let call, !isWord, !text[..<index].suffix(5).elementsEqual("func ") {
        var scanner = LiteralScanner(text: text, position: index + call.count)
        if let parts = scanner.message() {
          result.append(
            RefusalMessage(
              file: String(path.split(separator: "/").last ?? ""), line: line, parts: parts))
        }
        index += call.count
      } else {
        index += 1
      }
    }
    return result
  }
}

/// Reads the arguments of a call; a text may be literals joined by "+".
private struct LiteralScanner {
  let text: [Character]
  var position: Int

  /// Parts of the last literal that no label such as "place:" stands before, or nil.
  mutating func message() -> [String]? {
    var depth = 0
    var isLabelled = false
    var (parts, before): ([String], [String]) = ([], [])
    while position < text.count {
      switch text[position] {
      case "(", "[", "{": depth += 1
      case ")", "]", "}":
        depth -= 1
        if depth < 0 {
          if parts.isEmpty { parts = before }
          return parts.isEmpty ? nil : parts
        }
      case ",":
        if depth == 0 {
          if !parts.isEmpty { (parts, before) = ([], parts) }
          isLabelled = false
        }
      case ":": if depth == 0 { isLabelled = true }
      case "\"":
        let literal = literal()
        if depth == 0, !isLabelled { parts += literal }
        continue
      default: break
      }
      position += 1
    }
    return nil
  }

  /// The parts between interpolations of the literal that begins here.
  private mutating func literal() -> [String] {
    var parts = [""]
    position += 1
    while position < text.count, text[position] != "\"" {
      if text[position] == "\\" {
        position += 1
        if text[position] == "(" {
          passInterpolation()
          parts.append("")
        } else {
          parts[parts.count - 1].append(text[position])
        }
      } else {
        parts[parts.count - 1].append(text[position])
      }
      position += 1
    }
    position += 1
    return parts.filter { !$0.isEmpty }
  }

  /// Moves to the parenthesis that closes the one here.
  private mutating func passInterpolation() {
    var depth = 0
    while position < text.count {
      switch text[position] {
      case "(": depth += 1
      case ")":
        depth -= 1
        if depth == 0 { return }
      case "\"":
        _ = literal()
        continue
      default: break
      }
      position += 1
    }
  }
}
