// The files of formats/vectors by the names that say what is wrong with them.

import Foundation
import TestSupport
import Testing

/// One vector: `<rule>-<stage>-<what>` and what stands for it, or `valid-<what>`.
struct FormatVector: Sendable, CustomTestStringConvertible {
  /// Where a file must fail; each stage takes what passes the one before.
  enum Stage: String, Sendable {
    /// Structure, header text and root digest of a container.
    case open
    /// The datasets, compared with their digests.
    case content
    /// What the kind of the file prescribes: members, program, datasets.
    case read
    /// Two files together, each right by itself.
    case pair
    /// Both files of a session and the dealer's, with the weights.
    case algebra
    /// Nowhere.
    case valid
  }

  var name: String
  /// Such as "C1"; nil for valid files that stand for no rule.
  var rule: String?
  var stage: Stage
  /// Paths of its files by the name of the valid file that each stands for.
  var files: [String: String]

  var testDescription: String { name }

  static let folder = Repository.root.appending(path: "formats/vectors").path

  /// The vectors in a folder of formats/vectors, by name.
  static func all(in folder: String) -> [FormatVector] {
    let path = "\(self.folder)/\(folder)"
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    var files: [String: [String: String]] = [:]
    for name in names {
      let parts = name.split(separator: ".", maxSplits: 1).map(String.init)
      files[parts[0], default: [:]][parts.count > 1 ? parts[1] : ""] = "\(path)/\(name)"
    }
    return files.keys.sorted().compactMap { name in
      let words = name.split(separator: "-").map(String.init)
      let rule = words[0] == "valid" ? nil : words[0]
      let stage = words[0] == "valid" ? .valid : words.count > 1 ? Stage(rawValue: words[1]) : nil
      guard let stage, let files = files[name] else { return nil }
      return FormatVector(name: name, rule: rule, stage: stage, files: files)
    }
  }

  /// The path of a file that is valid and whole.
  static func valid(_ name: String) -> String { "\(folder)/valid/\(name)" }
}
