// Frames and steps of formats/vectors/wire.json, which a second implementation has written.

import Bytes
import Foundation
import OnlineRuntime
import Program
import Randomness
import Sharing
import TestSupport
import Testing

struct WireVectorTests {
  private static let vectors = Repository.root.appending(path: "formats/vectors").path

  private static func reader() throws -> JSONReader {
    let path = "\(vectors)/wire.json"
    return try JSONReader(JSON.read(path), source: path)
  }

  /// Valid frames are read and written again as they were, others are refused.
  @Test func framesAreReadOrRefused() throws {
    var reader = try Self.reader()
    var counts = (valid: 0, wrong: 0)
    for element in try reader.array("frames") {
      var frame = try JSONReader(element, source: "wire.json")
      let name = try frame.string("name")
      let bytes = try #require([UInt8](hexadecimal: frame.string("frame")), "\(name)")
      if name.hasPrefix("valid-") {
        counts.valid += 1
        #expect(try WireMessage.rewritten(bytes, number: 0) == bytes, "\(name)")
      } else {
        counts.wrong += 1
        let error = inputError { _ = try WireMessage.rewritten(bytes, number: 0) }
        #expect(error != nil, "\(name) is taken")
      }
    }
    #expect(counts.valid > 25 && counts.wrong > 100)
  }

  /// One step as a client asks for it, and what each party makes of it.
  private struct Step {
    let request: StepRequest
    let tokens: [Int]
    let frames: [String: [UInt8]]
    let shares: [[UInt64]]

    init(_ element: JSON) throws {
      var reader = try JSONReader(element, source: "wire.json")
      tokens = try reader.integers("tokens")
      request = StepRequest(
        rowCount: tokens.count, keptCount: try reader.integer("kept"),
        outputCount: try reader.integer("outputs"))
      var frames = try reader.object("frames")
      self.frames = try Dictionary(
        uniqueKeysWithValues: ["party0", "party1", "provider"].compactMap { name in
          guard frames.contains(name) else { return nil }
          return (name, try #require([UInt8](hexadecimal: frames.string(name))))
        })
      shares = try reader.array("shares").map { share in
        guard case .array(let words) = share else { throw InputError("wire.json", "no shares") }
        return try words.map { word in
          guard case .string(let text) = word else { throw InputError("wire.json", "no word") }
          return try #require(UInt64(text, radix: 16))
        }
      }
    }

    /// Ring elements behind the head of the step that `name` gets.
    func words(of name: String) throws -> [UInt64] {
      let bytes = try #require(frames[name]).dropFirst(16 + 16)
      return stride(from: bytes.startIndex, to: bytes.endIndex, by: 8).map { start in
        bytes[start..<start + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
      }
    }
  }

  /// The sessions of formats/vectors/valid, with a draft that is taken back: each party has the shares that
  /// were computed without us.
  @Test func stepsGiveTheSharesOfAnotherImplementation() throws {
    var reader = try Self.reader()
    let sessions = try reader.array("sessions")
    #expect(sessions.count == Deployment.allCases.count)
    for element in sessions {
      var session = try JSONReader(element, source: "wire.json")
      let deployment = try #require(Deployment(rawValue: session.string("deployment")))
      let seed = Seed(bytes: try #require([UInt8](hexadecimal: session.string("clientSeed"))))
      let steps = try session.array("steps").map(Step.init)
      #expect(steps.contains { $0.request.outputCount > 1 })
      let outputs = try run(deployment, seed, steps)
      for party in 0...1 {
        #expect(outputs[party] == steps.map { $0.shares[party] }, "\(deployment), party \(party)")
      }
    }
  }

  private func run(_ deployment: Deployment, _ seed: Seed, _ steps: [Step]) throws
    -> [[[UInt64]]]
  {
    let prefix = deployment == .twoServer ? "" : "\(deployment.rawValue)."
    let folder = try ScratchFolder()
    let (first, second) = try connectedPair()
    let workers = try (0...1).map { party in
      let place = folder.file("\(party)")
      try FileManager.default.createDirectory(
        atPath: place, withIntermediateDirectories: true)
      try FileManager.default.copyItem(
        atPath: "\(Self.vectors)/valid/\(prefix)party\(party).corr",
        toPath: "\(place)/000003.corr")
      let provider = try BundleProvider(
        party: party,
        bundlePath: "\(Self.vectors)/valid/\(prefix)\(deployment.bundleName(ofParty: party))",
        correlationFolder: place, isUser: deployment == .providerUser && party == 1)
      let inputs = try steps.enumerated().map { index, step in
        try Self.input(deployment, party, seed, step, index, width: provider.identity.inputWidth)
      }
      let requests = steps.map(\.request)
      let connection = party == 0 ? first : second
      return Worker {
        let description = try #require(provider.availableSessions().first)
        var engine = try provider.openSession(description)
        try engine.prepare(peer: connection)
        return try zip(inputs, requests).map {
          try engine.step(inputShare: $0, $1, through: connection)
        }
      }
    }
    return try workers.map { try $0.value() }
  }

  /// A party's share of the input, as the frames and the seed tell it.
  private static func input(
    _ deployment: Deployment, _ party: Int, _ seed: Seed, _ step: Step, _ index: Int, width: Int
  ) throws -> [UInt64] {
    let count = step.tokens.count * width
    if deployment == .providerUser {
      // All of it is the user's.
      #expect(try step.words(of: "provider").isEmpty)
      return party == 0
        ? [UInt64](repeating: 0, count: count)
        : step.tokens.flatMap { token in (0..<width).map { $0 == token ? 1 : 0 } }
    }
    if party == 0 { return try step.words(of: "party0") }
    #expect(try step.words(of: "party1").isEmpty)
    return RandomStream(
      seed: seed,
      label: StreamLabel(
        session: 0, party: 1, operation: 0, kind: StreamKind.clientInput.rawValue,
        index: UInt32(index))
    ).words(at: 0, count: count)
  }
}
