// Whether anybody listens at an address yet.

import Bytes
import Glibc

extension Connection {
  /// Whether nobody listens at `address`: a connection to it is refused at once.
  public static func isRefused(by address: Address) -> Bool {
    guard let candidates = try? SocketAddress.resolve(address, listening: false) else {
      return false
    }
    return candidates.allSatisfy { candidate in
      let descriptor = Glibc.socket(
        candidate.family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
      guard descriptor >= 0 else { return false }
      defer { Glibc.close(descriptor) }
      let status = unsafe candidate.withPointer { pointer, length in
        unsafe Glibc.connect(descriptor, pointer, length)
      }
      return status != 0 && errno == ECONNREFUSED
    }
  }
}
