// The labelled random streams of one party in one session; `formats/randomness.md` lists them.

import Program
public import Randomness

/// What a stream is for; the `kind` of its label.
public enum StreamKind: UInt8, Sendable {
  /// A party's share of the mask of an opened value.
  case mask = 0
  /// A party's share of a correlated array that the other party's file stores.
  case correlation = 1
  /// A party's root seeds of comparison keys, two words each.
  case comparisonRoot = 2
  /// A party's share of a static weight that the other party's bundle stores.
  case weight = 3
  /// A party's share of the mask bits of comparisons by bits, in tiles.
  case comparisonMask = 4
  /// Party 0's permutations of one row.
  case permutation = 5
  /// Party 1's masks of the operands of permuted functions.
  case permutedOperand = 6
  /// Party 1's masks of their results.
  case permutedResult = 7
  /// What is taken off a static weight for a blind dealer.
  case weightMask = 8
  /// A party's roots of the masks of blocks, two words a row.
  case blockRoot = 9
  /// The owner's orders of blocks, from a seed that serves nothing else.
  case blockOrder = 10
  /// The dealer's draws of which blocks run though their gates are closed.
  case noise = 11
  /// Party 0's pads of the factors of permuted functions.
  case permutedFactor = 12
  /// Party 1's share of the client's input rows, from a seed that serves nothing else.
  case clientInput = 0x49
}

/// The streams of one party in one session, from that party's session seed.
public struct SessionStreams: Sendable {
  public let seed: Seed
  public let session: UInt32
  public let party: UInt8

  public init(seed: Seed, session: Int, party: Int) {
    self.seed = seed
    self.session = UInt32(session)
    self.party = UInt8(party)
  }

  private func stream(_ kind: StreamKind, _ operation: Int, _ index: Int = 0) -> RandomStream {
    RandomStream(
      seed: seed,
      label: StreamLabel(
        session: session, party: party, operation: UInt32(operation), kind: kind.rawValue,
        index: UInt32(index)))
  }

  /// Share of the mask of the value that node `node` opens: where that is the result of the permuted
  /// function at node `permuted`, and opened in silence, party 1's takes away its share of it.
  public func mask(node: Int, ofResult permuted: Int? = nil) -> RandomStream {
    guard party == 1, let permuted else { return stream(.mask, node) }
    return correlation(node: permuted, component: PermutedFunction.resultComponent).negated
  }

  /// Roots of the masks of the blocks that node `node` opens.
  func blockRoots(node: Int) -> RandomStream { stream(.blockRoot, node) }

  /// Share of component `component` of the correlations of node `node`.
  public func correlation(node: Int, component: Int) -> RandomStream {
    stream(.correlation, node, component)
  }

  /// Shares of the mask bits of the comparisons of node `node`, in tiles.
  public func comparisonMask(node: Int) -> RandomStream { stream(.comparisonMask, node) }

  /// The permutations that party 0 applies to dealt row `row` at node `node`.
  public func permutation(node: Int, row: Int) -> RandomStream { stream(.permutation, node, row) }

  /// Party 1's mask of the operand of the permuted function at node `node`, or of its factor.
  public func permutedOperand(node: Int, ofFactor: Bool = false) -> RandomStream {
    stream(.permutedOperand, node, ofFactor ? 1 : 0)
  }

  /// Party 1's mask of its result, in permuted order, or of the product of that with what it has of the
  /// factor.
  public func permutedResult(node: Int, ofFactor: Bool = false) -> RandomStream {
    stream(.permutedResult, node, ofFactor ? 1 : 0)
  }

  /// Party 0's pads of the factor of the permuted function at node `node`, in permuted order, or of the
  /// differences that party 1 chooses by.
  public func permutedFactor(node: Int, ofDifferences: Bool = false) -> RandomStream {
    stream(.permutedFactor, node, ofDifferences ? 1 : 0)
  }

  /// Root seeds of the comparison keys of node `node`.
  public func keyRoots(node: Int) -> RandomStream { stream(.comparisonRoot, node) }
}

extension RandomStream {
  /// Words at `ranges` of the stream, one after the other.
  public func words(in ranges: [Range<Int>]) -> [UInt64] {
    if ranges.count == 1 { return words(at: ranges[0].lowerBound, count: ranges[0].count) }
    var result: [UInt64] = []
    result.reserveCapacity(ranges.reduce(0) { $0 + $1.count })
    for range in ranges {
      result.append(contentsOf: words(at: range.lowerBound, count: range.count))
    }
    return result
  }
}

/// What a batch of sessions derives from its 32-byte seed.
public struct BatchSeeds: Sendable {
  /// Known to the dealer only.
  public let seed: Seed

  public init(seed: Seed) { self.seed = seed }

  /// Names the batch in file headers and ledgers; reveals nothing of the seed.
  public var identifier: [UInt8] { Array(seed.derived(label: "lodge/1/batch").bytes.prefix(16)) }

  /// The streams of `party` in `session`; each session file carries only its own party's seed.
  public func streams(session: Int, party: Int) -> SessionStreams {
    SessionStreams(
      seed: seed.derived(label: "lodge/1/session/\(session)/party/\(party)"), session: session,
      party: party)
  }

  /// The dealer's own draws in `session`, which neither party can make.
  public func noise(session: Int) -> SessionNoise {
    SessionNoise(
      seed: seed.derived(label: "lodge/1/session/\(session)/noise"), session: session)
  }

  /// The public key of the permutation behind the comparison keys of `session`.
  public static func comparisonKey(batch: [UInt8], session: Int) -> [UInt8] {
    Array(SHA256.digest(Array("lodge/1/comparison/\(session)/".utf8) + batch).prefix(16))
  }
}
