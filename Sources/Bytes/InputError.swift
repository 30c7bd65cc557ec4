// The one error type for everything that comes from outside: files, sockets, the command line.

import Glibc

/// Says which file (or host, or argument) is wrong, where in it, and why, on one line.
///
/// Never holds a secret: a message names tensors, offsets and sizes, not values of shares or seeds.
public struct InputError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Path of the file, address of the peer, or name of the command-line argument.
  public var source: String
  /// Tensor, key or byte offset inside `source`; empty when the whole of it is meant.
  public var place: String
  /// Byte of `source` at which the fault lies, where there is one; `place` then ends with it.
  public private(set) var offset: Int?
  /// The system's error number, where a call to the system failed: the machine's fault, or that of
  /// where `source` lies, and not of what it holds.
  public private(set) var systemCode: Int32?
  /// What was found and what was expected.
  public var cause: String
  /// What the user can do about it; empty when there is nothing to suggest.
  public var hint: String
  /// Every single problem, where `cause` sums up several.
  public var details: [String] = []

  public init(_ source: String, place: String = "", _ cause: String, hint: String = "") {
    self.source = source
    self.place = place
    self.cause = cause
    self.hint = hint
  }

  /// The same error at the byte `offset` of `source`, which belongs to `place`, such as a tensor.
  public init(
    _ source: String, place: String = "", offset: Int, _ cause: String, hint: String = ""
  ) {
    self.init(
      source, place: place.isEmpty ? "byte \(offset)" : "\(place): byte \(offset)", cause,
      hint: hint)
    self.offset = offset
  }

  /// A call to the system that failed with `code`, after what was tried: "cannot open: no such file
  /// or directory". Where nothing is at `source`, the hint tells the nearest name that there is.
  public init(
    _ source: String, place: String = "", _ action: String = "", system code: Int32,
    hint: String = ""
  ) {
    let message = SystemError.message(code)
    let hint = hint.isEmpty && code == ENOENT ? nearestPathHint(to: source) : hint
    self.init(
      source, place: place, action.isEmpty ? message : "\(action): \(message)", hint: hint)
    systemCode = code
  }

  /// This error, told to be at the byte `offset` unless it names a byte itself.
  public func located(at offset: Int) -> InputError {
    guard self.offset == nil else { return self }
    var error = InputError(source, place: place, offset: offset, cause, hint: hint)
    error.details = details
    error.systemCode = systemCode
    return error
  }

  /// What is found is compared, not how it is spelled out.
  public static func == (left: InputError, right: InputError) -> Bool {
    (left.source, left.place, left.offset, left.cause, left.hint)
      == (right.source, right.place, right.offset, right.cause, right.hint)
  }

  /// The error for machines, every single problem by itself.
  public var json: JSON {
    [
      "error": .string(description), "hint": .string(hint),
      "problems": .array((details.isEmpty ? [cause] : details).map(JSON.string)),
    ]
  }

  /// The whole error on one line; control characters, which names in hostile files may hold, are
  /// written as escapes and never reach a terminal.
  public var description: String {
    let text = place.isEmpty ? "\(source): \(cause)" : "\(source): \(place): \(cause)"
    guard text.unicodeScalars.contains(where: \.properties.isControl) else { return text }
    return text.unicodeScalars.reduce(into: "") { result, scalar in
      if scalar.properties.isControl {
        result += "\\u{\(String(scalar.value, radix: 16))}"
      } else {
        result.unicodeScalars.append(scalar)
      }
    }
  }
}

extension Unicode.Scalar.Properties {
  /// Control characters, line and paragraph separators, and marks that reorder text.
  fileprivate var isControl: Bool {
    switch generalCategory {
    case .control, .lineSeparator, .paragraphSeparator, .format: true
    default: false
    }
  }
}
