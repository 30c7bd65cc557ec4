// Answers that come at the same time, printed in the order of their questions.

import Arguments
import Synchronization

/// Lets the first answer that is not finished through and keeps what others print until it is.
final class AnswerOrder: Sendable {
  private enum Text: Sendable {
    case output(String)
    case error(String)
  }

  private struct State {
    /// The first that is not finished.
    var current = 0
    var kept: [Int: [Text]] = [:]
    var finished: Set<Int> = []
  }

  private let console: Console
  private let state = Mutex(State())

  init(_ console: Console) { self.console = console }

  /// What answer number `index` is printed on.
  func console(of index: Int) -> Console {
    Console(
      output: { [self] in add(.output($0), index) }, error: { [self] in add(.error($0), index) })
  }

  /// Notes that nothing more comes of answer number `index`.
  func finish(_ index: Int) {
    state.withLock { state in
      state.finished.insert(index)
      while state.finished.contains(state.current) {
        state.finished.remove(state.current)
        state.current += 1
        for text in state.kept.removeValue(forKey: state.current) ?? [] { print(text) }
      }
    }
  }

  private func add(_ text: Text, _ index: Int) {
    state.withLock { state in
      if index == state.current { print(text) } else { state.kept[index, default: []].append(text) }
    }
  }

  private func print(_ text: Text) {
    switch text {
    case .output(let text): console.write(text)
    case .error(let text): console.report(text.hasSuffix("\n") ? String(text.dropLast()) : text)
    }
  }
}

/// A number that threads share.
final class SharedCount: Sendable {
  private let count = Mutex(0)

  var value: Int { count.withLock { $0 } }

  /// Adds `change`; returns what the number was before.
  func add(_ change: Int) -> Int {
    count.withLock { count in
      defer { count += change }
      return count
    }
  }
}
