// Declarations of one option and of one positional argument.

/// An option `--name VALUE` (or `--name` alone for a flag).
public struct Option: Sendable {
  /// Name without the dashes, words joined by `-`.
  public let name: String
  public let kind: ValueKind
  /// What stands for the value in help texts, such as `FILE` or `HOST:PORT`.
  public let placeholder: String
  /// One line that says what the option does.
  public let help: String
  /// Text of the value that is used when the option is not given.
  public let defaultText: String?
  public let isRequired: Bool

  /// - Parameter isRequired: Without a default, an option may be left out unless this is true.
  public init(
    _ name: String, _ kind: ValueKind, placeholder: String? = nil,
    default defaultText: String? = nil,
    isRequired: Bool = false, help: String
  ) {
    precondition(!(isRequired && defaultText != nil), "--\(name): a required option has no default")
    self.name = name
    self.kind = kind
    self.placeholder = placeholder ?? kind.placeholder
    self.help = help
    self.defaultText = defaultText
    self.isRequired = isRequired
  }

  /// An option without a value.
  public static func flag(_ name: String, help: String) -> Option {
    Option(name, .flag, help: help)
  }

  /// The `--verbose` flag, which every command has.
  static let verbose = flag(
    "verbose", help: "show every setting of this run, as logs do (when messages go to a file)")

  /// The `--json` flag, with the meaning that it has in every tool.
  public static let json = flag("json", help: "print one JSON document instead of text")
}

/// An argument that is known by its position.
public struct Positional: Sendable {
  /// Name in capitals, as it stands in the usage line.
  public let name: String
  public let kind: ValueKind
  public let help: String
  public let isRequired: Bool
  /// Takes all remaining arguments; only the last positional may.
  public let isRepeated: Bool
  /// What it holds is in no record of the configuration.
  public let isPrivate: Bool

  public init(
    _ name: String, _ kind: ValueKind, isRequired: Bool = true, isRepeated: Bool = false,
    isPrivate: Bool = false, help: String
  ) {
    precondition(kind != .flag, "\(name): a positional argument has a value")
    self.name = name
    self.kind = kind
    self.help = help
    self.isRequired = isRequired
    self.isRepeated = isRepeated
    self.isPrivate = isPrivate
  }

  var usage: String {
    let repeated = isRepeated ? "\(name)..." : name
    return isRequired ? repeated : "[\(repeated)]"
  }
}
