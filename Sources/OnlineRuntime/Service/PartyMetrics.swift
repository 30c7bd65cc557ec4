// What a party counts of its sessions, and how that is told: Prometheus's text format, version 0.0.4.

import Bytes
import Synchronization

/// Counters of a party since its start; sums alone, nothing of a client, a key or a value.
final class PartyMetrics: Sendable {
  /// Upper bounds of the histogram's buckets, in seconds.
  private static let bounds = [
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
  ]

  private struct State {
    var finished = 0
    var burned = 0
    var refused = 0
    var rows = 0
    var bytesSent = 0
    var bytesReceived = 0
    var stepCounts = [Int](repeating: 0, count: PartyMetrics.bounds.count + 1)
    var stepSeconds = 0.0
  }

  /// What is there at the moment.
  struct Gauges {
    var ready: Int?
    var running: Int
    var waiting: Int
    var memoryByteCount: Int
    var isConnected: Bool
  }

  private let state = Mutex(State())

  func addEnd(isFinished: Bool) {
    state.withLock { if isFinished { $0.finished += 1 } else { $0.burned += 1 } }
  }

  func addRefusal() { state.withLock { $0.refused += 1 } }

  func addStep(rowCount: Int, _ counters: TransportCounters, took duration: Duration) {
    let seconds = duration / .seconds(1)
    let bucket =
      PartyMetrics.bounds.firstIndex { seconds <= $0 } ?? PartyMetrics.bounds.count
    state.withLock { state in
      state.rows += rowCount
      state.bytesSent += counters.bytesSent
      state.bytesReceived += counters.bytesReceived
      state.stepCounts[bucket] += 1
      state.stepSeconds += seconds
    }
  }

  func text(_ gauges: Gauges) -> String {
    let state = state.withLock { $0 }
    var lines: [String] = []
    func add(_ name: String, _ kind: String, _ help: String, _ values: [(String, String)]) {
      lines.append("# HELP lodge_\(name) \(help)")
      lines.append("# TYPE lodge_\(name) \(kind)")
      for (suffix, value) in values { lines.append("lodge_\(name)\(suffix) \(value)") }
    }
    func gauge(_ name: String, _ value: Int, _ help: String) {
      add(name, "gauge", help, [("", "\(value)")])
    }
    func counter(_ name: String, _ value: Int, _ help: String) {
      add(name, "counter", help, [("", "\(value)")])
    }
    gauge("peer_connected", gauges.isConnected ? 1 : 0, "Whether sessions can be served now.")
    if let ready = gauges.ready {
      gauge("sessions_ready", ready, "Sessions in stock that were not used, as last looked at.")
    }
    gauge("sessions_running", gauges.running, "Sessions that run, or are being agreed on.")
    gauge("clients_waiting", gauges.waiting, "Clients in the queue.")
    gauge("session_memory_bytes", gauges.memoryByteCount, "Estimated memory of running sessions.")
    counter("sessions_finished_total", state.finished, "Sessions that came to their end.")
    counter("sessions_burned_total", state.burned, "Sessions that were given up.")
    counter("clients_refused_total", state.refused, "Clients that were told why not.")
    counter("rows_total", state.rows, "Rows of input: prompt tokens, and tokens fed back.")
    counter("bytes_sent_total", state.bytesSent, "Bytes to the other party in steps.")
    counter("bytes_received_total", state.bytesReceived, "Bytes from the other party in steps.")
    var sum = 0
    var buckets: [(String, String)] = []
    for (bound, count) in zip(PartyMetrics.bounds.map { "\($0)" } + ["+Inf"], state.stepCounts) {
      sum += count
      buckets.append((#"_bucket{le="\#(bound)"}"#, "\(sum)"))
    }
    add(
      "step_seconds", "histogram", "Time of steps, waits for the other party included.",
      buckets + [("_sum", "\(state.stepSeconds)"), ("_count", "\(sum)")])
    return lines.joined(separator: "\n") + "\n"
  }
}
