// Sessions dealt together, in small pieces or on another arm are those dealt alone, bit for bit.

import Bytes
import Correlations
import Foundation
import Models
import Program
import Randomness
import Rings
import Sharing
import TestSupport
import Testing

struct GroupDealingTests {
  private static let batch = BatchSeeds(seed: Seed(bytes: [UInt8](repeating: 7, count: 32)))
  private static let sessions = [4, 0, 9]

  /// Everything that is stored for one session, array by array.
  private static func arrays(_ store: MemoryCorrelations, _ program: SecureProgram) -> [[UInt64]] {
    var result: [[UInt64]] = []
    for index in program.nodes.indices {
      for component in program.correlationComponents(index).indices {
        for party in 0...1 {
          result.append(store.stored(party: party, node: index, component: component))
        }
      }
      result.append(store.storedKeys(node: index).map(UInt64.init))
    }
    return result
  }

  private static func converted(_ family: String) throws -> ConvertedModel {
    let checkpoint: TinyCheckpoint =
      switch family {
      case "opt": .opt(layerCount: 1, width: 24, innerWidth: 40)
      case "llama": .llama(layerCount: 1, innerWidth: 32)
      default: .bert(layerCount: 1, width: 24, innerWidth: 40)
      }
    let folder = try ScratchFolder()
    _ = try checkpoint.write(to: folder)
    return try ConvertedModel(
      path: folder.path, calibrationTexts: [[2, 5, 1, 7, 3, 3], [1, 1, 6, 2, 4, 8]])
  }

  @Test(arguments: ["opt", "llama", "bert"])
  func groupsPiecesAndArmsMakeNoDifference(family: String) throws {
    let model = try Self.converted(family)
    let shape = SessionShape(
      kind: model.program.kind, promptCapacity: model.program.kind == .decoder ? 4 : 6,
      newCapacity: model.program.kind == .decoder ? 3 : 0)
    func dealer(_ arm: KernelArm = .best) -> Dealer {
      Dealer(
        program: model.program, weights: model.weights, batch: Self.batch, arm: arm)
    }
    let alone = try Self.sessions.map { session in
      let store = MemoryCorrelations()
      try dealer().deal(session: session, shape: shape, into: store)
      return Self.arrays(store, model.program)
    }
    #expect(Set(alone).count == 3)
    func expectSame(_ arm: KernelArm, _ plan: DealingPlan, _ what: Comment) throws {
      let stores = Self.sessions.map { _ in MemoryCorrelations() }
      var finished = 0
      try dealer(arm).deal(
        sessions: zip(Self.sessions, stores).map { (number: $0, sink: $1) }, shape: shape,
        plan: plan
      ) { finished += 1 }
      #expect(finished == model.program.nodes.count)
      #expect(stores.map { Self.arrays($0, model.program) } == alone, what)
    }
    let usual = try dealer().plan(shape)
    for arm in KernelArm.tested { try expectSame(arm, usual, "\(arm)") }
    // One row of a product, one of a weight, one of attention, single elements and keys at a time;
    // pieces of odd sizes; and masks that are made in the product although they are few.
    for (words, elements, keys, rowsInMemory) in [
      (1, 1, 1, 191), (130, 7, 5000, 0), (60, 50, 1, 2),
    ] {
      var plan = usual
      plan.productWordCount = words
      plan.weightWordCount = words
      plan.taskWordCount = words
      plan.elementWordCount = elements
      plan.keyByteCount = keys
      plan.mostRowsInMemory = rowsInMemory
      try expectSame(.best, plan, "\(words) words, \(elements) elements, \(keys) bytes of keys")
    }
  }

  @Test func theMemoryBoundsTheGroup() throws {
    let model = try Self.converted("opt")
    let shape = SessionShape(kind: .decoder, promptCapacity: 4, newCapacity: 3)
    func dealer(_ byteCount: Int) -> Dealer {
      Dealer(
        program: model.program, weights: model.weights, batch: Self.batch,
        memory: MemoryBudget(byteCount: byteCount))
    }
    let groups = try [120, 150, 300, 2048].map { try dealer($0 << 20).sessionsPerGroup(shape) }
    #expect(groups == groups.sorted() && groups[0] < groups[3], "\(groups)")
    #expect((1...8).contains(groups[0]) && groups[3] == 32, "\(groups)")
    let error = inputError { _ = try dealer(64 << 20).sessionsPerGroup(shape) }
    #expect(error?.source == "--memory")
    let least = try #require(
      error?.hint.split(separator: " ").last?.dropLast(3)
    ).description
    #expect(try dealer((Int(least) ?? 0) << 20).sessionsPerGroup(shape) == 1)
  }

  /// A sink that takes so much and then fails.
  private final class FailingSink: CorrelationSink {
    let limit: Int
    private let store = MemoryCorrelations()
    init(limit: Int) { self.limit = limit }

    func store(_ words: [UInt64], party: Int, node: Int, component: Int, at offset: Int)
      throws(InputError)
    {
      if node >= limit { throw InputError("sink", place: "\(node)", "is full") }
      store.store(words, party: party, node: node, component: component, at: offset)
    }

    func storeKeys(_ bytes: [UInt8], node: Int, at offset: Int) {
      store.storeKeys(bytes, node: node, at: offset)
    }
  }

  /// The tasks of the other sessions and chunks end, whatever waits for whom.
  @Test func aSinkThatFailsEndsTheGroup() throws {
    let model = try Self.converted("opt")
    let shape = SessionShape(kind: .decoder, promptCapacity: 4, newCapacity: 3)
    let dealer = Dealer(program: model.program, weights: model.weights, batch: Self.batch)
    var plan = try dealer.plan(shape)
    plan.elementWordCount = 1
    plan.keyByteCount = 1
    let limits = [Int.max, 0, 30, Int.max]
    let error = inputError {
      try dealer.deal(
        sessions: limits.enumerated().map { (number: $0, sink: FailingSink(limit: $1)) },
        shape: shape, plan: plan)
    }
    #expect(error?.cause == "is full" && error?.source == "sink")
  }

  @Test func filesAreTheSameInGroups() throws {
    let fixture = try DealerFixture()
    let batch = try fixture.batch()
    let alone = try [0, 1, 2, 3].map { session in
      _ = try fixture.deal(batch, session: session)
      return try DealerFixture.bytes(batch, session: session)
    }
    for (name, mebibytes) in [("small", 120), ("large", 2048)] {
      let folder = fixture.folder(name)
      try FileManager.default.createDirectory(
        atPath: folder, withIntermediateDirectories: true)
      try FileManager.default.copyItem(
        atPath: "\(batch.folder)/dealer.batch", toPath: "\(folder)/dealer.batch")
      let other = try fixture.batch(name)
      func deal(_ sessions: [Int]) throws -> [Int] {
        try other.deal(
          sessions: sessions, program: fixture.bundle.program, weights: fixture.bundle,
          memory: MemoryBudget(byteCount: mebibytes << 20))
      }
      #expect(try deal([2]) == [2])
      var reached = 0
      let dealt = try other.deal(
        sessions: 0..<4, program: fixture.bundle.program, weights: fixture.bundle,
        memory: MemoryBudget(byteCount: mebibytes << 20), progress: { reached += $0 })
      #expect(dealt == [0, 1, 3])
      #expect(reached == 4 * fixture.bundle.program.nodes.count)
      #expect(try (0..<4).map { try DealerFixture.bytes(other, session: $0) } == alone)
      #expect(try deal([0, 1, 2, 3]).isEmpty)
      #expect(FileManager.default.files(below: folder).count == 9 + 2)
    }
  }

  /// Arrays are digested while they are written: the digests are those of what is in the file.
  @Test func digestsTakenWhileWritingAreRight() throws {
    let fixture = try DealerFixture(.bert(layerCount: 1))
    let batch = try fixture.batch()
    _ = try batch.deal(
      sessions: 0..<2, program: fixture.bundle.program, weights: fixture.bundle)
    #expect(
      try BatchFolder(path: batch.folder).missing(of: 0..<2).isEmpty)
    for session in 0..<2 { _ = try DealerFixture.digests(batch, session: session) }
  }
}
