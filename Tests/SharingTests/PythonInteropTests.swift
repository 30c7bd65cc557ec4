// A reader in Python, written from formats/ alone, reads what Sharing writes.

import Approximation
import Bytes
import Foundation
import Sharing
import TestSupport
import Testing

@Suite(.needsPython) struct BundlePythonTests {
  static let tool = PythonTool("read-bundle")

  @Test func fixtureEqualsItsCheckpoint() throws {
    let files = try ConversionFiles.fixture()
    let weights = files.scratch.file("weights.npz")
    let outcome = try Self.tool.run([
      files.bundlePath(0), files.bundlePath(1), "--checkpoint", files.checkpoint, "--out", weights,
    ])
    #expect(outcome.status == 0, "\(outcome.errors)")
    let count = files.result.weightElementCount
    #expect(outcome.output.contains("0 of \(count) elements differ"))
    #expect(
      try FileManager.default.attributesOfItem(atPath: weights)[.posixPermissions] as? Int
        == 0o600)
  }

  @Test(arguments: ["", "bert."])
  func encoderEqualsItsCheckpoint(prefix: String) throws {
    let checkpoint = try ScratchFolder()
    let files = try ConversionFiles(
      checkpoint: TinyCheckpoint.bert(prefix: prefix).write(to: checkpoint),
      texts: ConversionFiles.tinyTexts)
    let outcome = try Self.tool.run([
      files.bundlePath(0), files.bundlePath(1), "--checkpoint", files.checkpoint,
    ])
    #expect(outcome.status == 0, "\(outcome.errors)")
    let count = files.result.weightElementCount
    #expect(outcome.output.contains("0 of \(count) elements differ"))
  }

  /// Runs the tool and expects one line of error that holds `cause`.
  static func expectFailure(_ arguments: [String], _ cause: String) throws {
    let outcome = try tool.run(arguments)
    #expect(outcome.status == 1)
    #expect(outcome.output.isEmpty)
    #expect(outcome.errorLines.count == 1, "\(outcome.errors)")
    #expect(outcome.errors.hasPrefix("read-bundle: error: "))
    #expect(outcome.errors.contains(cause), "\(outcome.errors)")
  }

  @Test func wrongFilesAreRefusedInOneLine() throws {
    let files = try ConversionFiles.tiny(.opt(width: 64, innerWidth: 256))
    let paths = (0...1).map(files.bundlePath)
    _ = try files.shareAgain(into: "again")
    try Self.expectFailure(
      [paths[0], files.scratch.file("again/party1.bundle")], "is of another conversion than")
    try Self.expectFailure([paths[1], paths[0]], "party: is for party 1, party 0 is expected")
    try Self.expectFailure(
      [paths[0], "\(files.folder)/dealer.bundle"], "is a dealer, a bundle is expected")
    try Self.expectFailure([paths[0], files.scratch.file("absent")], "No such file")
    let damaged = files.scratch.file("damaged.bundle")
    for fraction in [0.3, 0.6, 0.9] {
      try DamagedFile.invertBytes(paths[1], to: damaged, at: fraction)
      try Self.expectFailure([paths[0], damaged], "damaged.bundle")
    }
    try DamagedFile.rewrite(paths[1], to: damaged) {
      $0["program"] = $0["program"]?.setting(["family"], to: "tpo")
    }
    try Self.expectFailure([paths[0], damaged], "programDigest: is not the digest of the program")
  }

  @Test func anotherCheckpointIsNoticed() throws {
    let files = try ConversionFiles.tiny(.opt(layerCount: 1))
    var other = TinyCheckpoint.opt(layerCount: 1)
    let key = "model.decoder.layers.0.fc1.weight"
    other.tensors[key]?.values[5] += 0.01
    let folder = try ScratchFolder()
    let outcome = try Self.tool.run([
      files.bundlePath(0), files.bundlePath(1), "--checkpoint", other.write(to: folder),
    ])
    #expect(outcome.status == 1)
    #expect(outcome.errorLines.count == 1)
    #expect(outcome.errors.contains("(layers.0.feedForward.up.weight): element 5 differs"))
  }
}
