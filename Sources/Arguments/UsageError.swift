// The error for a command line that does not fit the grammar; exit status 64.

/// Says what is wrong with a command line and how to put it right, each on one line.
public struct UsageError: Error, Equatable, Sendable, CustomStringConvertible {
  public var cause: String
  /// What to do about it; empty when there is nothing to suggest.
  public var hint: String

  public init(_ cause: String, hint: String = "") {
    self.cause = cause
    self.hint = hint
  }

  public var description: String { cause }
}
