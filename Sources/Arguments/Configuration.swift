// The resolved configuration of a run, so that its output records the defaults it used.

public import Bytes

extension ParsedArguments {
  /// Every argument with its value or default, by name; absent optional ones are null.
  public var configuration: JSON {
    var members: [String: JSON] = [:]
    for row in resolvedRows { members[row.name] = row.json }
    return .object(members)
  }

  /// Prints the configuration to standard error: an aligned table, or one JSON line under `--json`.
  ///
  /// A person at a terminal sees it with `--verbose` only; logs always hold it.
  public func printConfiguration() {
    if console.errorIsTerminal, given["verbose"] == nil { return }
    if wantsJSON {
      let document: JSON = ["command": .string(commandPath), "configuration": configuration]
      console.report(document.text)
      return
    }
    var table = TextTable([.left, .name, .left])
    for row in resolvedRows where !row.isHidden {
      table.addRow(["  " + row.label, row.text, row.isDefault ? "(default)" : ""])
    }
    console.report("\(commandPath): configuration")
    if table.rowCount > 0 { console.report(TextDocument(table)) }
  }

  /// Prints a line that is no error to standard error; nothing for nil.
  public func note(_ text: String?) {
    guard let text else { return }
    console.report(.note, text, of: tool)
  }

  /// Prints each of `texts` as a line of its own.
  public func note(_ texts: [String]) {
    for text in texts { note(text) }
  }

  private struct ResolvedRow {
    var name: String
    var label: String
    var text: String
    var json: JSON
    var isDefault: Bool
    var isHidden: Bool
  }

  private var resolvedRows: [ResolvedRow] {
    var rows: [ResolvedRow] = []
    for positional in command.positionals where !positional.isPrivate {
      let texts = givenTexts[positional.name] ?? []
      let values = (given[positional.name] ?? []).map(\.json)
      rows.append(
        ResolvedRow(
          name: positional.name, label: positional.name, text: texts.joined(separator: " "),
          json: positional.isRepeated ? .array(values) : values.first ?? .null,
          isDefault: texts.isEmpty, isHidden: texts.isEmpty))
    }
    for option in command.options {
      let isGiven = given[option.name] != nil
      let text: String
      let value: JSON
      if option.kind == .flag {
        text = isGiven ? "yes" : "no"
        value = .bool(isGiven)
      } else {
        text = givenTexts[option.name]?.first ?? option.defaultText ?? ""
        let parsed =
          given[option.name]?.first
          ?? option.defaultText.flatMap { try? option.kind.value(of: $0).get() }
        value = parsed?.json ?? .null
      }
      rows.append(
        ResolvedRow(
          name: option.name, label: "--\(option.name)", text: text, json: value,
          isDefault: !isGiven,
          // What stands for an option without a fixed default, the run itself says.
          isHidden: option.name == "json"
            || (!isGiven && option.defaultText == nil && option.kind != .flag)))
    }
    return rows
  }
}

extension ArgumentValue {
  fileprivate var json: JSON {
    switch self {
    case .flag: .bool(true)
    case .string(let text): .string(text)
    case .integer(let number): .integer(number)
    case .number(let number): .number(number)
    case .range(let range): .string("\(range.lowerBound)..<\(range.upperBound)")
    }
  }
}
