// Who suspects what a model is cannot confirm it by what is public of its files.

import Approximation
import Bytes
import Containers
import Correlations
import Foundation
import Models
import Program
import Sharing
import TestSupport
import Testing
import Trust

@Suite struct PublicValueTests {
  /// A conversion and one session of it, signed; every manifest that was written.
  private struct Delivered {
    let folder: String
    let program: SecureProgram

    init(_ model: String, into folder: String, _ deployment: Deployment = .twoServer) throws {
      self.folder = folder
      let delivery = Delivery(key: .random())
      let result = try ShareWriter.share(
        ModelFile(path: model), into: "\(folder)/shares", deployment: deployment,
        delivery: delivery)
      program = result.program
      let bundle = try DealerBundle(
        path: "\(folder)/shares/\(deployment == .providerUser ? "dealer/" : "")dealer.bundle")
      let batch = try Batch(
        folder: "\(folder)/sessions", conversion: result.conversion,
        shape: SessionShape(kind: .decoder, promptCapacity: 2, newCapacity: 1))
      #expect(
        try batch.deal(session: 0, program: program, weights: bundle, delivery: delivery))
    }

    /// Files that parties and clients get, or whose digests they see.
    static let files = [
      "shares/party0.bundle", "shares/party1.bundle", "shares/client.bundle",
      "sessions/party0/000000.corr", "sessions/party1/000000.corr",
    ]
    static let manifests = [
      "shares/manifest.json", "sessions/party0/000000.json", "sessions/party1/000000.json",
    ]

    /// The same of a provider's user: what it gets, and whose digests it sees.
    static let userFiles = [
      "shares/user/user.bundle", "shares/user/client.bundle", "sessions/party1/000000.corr",
    ]
    static let userManifests = ["shares/user/manifest.json", "sessions/party1/000000.json"]

    func path(_ name: String) -> String { "\(folder)/\(name)" }
  }

  private let files: ConversionFiles

  init() throws {
    var recipe = Recipe.accurate
    recipe.embedding = .client
    files = try ConversionFiles.tiny(.opt(layerCount: 1), recipe: recipe)
  }

  /// What our writers declare first comes first; whoever tries a candidate knows that, too.
  private static func order(_ name: String) -> [Int] {
    let places = [
      "weightSeed": -2, "maskSeed": -2, "seed": -2, "tokens": -1, "salt": Int.max,
      "keys": Int.max,
    ]
    return name.split(separator: "/").map { Int($0) ?? places[String($0)] ?? 0 }
  }

  /// Root digest and SHA-256 of a file made of all that is in `path`, without the random bytes that
  /// nobody can guess, or with them.
  private func digests(of path: String, knowingSecret: Bool) throws -> [String] {
    let reader = try ContainerReader(path: path, kind: nil, verifying: true)
    let secrets = ["salt", "seed", "weightSeed", "maskSeed"]
    #expect(reader.datasets.contains { secrets.contains($0.name) && $0.shape == [32] }, "\(path)")
    let datasets = reader.datasets.sorted {
      PublicValueTests.order($0.name).lexicographicallyPrecedes(PublicValueTests.order($1.name))
    }
    let candidate = files.scratch.file("candidate")
    let writer = try ContainerWriter(
      path: candidate, kind: reader.kind, header: reader.header, datasets: datasets)
    for dataset in datasets {
      if secrets.contains(dataset.name), !knowingSecret {
        try writer.write(dataset.name, values: [UInt8](repeating: 0, count: 32))
      } else {
        let region = writer.region(of: dataset.name)
        try reader.withBytes(of: dataset.name) { (bytes) throws(InputError) in
          try region.write(bytes: bytes, atElement: 0)
        }
      }
    }
    return [
      try writer.finish().hexadecimal, try FileDigest(path: candidate).sha256.hexadecimal,
    ]
  }

  /// With everything but 32 random bytes a candidate has other digests than those that are public,
  /// and with them the same.
  @Test func noPublicDigestConfirmsAModel() throws {
    let delivered = try Delivered(files.modelPath, into: files.scratch.file("first"))
    let names = Delivered.manifests + ["shares/dealer.json"]
    let published = try names.map {
      try String(contentsOfFile: delivered.path($0), encoding: .utf8)
    }.joined()
    for name in Delivered.files + ["shares/dealer.bundle"] {
      for digest in try digests(of: delivered.path(name), knowingSecret: false) {
        #expect(!published.contains(digest), "\(name)")
      }
      for digest in try digests(of: delivered.path(name), knowingSecret: true) {
        #expect(published.contains(digest), "\(name): the candidate is another file anyway")
      }
    }
  }

  /// Nothing that a user gets has the digest of a file with the weights, masked or not.
  @Test func noDigestOfAUserConfirmsAModel() throws {
    let delivered = try Delivered(
      files.modelPath, into: files.scratch.file("first"), .providerUser)
    let published = try Delivered.userManifests.map {
      try String(contentsOfFile: delivered.path($0), encoding: .utf8)
    }.joined()
    for name in Delivered.userFiles {
      for digest in try digests(of: delivered.path(name), knowingSecret: true) {
        #expect(published.contains(digest), "\(name): the candidate is another file anyway")
      }
    }
    for name in [
      "shares/provider/provider.bundle", "shares/dealer/dealer.bundle",
      "sessions/party0/000000.corr",
    ] {
      for digest in try digests(of: delivered.path(name), knowingSecret: true) {
        #expect(!published.contains(digest), "\(name)")
      }
    }
    // Nor do the digests of a dealer and a provider confirm each other's files without 32 bytes.
    for (names, manifest) in [
      (["dealer/dealer.bundle"], "provider/manifest.json"),
      (["provider/provider.bundle"], "dealer/dealer.json"),
    ] {
      let text = try String(contentsOfFile: delivered.path("shares/\(manifest)"), encoding: .utf8)
      for name in names {
        for digest in try digests(of: delivered.path("shares/\(name)"), knowingSecret: true) {
          #expect(!text.contains(digest), "\(name) in \(manifest)")
        }
      }
    }
  }

  /// Weights that are much larger leave the same lengths of all that leaves the provider.
  @Test func noLengthOfAUserOrDealerTellsOfWeights() throws {
    let large = files.scratch.file("large.lodge")
    try ModelFile.write(
      to: large, model: files.model, recipe: files.recipe, calibration: files.calibration,
      checkpoint: "checkpoint", weights: LargeWeights(weights: files.weights))
    let delivered = try [files.modelPath, large].enumerated().map {
      try Delivered($1, into: files.scratch.file("\($0)"), .providerUser)
    }
    #expect(delivered[0].program == delivered[1].program)
    for name in Delivered.userFiles + Delivered.userManifests + [
      "shares/dealer/dealer.bundle", "shares/dealer/dealer.json", "sessions/party0/000000.corr",
    ] {
      let byteCounts = try delivered.map { try FilePaths.byteCount(of: $0.path(name)) }
      #expect(byteCounts[0] == byteCounts[1], "\(name)")
    }
  }

  /// Weights that are much larger, and whose program is the same, leave the same lengths.
  @Test func noPublicLengthTellsOfWeights() throws {
    let large = files.scratch.file("large.lodge")
    try ModelFile.write(
      to: large, model: files.model, recipe: files.recipe, calibration: files.calibration,
      checkpoint: "checkpoint", weights: LargeWeights(weights: files.weights))
    let first = try Delivered(files.modelPath, into: files.scratch.file("first"))
    let second = try Delivered(large, into: files.scratch.file("second"))
    #expect(first.program == second.program)
    for name in Delivered.files + Delivered.manifests {
      let byteCounts = try [first, second].map { try FilePaths.byteCount(of: $0.path(name)) }
      #expect(byteCounts[0] == byteCounts[1], "\(name)")
    }
    // That of the dealer's bundle does tell, and nothing that is public names it.
    let dealers = try [first, second].map {
      try FilePaths.byteCount(of: $0.path("shares/dealer.bundle"))
    }
    #expect(dealers[0] != dealers[1])
    for manifest in Delivered.manifests {
      let text = try String(contentsOfFile: first.path(manifest), encoding: .utf8)
      #expect(!text.contains("dealer.bundle"))
    }
  }
}

/// A model with weights that take more bits.
private struct LargeWeights: WeightSource {
  let weights: any WeightSource

  func weight(_ name: String) throws(InputError) -> [Float] {
    try weights.weight(name).map { $0 * 16 }
  }

  func encoding(of name: String) -> WeightEncoding { weights.encoding(of: name) }
}
