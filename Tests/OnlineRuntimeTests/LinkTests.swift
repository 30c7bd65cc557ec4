// Files with secrets are not opened through symbolic links; checkpoints and folders may be links.

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
import Trust

@Suite struct LinkTests {
  private static let cause =
    "is a symbolic link, and files with secrets are not opened through one"

  private let files: ConversionFiles
  private let link: String

  init() throws {
    files = try ConversionFiles.tiny(.opt(layerCount: 1))
    link = files.scratch.file("link")
  }

  /// Expects the refusal of a link to `target`, and that the file itself is taken.
  private func expectRefusal(of target: String, _ open: (String) throws -> Void) throws {
    try? FileManager.default.removeItem(atPath: link)
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: target)
    let error = inputError { try open(link) }
    #expect(error?.cause == LinkTests.cause, "\(target): \(String(describing: error))")
    #expect(error?.source == link)
    try open(target)
  }

  @Test func containersAreNotOpenedThroughLinks() throws {
    let shares = files.folder
    try expectRefusal(of: files.modelPath) { _ = try ModelFile(path: $0) }
    try expectRefusal(of: files.bundlePath(0)) { _ = try PartyBundle(path: $0) }
    try expectRefusal(of: "\(shares)/dealer.bundle") { _ = try DealerBundle(path: $0) }
    try expectRefusal(of: files.bundlePath(1)) { _ = try FileDigest(path: $0) }
    let batch = try Batch(
      folder: files.scratch.file("sessions"), conversion: files.result.conversion,
      shape: SessionShape(kind: .decoder, promptCapacity: 2, newCapacity: 1))
    let dealer = try DealerBundle(path: "\(shares)/dealer.bundle")
    _ = try batch.deal(session: 0, program: files.program, weights: dealer)
    try expectRefusal(of: batch.path(party: 1, session: 0)) {
      _ = try CorrelationFile(path: $0, verifying: true)
    }
    try expectRefusal(of: "\(batch.folder)/dealer.batch") {
      _ = try ContainerReader(path: $0, kind: "batch", verifying: true)
    }
  }

  @Test func keysAreNotReadThroughLinks() throws {
    let path = files.scratch.file("owner.key")
    try PrivateKey.random().write(to: path, comment: "")
    try expectRefusal(of: path) { _ = try PrivateKey(path: $0) }
    try expectRefusal(of: path) { _ = try PrivateKey.isKeyFile($0) }
  }

  @Test(.needsAge) func sealedFilesAndTheirKeysAreNotOpenedThroughLinks() throws {
    let keys = (0...1).map { files.scratch.file("party\($0).key") }
    for key in keys { try PrivateKey.random().write(to: key, comment: "") }
    let sealed = files.scratch.file("sealed")
    _ = try ShareWriter.share(
      ModelFile(path: files.modelPath), into: sealed,
      delivery: Delivery(sign: nil, recipients: keys.map { $0 + ".pub" }, scratch: nil))
    let bundle = "\(sealed)/party0.bundle.age"
    try expectRefusal(of: keys[0]) {
      _ = try PartyBundle(path: bundle, access: FileAccess(identity: $0))
    }
    let other = files.scratch.file("link.age")
    try FileManager.default.createSymbolicLink(atPath: other, withDestinationPath: bundle)
    let error = inputError {
      _ = try PartyBundle(path: other, access: FileAccess(identity: keys[0]))
    }
    #expect(error?.cause == LinkTests.cause)
  }

  @Test func ledgersAreNotOpenedThroughLinks() throws {
    let path = files.scratch.file("party0.ledger")
    func open(_ path: String) throws { _ = try SessionLedger(path: path, party: 0) }
    try open(path)
    try expectRefusal(of: path, open)
    try expectRefusal(of: path) { _ = try LedgerSnapshot(path: $0) }
    // The folder that it lies in may be one.
    let folder = files.scratch.file("folder")
    try FileManager.default.createSymbolicLink(
      atPath: folder, withDestinationPath: files.scratch.path)
    try open("\(folder)/party0.ledger")
    // Nothing is made where a link leads, either.
    try? FileManager.default.removeItem(atPath: link)
    let nothing = files.scratch.file("nothing")
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: nothing)
    #expect(inputError { try open(link) }?.cause == LinkTests.cause)
    #expect(!FileManager.default.fileExists(atPath: nothing))
  }

  /// What is written replaces a link, and leaves what it leads to as it is.
  @Test func linksAreReplacedAndNotFollowed() throws {
    let target = try files.scratch.write(Array("something else".utf8), to: "target")
    for name in ["model.lodge", ".model.lodge.partial"] {
      let folder = try ScratchFolder()
      try FileManager.default.createSymbolicLink(
        atPath: folder.file(name), withDestinationPath: target)
      let error = inputError {
        try ModelFile.write(
          to: folder.file("model.lodge"), model: files.model, recipe: files.recipe,
          calibration: files.calibration, checkpoint: "checkpoint", weights: files.weights)
        _ = try ModelFile(path: folder.file("model.lodge"))
      }
      #expect((error == nil) == (name == "model.lodge"), "\(String(describing: error))")
      #expect(try Data(contentsOf: URL(filePath: target)) == Data("something else".utf8))
    }
  }

  /// The caches of Hugging Face hold links to files with other names.
  @Test func checkpointsMayBeLinks() throws {
    let stored = try ScratchFolder()
    let snapshot = try ScratchFolder()
    let checkpoint = try TinyCheckpoint.opt().write(to: stored)
    for (number, name) in try FileManager.default.contentsOfDirectory(atPath: checkpoint)
      .enumerated()
    {
      try FileManager.default.moveItem(
        atPath: "\(checkpoint)/\(name)", toPath: stored.file("blob\(number)"))
      try FileManager.default.createSymbolicLink(
        atPath: snapshot.file(name), withDestinationPath: stored.file("blob\(number)"))
    }
    #expect(try ModelLoader.load(path: snapshot.path).model.family == "opt")
  }
}
