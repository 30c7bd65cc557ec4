// Bundles with signed manifests and sealed bundles: what opens, and what is refused before it does.

import Bytes
import Containers
import Foundation
import Program
import Sharing
import TestSupport
import Testing
import Trust

@Suite(.needsAge) struct TrustedFileTests {
  /// One conversion in two deliveries: signed and plain, signed and sealed.
  private let files: ConversionFiles
  private let owner = PrivateKey.random()
  private let parties: [String]

  init() throws {
    files = try ConversionFiles.tiny(.opt(layerCount: 1))
    parties = (0...1).map { [scratch = files.scratch] in scratch.file("party\($0).key") }
    for path in parties { try PrivateKey.random().write(to: path, comment: "") }
  }

  private var trust: TrustedKeys { TrustedKeys([owner.publicKey]) }

  private func share(sealed: Bool, scratch: String? = nil) throws -> String {
    let folder = files.scratch.file(sealed ? "sealed" : "signed")
    let keyPath = files.scratch.file("owner.key")
    if !FileManager.default.fileExists(atPath: keyPath) {
      try owner.write(to: keyPath, comment: "")
    }
    let delivery = try Delivery(
      sign: keyPath, recipients: sealed ? parties.map { $0 + ".pub" } : [nil, nil],
      scratch: scratch)
    _ = try ShareWriter.share(ModelFile(path: files.modelPath), into: folder, delivery: delivery)
    return folder
  }

  private func bundle(_ path: String, identity: Int? = nil, trust: TrustedKeys? = nil) throws
    -> PartyBundle
  {
    try PartyBundle(
      path: path, access: FileAccess(trust: trust, identity: identity.map { parties[$0] }))
  }

  /// The two shares of every weight add up to the encoded weight.
  private func expectWeights(_ bundles: [PartyBundle]) throws {
    let weights = try files.encodedWeights()
    for id in bundles[0].program.weights.indices {
      let sum = zip(try bundles[0].share(id), try bundles[1].share(id)).map { $0 &+ $1 }
      #expect(sum == weights[id], "weight \(id)")
    }
  }

  @Test(arguments: [false, true])
  func sealedBundlesHoldTheWeights(isOnDisk: Bool) throws {
    let folder = try share(sealed: true, scratch: isOnDisk ? files.scratch.path : nil)
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == [
        "dealer.bundle", "dealer.json", "dealer.json.sig", "manifest.json",
        "manifest.json.sig", "party0.bundle.age", "party1.bundle.age",
      ])
    let paths = (0...1).map { "\(folder)/party\($0).bundle.age" }
    try expectWeights((0...1).map { try bundle(paths[$0], identity: $0, trust: trust) })
    try expectWeights((0...1).map { try bundle(paths[$0], identity: $0) })
    #expect(inputError { _ = try bundle(paths[0]) }?.cause == "is sealed")
    #expect(
      inputError { _ = try bundle(paths[0], identity: 1) }?.cause.contains("no identity matched")
        == true)
    for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
      let attributes = try FileManager.default.attributesOfItem(atPath: "\(folder)/\(name)")
      #expect(attributes[.posixPermissions] as? Int == 0o600, "\(name)")
    }
  }

  @Test func signedBundlesOpenWithTrust() throws {
    let folder = try share(sealed: false)
    try expectWeights(
      (0...1).map { try bundle("\(folder)/party\($0).bundle", trust: trust) })
    let other = TrustedKeys([PrivateKey.random().publicKey])
    #expect(
      inputError { _ = try bundle("\(folder)/party0.bundle", trust: other) }?.cause
        .contains("which is not trusted here") == true)
    // A bundle under the name of another is not the one that is named.
    try FileManager.default.removeItem(atPath: "\(folder)/party0.bundle")
    try FileManager.default.copyItem(
      atPath: "\(folder)/party1.bundle", toPath: "\(folder)/party0.bundle")
    #expect(
      inputError { _ = try bundle("\(folder)/party0.bundle", trust: trust) }?.cause
        .contains("manifest") == true)
  }

  /// Every part of the file counts, and libhdf5 is not asked about any of it.
  @Test func alteredBundlesAreRefused() throws {
    let folder = try share(sealed: false)
    let path = "\(folder)/party0.bundle"
    let whole = [UInt8](try Data(contentsOf: URL(filePath: path)))
    for place in [0, 9, 60, 700, whole.count / 3, whole.count - 1] {
      var changed = whole
      changed[place] ^= 0x10
      try AtomicFile.write(changed, to: path)
      let error = inputError { _ = try bundle(path, trust: trust) }
      #expect(error?.source == path)
      #expect(error?.cause == "its SHA-256 is not the one in its manifest")
    }
    for bytes in [Array(whole.dropLast()), whole + [0], []] {
      try AtomicFile.write(bytes, to: path)
      #expect(
        inputError { _ = try bundle(path, trust: trust) }?.cause
          == "has \(bytes.count) bytes, its manifest says \(whole.count)")
    }
  }

  @Test func manifestsThatAreNotSignedAsTheyShouldBeAreRefused() throws {
    let folder = try share(sealed: false)
    let manifest = "\(folder)/manifest.json"
    let path = "\(folder)/party0.bundle"
    let text = [UInt8](try Data(contentsOf: URL(filePath: manifest)))
    try AtomicFile.write(text + [0x0a], to: manifest)
    #expect(
      inputError { _ = try bundle(path, trust: trust) }?.cause
        == "does not fit: the file was changed after it was signed")
    try AtomicFile.write(text, to: manifest)
    // By its owner, for another file.
    var other = try Manifest(path: manifest)
    other.files["party0.bundle"] = nil
    try other.write(to: manifest, key: owner)
    #expect(
      inputError { _ = try bundle(path, trust: trust) }?.cause == "does not name party0.bundle")
    try other.write(to: manifest, key: nil)
    #expect(
      inputError { _ = try bundle(path, trust: trust) }?.cause
        == "is not signed: manifest.json.sig is missing")
    try FileManager.default.removeItem(atPath: manifest)
    #expect(
      inputError { _ = try bundle(path, trust: trust) }?.cause
        == "has no manifest.json beside it, which --trust needs")
    // Those who trust nobody in particular open it.
    _ = try bundle(path)
  }

  @Test func verificationSaysWhatWasChecked() throws {
    let folder = try share(sealed: true)
    let path = "\(folder)/manifest.json"
    func states(_ access: FileAccess) throws -> [String: JSON] {
      var reader = try JSONReader(
        VerifiedFile(path: path, access: access).json, source: path)
      guard case .object(let states) = try reader.value("states") else { return [:] }
      return states
    }
    #expect(
      try states(FileAccess(trust: trust)) == [
        "party0.bundle": "verified, sealed", "party1.bundle": "verified, sealed",
      ])
    #expect(
      try states(FileAccess(trust: trust, identity: parties[1])) == [
        "party0.bundle": "verified, sealed for another key",
        "party1.bundle": "verified, opened",
      ])
    let text = try VerifiedFile(path: path, access: FileAccess(trust: trust)).text
    #expect(text.contains("signed by \(owner.publicKey)"))
    #expect(try VerifiedFile(path: path).text.contains("signature not checked"))
    // A container alone is looked up in the manifest.
    let dealer = "\(folder)/dealer.bundle"
    _ = try VerifiedFile(path: dealer, access: FileAccess(trust: trust))
    var bytes = [UInt8](try Data(contentsOf: URL(filePath: dealer)))
    bytes[bytes.count - 1] ^= 1
    try AtomicFile.write(bytes, to: dealer)
    for file in [dealer, "\(folder)/dealer.json"] {
      let error = inputError {
        _ = try VerifiedFile(path: file, access: FileAccess(trust: trust))
      }
      #expect(error?.source == dealer)
    }
  }

  /// One byte is enough, whether the file can be opened or not.
  @Test(arguments: [nil, 0, 1])
  func alteredSealedBundlesAreRefused(identity: Int?) throws {
    let folder = try share(sealed: true)
    let access = FileAccess(trust: trust, identity: identity.map { parties[$0] })
    let path = "\(folder)/party0.bundle.age"
    let whole = [UInt8](try Data(contentsOf: URL(filePath: path)))
    var changed = whole
    changed[whole.count / 2] ^= 1
    for bytes in [changed, Array(whole.dropLast()), whole + [0]] {
      try AtomicFile.write(bytes, to: path)
      let error = inputError {
        _ = try VerifiedFile(path: "\(folder)/manifest.json", access: access)
      }
      #expect(error?.source == path)
      let cause = identity == 0 ? "age cannot open it" : "its manifest"
      #expect(error?.cause.contains(cause) == true, "\(String(describing: error))")
    }
    // Sealed by hand, it is only known to those who open it.
    var manifest = try Manifest(path: "\(folder)/manifest.json")
    manifest.files["party0.bundle"]?.sealed = nil
    try manifest.write(to: "\(folder)/manifest.json", key: owner)
    try AtomicFile.write(whole, to: path)
    let text = try VerifiedFile(path: "\(folder)/manifest.json", access: access).text
    let state = [
      "not verified, sealed", "verified, opened", "not verified, sealed for another key",
    ]
    #expect(text.contains(state[identity.map { $0 + 1 } ?? 0]), "\(text)")
  }

  @Test func deliveriesAreChecked() throws {
    func failure(_ recipients: [String?], sign: String? = nil) -> InputError? {
      inputError { _ = try Delivery(sign: sign, recipients: recipients, scratch: nil) }
    }
    let open = parties.map { $0 + ".pub" }
    #expect(failure([open[0], nil])?.source == "--recipient1")
    #expect(failure([nil, open[0]])?.source == "--recipient0")
    #expect(failure([open[0], open[0]])?.source == "--recipient1")
    #expect(failure([open[0], "age1no"])?.cause.contains("age does not take it") == true)
    #expect(failure([nil, nil], sign: open[0])?.cause.contains("is a public key") == true)
    #expect(failure(open) == nil)
  }
}
