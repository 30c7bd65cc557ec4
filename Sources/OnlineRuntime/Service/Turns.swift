// Whose turn it is: nobody waits for another who has more running, or was served later.

/// The order in which waiting clients are served, by who holds them: a key, or an address without
/// keys.
///
/// Next is who has the fewest sessions running; among those who was served longest ago, or never;
/// among those who came first.
package struct Turns {
  /// Holders whose last turn is remembered, far more than can wait at once.
  private static let memory = 256

  private var running: [String: Int] = [:]
  /// The last served at the end.
  private var served: [String] = []

  package init() {}

  package var runningCount: Int { running.values.reduce(0, +) }

  /// The index of the next among `holders` of clients in the order of their arrival; nil for none.
  package func next(among holders: [String]) -> Int? {
    holders.indices.min { priority(holders[$0]) < priority(holders[$1]) }
  }

  private func priority(_ holder: String) -> (Int, Int) {
    (running[holder, default: 0], served.lastIndex(of: holder) ?? -1)
  }

  package mutating func begin(_ holder: String) {
    running[holder, default: 0] += 1
    served.removeAll { $0 == holder }
    served.append(holder)
    if served.count > Turns.memory { served.removeFirst() }
  }

  package mutating func end(_ holder: String) {
    running[holder] = running[holder].flatMap { $0 > 1 ? $0 - 1 : nil }
  }
}
