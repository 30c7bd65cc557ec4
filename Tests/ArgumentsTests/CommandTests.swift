// Command lines: what is accepted, what is refused with which words and exit status.

import Arguments
import Bytes
import Synchronization
import Testing

/// Runs a command line and keeps what it printed.
final class CommandRun: Sendable {
  private let outputText = Mutex("")
  private let errorText = Mutex("")

  var output: String { outputText.withLock { $0 } }
  var error: String { errorText.withLock { $0 } }

  func console(errorIsTerminal: Bool = false, style: TextStyle = .plain) -> Console {
    Console(
      errorIsTerminal: errorIsTerminal, style: style,
      output: { text in self.outputText.withLock { $0 += text } },
      error: { text in self.errorText.withLock { $0 += text } })
  }
}

@Suite struct CommandTests {
  private static let deal = Command(
    "deal", summary: "makes the correlated randomness of sessions",
    details: "One file per party and session.",
    example: "tool deal model --sessions '0..<4' --out corr",
    positionals: [
      Positional("DIR", .path, help: "folder with bundles"),
      Positional("EXTRA", .path, isRequired: false, isRepeated: true, help: "more folders"),
    ],
    options: [
      Option("sessions", .integerRange, default: "0..<1", help: "sessions to make"),
      Option("prompt", .integer(1...512), default: "64", help: "longest prompt in tokens"),
      Option("out", .path, placeholder: "DIR", isRequired: true, help: "folder to write to"),
      Option("rtt", .duration, default: "10ms", help: "round-trip time"),
      Option("bandwidth", .bandwidth, default: "1Gbps", help: "line rate"),
      Option("memory", .byteCount, help: "memory budget"),
      Option("headroom", .number(1...100), default: "4", help: "range factor"),
      Option("recipe", .choice(["accurate", "fast"]), default: "accurate", help: "replacements"),
      .json,
    ]
  ) { arguments in
    let console = arguments.console
    console.print("dir \(try arguments.string("DIR")) \(arguments.strings("EXTRA"))")
    console.print("sessions \(try arguments.range("sessions")) \(try arguments.integer("prompt"))")
    console.print("\(try arguments.number("rtt")) \(try arguments.number("bandwidth"))")
    console.print("\(arguments.optionalInteger("memory") ?? -1) \(try arguments.string("recipe"))")
    console.print("\(try arguments.number("headroom")) \(arguments.isGiven("prompt"))")
    arguments.printConfiguration()
    switch try arguments.string("DIR") {
    case "broken":
      throw InputError("broken", offset: 7, "bad\nmagic", hint: "make it again")
    case "usage": throw UsageError("--rtt and --memory exclude each other")
    case "memory": _ = try arguments.integer("memory")
    default: break
    }
  }

  private static let tool = Command(
    "tool", summary: "does things", example: "tool deal model --out corr",
    subcommands: [
      deal,
      Command("check", summary: "looks at files", example: "tool check a") { _ in },
    ])

  private func run(_ line: String) -> (status: Int32, output: String, error: String) {
    let result = CommandRun()
    let words = line.split(separator: " ").map(String.init)
    let status = CommandTests.tool.execute(words, console: result.console())
    return (status, result.output, result.error)
  }

  /// A command that runs by itself and has a subcommand: the first word decides.
  @Test func aCommandMayHaveSubcommandsBesides() {
    let tool = Command(
      "deal", summary: "deals", example: "deal model",
      positionals: [Positional("DIR", .path, help: "folder")],
      options: [Option("keep", .count, default: "1", help: "stock")],
      subcommands: [
        Command("status", summary: "shows", example: "deal status a") { arguments in
          arguments.console.print("status")
        }
      ]
    ) { arguments in
      arguments.console.print("\(try arguments.string("DIR")) \(try arguments.integer("keep"))")
    }
    func run(_ words: String...) -> (status: Int32, output: String, error: String) {
      let result = CommandRun()
      let status = tool.execute(words, console: result.console())
      return (status, result.output, result.error)
    }
    #expect(run("model", "--keep", "3").output == "model 3\n")
    #expect(run("status").output == "status\n")
    #expect(run("./status").output == "./status 1\n")
    #expect(run("--keep", "2", "status").output == "status 2\n")
    #expect(run().status == 64)
    let help = run("--help").output
    for part in ["usage: deal DIR [options]", "status", "--keep N", "SUBCOMMAND --help"] {
      #expect(help.contains(part), "\(help)")
    }
    #expect(run("status", "--help").output.hasPrefix("deal status: shows"))
  }

  @Test func defaultsAndBothSpellingsOfValues() {
    let plain = run("deal model --out corr")
    #expect(plain.status == 0)
    #expect(
      plain.output == """
        dir model []
        sessions 0..<1 64
        0.01 1000000000.0
        -1 accurate
        4.0 false

        """)
    let full = run(
      "deal --sessions=2...5 --prompt 16 --out=c --rtt 1.5s --memory 2GiB --recipe=fast "
        + "--headroom 2.5 --bandwidth 100Mbps -- --odd b c")
    #expect(full.status == 0)
    #expect(
      full.output == """
        dir --odd ["b", "c"]
        sessions 2..<6 16
        1.5 100000000.0
        2147483648 fast
        2.5 true

        """)
  }

  @Test(arguments: [
    ("", "a subcommand is missing", "see 'tool --help'"),
    ("dael", "unknown subcommand \"dael\"", "did you mean 'tool deal'?"),
    ("--versio", "unknown option --versio", "see 'tool --help'"),
    ("deal", "DIR is missing", "see 'tool deal --help'"),
    ("deal m", "--out DIR is missing", "see 'tool deal --help'"),
    ("deal m --out", "--out needs a value (DIR)", "see 'tool deal --help'"),
    ("deal m --out --json", "--out needs a value (DIR)", "see 'tool deal --help'"),
    ("deal m --out a --out b", "--out is given twice", "see 'tool deal --help'"),
    ("deal m --out a --promt 3", "unknown option --promt", "did you mean --prompt?"),
    ("deal m --out a -x", "unknown option -x", "see 'tool deal --help'"),
    ("deal m --out a --json=1", "--json takes no value", "see 'tool deal --help'"),
    (
      "deal m --out a --prompt 0", "--prompt: \"0\" is not between 1 and 512",
      "see 'tool deal --help'"
    ),
    (
      "deal m --out a --prompt 1e3", "--prompt: \"1e3\" is not a whole number",
      "see 'tool deal --help'"
    ),
    (
      "deal m --out a --sessions 4..<4",
      "--sessions: \"4..<4\" is not a range such as 0..<4, or a number of at least 1",
      "see 'tool deal --help'"
    ),
    (
      "deal m --out a --recipe quick", "--recipe: \"quick\" is not one of accurate, fast",
      "see 'tool deal --help'"
    ),
    (
      "deal m --out a --recipe acurate", "--recipe: \"acurate\" is not one of accurate, fast",
      "did you mean accurate?"
    ),
    (
      "deal m --out a --rtt 10", "--rtt: \"10\" is not a time such as 10ms or 2s",
      "see 'tool deal --help'"
    ),
    ("check extra", "unexpected argument \"extra\"", "see 'tool check --help'"),
  ])
  func wrongUsage(line: String, cause: String, hint: String) {
    let result = run(line)
    #expect(result.status == 64)
    #expect(result.output.isEmpty)
    #expect(result.error == "tool: error: \(cause)\ntool: hint: \(hint)\n")
  }

  @Test func failuresOfTheRunAreOneLine() {
    let broken = run("deal broken --out corr")
    #expect(broken.status == 1)
    let lines = "tool: error: broken: byte 7: bad\\u{a}magic\ntool: hint: make it again\n"
    #expect(broken.error.hasSuffix(lines))
    let usage = run("deal usage --out corr")
    #expect(usage.status == 64)
    #expect(usage.error.hasSuffix("tool: error: --rtt and --memory exclude each other\n"))
    let memory = run("deal memory --out corr")
    #expect(memory.status == 1)
    #expect(memory.error.contains("tool: error: --memory: is needed here\n"))
  }

  @Test func configurationRecordsDefaults() throws {
    let text = run("deal m --out corr --prompt 16").error
    #expect(
      text == """
        tool deal: configuration
          DIR          m
          --sessions   0..<1     (default)
          --prompt     16
          --out        corr
          --rtt        10ms      (default)
          --bandwidth  1Gbps     (default)
          --headroom   4         (default)
          --recipe     accurate  (default)

        """)
    let json = try JSON.parse(run("deal m --out corr --json").error, source: "stderr")
    var reader = try JSONReader(json, source: "stderr")
    #expect(try reader.string("command") == "tool deal")
    var configuration = try reader.object("configuration")
    #expect(try configuration.integer("prompt") == 64)
    #expect(try configuration.value("memory") == .null)
    #expect(try configuration.number("rtt") == 0.01)
    #expect(try configuration.bool("json"))
    #expect(try configuration.string("sessions") == "0..<1")
  }

  /// A person sees settings when asked for; a log always holds them.
  @Test func settingsAreForLogs() {
    func messages(_ words: [String], atTerminal: Bool) -> String {
      let result = CommandRun()
      let console = result.console(errorIsTerminal: atTerminal)
      #expect(CommandTests.tool.execute(words, console: console) == 0)
      return result.error
    }
    let words = ["deal", "m", "--out", "corr"]
    #expect(messages(words, atTerminal: true).isEmpty)
    #expect(
      messages(words + ["--verbose"], atTerminal: true) == messages(words, atTerminal: false))
    #expect(messages(words, atTerminal: false).contains("--rtt        10ms      (default)"))
  }

  @Test func versions() {
    #expect(run("--version").output == "tool \(Command.version)\n")
    #expect(run("deal --version").output == "tool \(Command.version)\n")
  }

  /// A number alone is how many, from the first.
  @Test func numbersOfThings() {
    #expect(run("deal m --out c --sessions 4").output.contains("sessions 0..<4 "))
    #expect(run("deal m --out c --sessions 0").status == 64)
  }

  @Test func helpOfTheTool() {
    let result = run("--help")
    #expect(result.status == 0)
    #expect(
      result.output == """
        tool: does things

        usage: tool SUBCOMMAND ...

        subcommands:
          deal   makes the correlated randomness of sessions
          check  looks at files

        example:
          tool deal model --out corr

        'tool SUBCOMMAND --help' says more about each.

        """)
  }

  @Test func helpOfASubcommand() {
    let result = run("deal --prompt nonsense --help")
    #expect(result.status == 0)
    #expect(
      result.output == """
        tool deal: makes the correlated randomness of sessions

        usage: tool deal DIR [EXTRA...] --out DIR [options]

        One file per party and session.

        arguments:
          DIR    folder with bundles
          EXTRA  more folders

        options:
          --sessions N|A..<B      sessions to make (default: 0..<1)
          --prompt N              longest prompt in tokens (default: 64)
          --out DIR               folder to write to (required)
          --rtt TIME              round-trip time (default: 10ms)
          --bandwidth RATE        line rate (default: 1Gbps)
          --memory SIZE           memory budget
          --headroom X            range factor (default: 4)
          --recipe accurate|fast  replacements (default: accurate)
          --json                  print one JSON document instead of text
          --verbose               show every setting of this run, as logs do (when messages go to a file)
          --help                  show this help; --version tells the version

        example:
          tool deal model --sessions '0..<4' --out corr

        """)
  }
}
