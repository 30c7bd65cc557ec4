// A session's material from its correlation file.

public import Bytes
import Containers
public import Correlations
public import Program
import Randomness
import Rings
public import Sharing

/// One party's correlated randomness, read in place from its file as rows need it.
public struct StoredMaterial: SessionMaterial {
  public let session: SessionShape
  public let deployment: Deployment
  public let streams: SessionStreams
  public let comparisonKey: [UInt8]
  /// By node and component; none where a seed gives the words.
  private let words: [[MappedRegion?]]
  /// By node: shares of products with a weight, to which a blind dealer's were completed.
  private let completed: [Int: [UInt64]]
  /// By node; none where nothing is compared by keys.
  private let keys: [MappedRegion?]
  private let keyByteCounts: [Int]
  /// What the other party passes on: instead of keys in the file.
  private let passed: PassedKeys
  /// The nodes whose keys this party passes on.
  private let passedOn: [Int]
  private let path: String

  /// `file` must have been checked against `program`; `weightMasks` are those of a conversion whose
  /// dealer is blind.
  public init(
    file: CorrelationFile, program: SecureProgram, weightMasks: WeightMasks? = nil
  ) throws(InputError) {
    path = file.path
    session = file.header.shape
    deployment = file.header.conversion.deployment
    streams = try file.streams()
    comparisonKey = BatchSeeds.comparisonKey(
      batch: file.header.batch, session: file.header.session)
    var words: [[MappedRegion?]] = []
    var keys: [MappedRegion?] = []
    let holders = file.header.keyHolders(program)
    var passed: [PassedKeys.Part] = []
    var passedOn: [Int] = []
    for index in program.nodes.indices {
      var stored: [MappedRegion?] = []
      for number in program.correlationComponents(index).indices {
        let isHeld =
          program.holder(
            node: index, component: number, in: file.header.conversion.deployment)
          == file.header.party
        stored.append(isHeld ? try file.words(node: index, component: number) : nil)
      }
      words.append(stored)
      guard let (value, key) = program.nodes[index].operation.dealtKey else {
        keys.append(nil)
        continue
      }
      guard holders.stores(index, party: file.header.party) else {
        keys.append(nil)
        passed.append(
          PassedKeys.Part(
            node: index,
            byteCount: session.dealtCount(program.values[value].shape) * key.byteCount,
            digest: try file.keysDigest(node: index)))
        continue
      }
      keys.append(try file.keys(node: index))
      if !holders.stores(index, party: 1 - file.header.party) { passedOn.append(index) }
    }
    self.passed = PassedKeys(passed)
    self.passedOn = passedOn
    self.words = words
    self.keys = keys
    var completed: [Int: [UInt64]] = [:]
    if let weightMasks {
      let products = WeightMaskProducts(masks: weightMasks, program: program)
      for index in program.nodes.indices {
        guard
          var sum = try products.words(
            node: index, session: session, streams: streams,
            comparisonKey: comparisonKey)
        else { continue }
        let dealt =
          try words[index][0]?.words(at: [0..<sum.count])
          ?? streams.correlation(node: index, component: 0).words(at: 0, count: sum.count)
        WordArrays.best.add(dealt, to: &sum)
        completed[index] = sum
      }
    }
    self.completed = completed
    keyByteCounts = program.nodes.map { $0.operation.dealtKey?.key.byteCount ?? 0 }
  }

  public func stores(node: Int, component: Int) -> Bool {
    completed[node] != nil || words[node][component] != nil
  }

  public func storedWords(node: Int, component: Int, ranges: [Range<Int>]) throws(InputError)
    -> [UInt64]
  {
    if let all = completed[node] { return ranges.flatMap { all[$0] } }
    guard let region = words[node][component] else {
      throw InputError(path, place: "operations/\(node)/\(component)", "is not in this file")
    }
    return try region.words(at: ranges)
  }

  /// Sends the keys that only this party has, and receives those that only the other has, both at the
  /// same time.
  func passKeys(through peer: Connection) throws(InputError) {
    var frames: [(region: MappedRegion, bytes: Range<Int>)] = []
    for node in passedOn {
      guard let region = keys[node] else { continue }
      let byteCount = region.description.shape[0] * region.description.shape[1]
      frames += PassedKeys.frames(byteCount: byteCount).map { (region, $0) }
    }
    try passed.exchange(with: peer, sendingFrames: frames.count) { (number) throws(InputError) in
      try frames[number].region.withBytes(of: frames[number].bytes) { bytes in
        unsafe bytes.withUnsafeBytes { unsafe Array($0) }
      }
    }
  }

  public func withKeys<Result>(
    node: Int, ranges: [Range<Int>], _ body: (RawSpan) -> Result
  ) throws(InputError) -> Result {
    let size = keyByteCounts[node]
    if let passed = passed.keys(node: node) {
      if ranges.count == 1 {
        let bytes = ranges[0].lowerBound * size..<ranges[0].upperBound * size
        return unsafe body(passed.span.bytes.extracting(bytes))
      }
      let joined = ranges.flatMap { passed[$0.lowerBound * size..<$0.upperBound * size] }
      return unsafe body(joined.span.bytes)
    }
    guard let region = keys[node] else {
      throw InputError(path, place: "operations/\(node)/keys", "is not in this file")
    }
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
