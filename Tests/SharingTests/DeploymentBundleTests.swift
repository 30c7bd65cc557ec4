// What the roles of blind dealers, providers and users hold: the right words, and no more.

import Approximation
import Bytes
import Containers
import Foundation
import Models
import Program
import Sharing
import TestSupport
import Testing

struct DeploymentBundleTests {
  static let deployments: [Deployment] = [.blindDealer, .providerUser]

  static func share(_ files: ConversionFiles, into name: String, _ deployment: Deployment) throws
    -> String
  {
    let folder = files.scratch.file(name)
    _ = try ShareWriter.share(
      ModelFile(path: files.modelPath), into: folder, deployment: deployment)
    return folder
  }

  static func bundles(_ folder: String, _ deployment: Deployment) -> [String] {
    (0...1).map {
      "\(folder)/\(deployment.folder(ofParty: $0))/\(deployment.bundleName(ofParty: $0))"
    }
  }

  /// A reader in Python puts the weights together, whoever holds them.
  @Test(.enabled(if: PythonTool.isAvailable), arguments: deployments)
  func weightsAreThoseOfTheCheckpoint(deployment: Deployment) throws {
    let checkpoint = try ScratchFolder()
    let files = try ConversionFiles(
      checkpoint: TinyCheckpoint.opt().write(to: checkpoint), texts: ConversionFiles.tinyTexts)
    let folder = try Self.share(files, into: "roles", deployment)
    let outcome = try PythonTool("read-bundle").run(
      Self.bundles(folder, deployment) + ["--checkpoint", files.checkpoint])
    #expect(outcome.status == 0, "\(outcome.errors)")
    let count = files.result.weightElementCount
    #expect(outcome.output.contains("0 of \(count) elements differ"))
  }

  /// The same model twice: no word of what the dealer holds stays, so D is another.
  @Test(arguments: deployments)
  func masksAreFreshInEveryConversion(deployment: Deployment) throws {
    let files = try ConversionFiles.tiny(.opt())
    let dealers = try ["first", "second"].map { name in
      let folder = try Self.share(files, into: name, deployment)
      return try DealerBundle.open(in: "\(folder)/\(deployment.dealerFolder)")
    }
    for id in dealers[0].program.multipliedWeights {
      let words = try dealers.map { try $0.weight(id) }
      let equal = zip(words[0], words[1]).count { $0 == $1 }
      #expect(equal == 0, "weight \(id)")
    }
  }

  /// A dealer that could read D is no blind one.
  @Test(arguments: deployments)
  func dealersBesidePartiesAreRefused(deployment: Deployment) throws {
    let files = try ConversionFiles.tiny(.opt(layerCount: 1))
    let folder = try Self.share(files, into: "roles", deployment)
    _ = try DealerBundle.open(in: "\(folder)/dealer")
    let whole = try #require(inputError { _ = try DealerBundle.open(in: folder) })
    #expect(whole.cause.contains("all roles"), "\(whole)")
    for path in Self.bundles(folder, deployment) {
      // As it comes, or in the folder of its role.
      let name = FilePaths.lastComponent(of: path)
      let places =
        deployment == .providerUser
        ? [name] : ["\(deployment.folder(ofParty: name.contains("0") ? 0 : 1))/\(name)"]
      for place in places {
        let copy = "\(folder)/dealer/\(place)"
        try FileManager.default.createDirectory(
          atPath: FilePaths.folder(of: copy), withIntermediateDirectories: true)
        try FileManager.default.copyItem(atPath: path, toPath: copy)
        let error = try #require(
          inputError { _ = try DealerBundle.open(in: "\(folder)/dealer") })
        #expect(error.source == copy, "\(error)")
        try FileManager.default.removeItem(atPath: copy)
      }
    }
  }
}
