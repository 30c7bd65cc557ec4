// The numbered rules of formats/*.md, and what the texts say of who tests them.

import Foundation
import TestSupport

/// One rule: `- **C1** text`, up to an empty line, a heading or the next list entry.
struct Requirement {
  var file: String
  /// Such as "C1".
  var name: String
  var text: String

  /// How many things the rule demands.
  var mustCount: Int { text.matches(of: /\bMUST\b/).count }

  /// Tests named after "Tested by", as `Suite.function`.
  var tests: [String] {
    guard let list = text.firstMatch(of: /Tested by ((?:`\w+\.\w+`(?:, )?)+)\./)?.1 else {
      return []
    }
    return list.matches(of: /`(\w+\.\w+)`/).map { String($0.1) }
  }

  /// Whether the text says why no test is possible.
  var isNotTested: Bool { text.contains("Not tested: ") }

  /// All rules of a text, and the lines with MUST that belong to none.
  static func read(_ file: String) throws -> (rules: [Requirement], strays: [String]) {
    let path = Repository.root.appending(path: "formats/\(file)").path
    var rules: [Requirement] = []
    var strays: [String] = []
    var isInside = false
    for line in try String(contentsOfFile: path, encoding: .utf8).split(
      separator: "\n", omittingEmptySubsequences: false)
    {
      if let start = line.firstMatch(of: /^- \*\*([A-Z]\d+)\*\* (.*)/) {
        rules.append(Requirement(file: file, name: String(start.1), text: String(start.2)))
        isInside = true
      } else if line.isEmpty || line.hasPrefix("#") || line.hasPrefix("- ") {
        isInside = false
      } else if isInside {
        rules[rules.count - 1].text += " " + line.drop { $0 == " " }
        continue
      }
      if !isInside, line.contains("MUST"), !line.contains("meaning of RFC 2119") {
        strays.append("\(file): \(line)")
      }
    }
    return (rules, strays)
  }

  /// The rules of all formats; README.md speaks of them and has none.
  static func all() throws -> (rules: [Requirement], strays: [String]) {
    let folder = Repository.root.appending(path: "formats").path
    let files = try FileManager.default.contentsOfDirectory(atPath: folder)
      .filter { $0.hasSuffix(".md") && $0 != "README.md" }.sorted()
    let read = try files.map { try Requirement.read($0) }
    return (read.flatMap(\.rules), read.flatMap(\.strays))
  }
}
