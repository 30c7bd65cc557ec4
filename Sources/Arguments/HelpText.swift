// Help texts, made from the declaration so that they cannot go stale.

import Bytes

extension Command {
  /// The help text of this command, which the user reaches as `path`.
  func help(path: String) -> TextDocument {
    var sections: [TextDocument] = [
      "\(path): \(summary)", "usage: \(usageLine(path: path))",
      TextDocument(Command.paragraphs(details)),
    ]
    if !subcommands.isEmpty {
      sections.append(section("subcommands:", subcommands.map { ($0.name, $0.summary) }))
    }
    if !positionals.isEmpty {
      sections.append(section("arguments:", positionals.map { ($0.name, $0.help) }))
    }
    if run != nil {
      var rows = allOptions.map { option in (option.usage, option.helpWithDefault) }
      rows.append(("--help", "show this help; --version tells the version"))
      sections.append(section("options:", rows))
    }
    let lines = example.split(separator: "\n").map { "  \($0)" }.joined(separator: "\n")
    sections.append("\(example.contains("\n") ? "examples:" : "example:")\n\(lines)")
    if !subcommands.isEmpty {
      sections.append("'\(path) SUBCOMMAND --help' says more about each.")
    }
    return TextDocument(sections)
  }

  /// `text` with one line a paragraph, which the terminal's width breaks.
  private static func paragraphs(_ text: String) -> String {
    text.split(separator: "\n", omittingEmptySubsequences: false).reduce("") { result, line in
      if result.isEmpty { return String(line) }
      return result + (line.isEmpty ? "\n\n" : result.hasSuffix("\n") ? "" : " ") + line
    }
  }

  private func usageLine(path: String) -> String {
    if run == nil { return "\(path) SUBCOMMAND ..." }
    var words = [path] + positionals.map(\.usage)
    words += options.filter(\.isRequired).map(\.usage)
    if options.contains(where: { !$0.isRequired }) { words.append("[options]") }
    return words.joined(separator: " ")
  }

  private func section(_ title: String, _ rows: [(String, String)]) -> TextDocument {
    var table = TextTable([.left, .prose])
    for row in rows { table.addRow(["  " + row.0, row.1]) }
    return "\(title)\n\(table)"
  }
}

extension Option {
  fileprivate var usage: String { kind == .flag ? "--\(name)" : "--\(name) \(placeholder)" }

  fileprivate var helpWithDefault: String {
    if isRequired { return "\(help) (required)" }
    guard let defaultText else { return help }
    return "\(help) (default: \(defaultText))"
  }
}
