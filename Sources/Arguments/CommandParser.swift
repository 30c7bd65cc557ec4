// Reads a command line against the declaration of a command.

import Bytes

/// What a command line asks for.
enum Invocation {
  case help(Command, path: String)
  case version
  case run(Command, ParsedArguments)
}

extension Command {
  /// Follows subcommands and checks every argument of `words` (without the tool's own name).
  func invocation(_ words: [String], path: String, console: Console) throws(UsageError)
    -> Invocation
  {
    if words == ["--version"] { return .version }
    let subcommand = subcommands.first { $0.name == words.first }
    if subcommand != nil || run == nil {
      guard let word = words.first else {
        throw UsageError("a subcommand is missing", hint: "see '\(path) --help'")
      }
      if word == "--help" || word == "-h" || word == "help" { return .help(self, path: path) }
      guard let subcommand else {
        let isOption = word.hasPrefix("-")
        let nearest = nearestName(to: word, among: subcommands.map(\.name))
        throw UsageError(
          isOption ? "unknown option \(word)" : "unknown subcommand \"\(word)\"",
          hint: nearest.map { "did you mean '\(path) \($0)'?" } ?? "see '\(path) --help'")
      }
      return try subcommand.invocation(
        Array(words.dropFirst()), path: "\(path) \(subcommand.name)", console: console)
    }
    var parser = CommandParser(command: self, path: path, words: words)
    if try parser.parse() { return .help(self, path: path) }
    return .run(
      self,
      ParsedArguments(
        commandPath: path, console: console, command: self, given: parser.given,
        givenTexts: parser.texts))
  }
}

private struct CommandParser {
  let command: Command
  let path: String
  var words: [String]
  var given: [String: [ArgumentValue]] = [:]
  var texts: [String: [String]] = [:]
  private var loose: [String] = []

  init(command: Command, path: String, words: [String]) {
    self.command = command
    self.path = path
    self.words = words
  }

  private var helpHint: String { "see '\(path) --help'" }

  /// Returns true when help is asked for.
  mutating func parse() throws(UsageError) -> Bool {
    let options = words.prefix { $0 != "--" }
    if options.contains("--help") || options.contains("-h") { return true }
    var position = 0
    while position < words.count {
      let word = words[position]
      position += 1
      if word == "--" {
        loose += words[position...]
        break
      }
      guard word.hasPrefix("-"), word != "-" else {
        loose.append(word)
        continue
      }
      try option(word, position: &position)
    }
    try assignPositionals()
    for option in command.options where option.isRequired && given[option.name] == nil {
      throw UsageError("--\(option.name) \(option.placeholder) is missing", hint: helpHint)
    }
    return false
  }

  private mutating func option(_ word: String, position: inout Int) throws(UsageError) {
    let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    let label = String(parts[0])
    guard label.hasPrefix("--"),
      let option = command.allOptions.first(where: { $0.name == label.dropFirst(2) })
    else {
      let bare = String(label.drop { $0 == "-" })
      let nearest = nearestName(
        to: bare, among: command.allOptions.map(\.name) + ["help", "version"])
      throw UsageError(
        "unknown option \(label)", hint: nearest.map { "did you mean --\($0)?" } ?? helpHint)
    }
    guard given[option.name] == nil else {
      throw UsageError("\(label) is given twice", hint: helpHint)
    }
    if option.kind == .flag {
      guard parts.count == 1 else { throw UsageError("\(label) takes no value", hint: helpHint) }
      given[option.name] = [.flag]
      return
    }
    let text: String
    if parts.count == 2 {
      text = String(parts[1])
    } else if position < words.count, !words[position].hasPrefix("--") {
      text = words[position]
      position += 1
    } else {
      throw UsageError("\(label) needs a value (\(option.placeholder))", hint: helpHint)
    }
    try keep(text, name: option.name, label: label, kind: option.kind)
  }

  private mutating func assignPositionals() throws(UsageError) {
    for positional in command.positionals {
      if loose.isEmpty {
        if positional.isRequired {
          throw UsageError("\(positional.name) is missing", hint: helpHint)
        }
        return
      }
      let count = positional.isRepeated ? loose.count : 1
      for text in loose.prefix(count) {
        try keep(text, name: positional.name, label: positional.name, kind: positional.kind)
      }
      loose.removeFirst(count)
    }
    if let extra = loose.first {
      throw UsageError("unexpected argument \"\(extra)\"", hint: helpHint)
    }
  }

  private mutating func keep(
    _ text: String, name: String, label: String, kind: ValueKind
  ) throws(UsageError) {
    switch kind.value(of: text) {
    case .success(let value):
      given[name, default: []].append(value)
      texts[name, default: []].append(text)
    case .failure(let error):
      throw UsageError("\(label): \(error.cause)", hint: error.hint.isEmpty ? helpHint : error.hint)
    }
  }
}
