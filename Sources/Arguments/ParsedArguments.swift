// The checked arguments of one run, with a getter for each kind of value.

public import Bytes

/// The arguments of one run: given values, defaults, and where to print.
///
/// Getters trap for a name that the command does not declare and for one of another kind (a mistake
/// in the tool), and throw for an optional argument that was left out.
public struct ParsedArguments: Sendable {
  /// Name of the tool and of the subcommand, such as `lodge-model share`.
  public let commandPath: String
  public let console: Console
  let command: Command
  /// Given values by option name or positional name.
  let given: [String: [ArgumentValue]]
  let givenTexts: [String: [String]]

  /// Name of the tool.
  public var tool: String { String(commandPath.prefix { $0 != " " }) }

  /// Whether results are for a machine.
  public var wantsJSON: Bool { option("json") != nil && flag("json") }

  /// Prints a result: one JSON document under `--json`, else as a person reads it.
  public func print(_ report: some Report) {
    if wantsJSON { console.print(report.json.indentedText) } else { console.show(report.document) }
  }

  /// True when the flag was given.
  public func flag(_ name: String) -> Bool {
    precondition(option(name)?.kind == .flag, "--\(name) is not a flag")
    return given[name] != nil
  }

  /// True when the argument was given, rather than left to its default.
  public func isGiven(_ name: String) -> Bool { given[name] != nil }

  /// The text of a string, path or choice.
  public func string(_ name: String) throws(InputError) -> String {
    try required(name, optionalString(name))
  }

  /// The text of a string, path or choice; nil when it was left out and has no default.
  public func optionalString(_ name: String) -> String? {
    switch value(name) {
    case .string(let text): text
    case nil: nil
    default: preconditionFailure("\(name) does not hold text")
    }
  }

  /// All values of a repeated positional argument.
  public func strings(_ name: String) -> [String] {
    (given[name] ?? []).map { value in
      guard case .string(let text) = value else {
        preconditionFailure("\(name) does not hold text")
      }
      return text
    }
  }

  /// A whole number, or a byte count in bytes.
  public func integer(_ name: String) throws(InputError) -> Int {
    try required(name, optionalInteger(name))
  }

  public func optionalInteger(_ name: String) -> Int? {
    switch value(name) {
    case .integer(let number): number
    case nil: nil
    default: preconditionFailure("\(name) does not hold a whole number")
    }
  }

  /// A number, a duration in seconds, or a bandwidth in bits per second.
  public func number(_ name: String) throws(InputError) -> Double {
    try required(name, optionalNumber(name))
  }

  public func optionalNumber(_ name: String) -> Double? {
    switch value(name) {
    case .number(let number): number
    case nil: nil
    default: preconditionFailure("\(name) does not hold a number")
    }
  }

  public func range(_ name: String) throws(InputError) -> Range<Int> {
    try required(name, optionalRange(name))
  }

  public func optionalRange(_ name: String) -> Range<Int>? {
    switch value(name) {
    case .range(let range): range
    case nil: nil
    default: preconditionFailure("\(name) does not hold a range")
    }
  }

  private func option(_ name: String) -> Option? { command.options.first { $0.name == name } }

  private func value(_ name: String) -> ArgumentValue? {
    if let value = given[name]?.first { return value }
    if let option = option(name) {
      return option.defaultText.flatMap { try? option.kind.value(of: $0).get() }
    }
    precondition(
      command.positionals.contains { $0.name == name }, "\(name) is not an argument of this tool")
    return nil
  }

  private func required<Value>(_ name: String, _ value: Value?) throws(InputError) -> Value {
    if let value { return value }
    let label = option(name) == nil ? name : "--\(name)"
    throw InputError(label, "is needed here", hint: "see '\(commandPath) --help'")
  }
}
