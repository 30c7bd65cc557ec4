// Where a tool prints: results to standard output, everything else to standard error.

public import Bytes
import Glibc
import Synchronization

/// Standard output and standard error of a tool, or what a test puts in their place.
public struct Console: Sendable {
  private let output: @Sendable (String) -> Void
  private let error: @Sendable (String) -> Void
  private let failure: @Sendable () -> InputError?
  /// True when a person watches standard error, so that progress may be drawn there.
  public let errorIsTerminal: Bool
  /// How results are set, and what tells about them.
  private let outputStyle: TextStyle
  private let errorStyle: TextStyle
  private let drawn = DrawnLine()

  /// A console for tests; nothing reaches the process's own streams.
  public init(
    errorIsTerminal: Bool = false, style: TextStyle = .plain,
    output: @escaping @Sendable (String) -> Void,
    error: @escaping @Sendable (String) -> Void
  ) {
    self.output = output
    self.error = error
    self.failure = { nil }
    self.errorIsTerminal = errorIsTerminal
    outputStyle = style
    errorStyle = style
  }

  private init(stream: StandardOutput) {
    output = { stream.write($0) }
    error = { text in _ = writeAll(text, to: STDERR_FILENO) }
    failure = { stream.failure }
    errorIsTerminal = isatty(STDERR_FILENO) == 1
    outputStyle = TextStyle(descriptor: STDOUT_FILENO)
    errorStyle = TextStyle(descriptor: STDERR_FILENO)
  }

  /// The streams of this process.
  public static let standard = Console(stream: StandardOutput())

  /// Prints one line of the result.
  public func print(_ line: String) { output(line + "\n") }

  /// Prints `text` of the result as it is.
  public func write(_ text: String) { output(text) }

  /// Prints a result as wide as there is room for it.
  public func show(_ document: TextDocument) { output(document.text(outputStyle) + "\n") }

  /// Prints one line for the person at the terminal.
  public func report(_ line: String) {
    erase()
    error(line + "\n")
  }

  /// Writes `text` to the person at the terminal, who answers on the same line.
  public func ask(_ text: String) {
    erase()
    error(text)
  }

  /// What a line to a person is.
  public enum Label: String, Sendable {
    case error
    case warning
    case hint
    case note

    fileprivate var colour: TextStyle.Colour {
      switch self {
      case .error: .red
      case .warning: .yellow
      case .hint, .note: .cyan
      }
    }
  }

  /// Prints "TOOL: LABEL: TEXT" for the person at the terminal.
  public func report(_ label: Label, _ text: String, of tool: String) {
    report("\(tool): \(errorStyle.coloured("\(label.rawValue):", label.colour)) \(text)")
  }

  /// Prints the command to run next.
  func report(next command: ShellCommand) {
    report("\(errorStyle.coloured("Next:", .green)) \(command.text)")
  }

  /// Prints a document for the person at the terminal.
  func report(_ document: TextDocument) { report(document.text(errorStyle)) }

  /// Draws `line` on standard error, in the place of what was drawn before; what is reported next
  /// takes its place.
  func draw(_ line: String) {
    let room = errorStyle.columnCount.map { $0 - 1 } ?? .max
    drawn.isThere.withLock { $0 = true }
    error("\(Console.erasure)\(line.prefix(room))")
  }

  /// Removes what is drawn.
  func erase() {
    let wasThere = drawn.isThere.withLock { isThere in
      defer { isThere = false }
      return isThere
    }
    if wasThere { error(Console.erasure) }
  }

  private static let erasure = "\r\u{1b}[K"

  /// Throws when standard output could not take what was printed (a full disk, say).
  ///
  /// A reader that closed its end of a pipe is no failure: the tool finishes its work silently.
  public func checkOutput() throws(InputError) {
    if let failure = failure() { throw failure }
  }
}

/// Whether a line of progress stands on the terminal.
private final class DrawnLine: Sendable {
  let isThere = Mutex(false)
}

/// Standard output; remembers the first failure and stays silent from then on.
private final class StandardOutput: Sendable {
  private let firstError = Mutex<Int32>(0)

  func write(_ text: String) {
    firstError.withLock { code in
      if code == 0 { code = writeAll(text, to: STDOUT_FILENO) }
    }
  }

  var failure: InputError? {
    let code = firstError.withLock { $0 }
    if code == 0 || code == EPIPE { return nil }
    return InputError("standard output", unsafe String(cString: strerror(code)))
  }
}

/// Writes all bytes of `text`; returns 0 or the error number.
private func writeAll(_ text: String, to descriptor: Int32) -> Int32 {
  var rest = ArraySlice(text.utf8)
  while !rest.isEmpty {
    let count = unsafe rest.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
    if count < 0 {
      if errno == EINTR { continue }
      return errno
    }
    rest.removeFirst(count)
  }
  return 0
}

extension TextStyle {
  /// That of a stream of this process.
  ///
  /// A terminal is as wide as COLUMNS says, or else the terminal itself, and has colours unless
  /// NO_COLOR holds anything or TERM is "dumb".
  fileprivate init(descriptor: Int32) {
    guard isatty(descriptor) == 1 else {
      self = .plain
      return
    }
    func variable(_ name: String) -> String? {
      unsafe getenv(name).map { unsafe String(cString: $0) }
    }
    var size = winsize()
    let isKnown = unsafe ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
    let given = variable("COLUMNS").flatMap { Int($0) }.flatMap { $0 > 0 ? $0 : nil }
    self.init(
      columnCount: given ?? (isKnown ? Int(size.ws_col) : nil),
      isColoured: variable("NO_COLOR")?.isEmpty != false && variable("TERM") != "dumb")
  }
}
