// One TLS 1.3 connection over a non-blocking socket.

internal import COpenSSL
import Glibc

/// The state of one connection; whoever uses it waits for the socket in between.
///
/// Several threads may use it one after the other, never at the same time. The descriptor must stay
/// open as long as this object lives.
@safe public final class TLSSession: @unchecked Sendable {
  /// Which side of the handshake this is.
  public enum Role: Sendable { case dialler, listener }

  /// How an attempt to move on ended.
  public enum Outcome: Equatable, Sendable {
    /// So many bytes went; 0 for a finished handshake.
    case moved(Int)
    /// The socket has to become readable, or writable, first.
    case wantsInput, wantsOutput
    case endOfStream
    case failed(String)
  }

  /// Where the connection keeps a pointer to this object.
  static let ownerIndex: CInt = 0

  /// A socket without SIGPIPE.
  nonisolated(unsafe) private static let socketMethod: OpaquePointer = {
    guard let method = unsafe lodge_tls_socket_method() else { preconditionFailure("no memory") }
    return unsafe method
  }()

  private let context: TLSContext
  private let ssl: OpaquePointer
  private let accepted: Set<PublicKey>
  private var offered: PublicKey?

  /// - Parameter accepted: The keys of which the other side must hold one.
  public init(_ context: TLSContext, descriptor: Int32, role: Role, accepted: Set<PublicKey>) {
    guard let ssl = unsafe SSL_new(context.context),
      let socket = unsafe lodge_tls_socket(TLSSession.socketMethod, descriptor)
    else { preconditionFailure("out of memory for TLS") }
    self.context = context
    unsafe self.ssl = ssl
    self.accepted = accepted
    unsafe SSL_set_bio(ssl, socket, socket)
    switch role {
    case .dialler: unsafe SSL_set_connect_state(ssl)
    case .listener: unsafe SSL_set_accept_state(ssl)
    }
    unsafe Ed25519.require(
      SSL_set_ex_data(ssl, TLSSession.ownerIndex, Unmanaged.passUnretained(self).toOpaque()))
  }

  deinit { unsafe SSL_free(ssl) }

  /// The key that the other side showed, known or not; it holds that key only once the handshake is
  /// finished.
  public var offeredKey: PublicKey? { offered }

  func accepts(_ key: PublicKey?) -> Bool {
    offered = key
    return key.map(accepted.contains) ?? false
  }

  /// Goes on with the handshake; finished with `moved(0)`.
  public func handshake() -> Outcome {
    let outcome = perform { unsafe SSL_do_handshake(ssl) }
    if case .moved = outcome { return .moved(0) }
    return outcome
  }

  /// Sends from the front of `bytes`. After `wantsOutput` the next call must bring the same bytes.
  public func send(_ bytes: UnsafeRawBufferPointer) -> Outcome {
    guard bytes.count > 0 else { return .moved(0) }
    return perform { unsafe SSL_write(ssl, bytes.baseAddress, CInt(clamping: bytes.count)) }
  }

  /// Receives into the front of `buffer`.
  public func receive(into buffer: UnsafeMutableRawBufferPointer) -> Outcome {
    guard buffer.count > 0 else { return .moved(0) }
    return perform { unsafe SSL_read(ssl, buffer.baseAddress, CInt(clamping: buffer.count)) }
  }

  /// Whether bytes have come that the socket does not report any more.
  public var hasBufferedInput: Bool { unsafe SSL_pending(ssl) > 0 }

  /// Tells the other side that nothing more will be sent.
  public func sendEnd() {
    ERR_clear_error()
    _ = unsafe SSL_shutdown(ssl)
    ERR_clear_error()
  }

  /// Runs one call of libssl, which gives a positive number when it has succeeded.
  private func perform(_ call: () -> CInt) -> Outcome {
    ERR_clear_error()
    errno = 0
    let result = call()
    let code = errno
    if result > 0 { return .moved(Int(result)) }
    switch unsafe SSL_get_error(ssl, result) {
    case SSL_ERROR_WANT_READ: return .wantsInput
    case SSL_ERROR_WANT_WRITE: return .wantsOutput
    case SSL_ERROR_ZERO_RETURN: return .endOfStream
    case SSL_ERROR_SYSCALL where code == 0 || code == EPIPE: return .endOfStream
    case SSL_ERROR_SYSCALL:
      let text = unsafe String(cString: strerror(code))
      return .failed(text.prefix(1).lowercased() + text.dropFirst())
    default: return .failed(failureText())
    }
  }

  private func failureText() -> String {
    let error = ERR_peek_error()
    defer { ERR_clear_error() }
    let alertOffset: CInt = 1000
    switch lodge_tls_reason(error) {
    case alertOffset + CInt(SSL_AD_BAD_CERTIFICATE), alertOffset + CInt(SSL_AD_UNKNOWN_CA):
      return "does not accept this side's key \(context.publicKey)"
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
      return offered.map { "has the key \($0), which is not accepted here" }
        ?? "shows a key that is not of the kind ssh-ed25519"
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return "shows no key"
    default:
      guard let reason = unsafe ERR_reason_error_string(error) else { return "TLS failed" }
      return unsafe "TLS failed: \(String(cString: reason))"
    }
  }
}
