// What one party needs for a session besides its weights: masks, correlations, comparison keys.

public import Bytes
public import Program
public import Sharing

/// One party's correlated randomness of one session, wherever it is stored.
public protocol SessionMaterial {
  var session: SessionShape { get }
  var deployment: Deployment { get }
  var streams: SessionStreams { get }
  /// Public key of the permutation behind the comparison keys, 16 bytes.
  var comparisonKey: [UInt8] { get }
  /// Whether `storedWords` gives component `component` of node `node`; a seed does if not.
  func stores(node: Int, component: Int) -> Bool
  /// This party's stored shares of component `component` of node `node` at `ranges`.
  func storedWords(node: Int, component: Int, ranges: [Range<Int>]) throws(InputError) -> [UInt64]
  /// The comparison keys of node `node` at `ranges` of its elements.
  func withKeys<Result>(
    node: Int, ranges: [Range<Int>], _ body: (RawSpan) -> Result
  ) throws(InputError) -> Result
}

extension SessionMaterial {
  var party: Int { Int(streams.party) }
}
