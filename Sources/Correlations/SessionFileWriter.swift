// Writes one session's correlated randomness for both parties, on disk.

import Bytes
import Containers
import Program
import Randomness
import Sharing
import Synchronization

/// Writes the two files of one session side by side.
///
/// Arrays are digested while they are written, and keys that are in both files only once. Files that
/// are not finished go with the writer.
final class SessionFileWriter: CorrelationSink {
  private struct Place: Hashable {
    var node: Int
    /// Nil for comparison keys.
    var component: Int?
  }

  private let writer0: Mutex<ContainerWriter?>
  private let writer1: Mutex<ContainerWriter?>
  private let arrays: [Place: DealtArray]
  /// The party that gets a digest of a node's keys instead of them.
  private let digestReceivers: [Int: Int]

  /// `files`: those of party 0 and party 1, which appear once they are finished.
  init(
    files: [OutgoingFile], header: CorrelationHeader, program: SecureProgram,
    streams: [SessionStreams]
  ) throws(InputError) {
    func writer(_ party: Int) throws(InputError) -> ContainerWriter {
      var header = header
      header.party = party
      let writer = try files[party].writer(
        kind: "correlations", header: header.json,
        datasets: CorrelationLayout.datasets(
          program, header.shape, party: party, deployment: header.conversion.deployment,
          keys: header.keys))
      try writer.write(CorrelationLayout.seedName, values: streams[party].seed.bytes)
      return writer
    }
    let holders = header.keyHolders(program)
    var digestReceivers: [Int: Int] = [:]
    let first = try writer(0)
    let second = try writer(1)
    var arrays: [Place: DealtArray] = [:]
    for index in program.nodes.indices {
      for component in program.correlationComponents(index).indices {
        let name = CorrelationLayout.words(node: index, component: component)
        let holder = program.holder(
          node: index, component: component, in: header.conversion.deployment)
        arrays[Place(node: index, component: component)] = DealtArray(
          [holder == 0 ? first.region(of: name) : second.region(of: name)])
      }
      if program.nodes[index].operation.dealtKey != nil {
        let name = CorrelationLayout.keys(node: index)
        var regions: [RawRegion] = []
        for party in 0...1 {
          if holders.stores(index, party: party) {
            regions.append(party == 0 ? first.region(of: name) : second.region(of: name))
          } else {
            digestReceivers[index] = party
          }
        }
        arrays[Place(node: index)] = DealtArray(regions)
      }
    }
    self.arrays = arrays
    self.digestReceivers = digestReceivers
    writer0 = Mutex(first)
    writer1 = Mutex(second)
  }

  func store(_ words: [UInt64], party: Int, node: Int, component: Int, at offset: Int)
    throws(InputError)
  {
    let array = array(Place(node: node, component: component))
    let byteCount = array.rowByteCount
    let bytes = PackedWords.packed(words, byteCount: byteCount)
    try unsafe array.append(bytes.span.bytes, atElement: offset * byteCount)
  }

  func storeKeys(_ bytes: [UInt8], node: Int, at offset: Int) throws(InputError) {
    try unsafe array(Place(node: node)).append(bytes.span.bytes, atElement: offset)
  }

  private func array(_ place: Place) -> DealtArray {
    guard let array = arrays[place] else {
      preconditionFailure("node \(place.node) has no such array")
    }
    return array
  }

  /// Completes both containers and returns their digests; may be called once.
  func finish() throws(InputError) -> [[UInt8]] {
    guard let first = writer0.withLock({ $0.take() }),
      let second = writer1.withLock({ $0.take() })
    else { preconditionFailure("a session is finished once") }
    for (node, party) in digestReceivers {
      let name = CorrelationLayout.keysDigest(node: node)
      let digest = array(Place(node: node)).digest
      if party == 0 {
        try first.write(name, values: digest)
      } else {
        try second.write(name, values: digest)
      }
    }
    return [try first.finish(), try second.finish()]
  }
}

/// An array on its way to one file or, the same, to both.
private final class DealtArray: Sendable {
  private struct State: ~Copyable {
    var hasher: SHA256Hasher?
    var byteCount = 0
    var digest: [UInt8]?
  }

  private let regions: [RawRegion]
  private let state = Mutex(State(hasher: nil))

  init(_ regions: [RawRegion]) { self.regions = regions }

  /// Bytes of a word, or of a key.
  var rowByteCount: Int { regions[0].description.shape[1] }

  /// Of all bytes, once they are there.
  var digest: [UInt8] { state.withLock { $0.digest } ?? SHA256.digest([]) }

  /// Writes the next elements; `bytes` are whole elements, and `first` is the number of the first.
  func append(_ bytes: RawSpan, atElement first: Int) throws(InputError) {
    for region in regions { try region.write(bytes: bytes, atElement: first) }
    let digest = state.withLock { state in
      let description = regions[0].description
      precondition(
        state.byteCount == first * description.elementType.byteCount,
        "an array is stored in order")
      var hasher = state.hasher.take() ?? SHA256Hasher()
      hasher.update(bytes)
      state.byteCount += bytes.byteCount
      guard state.byteCount < description.byteCount else {
        let digest = hasher.finalize()
        state.digest = digest
        return [digest]
      }
      state.hasher = consume hasher
      return [[UInt8]]()
    }
    if let digest = digest.first {
      for region in regions { region.setDigest(digest) }
    }
  }
}
