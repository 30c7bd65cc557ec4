// How long a session has to be: what is asked for, and guesses of the next tokens, which a step checks
// together with the one before them.

import Arguments
import Bytes
import OnlineRuntime

/// What `--draft`, `--draft-slots` and `--room` say.
enum Drafting {
  static let options = [
    Option(
      "draft", .string, placeholder: "repeats",
      help: "guess tokens ahead from what the text repeats: fewer steps, larger sessions"),
    Option(
      "draft-slots", .integer(0...1 << 20), placeholder: "N",
      help: "rows that a session must have for wrong guesses (default: as many as --new or --room)"),
    Option(
      "room", .integer(1...1 << 20), placeholder: "N",
      help: "tokens of a conversation's session behind the first question (default: 8 times --new)"),
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
}

/// What a session must have room for behind its first question.
struct Room: Sendable {
  /// Answers, and in a conversation the later questions.
  private let tokenCount: Int
  /// Wrong guesses.
  let draftCount: Int
  /// Whether anything is guessed, so that rows may have to be taken back.
  let isDrafting: Bool

  /// - Parameters:
  ///   - newCount: Tokens of an answer at most.
  ///   - isConversation: Whether more may be asked in the session.
  init(_ arguments: ParsedArguments, newCount: Int, isConversation: Bool) throws(UsageError) {
    tokenCount =
      isConversation
      ? max(arguments.optionalInteger("room") ?? min(8 * newCount, 1 << 20), newCount) : newCount
    isDrafting = arguments.isGiven("draft")
    guard isDrafting else {
      guard !arguments.isGiven("draft-slots") else {
        throw UsageError("--draft-slots goes with --draft")
      }
      draftCount = 0
      return
    }
    draftCount = arguments.optionalInteger("draft-slots") ?? tokenCount
  }

  /// New tokens that the parties are asked for.
  var newCapacity: Int { tokenCount + draftCount }
}
