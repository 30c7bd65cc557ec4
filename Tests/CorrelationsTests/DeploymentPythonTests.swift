// Sessions of blind dealers, providers and users: the second implementation checks and runs them.

import Approximation
import Bytes
import Correlations
import Foundation
import Models
import Program
import Sharing
import TestSupport
import Testing
import Validation

@Suite(.needsPython) struct DeploymentPythonTests {
  /// One conversion for a deployment, and a session of it.
  struct Fixture {
    let files: ConversionFiles
    let deployment: Deployment
    let folder: String
    let bundle: DealerBundle
    let batch: Batch

    init(_ files: ConversionFiles, _ deployment: Deployment) throws {
      self.files = files
      self.deployment = deployment
      folder = files.scratch.file("roles")
      let result = try ShareWriter.share(
        ModelFile(path: files.modelPath), into: folder, deployment: deployment)
      bundle = try DealerBundle.open(in: "\(folder)/\(deployment.dealerFolder)")
      let kind = result.program.kind
      batch = try Batch(
        folder: files.scratch.file("corr"), conversion: bundle.conversion,
        shape: SessionShape(
          kind: kind, promptCapacity: 3, newCapacity: kind == .decoder ? 2 : 0),
        user: deployment == .providerUser ? [UInt8](repeating: 7, count: 32) : nil)
      _ = try batch.deal(session: 0, program: bundle.program, weights: bundle)
    }

    var bundles: [String] {
      (0...1).map {
        "\(folder)/\(deployment.folder(ofParty: $0))/\(deployment.bundleName(ofParty: $0))"
      }
    }
    var sessions: [String] { (0...1).map { batch.path(party: $0, session: 0) } }
  }

  enum Kind: String, CaseIterable {
    case opt, bert, llama, permutedOPT, permutedBERT, permutedLLaMA

    func files() throws -> ConversionFiles {
      let permuted = try #require(Recipe.shipped.first { $0.name == "permllm" })
      switch self {
      case .opt: return try .tiny(.opt(layerCount: 1))
      case .bert: return try .tiny(.bert(layerCount: 1))
      case .llama: return try .tiny(.llama(layerCount: 1))
      case .permutedOPT: return try .tiny(.opt(layerCount: 1), recipe: permuted)
      case .permutedBERT: return try .tiny(.bert(layerCount: 1), recipe: permuted)
      case .permutedLLaMA: return try .tiny(.llama(layerCount: 1), recipe: permuted)
      }
    }
  }

  static let deployments: [Deployment] = [.blindDealer, .providerUser]

  /// What is dealt adds up to U r, by the dealer's bundle and by those of the parties; both parties in
  /// Python, each adding D times its share of the mask, give the words of the exact simulator.
  @Test(arguments: deployments, Kind.allCases)
  func sessionsAreCheckedAndRun(deployment: Deployment, kind: Kind) throws {
    let fixture = try Fixture(kind.files(), deployment)
    for bundles in [fixture.bundles, ["\(fixture.folder)/dealer/dealer.bundle"]] {
      let check = try PythonTool("check-session").run(
        bundles + fixture.sessions + [
          "--operations", "1000", "--keys", "2", "--dealer",
          "\(fixture.batch.folder)/dealer.batch",
        ])
      #expect(check.status == 0, "\(check.errors)")
      let count = fixture.bundle.program.nodes.count { $0.operation.name == "linear" }
      #expect(check.output.contains("linear: \(count) of \(count) operations checked"))
    }
    let steps = fixture.bundle.program.kind == .decoder ? [[7, 3], [10]] : [[7, 3]]
    let openings = fixture.files.scratch.file("openings.json")
    let run = try PythonTool("run-session").run(
      fixture.bundles + fixture.sessions + [
        "--tokens", "[" + steps.map { "\($0)" }.joined(separator: ",") + "]",
        "--openings", openings,
      ])
    #expect(run.status == 0, "\(run.errors)")
    let words = run.output.split { $0 == " " || $0 == "\n" }.map { UInt64($0, radix: 16) }
    let expected = try simulated(fixture, steps, SessionPythonTests.openings(openings))
    #expect(!expected.isEmpty && words == expected)
  }

  private func simulated(
    _ fixture: Fixture, _ steps: [[Int]], _ openings: [[Int: [UInt64]]]
  ) throws -> [UInt64] {
    let program = fixture.bundle.program
    var simulator = RingSimulator(
      program: program, weights: try fixture.files.encodedWeights(),
      streams: (0...1).map { fixture.batch.seeds.streams(session: 0, party: $0) })
    var words: [UInt64] = []
    var row = 0
    for (index, tokens) in steps.enumerated() {
      let input = tokens.flatMap { token in
        (0..<program.vocabularySize).map { UInt64($0 == token ? 1 : 0) }
      }
      simulator.opened = openings[index]
      words += simulator.step(
        SessionStep(
          session: fixture.batch.shape, rows: row..<row + tokens.count, index: index),
        input: input)
      row += tokens.count
    }
    return words
  }

  /// One wrong bit of those by which a user chooses what it was sent of a factor.
  @Test func wrongChoiceBreaksTheAlgebra() throws {
    let fixture = try Fixture(Kind.permutedLLaMA.files(), .providerUser)
    let node = try #require(
      fixture.bundle.program.nodes.firstIndex {
        guard case .permuted(_, let function) = $0.operation else { return false }
        return function.factor != nil
      })
    let copy = fixture.files.scratch.file("changed.corr")
    try DamagedFile.rewrite(
      fixture.sessions[0], to: copy,
      bytes: { if $0 == "operations/\(node)/3" { $1[0] ^= 1 } })
    try SessionPythonTests.expectFailure(
      fixture.bundles + [copy, fixture.sessions[1], "--all"],
      "operation \(node) (permuted), component 3")
  }

  /// Files of two deployments, sessions without W - D, and other keys than were dealt.
  @Test func wrongFilesAreNamed() throws {
    let files = try ConversionFiles.tiny(.opt(layerCount: 1))
    let blind = try Fixture(files, .blindDealer)
    let provider = try Fixture(.tiny(.opt(layerCount: 1)), .providerUser)
    let other = try Fixture(.tiny(.opt(layerCount: 1)), .providerUser)
    try SessionPythonTests.expectFailure(
      blind.bundles + provider.sessions, "deployment: 'provider-user' is not 'blind-dealer'")
    try SessionPythonTests.expectFailure(
      [blind.bundles[0], provider.bundles[1]] + provider.sessions, "is of another conversion")
    // The same header and shapes, and another batch's digests.
    let copy = files.scratch.file("changed.corr")
    try DamagedFile.rewrite(other.sessions[1], to: copy) {
      for key in ["batch", "conversion"] {
        $0[key] = .string(
          (key == "batch"
            ? provider.batch.seeds.identifier : provider.bundle.conversion.identifier)
            .hexadecimal)
      }
    }
    try SessionPythonTests.expectFailure(
      provider.bundles + [provider.sessions[0], copy, "--all"], "do not add up")
  }
}
