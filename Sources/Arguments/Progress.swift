// Progress of long work: rate and time left, drawn on a terminal only.

import Bytes
import Synchronization

/// Counts finished units of work and redraws one line of standard error while that takes long.
///
/// Nothing is drawn in the first two seconds, nor when standard error is no terminal. May be
/// advanced from several threads.
public final class Progress: Sendable {
  /// What is counted.
  public enum Unit: Sendable {
    case bytes
    case items(String)
  }

  private struct State {
    var done = 0
    var total: Int
    var lastDrawn: ContinuousClock.Instant?
  }

  private let label: String
  private let unit: Unit
  private let console: Console
  private let start = ContinuousClock.now
  private let state: Mutex<State>

  /// Shortest time after which anything is drawn, and between two drawings.
  private static let quietTime = Duration.seconds(2)
  private static let interval = Duration.milliseconds(200)

  /// - Parameter total: Units in all; 0 when not known.
  public init(_ label: String, total: Int, unit: Unit, console: Console) {
    self.label = label
    state = Mutex(State(total: total))
    self.unit = unit
    self.console = console
  }

  /// Counts `count` more finished units.
  public func advance(by count: Int = 1) {
    update { $0.done += count }
  }

  /// Sets how many units are finished, and how many there are in all.
  public func reach(_ done: Int, of total: Int) {
    update { state in
      state.done = done
      state.total = total
    }
  }

  private func update(_ change: (inout State) -> Void) {
    state.withLock { state in
      change(&state)
      guard console.errorIsTerminal else { return }
      let now = ContinuousClock.now
      guard now - start >= Progress.quietTime else { return }
      if let last = state.lastDrawn, now - last < Progress.interval { return }
      state.lastDrawn = now
      let line = Progress.line(
        label: label, done: state.done, total: state.total, unit: unit,
        seconds: (now - start) / .seconds(1))
      console.draw(line)
    }
  }

  /// Removes the drawn line, if there is one.
  public func finish() {
    state.withLock { state in
      if state.lastDrawn != nil { console.erase() }
      state.lastDrawn = nil
    }
  }

  /// One line such as `dealing: 3/8 sessions, 0.50/s, 10.0 s left`.
  public static func line(
    label: String, done: Int, total: Int, unit: Unit, seconds: Double
  ) -> String {
    let rate = seconds > 0 ? Double(done) / seconds : 0
    var parts: [String]
    switch unit {
    case .bytes:
      let sum = total > 0 ? " of \(Quantity.text(byteCount: total))" : ""
      parts = [
        Quantity.text(byteCount: done) + sum, Quantity.text(bytesPerSecond: rate),
      ]
    case .items(let name):
      let sum = total > 0 ? "/\(total)" : ""
      parts = [
        "\(done)\(sum) \(name)", "\(Quantity.decimal(rate, fractionDigits: rate < 10 ? 2 : 0))/s",
      ]
    }
    if total > done, rate > 0 {
      parts.append("\(Quantity.text(seconds: Double(total - done) / rate)) left")
    }
    return "\(label): \(parts.joined(separator: ", "))"
  }
}
