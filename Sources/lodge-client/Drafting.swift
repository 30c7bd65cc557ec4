// How long a session has to be: what is asked for, and guesses of the next tokens, which a step checks
// together with the one before them.

import Arguments
import Bytes
import Models
import OnlineRuntime

/// What guesses, as `--draft` says; a model is read once for all questions.
struct Drafting: Sendable {
  private enum Way {
    case nothing
    case repeats
    case model(FloatInterpreter, path: String)
  }

  /// `--draft`, `--draft-slots` and `--room`.
  static let options = [
    Option(
      "draft", .string, placeholder: "repeats|MODEL",
      help:
        "guess tokens ahead, from what repeats or by a small model: fewer steps, larger sessions"
    ),
    Option(
      "draft-slots", .integer(0...1 << 20), placeholder: "N",
      help: "rows that a session must have for wrong guesses (default: as many as --new or --room)"),
    Option(
      "room", .integer(1...1 << 20), placeholder: "N",
      help: "tokens of a conversation's session behind the first question (default: 8 times --new)"),
  ]

  private let way: Way

  init(_ arguments: ParsedArguments) throws(InputError) {
    switch arguments.optionalString("draft") {
    case nil: way = .nothing
    case "repeats": way = .repeats
    case let path?:
      guard FilePaths.exists(path) else {
        throw InputError(
          "--draft", "'\(path)' is neither repeats nor there as a model",
          hint: "give repeats, or the folder of a small model with the same tokenizer")
      }
      way = .model(try FloatInterpreter(ModelLoader.load(path: path)), path: path)
    }
  }

  /// Throws where guesses are no tokens of a model with that vocabulary.
  func check(vocabularySize: Int) throws(InputError) {
    guard case .model(let interpreter, let path) = way else { return }
    try ModelDrafter.check(interpreter.model, vocabularySize: vocabularySize, source: path)
  }

  /// What guesses for one answer; nil for nothing.
  func drafter() -> (any Drafter)? {
    switch way {
    case .nothing: nil
    case .repeats: RepetitionDrafter()
    case .model(let interpreter, _): ModelDrafter(interpreter)
    }
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
