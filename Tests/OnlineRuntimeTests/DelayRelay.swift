// A long way between a client and a party, on this machine.

import Foundation
import OnlineRuntime
import Synchronization
import TestSupport

/// Forwards every connection to a port of this machine; every byte arrives `delay` later.
final class DelayRelay: Sendable {
  /// Pieces on their way in one direction, each with the time at which it arrives.
  private final class Way: Sendable {
    private let pieces = Mutex<[(arrival: ContinuousClock.Instant, bytes: [UInt8])]>([])
    private let count = DispatchSemaphore(value: 0)

    /// No bytes stand for the end.
    func add(_ bytes: [UInt8], arriving arrival: ContinuousClock.Instant) {
      pieces.withLock { $0.append((arrival, bytes)) }
      count.signal()
    }

    func next() -> [UInt8] {
      count.wait()
      let piece = pieces.withLock { $0.removeFirst() }
      let left = (piece.arrival - .now) / .seconds(1)
      if left > 0 { Thread.sleep(forTimeInterval: left) }
      return piece.bytes
    }
  }

  private let listener: FrameListener
  var address: Address { Address(host: "127.0.0.1", port: listener.port) }

  init(to target: UInt16, delay: Duration) throws {
    let listener = try FrameListener()
    self.listener = listener
    Thread.detachNewThread {
      while let near = try? listener.accept() {
        Thread.detachNewThread {
          // The connection itself has to make its way first.
          Thread.sleep(forTimeInterval: delay / .seconds(1))
          guard let far = try? FrameSocket(port: target) else { return }
          DelayRelay.forward(from: near, to: far, delay)
          DelayRelay.forward(from: far, to: near, delay)
        }
      }
    }
  }

  func close() { listener.stop() }

  private static func forward(from: FrameSocket, to: FrameSocket, _ delay: Duration) {
    let way = Way()
    Thread.detachNewThread {
      while true {
        let bytes = (try? from.receiveSome()) ?? []
        way.add(bytes, arriving: .now + delay)
        if bytes.isEmpty { return }
      }
    }
    Thread.detachNewThread {
      while true {
        let bytes = way.next()
        if bytes.isEmpty { break }
        try? to.send(bytes)
      }
      to.endSending()
    }
  }
}
