// Bundles of one conversion: shares add up to the weights, and only what fits together is taken.

import Approximation
import Bytes
import Containers
import Foundation
import OnlineRuntime
import Program
import Sharing
import TestSupport
import Testing

struct BundleTests {
  static func bundles(_ files: ConversionFiles) throws -> [PartyBundle] {
    try (0...1).map { try PartyBundle(path: files.bundlePath($0)) }
  }

  /// Shares of every weight add up to its encoding, and exactly one of them is a seed.
  static func expectShares(_ files: ConversionFiles) throws {
    let bundles = try bundles(files)
    let encoded = try files.encodedWeights()
    for (id, weight) in files.program.weights.enumerated() {
      let shares = try bundles.map { try $0.share(id) }
      #expect(zip(shares[0], shares[1]).map { $0 &+ $1 } == encoded[id], "\(weight.name)")
      #expect(Set(bundles.map { $0.storages[id] }) == [.seed, .full], "\(weight.name)")
      #expect(shares[0] != encoded[id] && shares[1] != encoded[id])
    }
    let dealer = try DealerBundle(path: "\(files.folder)/dealer.bundle")
    #expect(dealer.program == files.program)
    for id in files.program.multipliedWeights { #expect(try dealer.weight(id) == encoded[id]) }
    let others = Set(encoded.indices).subtracting(files.program.multipliedWeights)
    for id in others {
      #expect(inputError { _ = try dealer.weight(id) } != nil, "the dealer needs no biases")
    }
  }

  @Test func sharesAddUpToTheFixture() throws {
    let files = try ConversionFiles.fixture()
    try Self.expectShares(files)
    let bytes = try (0...1).reduce(0) { sum, party in
      try sum + MappedFile(path: files.bundlePath(party)).byteCount
    }
    #expect(Double(bytes) <= 1.1 * 8 * Double(files.result.weightElementCount))
  }

  @Test func sharesAddUpToAnEncoder() throws {
    try Self.expectShares(.tiny(.bert()))
  }

  @Test func bundlesAgreeOnProgramAndConversion() throws {
    let files = try ConversionFiles.tiny(.opt())
    let bundles = try Self.bundles(files)
    #expect(bundles.map(\.party) == [0, 1])
    for bundle in bundles {
      #expect(bundle.conversion == files.result.conversion)
      #expect(bundle.program == files.program)
    }
    #expect(try ModelFile(path: files.modelPath).program() == files.program)
  }

  @Test func sharesAreFreshInEveryConversion() throws {
    let files = try ConversionFiles.tiny(.opt())
    let again = try files.shareAgain(into: "again")
    #expect(again.conversion.identifier != files.result.conversion.identifier)
    #expect(again.conversion.programDigest == files.result.conversion.programDigest)
    let first = try PartyBundle(path: files.bundlePath(0))
    let second = try PartyBundle(path: files.scratch.file("again/party0.bundle"))
    for id in files.program.weights.indices {
      #expect(try first.share(id) != second.share(id))
    }
  }

  // MARK: Refusals

  /// The error of opening party 0's bundle after `change` of its header.
  static func failure(
    kind: String? = nil, without removed: Set<String> = [],
    _ change: (inout [String: JSON]) -> Void = { _ in }
  ) throws -> InputError? {
    let files = try ConversionFiles.tiny(.opt(layerCount: 1))
    let copy = files.scratch.file("changed.bundle")
    try DamagedFile.rewrite(
      files.bundlePath(0), to: copy, kind: kind, without: removed, header: change)
    return inputError { _ = try PartyBundle(path: copy).share(0) }
  }

  @Test func unchangedCopyIsTaken() throws {
    #expect(try Self.failure() == nil)
  }

  @Test(
    arguments: [
      ("party", JSON.integer(2), "party"), ("party", "0", "party"),
      ("conversion", "ab", "conversion"),
      ("conversion", .string(String(repeating: "x", count: 32)), "conversion"),
      ("programDigest", .string(String(repeating: "0", count: 64)), "programDigest"),
      ("deployment", "nobody", "deployment"), ("deployment", "provider-user", "storages"),
      ("deployment", "blind-dealer", "maskSeed"), ("program", .object([:]), "program"),
      ("storages", .array([]), "storages"), ("storages", ["elsewhere"], "storages"),
      ("extra", .null, "extra"),
    ] as [(String, JSON, String)])
  func changedHeaderIsRefused(key: String, value: JSON, place: String) throws {
    let error = try #require(try Self.failure { $0[key] = value })
    #expect(error.place.hasPrefix(place), "\(error)")
  }

  @Test(arguments: ["party", "conversion", "programDigest", "deployment", "program", "storages"])
  func missingHeaderIsRefused(key: String) throws {
    let error = try #require(try Self.failure { $0[key] = nil })
    #expect(error.place == key && error.cause == "missing key", "\(error)")
  }

  @Test func anotherProgramIsRefused() throws {
    let error = try #require(
      try Self.failure { $0["program"] = $0["program"]?.setting(["family"], to: "tpo") })
    #expect(error.place == "programDigest")
  }

  @Test func otherKindsAreRefused() throws {
    let files = try ConversionFiles.tiny(.opt(layerCount: 1))
    let dealer = try #require(
      inputError { _ = try PartyBundle(path: "\(files.folder)/dealer.bundle") })
    #expect(dealer.description.contains("is a dealer, a bundle is expected"))
    #expect(inputError { _ = try DealerBundle(path: files.bundlePath(0)) }?.place == "kind")
    #expect(inputError { _ = try ClientBundle(path: files.bundlePath(0)) }?.place == "kind")
    #expect(inputError { _ = try ModelFile(path: files.bundlePath(0)) }?.place == "kind")
  }

  @Test func missingArraysAreRefused() throws {
    #expect(try Self.failure(without: ["weightSeed"])?.place == "weightSeed")
    // Weight 0 is the first of all, so party 0 holds its written share.
    #expect(try Self.failure(without: ["weights/0"])?.place == "weights/0")
  }

  @Test func bundleOfTheOtherPartyIsRefused() throws {
    let files = try ConversionFiles.tiny(.opt(layerCount: 1))
    for party in 0...1 {
      let error = inputError {
        _ = try BundleProvider(
          party: party, bundlePath: files.bundlePath(1 - party),
          correlationFolder: files.scratch.path)
      }
      #expect(error?.place == "party")
      #expect(error?.cause == "is for party \(1 - party), this is party \(party)")
    }
  }

  @Test(arguments: [0.2, 0.6, 0.95])
  func damagedBundleIsRefused(fraction: Double) throws {
    let files = try ConversionFiles.tiny(.opt(width: 64, innerWidth: 256))
    let copy = files.scratch.file("damaged.bundle")
    try DamagedFile.invertBytes(files.bundlePath(1), to: copy, at: fraction)
    #expect(inputError { _ = try PartyBundle(path: copy) } != nil)
    try DamagedFile.truncate(files.bundlePath(1), to: copy, at: fraction)
    #expect(inputError { _ = try PartyBundle(path: copy) } != nil)
  }

  /// The dealer's weights are stored in as few bytes as hold them all.
  @Test func dealtWeightsAreNarrow() throws {
    var checkpoint = TinyCheckpoint.opt(layerCount: 1)
    let key = "model.decoder.layers.0.self_attn.out_proj.weight"
    checkpoint.tensors[key]?.values[5] = 70000
    let files = try ConversionFiles.tiny(checkpoint)
    let path = "\(files.folder)/dealer.bundle"
    let reader = try ContainerReader(path: path, kind: "dealer", verifying: true)
    var types: Set<String> = []
    let encoded = try files.encodedWeights()
    for id in files.program.multipliedWeights {
      let type = try reader.description(of: "weights/\(id)").elementType
      types.insert(type.rawValue)
      let largest = encoded[id].map { Int64(bitPattern: $0).magnitude }.max() ?? 0
      #expect(type == (largest < 1 << 15 ? .i16 : largest < 1 << 31 ? .i32 : .i64))
      #expect(try DealerBundle(path: path).weight(id) == encoded[id])
    }
    #expect(types == ["i16", "i32", "i64"] || types == ["i32", "i64"])
  }
}
