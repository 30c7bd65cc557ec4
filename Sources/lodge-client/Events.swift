// The lines that --request prints: what happens to a question, a JSON object each.

import Arguments
import Bytes
import OnlineRuntime

/// Prints events, and knows what an error has cost.
final class EventPrinter {
  /// How far a question has come.
  enum Stage: String {
    /// Nothing was spent: the question is at fault.
    case request
    /// Nothing was spent: there is no session.
    case session
    /// A session was spent.
    case answer
  }

  var stage = Stage.request
  private let console: Console

  init(_ console: Console) { self.console = console }

  private func print(_ event: String, _ members: [String: JSON]) {
    console.print(JSON.object(members.merging(["event": .string(event)]) { $1 }).text)
  }

  /// A question is tokenised.
  func question(_ index: Int, tokenCount: Int) {
    print("question", ["index": .integer(index), "tokens": .integer(tokenCount)])
  }

  /// The parties have claimed a session, or have one that goes on: `keptCount` tokens of the prompt are
  /// there already.
  func session(_ index: Int, _ key: SessionKey, keptCount: Int) {
    stage = .answer
    var members: [String: JSON] = [
      "index": .integer(index), "batch": .string(key.batch), "session": .integer(key.session),
    ]
    if keptCount > 0 { members["kept"] = .integer(keptCount) }
    print("session", members)
  }

  /// A token has come; `text` is what it lets be shown.
  func token(_ index: Int, _ id: Int, text: String) {
    print("token", ["index": .integer(index), "id": .integer(id), "text": .string(text)])
  }

  /// An answer is over, after `text`.
  func answer(_ index: Int, text: String, isStopped: Bool) {
    print(
      "answer",
      [
        "index": .integer(index), "text": .string(text),
        "reason": .string(isStopped ? "stop" : "length"),
      ])
  }

  /// Why an answer is not to be trusted.
  func warning(_ index: Int, _ text: String) {
    print("warning", ["index": .integer(index), "warning": .string(text)])
  }

  /// - Throws: `InputError` where a value is not finite.
  func embedding(_ index: Int, _ values: [Float]) throws(InputError) {
    guard values.allSatisfy(\.isFinite) else {
      throw InputError("the embedding", "has values that are not finite")
    }
    let numbers = values.map { JSON.number(Double($0)) }
    print("answer", ["index": .integer(index), "embedding": .array(numbers)])
  }

  func failure(_ error: InputError) {
    print(
      "error",
      [
        "stage": .string(stage.rawValue), "error": .string(error.description),
        "hint": .string(error.hint),
      ])
  }
}
