// The calls to the system's sockets; nothing above this file sees a descriptor's errors as numbers.

import Bytes
import Glibc

/// An open TCP socket in non-blocking mode, closed when the last reference goes.
final class Socket: Sendable {
  /// How an attempt to move bytes ended.
  enum Outcome {
    case moved(Int)
    case wouldBlock
    case endOfStream
    case failed(String)
  }

  let descriptor: Int32

  /// Takes ownership of `descriptor`.
  init(owning descriptor: Int32) { self.descriptor = descriptor }

  deinit { _ = close(descriptor) }

  /// Ends both directions; calls that wait on the socket return. Safe from any thread.
  func shutDown() { _ = shutdown(descriptor, Int32(SHUT_RDWR)) }

  /// Ends both directions and resets the connection when the socket goes.
  ///
  /// A sender that was told to wait by a full window would otherwise not hear of the end before the
  /// kernel forgets the connection, a minute later.
  func abandon() {
    var linger = linger(l_onoff: 1, l_linger: 0)
    _ = unsafe setsockopt(
      descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
    shutDown()
  }

  /// Announces that nothing more will be sent.
  func shutDownSending() { _ = shutdown(descriptor, Int32(SHUT_WR)) }

  func send(_ bytes: UnsafeRawBufferPointer) -> Outcome {
    while true {
      let count = unsafe Glibc.send(
        descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
      if count >= 0 { return .moved(count) }
      if errno == EINTR { continue }
      if errno == EAGAIN || errno == EWOULDBLOCK { return .wouldBlock }
      if errno == EPIPE { return .failed("closed the connection") }
      return .failed(Socket.text(errno))
    }
  }

  func receive(into buffer: UnsafeMutableRawBufferPointer) -> Outcome {
    while true {
      let count = unsafe recv(descriptor, buffer.baseAddress, buffer.count, 0)
      if count > 0 { return .moved(count) }
      if count == 0 { return .endOfStream }
      if errno == EINTR { continue }
      if errno == EAGAIN || errno == EWOULDBLOCK { return .wouldBlock }
      return .failed(Socket.text(errno))
    }
  }

  /// Sets no delay for small frames and the probes that find a vanished host within six seconds.
  func configureForSession() {
    set(IPPROTO_TCP, TCP_NODELAY, 1)
    set(Int(SOL_SOCKET), SO_KEEPALIVE, 1)
    set(IPPROTO_TCP, TCP_KEEPIDLE, 3)
    set(IPPROTO_TCP, TCP_KEEPINTVL, 1)
    set(IPPROTO_TCP, TCP_KEEPCNT, 3)
  }

  func set(_ level: Int, _ option: Int32, _ value: Int32) {
    var value = value
    _ = unsafe setsockopt(
      descriptor, Int32(level), option, &value, socklen_t(MemoryLayout<Int32>.size))
  }

  /// True when sent bytes, or probes of a closed window, are without any answer for `seconds`.
  ///
  /// TCP_USER_TIMEOUT would do the same but also cuts off a healthy peer that computes for longer
  /// than that with its receive window closed.
  func isUnanswered(seconds: Int) -> Bool {
    var information = tcp_info()
    var size = socklen_t(MemoryLayout<tcp_info>.size)
    let status = unsafe getsockopt(
      descriptor, Int32(IPPROTO_TCP), TCP_INFO, &information, &size)
    guard status == 0, Int(information.tcpi_last_ack_recv) >= seconds * 1000 else { return false }
    return information.tcpi_unacked > 0 || information.tcpi_probes >= 4
  }

  /// The system's description of an error number.
  static func text(_ code: Int32) -> String {
    let text = unsafe String(cString: strerror(code))
    return text.prefix(1).lowercased() + text.dropFirst()
  }
}

/// Which of several sockets have something to report.
enum Readiness {
  static let readable = Int16(POLLIN)
  static let writable = Int16(POLLOUT)
  /// The other side has closed (POLLRDHUP, which Swift's Glibc does not import).
  static let closed = Int16(0x2000)
  private static let broken = Int16(POLLERR) | Int16(POLLHUP) | Int16(POLLNVAL)

  /// Waits until one of `watched` reports one of its events; returns what each reports, all zero
  /// after `milliseconds`. An error on a socket is reported as every event that was asked for.
  static func wait(_ watched: [(socket: Socket, events: Int16)], milliseconds: Int) -> [Int16] {
    var entries = watched.map { pollfd(fd: $0.socket.descriptor, events: $0.events, revents: 0) }
    let count = unsafe poll(&entries, nfds_t(entries.count), Int32(clamping: max(0, milliseconds)))
    if count <= 0 { return watched.map { _ in 0 } }
    return zip(entries, watched).map { entry, watch in
      entry.revents & broken != 0 ? watch.events : entry.revents & watch.events
    }
  }
}
