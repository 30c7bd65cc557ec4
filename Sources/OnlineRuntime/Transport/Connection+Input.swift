// Bytes that are received before they are asked for, and waits that are too short for a sleep.

import Synchronization
import Trust

/// What was received from the socket and not yet taken by a frame.
struct InputBuffer {
  static let capacity = 65_536

  private var bytes: [UInt8] = []
  private var unread = 0..<0

  var isEmpty: Bool { unread.isEmpty }

  /// Takes up to `byteCount` bytes from `receive`, which fills the front of a buffer.
  mutating func fill(
    _ byteCount: Int, _ receive: (UnsafeMutableRawBufferPointer) -> Socket.Outcome
  ) -> Socket.Outcome {
    precondition(isEmpty, "what is there is read first")
    if bytes.isEmpty { bytes = [UInt8](repeating: 0, count: InputBuffer.capacity) }
    let outcome = unsafe bytes.withUnsafeMutableBytes { buffer in
      unsafe receive(
        UnsafeMutableRawBufferPointer(
          rebasing: buffer[..<min(byteCount, InputBuffer.capacity)]))
    }
    if case .moved(let count) = outcome { unread = 0..<count }
    return outcome
  }

  /// Moves as much as there is to the front of `target`; returns how much that was.
  mutating func take(into target: UnsafeMutableRawBufferPointer) -> Int {
    let taken = unread.prefix(target.count)
    unsafe bytes.withUnsafeBytes {
      unsafe target.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[taken]))
    }
    unread = taken.upperBound..<unread.upperBound
    return taken.count
  }
}

/// How long the last waits for the other party were: short ones are cheaper awake than asleep.
///
/// On a network, and on a machine that has other work for this core, waits are long and nobody
/// stays awake for them.
struct RecentWaits {
  /// The longest time without sleep.
  static let longestAwake = Duration.microseconds(50)
  private static let longestShort = Duration.microseconds(100)
  /// A wait that counts for more would keep its mark for too long.
  private static let longestCounted = Duration.microseconds(400)

  private var average = Duration.zero
  /// Whether sleep is never put off.
  var countAsLong = false

  var areShort: Bool { !countAsLong && average < RecentWaits.longestShort }

  mutating func add(_ wait: Duration) {
    average = (average * 7 + min(wait, RecentWaits.longestCounted)) / 8
  }
}

extension Connection {
  /// From now on sleeps at once where it has to wait, as it comes to do on a network: for
  /// measurements of what that costs.
  public func sleepWhileWaiting() { state.withLock { $0.waits.countAsLong = true } }
}

extension Connection.State {
  /// Takes what is there of a frame of `byteCount` bytes, its header included, in one call to the
  /// system; what is more than fits the buffer stays for its reader.
  mutating func receiveAhead(_ byteCount: Int, from socket: Socket) -> Socket.Outcome {
    let session = tls
    return unsafe input.fill(byteCount) { buffer in
      guard let session else { return unsafe socket.receive(into: buffer) }
      return Socket.Outcome(unsafe session.receive(into: buffer))
    }
  }
}
