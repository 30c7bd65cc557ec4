// The label that separates one random stream of a seed from all its other streams.

/// Names one stream: who draws it, in which session, for which operation and purpose.
public struct StreamLabel: Hashable, Sendable {
  public var session: UInt32
  /// 0 or 1 for a party, 2 for the dealer.
  public var party: UInt8
  /// Index of the operation in the program.
  public var operation: UInt32
  /// What the words are for; the meanings belong to the module that draws them.
  public var kind: UInt8
  /// Position, row or chunk where an operation draws more than one stream of a kind.
  public var index: UInt32

  public init(session: UInt32, party: UInt8, operation: UInt32, kind: UInt8, index: UInt32) {
    self.session = session
    self.party = party
    self.operation = operation
    self.kind = kind
    self.index = index
  }

  /// "lodge/1/stream" || session || party || operation || kind || index, little-endian, 28 bytes.
  public var bytes: [UInt8] {
    var result = Array("lodge/1/stream".utf8)
    result.reserveCapacity(28)
    func append(_ value: UInt32) {
      for shift in stride(from: 0, to: 32, by: 8) { result.append(UInt8(value >> shift & 0xff)) }
    }
    append(session)
    result.append(party)
    append(operation)
    result.append(kind)
    append(index)
    return result
  }
}
