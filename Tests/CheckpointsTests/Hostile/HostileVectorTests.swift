// Every rule of every reader has a vector that breaks it, and every vector an expected error.

import Bytes
import Foundation
import TestSupport
import Testing

@Suite struct HostileVectorTests {
  /// `LODGE_WRITE_VECTORS=1` writes the vectors and their errors as they are, to be reviewed.
  private static let isWriting =
    ProcessInfo.processInfo.environment["LODGE_WRITE_VECTORS"] == "1"

  /// Sources whose messages must each be that of a vector.
  private static func sources() throws -> [String] {
    let folder = "Sources/Checkpoints"
    let names = try FileManager.default.subpathsOfDirectory(
      atPath: Repository.root.appending(path: folder).path)
    return names.filter { $0.hasSuffix(".swift") }.sorted().map { "\(folder)/\($0)" } + [
      "Sources/Bytes/JSONParser.swift", "Sources/Models/Loading/Configuration.swift",
      "Sources/Models/Loading/ModelLoader.swift",
    ]
  }

  /// Messages that no file can cause.
  private static let withoutVector = [
    // CheckpointTests
    "no such file or folder", "there is no such tensor",
    // RivalCheckpointTests: what is newer is not kept.
    "are two checkpoints, and the one in shards is the newer", "are two checkpoints: only ... has ",
    "are two checkpoints: ... is ... in ... and ... in ",
    // WriterFailureTests: checkpoints have a limit of values.
    "the JSON values take more than ... bytes",
    // Configuration and ModelLoader refuse these only for callers that skip the checks before.
    "describes no model",
  ]

  private func outcome(_ path: String) throws -> String {
    try HostileOutcome.of(path)?.text(path: path) ?? "accepted"
  }

  @Test func everyVectorGivesItsError() throws {
    if HostileVectorTests.isWriting { try write() }
    let expectations = try HostileVector.expectations()
    let kept = try HostileVector.keptNames()
    let large = HostileVector.built.filter { !$0.isKept }
    #expect(Set(expectations.keys) == Set(kept).union(large.map(\.name)))
    for name in kept {
      #expect(try outcome("\(HostileVector.folder)/\(name)") == expectations[name], "\(name)")
    }
    let scratch = try ScratchFolder()
    for vector in large {
      #expect(try outcome(vector.write(to: scratch.path)) == expectations[vector.name])
    }
  }

  /// Faults of binary files name their byte.
  @Test func everyBinaryVectorNamesAByte() throws {
    for name in try HostileVector.keptNames() {
      guard [".gguf", ".h5", ".pt", ".safetensors"].contains(where: name.hasSuffix) else {
        continue
      }
      let found = try #require(try HostileOutcome.of("\(HostileVector.folder)/\(name)"), "\(name)")
      // What the structure says is sound, but not a weight; or names and shapes do not fit the
      // model.
      let isElsewhere = found.error.cause.hasSuffix("are not read as weights")
      guard found.stage != .model, !isElsewhere else { continue }
      #expect(
        found.error.offset != nil || found.error.cause.contains("byte "),
        "\(name): \(found.error)")
    }
  }

  /// The vectors are what the code in this folder makes; h5py wrote the others.
  @Test func vectorsAreAsBuilt() throws {
    let scratch = try ScratchFolder()
    #expect(Set(HostileVector.built.map(\.name)).count == HostileVector.built.count)
    for vector in HostileVector.built where vector.isKept {
      _ = try vector.write(to: scratch.path)
      for file in vector.files.keys {
        let name = file.isEmpty ? vector.name : "\(vector.name)/\(file)"
        let kept = try? Data(contentsOf: URL(filePath: "\(HostileVector.folder)/\(name)"))
        #expect(kept == (try Data(contentsOf: URL(filePath: scratch.file(name)))), "\(name)")
      }
    }
  }

  @Test func everyMessageHasAVector() throws {
    let errors = Array(try HostileVector.expectations().values)
    var messages: [RefusalMessage] = []
    for source in try HostileVectorTests.sources() {
      messages += try RefusalMessage.all(in: source)
    }
    #expect(messages.count > 150, "the sources are not understood: \(messages.count) messages")
    for message in messages where !HostileVectorTests.withoutVector.contains(message.text) {
      #expect(errors.contains(where: message.matches), "no vector gives \(message)")
    }
    // With one text at two places a vector for one would stand for both.
    let own = messages.filter { !["Configuration.swift", "ModelLoader.swift"].contains($0.file) }
    for (text, places) in Dictionary(grouping: own, by: \.text) where places.count > 1 {
      Issue.record("\"\(text)\" is said at \(places)")
    }
  }

  private func write() throws {
    let folder = HostileVector.folder
    for vector in HostileVector.built where vector.isKept { _ = try vector.write(to: folder) }
    let scratch = try ScratchFolder()
    var errors: [String: JSON] = [:]
    for name in try HostileVector.keptNames() {
      errors[name] = .string(try outcome("\(folder)/\(name)"))
    }
    for vector in HostileVector.built where !vector.isKept {
      errors[vector.name] = .string(try outcome(vector.write(to: scratch.path)))
    }
    try Data((JSON.object(errors).indentedText + "\n").utf8)
      .write(to: URL(filePath: "\(folder)/\(HostileVector.expectationsFile)"))
  }
}
