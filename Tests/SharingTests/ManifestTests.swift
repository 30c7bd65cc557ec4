// manifest.json: what is written is read back, strictly, and files are compared with it.

import Approximation
import Bytes
import Containers
import Foundation
import Models
import Program
import Sharing
import TestSupport
import Testing

struct ManifestTests {
  static func write(_ json: JSON, in folder: ScratchFolder) throws -> String {
    try folder.write(json.indentedText.utf8, to: "manifest.json")
  }

  @Test func roundTrip() throws {
    let files = try ConversionFiles.tiny(.opt(layerCount: 1))
    let manifest = try Manifest(path: "\(files.folder)/manifest.json")
    #expect(manifest == files.result.manifest)
    #expect(
      manifest.files.keys.sorted() == ["party0.bundle", "party1.bundle"])
    let dealer = try Manifest(path: "\(files.folder)/dealer.json")
    #expect(dealer == files.result.dealerManifest)
    #expect(dealer.files.keys.sorted() == ["dealer.bundle"])
    #expect(manifest.conversion.deployment == .twoServer)
    let roles = Set(manifest.leakage.map(\.role))
    #expect(roles == ["each party", "client", "dealer"])
  }

  @Test func clientBundleIsNamed() throws {
    var recipe = Recipe.accurate
    recipe.embedding = .client
    let files = try ConversionFiles.tiny(.opt(layerCount: 1), recipe: recipe)
    let manifest = try Manifest(path: "\(files.folder)/manifest.json")
    #expect(manifest.files["client.bundle"] != nil)
    #expect(manifest.leakage.contains { $0.role == "client" && $0.operations == "embedding" })
  }

  @Test(
    arguments: [
      (["conversion"], JSON.string("00"), "conversion"), (["conversion"], nil, "conversion"),
      (["programDigest"], .integer(3), "programDigest"), (["deployment"], nil, "deployment"),
      (["files"], [], "files"), (["files", "party0.bundle"], "0", "files.party0.bundle"),
      (["files", "party0.bundle", "sha256"], "00", "files.party0.bundle.sha256"),
      (["files", "party0.bundle", "digest"], nil, "files.party0.bundle.digest"),
      (["files", "party0.bundle", "bytes"], -1, "files.party0.bundle.bytes"),
      (["files", "party0.bundle", "more"], 1, "files.party0.bundle.more"),
      (["version"], 2, "version"), (["version"], nil, "version"), (["kind"], "bundle", "kind"),
      (["kind"], "session", "kind"),
      (["leakage"], [:], "leakage"), (["leakage", "0", "role"], nil, "leakage[0].role"),
      (["leakage", "0", "more"], 1, "leakage[0].more"), (["more"], 1, "more"),
    ] as [([String], JSON?, String)])
  func changesAreRefused(path: [String], value: JSON?, place: String) throws {
    let folder = try ScratchFolder()
    let manifest = Manifest(
      conversion: Conversion(
        identifier: [UInt8](repeating: 7, count: 16),
        programDigest: [UInt8](repeating: 8, count: 32)),
      files: [
        "party0.bundle": FileEntry(
          digest: [UInt8](repeating: 9, count: 32),
          file: FileDigest(sha256: [UInt8](repeating: 10, count: 32), byteCount: 11))
      ],
      leakage: LeakageEntry.report(
        SecureProgram(
          family: "opt", kind: .decoder, clientInput: .oneHot, vocabularySize: 1,
          maximumPositions: 1), .twoServer))
    let written = folder.file("manifest.json")
    try manifest.write(to: written, key: nil)
    #expect(try Manifest(path: written) == manifest)
    let changed = try Self.write(JSON.read(written).setting(path, to: value), in: folder)
    #expect(inputError { _ = try Manifest(path: changed) }?.place == place)
  }

  @Test func filesAreComparedWithTheManifest() throws {
    let files = try ConversionFiles.tiny(.opt(layerCount: 1))
    let path = "\(files.folder)/manifest.json"
    func states(_ name: String = "manifest.json") throws -> JSON {
      let path = "\(files.folder)/\(name)"
      var reader = try JSONReader(try VerifiedFile(path: path).json, source: path)
      return try reader.value("states")
    }
    #expect(
      try states() == [
        "party0.bundle": "verified", "party1.bundle": "verified",
      ])
    #expect(try states("dealer.json") == ["dealer.bundle": "verified"])
    try FileManager.default.removeItem(atPath: "\(files.folder)/dealer.bundle")
    #expect(try states("dealer.json") == ["dealer.bundle": "absent"])
    _ = try files.shareAgain(into: "again")
    try FileManager.default.removeItem(atPath: files.bundlePath(1))
    try FileManager.default.copyItem(
      atPath: files.scratch.file("again/party1.bundle"), toPath: files.bundlePath(1))
    let error = inputError { _ = try VerifiedFile(path: path) }
    #expect(error?.source == files.bundlePath(1))
    #expect(error?.cause.contains("manifest") == true)
  }

  @Test func namesOutsideTheFolderAreRefused() throws {
    let files = try ConversionFiles.tiny(.opt(layerCount: 1))
    var manifest = files.result.manifest
    manifest.files["../party0.bundle"] = manifest.files["party0.bundle"]
    let path = files.scratch.file("manifest.json")
    try manifest.write(to: path, key: nil)
    #expect(inputError { _ = try VerifiedFile(path: path) }?.place == "files")
  }
}
