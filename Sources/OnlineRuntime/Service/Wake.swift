// Lets one thread end another's wait for sockets.

import Bytes
import Glibc

/// A socket that is readable from `signal` until the waiting thread clears it.
final class Wake: Sendable {
  let socket: Socket
  private let far: Socket

  init() throws(InputError) {
    var ends: [Int32] = [-1, -1]
    let type =
      Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
    guard unsafe socketpair(AF_UNIX, type, 0, &ends) == 0 else {
      throw InputError("party", "cannot wait", system: errno)
    }
    socket = Socket(owning: ends[0])
    far = Socket(owning: ends[1])
  }

  /// Ends the wait that is going on, or the next one; a full socket is readable already.
  func signal() {
    _ = unsafe withUnsafeBytes(of: UInt8(1)) { unsafe far.send($0) }
  }

  func clear() {
    var bytes = [UInt8](repeating: 0, count: 4096)
    _ = unsafe bytes.withUnsafeMutableBytes { unsafe socket.receive(into: $0) }
  }
}
