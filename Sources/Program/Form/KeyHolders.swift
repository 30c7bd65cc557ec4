// Which session files have the comparison and point keys, which are the same for both parties.

/// How many session files of two servers have an operation's keys.
public enum KeyCopies: String, CaseIterable, Sendable {
  /// Each party's.
  case both
  /// One party's: it passes them on to the other before the first step.
  case once
}

/// The party whose session file alone has the keys of an operation, for all operations.
///
/// A user has digests of keys and gets them from the provider. Of two servers each has digests of
/// those that the other passes on.
public struct KeyHolders: Equatable, Sendable {
  /// By node; nil where both files have the keys, or none are dealt.
  private let holders: [Int?]

  /// Bytes of the digest of an operation's keys.
  public static let digestByteCount = 32

  /// With `once` the keys of an operation go to the party that has fewer bytes of those before it, to
  /// party 0 where these are equal.
  public init(
    _ program: SecureProgram, _ session: SessionShape, in deployment: Deployment,
    copies: KeyCopies = .both
  ) {
    var byteCounts = [0, 0]
    holders = program.nodes.map { node in
      guard let (value, key) = node.operation.dealtKey else { return nil }
      if deployment == .providerUser { return 0 }
      if copies == .both { return nil }
      let holder = byteCounts[0] <= byteCounts[1] ? 0 : 1
      byteCounts[holder] += session.dealtCount(program.values[value].shape) * key.byteCount
      return holder
    }
  }

  /// Whether the file of `party` has the keys of node `node`, where there are any.
  public func stores(_ node: Int, party: Int) -> Bool {
    holders[node].map { $0 == party } ?? true
  }
}
