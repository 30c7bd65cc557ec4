// Commands as people can paste them into a shell.

/// One command line: a tool and its arguments.
public struct ShellCommand: Equatable, Sendable {
  public var words: [String]

  public init(_ words: [String]) { self.words = words }

  /// The line, with quotes around every word that a shell would read otherwise.
  public var text: String { words.map(ShellCommand.quoted).joined(separator: " ") }

  private static func quoted(_ word: String) -> String {
    let plain =
      !word.isEmpty
      && word.unicodeScalars.allSatisfy { scalar in
        switch scalar {
        case "A"..."Z", "a"..."z", "0"..."9", "_", ".", "/", ":", "=", "-", ",", "@", "+": true
        default: false
        }
      }
    let parts = word.split(separator: "'", omittingEmptySubsequences: false)
    return plain ? word : "'\(parts.joined(separator: #"'\''"#))'"
  }
}

extension ParsedArguments {
  /// Prints what people run next, one command a line, to standard error; nothing under `--json`.
  public func printNext(_ commands: [ShellCommand]) {
    guard !wantsJSON else { return }
    for command in commands { console.report(next: command) }
  }

  /// What was given of `names`, as options for another command.
  public func passedOn(_ names: [String]) -> [String] {
    names.flatMap { name in (givenTexts[name]?.first).map { ["--\(name)", $0] } ?? [] }
  }
}
