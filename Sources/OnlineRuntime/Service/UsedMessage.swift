// What a party tells the other of its ledger when they meet.

import Bytes

/// Sessions of one batch that the sender's ledger holds, as half-open ranges.
///
/// A ledger that does not fit one frame takes several; `more` is false in the last. A party without
/// any used session sends one message without ranges.
struct UsedMessage: Equatable, Sendable {
  /// Ranges in one message; the longest message stays far below the limit of control frames.
  static let maximumRangeCount = 1500
  /// Sessions that a party believes another to have used.
  static let maximumSessionCount = 1 << 20

  /// Empty in a message without ranges.
  var batch = ""
  var ranges: [Range<Int>] = []
  var more = false

  var payload: [UInt8] {
    let json: JSON = [
      "batch": .string(batch),
      "ranges": .array(ranges.flatMap { [.integer($0.lowerBound), .integer($0.upperBound)] }),
      "more": .bool(more),
    ]
    return Array(json.text.utf8)
  }

  var sessionCount: Int { ranges.reduce(0) { $0 + $1.count } }

  var keys: [SessionKey] {
    ranges.flatMap { $0.map { SessionKey(batch: batch, session: $0) } }
  }

  /// The messages that tell `keys`, which are in order.
  static func messages(of keys: [SessionKey]) -> [UsedMessage] {
    var result: [UsedMessage] = []
    for key in keys {
      let end = result.last?.ranges.last?.upperBound
      if result.last?.batch == key.batch, end == key.session {
        let range = result[result.count - 1].ranges.removeLast()
        result[result.count - 1].ranges.append(range.lowerBound..<key.session + 1)
        continue
      }
      let isFull = result.last.map { $0.ranges.count == maximumRangeCount } ?? true
      if isFull || result.last?.batch != key.batch { result.append(UsedMessage(batch: key.batch)) }
      result[result.count - 1].ranges.append(key.session..<key.session + 1)
    }
    if result.isEmpty { return [UsedMessage()] }
    for index in result.indices.dropLast() { result[index].more = true }
    return result
  }
}

extension UsedMessage {
  init(_ frame: Frame, source: String) throws(InputError) {
    var reader = try frame.reader(.used, source: source)
    batch = try reader.string("batch")
    let ends = try reader.integers("ranges")
    more = try reader.bool("more")
    try reader.finish()
    guard ends.count.isMultiple(of: 2), ends.count <= 2 * UsedMessage.maximumRangeCount else {
      throw reader.failure("ranges", "\(ends.count) numbers")
    }
    var last = -1
    for index in stride(from: 0, to: ends.count, by: 2) {
      let (start, end) = (ends[index], ends[index + 1])
      guard start > last, start < end, SessionKey(batch: batch, session: end).isWellFormed else {
        throw reader.failure("ranges[\(index)]", "no range of session numbers")
      }
      ranges.append(start..<end)
      last = end
    }
    // Otherwise such messages could come for ever.
    guard !more || !ranges.isEmpty else { throw reader.failure("more", "after no session at all") }
  }
}

extension SessionServer {
  /// Exchanges with `peer` what both ledgers hold and burns here what the peer has used.
  ///
  /// After a crash between two claims, or when an old copy of one ledger was put back, this ledger
  /// lacks sessions that the other holds. Without this it would offer them again as soon as the
  /// other ledger is lost as well.
  func reconcile(with peer: Connection) throws(InputError) {
    // One after the other: two long ledgers sent at once would block each other.
    if service.identity.party == 0 { try UsedMessage.tell(ledger.claimedSessions(), to: peer) }
    let keys = try UsedMessage.receive(from: peer)
    burn(keys, usedBy: peer)
    if service.identity.party == 1 { try UsedMessage.tell(ledger.claimedSessions(), to: peer) }
  }

  /// The same between a provider and one of its users, who is told of its own batches only.
  func reconcile(with user: WaitingClient) throws(InputError) {
    let batches = Set(
      try provider.availableSessions().filter { $0.user == nil || $0.user == user.name.key }
        .map(\.key.batch))
    let peer = user.connection
    try UsedMessage.tell(
      ledger.claimedSessions().filter { batches.contains($0.batch) }, to: peer)
    burn(
      try UsedMessage.receive(from: peer).filter { batches.contains($0.batch) }, usedBy: peer)
  }

  private func burn(_ keys: [SessionKey], usedBy peer: Connection) {
    var burned: [SessionKey] = []
    do throws(InputError) {
      burned = try ledger.burn(keys)
    } catch {
      // They are remembered, and written before any session is claimed.
      report(error)
    }
    guard let first = burned.first else { return }
    service.log(
      "burned \(burned.count == 1 ? "\(first)" : "\(burned.count) sessions, the first \(first)"): "
        + "used by \(peer.label) and unknown to this ledger (a crash, or an old copy of it)")
  }

}

extension UsedMessage {
  static func tell(_ keys: [SessionKey], to peer: Connection) throws(InputError) {
    for message in messages(of: keys) {
      try peer.send(.used, message.payload, deadline: .after(.seconds(10)))
    }
  }

  /// What the peer's ledger holds; `first` is its first message, where that has come already.
  static func receive(from peer: Connection, first: Frame? = nil) throws(InputError)
    -> [SessionKey]
  {
    var keys: [SessionKey] = []
    var next = first
    var more = true
    while more {
      let frame: Frame
      if let first = next {
        frame = first
      } else {
        frame = try peer.receive(.control(.used), deadline: .after(.seconds(10)))
      }
      next = nil
      let message = try UsedMessage(frame, source: peer.label)
      guard keys.count + message.sessionCount <= UsedMessage.maximumSessionCount else {
        throw InputError(peer.label, "claims to have used more than a million sessions")
      }
      keys += message.keys
      more = message.more
    }
    return keys
  }
}
