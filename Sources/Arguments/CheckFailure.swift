// The error for a check that ran and was not passed; exit status 2.

/// Says which limits were missed; the results have been printed.
public struct CheckFailure: Error, Equatable, Sendable {
  /// One phrase a limit.
  public var misses: [String]
  /// What to do about it.
  public var hint: String

  public init(_ misses: [String], hint: String? = nil) {
    precondition(!misses.isEmpty, "a failed check has missed something")
    self.misses = misses
    self.hint = hint ?? ""
  }
}
