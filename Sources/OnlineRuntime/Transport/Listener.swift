// The listening end of a party.

public import Bytes
import Glibc

/// A bound TCP port that accepts connections.
public final class Listener: Sendable {
  /// Connections that the system keeps until they are accepted: a flood of them must not keep
  /// others from being among them.
  private static let backlog: Int32 = 1024

  let socket: Socket
  /// The bound address with the port that the system chose.
  public let address: Address

  /// - Parameter security: What the connections will be given; plain ones may need loopback.
  /// - Throws: `InputError` naming the address when it cannot be bound, such as a port in use.
  public init(
    _ address: Address, security: ChannelSecurity = .plaintextOnLoopback
  ) throws(InputError) {
    var failure = InputError(address.description, "no address to listen on")
    for candidate in try SocketAddress.resolve(address, listening: true) {
      try security.check(candidate, address)
      let descriptor = Glibc.socket(
        candidate.family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
      guard descriptor >= 0 else {
        failure = InputError(address.description, Socket.text(errno))
        continue
      }
      let socket = Socket(owning: descriptor)
      // Lets a restarted party take its port while old connections are in TIME_WAIT.
      socket.set(Int(SOL_SOCKET), SO_REUSEADDR, 1)
      let bound = unsafe candidate.withPointer { pointer, length in
        unsafe bind(descriptor, pointer, length)
      }
      guard bound == 0, listen(descriptor, Listener.backlog) == 0 else {
        let code = errno
        failure =
          code == EADDRINUSE
          ? InputError(
            address.description, "the port is in use",
            hint: "stop the process that listens there or choose another port")
          : InputError(address.description, "cannot listen here: \(Socket.text(code))")
        continue
      }
      _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
      self.socket = socket
      let actual = unsafe SocketAddress.filled { pointer, length in
        unsafe getsockname(descriptor, pointer, length)
      }
      self.address = actual.address.numeric ?? address
      return
    }
    throw failure
  }

  /// The next connection, or nil when none came within `milliseconds` or the listener was closed.
  public func accept(milliseconds: Int) -> Connection? {
    let events = Readiness.wait([(socket, Readiness.readable)], milliseconds: milliseconds)
    guard events[0] != 0, case .connection(let connection) = acceptNow() else { return nil }
    return connection
  }

  /// What waits at the port.
  enum Arrival {
    case connection(Connection)
    case nobody
    /// Somebody for whom this process has no descriptor left.
    case exhausted
  }

  /// The next connection that is there already.
  func acceptNow() -> Arrival {
    let accepted = unsafe SocketAddress.filled { pointer, length in
      unsafe Glibc.accept(socket.descriptor, pointer, length)
    }
    guard accepted.result >= 0 else {
      let isExhausted = [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(errno)
      return isExhausted ? .exhausted : .nobody
    }
    _ = fcntl(accepted.result, F_SETFL, O_NONBLOCK)
    _ = fcntl(accepted.result, F_SETFD, FD_CLOEXEC)
    let peer = accepted.address.numeric
    return .connection(
      Connection(
        Socket(owning: accepted.result), label: peer?.description ?? "unknown address",
        host: peer?.host ?? ""))
  }

  /// Stops listening; a waiting `accept` returns nil. Safe from any thread.
  public func close() { socket.shutDown() }
}
