// What a party says of itself: its stock at the start, metrics and health while it runs.

import Bytes
import Synchronization

/// A count that is expensive to make, for who asks often.
struct StockCount {
  static let lifetime = Duration.seconds(10)

  var ready: Int?
  var instant: ContinuousClock.Instant?
}

extension SessionServer {
  /// Unused sessions, by what they are long enough for.
  private func readySessions() throws(InputError) -> [SessionDescription] {
    let all = try provider.availableSessions()
    let free = Set(try ledger.unclaimed(among: all.map(\.key)))
    return all.filter { free.contains($0.key) }
  }

  /// Logs how many sessions there are, of each size.
  func reportStock() {
    do throws(InputError) {
      let ready = try readySessions()
      var counts: [[Int]: Int] = [:]
      for session in ready {
        counts[[session.promptCapacity, session.newCapacity], default: 0] += 1
      }
      let sizes = counts.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { size, count in
        "\(count) for \(size[0])" + (size[1] > 0 ? " + \(size[1])" : "") + " tokens"
      }
      let what = ready.count == 1 ? "session" : "sessions"
      service.log(
        "has \(ready.count) unused \(what)"
          + (sizes.isEmpty ? ": deal some with lodge-deal" : ": \(sizes.joined(separator: ", "))"))
      if let least = ready.map(\.memoryByteCount).min(), least > memory.byteCount {
        service.log(
          "warning: none of them fits --memory, each takes at least "
            + Quantity.text(byteCount: least))
      }
    } catch {
      service.log("error: \(error)")
    }
  }

  /// The answer to an HTTP request for `path`.
  @Sendable func answer(_ path: String) -> (status: String, text: String)? {
    let inbox = service.inbox
    let trouble = inbox.isStopping || inbox.isStopped ? service.stopReason : inbox.absence
    switch path {
    case "/healthz":
      let shortage = readyCount() == 0 && inbox.runningCount == 0 ? "no session is left" : nil
      guard let reason = trouble ?? shortage else { return ("200 OK", "ok\n") }
      return ("503 Service Unavailable", "\(reason)\n")
    case "/metrics":
      let gauges = PartyMetrics.Gauges(
        ready: readyCount(), running: inbox.runningCount, waiting: inbox.clients.count,
        memoryByteCount: memory.usedByteCount, isConnected: trouble == nil)
      return ("200 OK", service.metrics.text(gauges))
    default: return nil
    }
  }

  /// The number of unused sessions, counted anew every ten seconds at most: the folder is read for it.
  private func readyCount() -> Int? {
    stock.withLock { stock in
      if let instant = stock.instant, ContinuousClock.now - instant < StockCount.lifetime {
        return stock.ready
      }
      stock.instant = .now
      do throws(InputError) { stock.ready = try readySessions().count } catch { stock.ready = nil }
      return stock.ready
    }
  }
}
