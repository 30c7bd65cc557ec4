// A conversation: one session, as long as what is asked goes on from what was answered in it.

import Bytes
import Models
import OnlineRuntime

/// The session in which the last question was answered, and what the next one needs.
struct Conversation {
  private let counterpart: Counterpart
  private var generation: SecureGeneration?

  init(_ counterpart: Counterpart) { self.counterpart = counterpart }

  /// Whether there is a session that can go on.
  var isOpen: Bool { generation != nil }
  var key: SessionKey? { generation?.key }
  /// Tokens that the session still has room for.
  var tokensLeft: Int { generation?.tokensLeft ?? 0 }

  /// What of the prompt of `request` is to be computed, in the session that is there or in another.
  ///
  /// - Parameters:
  ///   - newCount: Tokens of the answer at most.
  ///   - takesAnother: Whether a question that has no room in the session is asked in another, rather
  ///     than refused.
  ///   - begin: Gets a session.
  ///   - note: Is told why another session takes the place of the one that was there.
  /// - Throws: What is wrong with the question, with nothing lost; or why there is no session.
  mutating func prepare(
    _ request: Request, newCount: Int, takesAnother: Bool,
    begin: () throws -> any SecureSession, note: (String) -> Void
  ) throws -> [Int] {
    if let current = generation {
      try request.check(current.identity, tables: counterpart.tables)
      if let loss = current.loss() {
        generation = nil
        note("the session is over (\(loss)): another goes on with all that was said")
      } else if let rest = current.continuation(of: request.prompt) {
        do throws(InputError) {
          try current.checkRoom(rest, newCount: newCount)
          return rest
        } catch {
          guard takesAnother else { throw error }
          finish(note)
        }
      } else {
        note("the chat template does not go on from what was said: another session begins")
        finish(note)
      }
    }
    let session = try begin()
    generation = SecureGeneration(
      session: session, tables: counterpart.tables, draftCapacity: request.room.draftCount)
    return request.prompt
  }

  /// Answers what `prepare` gave; after an error there is no session any more.
  mutating func answer(
    _ tokens: [Int], newCount: Int, drafter: (any Drafter)?, stop: Set<Int>,
    sampler: inout TokenSampler, ends: (Int) -> Bool
  ) throws(InputError) -> SecureGeneration.Result {
    guard var current = generation.take() else { preconditionFailure("a session is prepared") }
    let result = try current.answer(
      tokens, newCount: newCount, drafter: drafter, stop: stop, sampler: &sampler, ends: ends)
    generation = current
    return result
  }

  /// Ends the session, where there is one, and waits until that is noted.
  mutating func end() throws(InputError) {
    try generation.take()?.end()
  }

  /// Ends a session that is of no use any more, whether or not the other side is still there.
  private mutating func finish(_ note: (String) -> Void) {
    do throws(InputError) { try end() } catch {
      note("the session before it did not end well: \(error)")
    }
  }
}
