// Runs a command: parses, calls, and turns errors into messages and exit statuses.

public import Bytes
import Glibc

extension Command {
  /// Runs the command line of this process and exits: 0, 1 for a failure, 2 for a check that was
  /// not passed, 64 for wrong usage.
  public func main() -> Never {
    do throws(InputError) {
      try Interruption.discloseNoMemory()
      try Interruption.removeUnfinishedFiles(
        tool: name, command: hasPrivateWords ? nil : ShellCommand(CommandLine.arguments),
        console: .standard)
    } catch {
      exit(report(error.description, hint: "", status: 1, .standard))
    }
    // A reader that leaves a pipe must not kill a conversion half way; see Console.checkOutput.
    _ = signal(SIGPIPE, SIG_IGN)
    exit(execute(Array(CommandLine.arguments.dropFirst()), console: .standard))
  }

  /// Runs the command with `words` (without the tool's name) and returns the exit status.
  public func execute(_ words: [String], console: Console) -> Int32 {
    do throws(UsageError) {
      switch try invocation(words, path: name, console: console) {
      case .help(let command, let path): console.show(command.help(path: path))
      case .version: console.print("\(name) \(Command.version)")
      case .run(let command, let arguments):
        do {
          try command.run?(arguments)
        } catch let error as UsageError {
          return report(error.cause, hint: error.hint, status: 64, console)
        } catch let error as InputError {
          if arguments.wantsJSON { console.print(error.json.indentedText) }
          return report(error.description, hint: error.hint, status: 1, console)
        } catch let failure as CheckFailure {
          return report(
            failure.misses.joined(separator: "; "), hint: failure.hint, status: 2, console)
        } catch {
          return report("\(error)", hint: "", status: 1, console)
        }
      }
    } catch {
      return report(error.cause, hint: error.hint, status: 64, console)
    }
    do throws(InputError) {
      try console.checkOutput()
    } catch {
      return report(error.description, hint: error.hint, status: 1, console)
    }
    return 0
  }

  private func report(_ cause: String, hint: String, status: Int32, _ console: Console) -> Int32 {
    console.report(cause, hint: hint, of: name)
    return status
  }
}

extension ParsedArguments {
  /// Prints an error after which the tool goes on, as the one that ends it is printed.
  public func report(_ error: InputError) {
    console.report(error.description, hint: error.hint, of: tool)
  }
}

extension Console {
  fileprivate func report(_ cause: String, hint: String, of tool: String) {
    report(.error, oneLine(cause), of: tool)
    if !hint.isEmpty { report(.hint, oneLine(hint), of: tool) }
  }

  /// Line breaks and control characters of file names must not forge further lines.
  private func oneLine(_ text: String) -> String {
    String(
      String.UnicodeScalarView(
        text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7f ? " " : $0 }))
  }
}
