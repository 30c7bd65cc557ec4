// The one error type for everything that comes from outside: files, sockets, the command line.

/// Says which file (or host, or argument) is wrong, where in it, and why, on one line.
///
/// Never holds a secret: a message names tensors, offsets and sizes, not values of shares or seeds.
public struct InputError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Path of the file, address of the peer, or name of the command-line argument.
  public var source: String
  /// Tensor, key or byte offset inside `source`; empty when the whole of it is meant.
  public var place: String
  /// What was found and what was expected.
  public var cause: String
  /// What the user can do about it; empty when there is nothing to suggest.
  public var hint: String

  public init(_ source: String, place: String = "", _ cause: String, hint: String = "") {
    self.source = source
    self.place = place
    self.cause = cause
    self.hint = hint
  }

  /// The same error at the byte `offset` of `source`.
  public init(_ source: String, offset: Int, _ cause: String, hint: String = "") {
    self.init(source, place: "byte \(offset)", cause, hint: hint)
  }

  public var description: String {
    let head = place.isEmpty ? "\(source): \(cause)" : "\(source): \(place): \(cause)"
    return head
  }
}
