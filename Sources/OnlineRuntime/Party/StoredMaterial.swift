// A session's material from its correlation file.

public import Bytes
public import Correlations
public import Program
public import Sharing

/// One party's correlated randomness, read from its file as rows need it.
public struct StoredMaterial: SessionMaterial {
  public let session: SessionShape
  public let streams: SessionStreams
  public let comparisonKey: [UInt8]
  private let file: CorrelationFile
  private let keyByteCounts: [Int: Int]

  /// `file` must have been checked against `program`.
  public init(file: CorrelationFile, program: SecureProgram) throws(InputError) {
    self.file = file
    session = file.header.shape
    streams = try file.streams()
    comparisonKey = BatchSeeds.comparisonKey(
      batch: file.header.batch, session: file.header.session)
    var counts: [Int: Int] = [:]
    for index in program.nodes.indices { counts[index] = program.comparisonKeyByteCount(index) }
    keyByteCounts = counts
  }

  public func storedWords(node: Int, component: Int, ranges: [Range<Int>]) throws(InputError)
    -> [UInt64]
  {
    try file.words(node: node, component: component, ranges: ranges)
  }

  public func withComparisonKeys<Result>(
    node: Int, ranges: [Range<Int>], _ body: (RawSpan) -> Result
  ) throws(InputError) -> Result {
    try file.withKeys(
      node: node, keyByteCount: keyByteCounts[node] ?? 0, ranges: ranges, body)
  }
}
