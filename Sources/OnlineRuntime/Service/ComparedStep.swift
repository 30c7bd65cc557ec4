// The parties' comparison of what a client asks of each.

import Bytes
import Program

/// The channel of one step between two servers: its first exchange carries what the client asks for, two
/// words, and nothing that the other has sent is used unless that is the same.
///
/// A client that asks each party for something else gets no answer. Nothing is lost by what was sent
/// until that is noticed: every slot has masks of its own, and each party uses them once.
final class ComparedStep: OpeningChannel {
  private let peer: Connection
  private let head: [UInt64]
  private var isCompared = false

  init(_ step: StepMessage, peer: Connection) {
    self.peer = peer
    head = step.headWords
  }

  func exchange(_ words: [UInt64], incomingCount: Int) throws(InputError) -> [UInt64] {
    if isCompared { return try peer.exchange(words, incomingCount: incomingCount) }
    isCompared = true
    let incoming = try peer.exchange(head + words, incomingCount: head.count + incomingCount)
    guard Array(incoming.prefix(head.count)) == head else {
      throw InputError(peer.label, "was asked for another step by this client")
    }
    return Array(incoming.dropFirst(head.count))
  }
}
