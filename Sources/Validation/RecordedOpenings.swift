// What two parties open in a step, for a simulator that repeats it.

import Synchronization

/// The public words of a step by node.
public final class RecordedOpenings: Sendable {
  private let words = Mutex<[Int: [UInt64]]>([:])

  public init() {}

  /// An observer of one party's interpreter.
  public func record(_ node: Int, _ opened: [UInt64]) {
    words.withLock { $0[node] = opened }
  }

  /// What was recorded since the last call.
  public func take() -> [Int: [UInt64]] {
    words.withLock { words in
      defer { words = [:] }
      return words
    }
  }
}
