// The messages that parties and clients send each other, apart from the data; see formats/wire.md.

import Bytes
import Models
import Program
import Randomness

/// Who speaks; the first frame in each direction of every connection.
enum Hello: Equatable, Sendable {
  case client
  case party(PartyIdentity)
  /// Party 1 opens a connection for sessions, in the meeting of this name.
  case lane([UInt8])

  var payload: [UInt8] {
    switch self {
    case .client: return Array(JSON.object(["role": "client"]).text.utf8)
    case .lane(let meeting):
      let json: JSON = ["role": "lane", "meeting": .string(meeting.hexadecimal)]
      return Array(json.text.utf8)
    case .party(let identity):
      var members = identity.output.members(of: identity.kind)
      let always: [String: JSON] = [
        "role": "party", "party": .integer(identity.party),
        "program": .string(identity.programDigest.hexadecimal),
        "conversion": .string(identity.conversionDigest.hexadecimal),
        "inputWidth": .integer(identity.inputWidth),
        "outputWidth": .integer(identity.outputWidth), "decoder": .bool(identity.isDecoder),
        "embedding": .bool(identity.takesEmbedding), "rejection": .bool(identity.allowsRejection),
        "outputFractionalBits": .integer(identity.outputFractionalBits),
      ]
      members.merge(always) { _, new in new }
      if identity.outputBits < 64 { members["outputBits"] = .integer(identity.outputBits) }
      if identity.deployment != .twoServer {
        members["deployment"] = .string(identity.deployment.rawValue)
      }
      return Array(JSON.object(members).text.utf8)
    }
  }

  init(_ frame: Frame, source: String) throws(InputError) {
    var reader = try frame.reader(.hello, source: source)
    switch try reader.string("role") {
    case "client": self = .client
    case "lane": self = .lane(try Meeting.identifier(&reader))
    case "party":
      let isDecoder = try reader.bool("decoder")
      let hasContext = reader.contains(ContextMarkers.key)
      let kind: ModelKind = !isDecoder ? .encoder : hasContext ? .prefixDecoder : .decoder
      var deployment = Deployment.twoServer
      if reader.contains("deployment") {
        let name = try reader.string("deployment")
        guard let known = Deployment(rawValue: name), known != .twoServer else {
          throw reader.failure("deployment", "is not known here")
        }
        deployment = known
      }
      self = .party(
        PartyIdentity(
          party: try reader.integer("party", in: 0...1),
          programDigest: try reader.hexadecimal("program", byteCounts: 1...64),
          conversionDigest: try reader.hexadecimal("conversion", byteCounts: 1...64),
          inputWidth: try reader.integer("inputWidth", in: 1...1 << 24),
          outputWidth: try reader.integer("outputWidth", in: 1...1 << 24),
          isDecoder: isDecoder,
          takesEmbedding: try reader.bool("embedding"),
          outputFractionalBits: try reader.integer("outputFractionalBits", in: 0...62),
          outputBits: try reader.contains("outputBits")
            ? reader.integer("outputBits", in: 2...63) : 64,
          output: try OutputDescription(&reader, of: kind), deployment: deployment,
          allowsRejection: try reader.bool("rejection")))
    default: throw reader.failure("role", "is no party, client or lane")
    }
    try reader.finish()
  }
}

extension Hello {
  /// Sends this hello over a connection that was dialled, and returns what is said to it.
  func answer(of connection: Connection, _ limit: Deadline) throws(InputError) -> Hello {
    try connection.send(.hello, payload, deadline: limit)
    let answer: Frame
    do throws(InputError) {
      answer = try connection.receive(.control(.hello, .refusal), deadline: limit)
    } catch {
      var error = error
      // Who has keys takes a plain hello for noise, and cannot say so.
      if error.hint.isEmpty, connection.peerKey == nil { error.hint = "was it started with keys?" }
      throw error
    }
    return try Hello(answer, source: connection.label)
  }
}

/// A client's wish for a session.
struct BeginMessage: Equatable, Sendable {
  static let requestByteCount = 16

  /// Random name under which both parties find the same client.
  var request: [UInt8]
  var promptCount: Int
  var newCount: Int

  var payload: [UInt8] {
    let json: JSON = [
      "request": .string(request.hexadecimal), "prompt": .integer(promptCount),
      "new": .integer(newCount),
    ]
    return Array(json.text.utf8)
  }
}

extension BeginMessage {
  /// The steps that are asked for: more are refused, though more may be dealt.
  func shape(_ kind: ModelKind) -> SessionShape {
    SessionShape(
      kind: kind, promptCapacity: promptCount, newCapacity: kind.isDecoder ? max(newCount, 1) : 0)
  }

  /// Under a fresh name.
  static func random(promptCount: Int, newCount: Int) -> BeginMessage {
    var generator = SystemRandomNumberGenerator()
    return BeginMessage(
      request: (0..<requestByteCount).map { _ in UInt8.random(in: 0...255, using: &generator) },
      promptCount: promptCount, newCount: newCount)
  }

  init(_ frame: Frame, source: String) throws(InputError) {
    var reader = try frame.reader(.begin, source: source)
    try self.init(&reader)
    try reader.finish()
  }

  init(_ reader: inout JSONReader) throws(InputError) {
    let count = BeginMessage.requestByteCount
    request = try reader.hexadecimal("request", byteCounts: count...count)
    promptCount = try reader.integer("prompt", in: 1...1 << 20)
    newCount = try reader.integer("new", in: 0...1 << 20)
  }
}

extension Seed {
  /// Of a client's shares for party 1.
  init(_ frame: Frame, source: String) throws(InputError) {
    guard frame.type == .seed, frame.payload.count == Seed.byteCount else {
      throw InputError(source, "sent no seed for its input shares")
    }
    self.init(bytes: frame.payload)
  }
}

/// A client as one party describes it to the other.
struct SeenClient: Equatable, Sendable {
  /// The public key that it has shown, in hexadecimal; empty without keys.
  var key: String
  var begin: BeginMessage

  var name: ClientName { ClientName(key: key, request: begin.request) }

  var members: [String: JSON] {
    [
      "request": .string(begin.request.hexadecimal), "prompt": .integer(begin.promptCount),
      "new": .integer(begin.newCount), "client": .string(key),
    ]
  }
}

extension SeenClient {
  init(_ client: WaitingClient) { self.init(key: client.name.key, begin: client.begin) }

  init(_ reader: inout JSONReader) throws(InputError) {
    begin = try BeginMessage(&reader)
    key = try reader.string("client")
    guard key.isEmpty || [UInt8](hexadecimal: key)?.count == 32 else {
      throw reader.failure("client", "is no public key")
    }
  }
}

/// The clients that wait at party 1.
struct ClientsMessage: Equatable, Sendable {
  var clients: [SeenClient] = []

  var payload: [UInt8] {
    let json: JSON = ["clients": .array(clients.map { .object($0.members) })]
    return Array(json.text.utf8)
  }
}

extension ClientsMessage {
  init(_ frame: Frame, source: String) throws(InputError) {
    var reader = try frame.reader(.clients, source: source)
    let elements = try reader.array("clients")
    try reader.finish()
    guard elements.count <= Inbox.capacity else {
      throw reader.failure("clients", "names \(elements.count), at most \(Inbox.capacity) wait")
    }
    for element in elements {
      var inner = try JSONReader(element, source: source, place: "clients")
      clients.append(try SeenClient(&inner))
      try inner.finish()
    }
  }
}

/// Party 0's choice of a session for a client's request.
struct ProposalMessage: Equatable, Sendable {
  var client: SeenClient
  var key: SessionKey

  var payload: [UInt8] {
    let members = client.members.merging(key.members) { first, _ in first }
    return Array(JSON.object(members).text.utf8)
  }
}

extension ProposalMessage {
  init(_ frame: Frame, source: String) throws(InputError) {
    var reader = try frame.reader(.proposal, source: source)
    client = try SeenClient(&reader)
    key = try SessionKey(&reader)
    try reader.finish()
  }
}

/// Party 1's answer to a proposal that it has not claimed.
struct DeclineMessage: Equatable, Sendable {
  var kind: SessionFault.Kind
  var reason: String
  var hint: String

  var payload: [UInt8] {
    let json: JSON = [
      "fault": .string(kind.rawValue), "reason": .string(PlainText.line(reason)),
      "hint": .string(PlainText.line(hint)),
    ]
    return Array(json.text.utf8)
  }

  func fault(source: String) -> SessionFault {
    SessionFault(kind, InputError(source, reason, hint: hint))
  }
}

extension DeclineMessage {
  /// - Parameter sender: Who declines; the receiver knows and need not be told.
  init(_ fault: SessionFault, from sender: String) {
    let refusal = Refusal(fault.error, from: sender)
    self.init(kind: fault.kind, reason: refusal.reason, hint: refusal.hint)
  }

  init(_ frame: Frame, source: String) throws(InputError) {
    var reader = try frame.reader(.decline, source: source)
    let text = try reader.string("fault")
    guard let kind = SessionFault.Kind(rawValue: text) else {
      throw reader.failure("fault", "\(PlainText.line(text)) is none")
    }
    self.kind = kind
    reason = PlainText.line(try reader.string("reason"))
    hint = PlainText.line(try reader.string("hint"))
    try reader.finish()
  }
}

extension SessionKey {
  fileprivate var members: [String: JSON] {
    ["batch": .string(batch), "session": .integer(session)]
  }

  /// Payload of `ready` and `acceptance`.
  var payload: [UInt8] { Array(JSON.object(members).text.utf8) }

  init(_ frame: Frame, type: FrameType, source: String) throws(InputError) {
    var reader = try frame.reader(type, source: source)
    try self.init(&reader)
    try reader.finish()
  }

  fileprivate init(_ reader: inout JSONReader) throws(InputError) {
    self.init(batch: try reader.string("batch"), session: try reader.integer("session"))
    guard isWellFormed else { throw reader.failure("batch", "not a session's name") }
  }
}

/// Why something does not happen.
struct Refusal: Equatable, Sendable {
  var reason: String
  var hint = ""
  /// True when the same may work with another session, or a moment later.
  var mayRetry = false

  var payload: [UInt8] {
    let json: JSON = [
      "reason": .string(PlainText.line(reason)), "hint": .string(PlainText.line(hint)),
      "retry": .bool(mayRetry),
    ]
    return Array(json.text.utf8)
  }

  func error(source: String) -> InputError { InputError(source, reason, hint: hint) }
}

extension Refusal {
  /// - Parameter sender: Who refuses; the receiver knows and need not be told.
  init(_ error: InputError, from sender: String, mayRetry: Bool = false) {
    self.init(
      reason: error.source == sender ? error.cause : error.description, hint: error.hint,
      mayRetry: mayRetry)
  }

  init(_ frame: Frame, source: String) throws(InputError) {
    var reader = try frame.reader(.refusal, source: source)
    reason = PlainText.line(try reader.string("reason"))
    hint = PlainText.line(try reader.string("hint"))
    mayRetry = try reader.bool("retry")
    try reader.finish()
  }
}

/// The end of a session, sent once in each direction.
struct SessionEnd: Equatable, Sendable {
  var isFinished: Bool
  /// Why it ended early; empty for a finished session.
  var reason: String

  var payload: [UInt8] {
    let json: JSON = [
      "finished": .bool(isFinished), "reason": .string(PlainText.line(reason)),
    ]
    return Array(json.text.utf8)
  }
}

extension SessionEnd {
  init(_ frame: Frame, source: String) throws(InputError) {
    var reader = try frame.reader(.end, source: source)
    isFinished = try reader.bool("finished")
    reason = PlainText.line(try reader.string("reason"))
    try reader.finish()
  }

  /// What to say when `frame` came in place of an opening.
  static func interruptionText(_ frame: Frame) -> String {
    guard let end = try? SessionEnd(frame, source: "peer") else {
      return "sent a \(frame.type) frame in the middle of a step"
    }
    return "ended the session: \(end.reason.isEmpty ? "no reason given" : end.reason)"
  }
}

/// The notice to a client that has to wait.
enum WaitingNotice {
  static func payload(_ reason: String) -> [UInt8] {
    Array(JSON.object(["reason": .string(PlainText.line(reason))]).text.utf8)
  }

  static func reason(_ frame: Frame, source: String) throws(InputError) -> String {
    var reader = try frame.reader(.waiting, source: source)
    let reason = PlainText.line(try reader.string("reason"))
    try reader.finish()
    return reason
  }
}

extension Frame {
  /// The members of a JSON payload, once the frame is of the expected type.
  ///
  /// A refusal in place of what was expected is thrown as the error that it carries.
  func reader(_ expected: FrameType, source: String) throws(InputError) -> JSONReader {
    if type == .refusal, expected != .refusal {
      throw try Refusal(self, source: source).error(source: source)
    }
    guard type == expected else {
      throw InputError(source, "sent a \(type) frame where a \(expected) frame was expected")
    }
    return try JSONReader(JSON.parse(payload, source: source), source: source, place: "\(type)")
  }
}

/// Text of the other side on its way to a log or a terminal.
enum PlainText {
  /// At most 500 characters, without line breaks and other control characters.
  static func line(_ text: String) -> String {
    var scalars = String.UnicodeScalarView()
    for scalar in text.unicodeScalars.prefix(500) {
      let isControl = scalar.properties.generalCategory == .control
      scalars.append(isControl ? " " : scalar)
    }
    return String(scalars)
  }
}
