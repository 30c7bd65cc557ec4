// A machine between two others: it records what passes, and may change it.

import Foundation
import Glibc
import Synchronization
import Testing

/// Forwards every connection to a port of this machine.
final class Wiretap: Sendable {
  /// Gets the bytes that come from the dialling side, with the number of those before them.
  typealias Change = @Sendable (inout [UInt8], Int) -> Void

  let port: UInt16
  private let listener: Int32
  private let recorded = Mutex<[UInt8]>([])
  private let change: Change

  /// Everything that dialling sides have sent so far.
  var bytes: [UInt8] { recorded.withLock { $0 } }

  init(to target: UInt16, change: @escaping Change = { _, _ in }) throws {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = RawSocket.loopback(port: 0)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let status = unsafe withUnsafeMutablePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe bind(listener, $0, length) | listen(listener, 8) | getsockname(listener, $0, &length)
      }
    }
    try #require(status == 0)
    self.listener = listener
    port = address.sin_port.bigEndian
    self.change = change
    Thread.detachNewThread { [self] in
      while true {
        let near = accept(listener, nil, nil)
        guard near >= 0, let far = try? RawSocket(port: target) else { return }
        Thread.detachNewThread { [self] in forward(near, far) }
        Thread.detachNewThread {
          while Self.move(far.descriptor, near, { _ in }) {}
          shutdown(near, Int32(SHUT_WR))
        }
      }
    }
  }

  func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

  private func forward(_ near: Int32, _ far: RawSocket) {
    var count = 0
    while Self.move(
      near, far.descriptor,
      { bytes in
        change(&bytes, count)
        count += bytes.count
        recorded.withLock { $0 += bytes }
      })
    {}
    shutdown(far.descriptor, Int32(SHUT_WR))
  }

  /// Forwards what is there; false at the end.
  private static func move(
    _ from: Int32, _ to: Int32, _ change: (inout [UInt8]) -> Void
  ) -> Bool {
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    let count = unsafe buffer.withUnsafeMutableBytes {
      unsafe recv(from, $0.baseAddress, $0.count, 0)
    }
    guard count > 0 else { return false }
    var bytes = Array(buffer[..<count])
    change(&bytes)
    var sent = 0
    while sent < bytes.count {
      let moved = unsafe bytes.withUnsafeBytes {
        unsafe Glibc.send(
          to, $0.baseAddress?.advanced(by: sent), $0.count - sent, Int32(MSG_NOSIGNAL))
      }
      guard moved > 0 else { return false }
      sent += moved
    }
    return true
  }
}
