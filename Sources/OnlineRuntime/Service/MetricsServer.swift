// Answers who asks how a party is: `/metrics` for Prometheus, `/healthz` for whoever restarts it.

import Bytes
import Synchronization

/// A server of two short texts over HTTP/1.1, all on one thread: a request costs its few bytes.
final class MetricsServer: Sendable {
  /// Who asks at once; of more the oldest is closed.
  private static let capacity = 16
  private static let longestRequest = 4096
  private static let patience = Duration.seconds(5)

  private struct Guest {
    let connection: Connection
    let deadline: Deadline
    var request: [UInt8] = []
    var isAnswered = false
  }

  private let listener: Listener
  private let isStopped = Mutex(false)

  /// - Throws: `InputError` when the port cannot be bound.
  init(_ address: Address) throws(InputError) {
    // What is told is no secret, and the address was chosen for it.
    listener = try Listener(address, security: .plaintextAnywhere)
  }

  var address: Address { listener.address }

  func stop() {
    isStopped.withLock { $0 = true }
    listener.close()
  }

  /// Serves until `stop`; `answer` gives status and text of a path, nil where there is none.
  func run(_ answer: (String) -> (status: String, text: String)?) {
    var guests: [Guest] = []
    while !isStopped.withLock({ $0 }) {
      let ready = Readiness.wait(
        [(listener.socket, Readiness.readable)]
          + guests.map { ($0.connection.socket, Readiness.readable) }, milliseconds: 500)
      for index in guests.indices.reversed() where ready[index + 1] != 0 {
        if !advance(&guests[index], answer) { guests.remove(at: index).connection.close() }
      }
      while let late = guests.firstIndex(where: { $0.deadline.hasPassed }) {
        guests.remove(at: late).connection.close()
      }
      if ready[0] != 0, case .connection(let connection) = listener.acceptNow() {
        if guests.count == MetricsServer.capacity { guests.removeFirst().connection.close() }
        guests.append(Guest(connection: connection, deadline: .after(MetricsServer.patience)))
      }
    }
    for guest in guests { guest.connection.close() }
  }

  /// Reads what has come and answers a whole request; false when the guest has left.
  private func advance(
    _ guest: inout Guest, _ answer: (String) -> (status: String, text: String)?
  ) -> Bool {
    if guest.isAnswered { return !guest.connection.hasSentAll() }
    var bytes = [UInt8](repeating: 0, count: MetricsServer.longestRequest)
    let outcome = unsafe bytes.withUnsafeMutableBytes {
      unsafe guest.connection.socket.receive(into: $0)
    }
    guard case .moved(let count) = outcome else {
      if case .wouldBlock = outcome { return true }
      return false
    }
    guest.request += bytes[..<count]
    let text = String(decoding: guest.request, as: UTF8.self)
    let isWhole = text.contains("\r\n\r\n") || text.contains("\n\n")
    guard isWhole || guest.request.count > MetricsServer.longestRequest else { return true }
    let response = isWhole ? respond(to: text, answer) : response("431 Too Large", "too long\n")
    // It fits the buffer of a fresh connection.
    _ = unsafe response.withUnsafeBytes { unsafe guest.connection.socket.send($0) }
    guest.connection.endSending()
    guest.isAnswered = true
    return true
  }

  private func respond(
    to request: String, _ answer: (String) -> (status: String, text: String)?
  ) -> [UInt8] {
    let line = request.prefix { !$0.isNewline }.split(separator: " ")
    guard line.count == 3, line[2].hasPrefix("HTTP/1.") else {
      return response("400 Bad Request", "no request of HTTP/1.1\n")
    }
    guard line[0] == "GET" || line[0] == "HEAD" else {
      return response("405 Method Not Allowed", "only GET\n")
    }
    guard let (status, text) = answer(String(line[1])) else {
      return response("404 Not Found", "/metrics or /healthz\n")
    }
    return response(status, text, hasBody: line[0] == "GET")
  }

  private func response(_ status: String, _ text: String, hasBody: Bool = true) -> [UInt8] {
    let body = Array(text.utf8)
    let head =
      "HTTP/1.1 \(status)\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
      + "Content-Length: \(body.count)\r\nConnection: close\r\n\r\n"
    return Array(head.utf8) + (hasBody ? body : [])
  }
}
