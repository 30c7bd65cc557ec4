// The declaration of a tool or of one of its subcommands.

/// A tool, or one subcommand of a tool: what it takes and what it runs.
///
///     Command(
///       "lodge-deal", summary: "makes the correlated randomness of sessions",
///       example: "lodge-deal model --sessions 4 --prompt 64 --new 32 --out corr",
///       positionals: [Positional("DIR", .path, help: "folder written by lodge-model share")],
///       options: [Option("sessions", .integerRange, default: "0..<1", help: "sessions to make")]
///     ) { arguments in
///       let sessions = try arguments.range("sessions")
///     }.main()
public struct Command: Sendable {
  public let name: String
  /// One line in lower case without a full stop.
  public let summary: String
  /// Further paragraphs of the help text; may be empty.
  public let details: String
  /// One or more command lines that work.
  public let example: String
  public let positionals: [Positional]
  public let options: [Option]
  public let subcommands: [Command]
  let run: (@Sendable (ParsedArguments) throws -> Void)?

  /// What `--version` of every tool says.
  public static let version = "0.2.0"

  /// Whether its words may be what nobody else is to read.
  var hasPrivateWords: Bool {
    positionals.contains(where: \.isPrivate) || subcommands.contains(where: \.hasPrivateWords)
  }

  /// The options that are declared, and those that every command has.
  var allOptions: [Option] { options + [.verbose] }

  /// A command that does something; `run` throws `InputError` (exit 1) or `UsageError` (exit 64).
  ///
  /// - Parameter subcommands: Run instead where the first argument is one of their names; a path of
  ///   that name is then written with its folder, `./status`.
  public init(
    _ name: String, summary: String, details: String = "", example: String,
    positionals: [Positional] = [], options: [Option] = [], subcommands: [Command] = [],
    run: @escaping @Sendable (ParsedArguments) throws -> Void
  ) {
    self.name = name
    self.summary = summary
    self.details = details
    self.example = example
    self.positionals = positionals
    self.options = options
    self.subcommands = subcommands
    self.run = run
    let names = options.map(\.name) + ["help", "verbose", "version"]
    precondition(Set(names).count == names.count, "\(name): an option is declared twice")
    precondition(
      positionals.dropLast().allSatisfy { !$0.isRepeated && $0.isRequired },
      "\(name): only the last positional argument may be optional or repeated")
    for option in options {
      guard let text = option.defaultText else { continue }
      let isValid = (try? option.kind.value(of: text).get()) != nil
      precondition(isValid, "--\(option.name): the default does not fit the kind")
    }
  }

  /// A command that only groups subcommands.
  public init(
    _ name: String, summary: String, details: String = "", example: String,
    subcommands: [Command]
  ) {
    self.name = name
    self.summary = summary
    self.details = details
    self.example = example
    self.positionals = []
    self.options = []
    self.subcommands = subcommands
    self.run = nil
  }
}
