// Runs a program in two parties on two threads of this process, with everything in memory.

public import Bytes
import Containers
public import Correlations
import Foundation
public import OnlineRuntime
public import Program
public import Randomness
public import Sharing
import Synchronization

/// Dealt arrays of one session in memory, by party.
public final class MemoryCorrelations: CorrelationSink, Sendable {
  private struct Key: Hashable {
    var party: Int
    var node: Int
    var component: Int
  }
  private let words = Mutex<[Key: [UInt64]]>([:])
  private let keys = Mutex<[Int: [UInt8]]>([:])

  public init() {}

  public func store(_ new: [UInt64], party: Int, node: Int, component: Int, at offset: Int) {
    words.withLock {
      let old = $0[Key(party: party, node: node, component: component), default: []]
      precondition(old.count == offset)
      $0[Key(party: party, node: node, component: component)] = old + new
    }
  }

  public func storeKeys(_ bytes: [UInt8], node: Int, at offset: Int) {
    keys.withLock {
      precondition($0[node, default: []].count == offset)
      $0[node, default: []] += bytes
    }
  }

  public func stored(party: Int, node: Int, component: Int) -> [UInt64] {
    words.withLock { $0[Key(party: party, node: node, component: component)] ?? [] }
  }

  /// The bytes of all arrays of one party as its file stores them, in no particular order.
  public func allBytes(party: Int, of program: SecureProgram) -> [UInt8] {
    words.withLock { words in
      words.filter { $0.key.party == party }.flatMap { key, words in
        PackedWords.packed(
          words,
          byteCount: program.correlationComponents(key.node)[key.component].wordByteCount)
      }
    }
  }

  public func storedKeys(node: Int) -> [UInt8] { keys.withLock { $0[node] ?? [] } }

  /// All stored words of one party, in no particular order.
  public func allWords(party: Int) -> [UInt64] {
    words.withLock { $0.filter { $0.key.party == party }.flatMap(\.value) }
  }
}

/// One party's view of `MemoryCorrelations`.
public struct MemoryMaterial: SessionMaterial {
  public let session: SessionShape
  public let deployment: Deployment
  public let streams: SessionStreams
  public let comparisonKey: [UInt8]
  let program: SecureProgram
  let store: MemoryCorrelations
  let keyByteCounts: [Int: Int]
  /// By node: shares of products with a weight, to which a blind dealer's were completed.
  private var completed: [Int: [UInt64]] = [:]

  public init(
    program: SecureProgram, session: SessionShape, batch: BatchSeeds, number: Int, party: Int,
    store: MemoryCorrelations, deployment: Deployment = .twoServer, weightMasks: WeightMasks? = nil
  ) throws(InputError) {
    self.deployment = deployment
    self.program = program
    self.session = session
    self.store = store
    streams = batch.streams(session: number, party: party)
    comparisonKey = BatchSeeds.comparisonKey(batch: batch.identifier, session: number)
    keyByteCounts = Dictionary(
      uniqueKeysWithValues: program.nodes.indices.compactMap { index in
        program.nodes[index].operation.dealtKey.map { (index, $0.key.byteCount) }
      })
    guard let weightMasks else { return }
    let products = WeightMaskProducts(masks: weightMasks, program: program)
    for index in program.nodes.indices {
      guard
        let sum = try products.words(
          node: index, session: session, streams: streams, comparisonKey: comparisonKey)
      else { continue }
      let dealt =
        stores(node: index, component: 0)
        ? store.stored(party: party, node: index, component: 0)
        : streams.correlation(node: index, component: 0).words(at: 0, count: sum.count)
      completed[index] = zip(sum, dealt).map { $0 &+ $1 }
    }
  }

  public func stores(node: Int, component: Int) -> Bool {
    completed[node] != nil
      || program.holder(node: node, component: component, in: deployment) == Int(streams.party)
  }

  public func storedWords(node: Int, component: Int, ranges: [Range<Int>]) -> [UInt64] {
    let words =
      completed[node]
      ?? store.stored(party: Int(streams.party), node: node, component: component)
    return ranges.flatMap { words[$0] }
  }

  public func withKeys<Result>(
    node: Int, ranges: [Range<Int>], _ body: (RawSpan) -> Result
  ) -> Result {
    let size = keyByteCounts[node] ?? 0
    let all = store.storedKeys(node: node)
    let bytes = ranges.flatMap { all[$0.lowerBound * size..<$0.upperBound * size] }
    return unsafe body(bytes.span.bytes)
  }
}

/// Runs closures that wait for each other, each on a thread of its own.
public enum Threads {
  public static func run(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    let group = DispatchGroup()
    for index in 0..<count {
      group.enter()
      let thread = Thread {
        body(index)
        group.leave()
      }
      thread.stackSize = 8 << 20
      thread.start()
    }
    group.wait()
  }
}

/// A value that several threads change under a lock.
public final class Shared<Value: ~Copyable & Sendable>: Sendable {
  private let value: Mutex<Value>

  public init(_ value: consuming sending Value) { self.value = Mutex(value) }

  public func withLock<Result>(_ body: (inout sending Value) -> sending Result) -> Result {
    value.withLock(body)
  }
}

/// Two in-process ends that swap the words of a round.
public final class PairedChannel: OpeningChannel, Sendable {
  private final class Mailbox: Sendable {
    let slot = Mutex<[[UInt64]]>([])
    let ready = DispatchSemaphore(value: 0)
  }
  private let outgoing: Mailbox
  private let incoming: Mailbox
  private let sent = Mutex<[[UInt64]]>([])

  private init(outgoing: Mailbox, incoming: Mailbox) {
    self.outgoing = outgoing
    self.incoming = incoming
  }

  public static func pair() -> [PairedChannel] {
    let (a, b) = (Mailbox(), Mailbox())
    return [PairedChannel(outgoing: a, incoming: b), PairedChannel(outgoing: b, incoming: a)]
  }

  public func exchange(_ words: [UInt64], incomingCount: Int) throws(InputError) -> [UInt64] {
    sent.withLock { $0.append(words) }
    if !words.isEmpty {
      outgoing.slot.withLock { $0.append(words) }
      outgoing.ready.signal()
    }
    guard incomingCount > 0 else { return [] }
    incoming.ready.wait()
    return incoming.slot.withLock { $0.removeFirst() }
  }

  /// What this end sent, one array a round.
  public var rounds: [[UInt64]] { sent.withLock { $0 } }
}

/// A session of a program in two parties.
public struct TwoPartyRun {
  public let program: SecureProgram
  public let session: SessionShape
  public let batch: BatchSeeds
  public let deployment: Deployment
  public let correlations = MemoryCorrelations()
  public let channels = PairedChannel.pair()
  /// What every step opened, by node, as party 0 saw it.
  public let openings = Shared<[[Int: [UInt64]]]>([])
  /// What party 1 saw that the program hardly has room for.
  public let strained = Shared(StrainedOperands())
  private let weights: [[UInt64]]

  /// What hides the weights from a blind dealer.
  private var weightMasks: WeightMasks? {
    deployment.isDealerBlind ? WeightMasks(batch.seed.derived(label: "test masks")) : nil
  }

  /// Deals session 0 of the batch with this `seed`; `weights` are plaintext ring elements.
  public init(
    program: SecureProgram, weights: [[UInt64]], session: SessionShape, seed: Seed,
    deployment: Deployment = .twoServer
  ) throws {
    self.deployment = deployment
    self.program = program
    self.session = session
    self.weights = weights
    batch = BatchSeeds(seed: seed)
    var dealt = weights
    if let weightMasks {
      for id in weights.indices {
        let mask = weightMasks.stream(id).words(at: 0, count: weights[id].count)
        dealt[id] = zip(weights[id], mask).map { $0 &- $1 }
      }
    }
    try Dealer(program: program, deployment: deployment, weights: dealt, batch: batch)
      .deal(session: 0, shape: session, into: correlations)
  }

  /// Runs the steps one after the other and returns the reconstructed output of each.
  ///
  /// - Parameter party1: What stands between party 1 and its channel, from its material; nil for
  ///   nothing.
  public func run(
    _ inputs: [(words: [UInt64], rowCount: Int)],
    party1: (@Sendable (PairedChannel, MemoryMaterial) -> any OpeningChannel)? = nil
  ) throws -> [[UInt64]] {
    try run(
      inputs.map { (words: $0.words, request: StepRequest(rowCount: $0.rowCount)) }, party1: party1)
  }

  /// The same for steps that may take rows back and ask for several outputs.
  public func run(
    _ inputs: [(words: [UInt64], request: StepRequest)],
    party1: (@Sendable (PairedChannel, MemoryMaterial) -> any OpeningChannel)? = nil
  ) throws -> [[UInt64]] {
    let shareSeed = batch.seed.derived(label: "test shares")
    @Sendable func share(_ words: [UInt64], party: Int, salt: Int, label: String) -> [UInt64] {
      let mask = RandomStream(
        seed: shareSeed.derived(label: label),
        label: StreamLabel(session: 0, party: 0, operation: UInt32(salt), kind: 9, index: 0)
      ).words(at: 0, count: words.count)
      return party == 0 ? zip(words, mask).map { $0 &- $1 } : mask
    }
    let isWithUser = deployment == .providerUser
    let weightMasks = weightMasks
    let results = Shared<[Int: [[UInt64]]]>([:])
    let failures = Shared<[any Error]>([])
    Threads.run(2) {
      [program, weights, session, batch, correlations, channels, openings, strained, deployment]
      party in
      do {
        let material = try MemoryMaterial(
          program: program, session: session, batch: batch, number: 0, party: party,
          store: correlations, deployment: deployment, weightMasks: weightMasks)
        let channel: any OpeningChannel =
          party == 1 ? party1?(channels[1], material) ?? channels[1] : channels[0]
        var interpreter = PartyInterpreter(
          program: program,
          weights: weights.enumerated().map { id, elements in
            if isWithUser { return party == 0 ? program.plain(id, elements) : .words([]) }
            return .words(share(elements, party: party, salt: id, label: "weight"))
          },
          material: material)
        if party == 0 {
          interpreter.observe = { node, words in
            openings.withLock { $0[$0.count - 1][node] = words }
          }
        }
        var outputs: [[UInt64]] = []
        for (index, input) in inputs.enumerated() {
          if party == 0 { openings.withLock { $0.append([:]) } }
          let inputShare =
            isWithUser
            ? (party == 1 ? input.words : input.words.map { _ in 0 })
            : share(input.words, party: party, salt: index, label: "input")
          outputs.append(
            try interpreter.step(
              inputShare: inputShare, input.request, through: channel))
        }
        if party == 1 { strained.withLock { [found = interpreter.strained] in $0 = found } }
        results.withLock { [outputs] in $0[party] = outputs }
      } catch { failures.withLock { $0.append(error) } }
    }
    if let failure = failures.withLock({ $0.first }) { throw failure }
    let unused = UInt64(64 - program.outputBits)
    return results.withLock { results in
      zip(results[0] ?? [], results[1] ?? []).map { steps in
        zip(steps.0, steps.1).map {
          UInt64(bitPattern: Int64(bitPattern: ($0 &+ $1) &<< unused) &>> Int64(unused))
        }
      }
    }
  }
}

extension SecureProgram {
  /// `elements` as a provider holds them.
  fileprivate func plain(_ id: WeightID, _ elements: [UInt64]) -> HeldWeight {
    let halves = elements.map { Int16(truncatingIfNeeded: $0) }
    guard linearWeights.contains(id),
      halves.map({ UInt64(bitPattern: Int64($0)) }) == elements
    else { return .words(elements) }
    return HeldWeight(halves, of: weights[id])
  }
}
