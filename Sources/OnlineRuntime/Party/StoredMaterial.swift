// A session's material from its correlation file.

public import Bytes
import Containers
public import Correlations
public import Program
public import Sharing

/// One party's correlated randomness, read in place from its file as rows need it.
public struct StoredMaterial: SessionMaterial {
  public let session: SessionShape
  public let streams: SessionStreams
  public let comparisonKey: [UInt8]
  /// By node and component; none where a seed gives the words.
  private let words: [[MappedRegion?]]
  /// By node; none where nothing is compared by keys.
  private let keys: [MappedRegion?]
  private let keyByteCounts: [Int]
  private let path: String

  /// `file` must have been checked against `program`.
  public init(file: CorrelationFile, program: SecureProgram) throws(InputError) {
    path = file.path
    session = file.header.shape
    streams = try file.streams()
    comparisonKey = BatchSeeds.comparisonKey(
      batch: file.header.batch, session: file.header.session)
    var words: [[MappedRegion?]] = []
    var keys: [MappedRegion?] = []
    for index in program.nodes.indices {
      var stored: [MappedRegion?] = []
      for number in program.correlationComponents(index).indices {
        let isHeld = program.holder(node: index, component: number) == file.header.party
        stored.append(isHeld ? try file.words(node: index, component: number) : nil)
      }
      words.append(stored)
      keys.append(
        program.nodes[index].operation.dealtKey == nil ? nil : try file.keys(node: index))
    }
    self.words = words
    self.keys = keys
    keyByteCounts = program.nodes.map { $0.operation.dealtKey?.key.byteCount ?? 0 }
  }

  public func storedWords(node: Int, component: Int, ranges: [Range<Int>]) throws(InputError)
    -> [UInt64]
  {
    guard let region = words[node][component] else {
      throw InputError(path, place: "operations/\(node)/\(component)", "is not in this file")
    }
    return try region.words(at: ranges)
  }

  public func withKeys<Result>(
    node: Int, ranges: [Range<Int>], _ body: (RawSpan) -> Result
  ) throws(InputError) -> Result {
    guard let region = keys[node] else {
      throw InputError(path, place: "operations/\(node)/keys", "is not in this file")
    }
    let size = keyByteCounts[node]
    func bytes(_ range: Range<Int>) -> Range<Int> {
      range.lowerBound * size..<range.upperBound * size
    }
    if ranges.count == 1 { return try region.withBytes(of: bytes(ranges[0])) { body($0) } }
    var joined: [UInt8] = []
    joined.reserveCapacity(size * ranges.reduce(0) { $0 + $1.count })
    for range in ranges {
      try region.withBytes(of: bytes(range)) { keys in
        unsafe keys.withUnsafeBytes { unsafe joined.append(contentsOf: $0) }
      }
    }
    return unsafe body(joined.span.bytes)
  }
}
