// Batches on disk: sessions are dealt once, the same from the same seed, and only what fits is
// used.

import Bytes
import Containers
import Correlations
import Foundation
import Models
import OnlineRuntime
import Program
import Sharing
import TestSupport
import Testing

/// A tiny conversion and what its dealer holds.
struct DealerFixture {
  let files: ConversionFiles
  let bundle: DealerBundle
  let shape: SessionShape

  init(_ checkpoint: TinyCheckpoint = .opt(layerCount: 1)) throws {
    try self.init(.tiny(checkpoint))
  }

  init(_ files: ConversionFiles) throws {
    self.files = files
    bundle = try DealerBundle(path: "\(files.folder)/dealer.bundle")
    let kind = bundle.program.kind
    shape = SessionShape(kind: kind, promptCapacity: 3, newCapacity: kind == .decoder ? 4 : 0)
  }

  func folder(_ name: String) -> String { files.scratch.file(name) }

  func batch(_ name: String = "corr") throws -> Batch {
    try Batch(folder: folder(name), conversion: bundle.conversion, shape: shape)
  }

  func deal(_ batch: Batch, session: Int = 0) throws -> Bool {
    try batch.deal(session: session, program: bundle.program, weights: bundle)
  }

  /// The bytes of both files of a session.
  static func bytes(_ batch: Batch, session: Int = 0) throws -> [Data] {
    try (0...1).map { party in
      try Data(contentsOf: URL(filePath: batch.path(party: party, session: session)))
    }
  }

  /// Root digests of both files.
  static func digests(_ batch: Batch, session: Int = 0) throws -> [[UInt8]] {
    try (0...1).map { party in
      try ContainerReader(
        path: batch.path(party: party, session: session), kind: "correlations", verifying: true
      ).digest
    }
  }
}

struct BatchTests {
  @Test func finishedSessionsAreKept() throws {
    let fixture = try DealerFixture()
    let batch = try fixture.batch()
    #expect(try fixture.deal(batch))
    let before = try DealerFixture.bytes(batch)
    let seedFile = try Data(contentsOf: URL(filePath: "\(batch.folder)/dealer.batch"))
    let again = try fixture.batch()
    #expect(again.seeds.identifier == batch.seeds.identifier)
    #expect(try !fixture.deal(again))
    #expect(try DealerFixture.bytes(again) == before)
    #expect(try Data(contentsOf: URL(filePath: "\(again.folder)/dealer.batch")) == seedFile)
    #expect(try fixture.deal(again, session: 1))
    #expect(try DealerFixture.bytes(again) == before)
    let names = try FileManager.default.contentsOfDirectory(atPath: "\(batch.folder)/party0")
    #expect(names.sorted() == ["000000.corr", "000001.corr"])
  }

  /// A dealer that is killed while it starts a batch leaves nothing that stays.
  @Test func unfinishedBatchesLeaveNothing() throws {
    let fixture = try DealerFixture()
    let folder = try ScratchFolder()
    let seed = folder.file("dealer.batch")
    // What a killed one has left: nobody holds its lock.
    close(try PartialFile.create(for: seed, flags: O_WRONLY, mode: 0o600).descriptor)
    let batch = try Batch(
      folder: folder.path, conversion: fixture.files.result.conversion,
      shape: SessionShape(kind: .decoder, promptCapacity: 2, newCapacity: 1))
    #expect(try folder.names() == ["dealer.batch", "party0", "party1"])
    // Dealers that start one folder at once use one seed.
    try FileManager.default.removeItem(atPath: seed)
    let identifiers = try ConcurrentTasks.map(8) { (_) throws(InputError) in
      try Batch(folder: folder.path, conversion: batch.conversion, shape: batch.shape)
        .seeds.identifier
    }
    #expect(Set(identifiers).count == 1)
    #expect(try folder.names() == ["dealer.batch", "party0", "party1"])
  }

  @Test func halfDealtSessionIsDealtAgainTheSame() throws {
    let fixture = try DealerFixture()
    let batch = try fixture.batch()
    _ = try fixture.deal(batch)
    let before = try DealerFixture.bytes(batch)
    try FileManager.default.removeItem(atPath: batch.path(party: 1, session: 0))
    #expect(try fixture.deal(batch))
    #expect(try DealerFixture.bytes(batch) == before)
  }

  /// A file that is there counts when its digests are right, and not only because it is there.
  @Test(arguments: [0, 1])
  func damagedSessionsAreReplacedByTheSameBytes(party: Int) throws {
    let fixture = try DealerFixture()
    let batch = try fixture.batch()
    _ = try fixture.deal(batch)
    let before = try DealerFixture.bytes(batch)
    let path = batch.path(party: party, session: 0)
    let whole = [UInt8](before[party])
    // Content, which its digest covers, a header, and files cut short.
    for (place, count) in [(whole.count - 100, whole.count), (0, whole.count), (0, 5000), (0, 0)] {
      var bytes = Array(whole.prefix(count))
      if !bytes.isEmpty { bytes[place] ^= 1 }
      try AtomicFile.write(bytes, to: path)
      #expect(try fixture.deal(batch))
      #expect(try DealerFixture.bytes(batch) == before)
      #expect(try !fixture.deal(batch))
    }
  }

  @Test func sameSeedGivesTheSameBytes() throws {
    let fixture = try DealerFixture()
    let batch = try fixture.batch()
    for session in [0, 3] { _ = try fixture.deal(batch, session: session) }
    let copy = fixture.folder("copy")
    for folder in [copy, "\(copy)/party0", "\(copy)/party1"] {
      try FileManager.default.createDirectory(
        atPath: folder, withIntermediateDirectories: true)
    }
    try FileManager.default.copyItem(
      atPath: "\(batch.folder)/dealer.batch", toPath: "\(copy)/dealer.batch")
    let other = try fixture.batch("copy")
    // Out of order: a session depends on the seed and its number only.
    for session in [3, 0] {
      #expect(try fixture.deal(other, session: session))
      #expect(
        try DealerFixture.bytes(other, session: session)
          == DealerFixture.bytes(batch, session: session))
    }
  }

  @Test func sessionsAndBatchesDiffer() throws {
    let fixture = try DealerFixture()
    let batch = try fixture.batch()
    _ = try fixture.deal(batch)
    _ = try fixture.deal(batch, session: 1)
    let other = try fixture.batch("other")
    _ = try fixture.deal(other)
    #expect(batch.seeds.identifier != other.seeds.identifier)
    let all =
      try DealerFixture.digests(batch) + DealerFixture.digests(batch, session: 1)
      + DealerFixture.digests(other)
    #expect(Set(all).count == all.count)
  }

  @Test func otherConversionOrShapeIsRefused() throws {
    let fixture = try DealerFixture()
    _ = try fixture.batch()
    let again = try fixture.files.shareAgain(into: "again").conversion
    let conversion = inputError {
      _ = try Batch(folder: fixture.folder("corr"), conversion: again, shape: fixture.shape)
    }
    #expect(conversion?.place == "conversion")
    for shape in [(4, 2), (3, 3)] {
      let error = inputError {
        _ = try Batch(
          folder: fixture.folder("corr"), conversion: fixture.bundle.conversion,
          shape: SessionShape(kind: .decoder, promptCapacity: shape.0, newCapacity: shape.1))
      }
      #expect(error?.place == "promptCapacity")
      #expect(error?.hint == "choose another --out folder")
    }
  }

  @Test func foreignSessionFilesAreRefused() throws {
    let fixture = try DealerFixture()
    let batch = try fixture.batch()
    let other = try fixture.batch("other")
    _ = try fixture.deal(other)
    _ = try fixture.deal(other, session: 1)
    for (session, place) in [(0, "batch"), (1, "batch")] {
      for party in 0...1 {
        let path = batch.path(party: party, session: 0)
        try? FileManager.default.removeItem(atPath: path)
        try FileManager.default.copyItem(
          atPath: other.path(party: party, session: session), toPath: path)
      }
      #expect(inputError { _ = try fixture.deal(batch) }?.place == place)
    }
  }

  @Test func changedSeedFileIsRefused() throws {
    let fixture = try DealerFixture()
    let batch = try fixture.batch()
    let path = "\(batch.folder)/dealer.batch"
    let copy = fixture.folder("changed")
    try DamagedFile.rewrite(path, to: copy) {
      $0["batch"] = .string(String(repeating: "ab", count: 16))
    }
    try FileManager.default.removeItem(atPath: path)
    try FileManager.default.moveItem(atPath: copy, toPath: path)
    #expect(inputError { _ = try fixture.batch() }?.place == "batch")
  }

  @Test func missingWeightIsNamed() throws {
    let fixture = try DealerFixture()
    let batch = try fixture.batch()
    let program = fixture.bundle.program
    let id = try #require(program.multipliedWeights.last)
    let weights = try program.weights.indices.map { other in
      program.multipliedWeights.contains(other) && other != id
        ? try fixture.bundle.weight(other) : []
    }
    let error = inputError {
      _ = try batch.deal(session: 0, program: program, weights: weights)
    }
    #expect(error?.place == "weights/\(id)")
    #expect(FileManager.default.files(below: "\(batch.folder)/party0").isEmpty)
  }
}
