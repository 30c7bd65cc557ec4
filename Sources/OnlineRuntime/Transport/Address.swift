// Network addresses as they stand on the command line.

public import Bytes

/// A host and a TCP port, written `host:port`, `127.0.0.1:0` or `[::1]:9000`.
public struct Address: Equatable, Sendable, CustomStringConvertible {
  /// Host name or numeric address, without brackets.
  public let host: String
  /// 0 lets the system choose when listening.
  public let port: UInt16

  public init(host: String, port: UInt16) {
    self.host = host
    self.port = port
  }

  /// - Throws: `InputError` when `text` is not of one of the forms above.
  public init(_ text: String) throws(InputError) {
    func failure(_ cause: String) -> InputError {
      InputError(
        "address \"\(text)\"", cause, hint: "write HOST:PORT, such as 127.0.0.1:9000 or [::1]:9000")
    }
    guard let colon = text.lastIndex(of: ":") else { throw failure("has no port") }
    var host = text[..<colon]
    let digits = text[text.index(after: colon)...]
    guard let port = UInt16(digits), digits.allSatisfy({ $0.isASCII && $0.isNumber }) else {
      throw failure("the port is not a number between 0 and 65535")
    }
    if host.hasPrefix("["), host.hasSuffix("]"), host.count > 2 {
      host = host.dropFirst().dropLast()
    } else if host.contains(":") || host.contains("[") || host.contains("]") {
      throw failure("an IPv6 address needs brackets around it")
    }
    guard !host.isEmpty else { throw failure("has no host") }
    self.init(host: String(host), port: port)
  }

  public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
