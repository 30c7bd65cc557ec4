// Guesses of the next tokens, which a step checks together with the one before them.

import Arguments
import Bytes
import OnlineRuntime

/// What `--draft` and `--draft-slots` say.
enum Drafting {
  static let options = [
    Option(
      "draft", .string, placeholder: "repeats",
      help: "guess tokens ahead from what the text repeats: fewer steps, larger sessions"),
    Option(
      "draft-slots", .integer(0...1 << 20), placeholder: "N",
      help: "rows that a session must have for wrong guesses (default: as many as --new)"),
  ]

  /// What guesses; nil for nothing.
  static func drafter(_ arguments: ParsedArguments) throws(InputError) -> (any Drafter)? {
    guard let name = arguments.optionalString("draft") else { return nil }
    guard name == "repeats" else {
      throw InputError(
        "--draft", "there is no drafter '\(name)'", hint: "repeats guesses from the text itself")
    }
    return RepetitionDrafter()
  }

  /// New tokens that a session must have room for: those that are wanted, and wrong guesses.
  static func newCapacity(_ arguments: ParsedArguments) throws -> Int {
    let newCount = try arguments.integer("new")
    guard arguments.isGiven("draft") else {
      guard !arguments.isGiven("draft-slots") else {
        throw UsageError("--draft-slots goes with --draft")
      }
      return newCount
    }
    return newCount + (arguments.optionalInteger("draft-slots") ?? newCount)
  }
}
