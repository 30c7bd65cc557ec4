// The trained model in the repository, from checkpoint to answer, through the executables.

import Bytes
import Foundation
import TestSupport
import Testing

@Suite(.serialized) struct FullRunTests {
  private let model = Repository.fixtures.appending(path: "opt-dickens-5m").path

  private func prompts() throws -> [ReferencePrompt] {
    try ReferencePrompt.read("\(model)/reference/prompts.json")
  }

  /// Converts, shares and deals into a folder.
  private func convert(
    _ more: [String] = [], sessions: Int, prompt: Int, new: Int, _ servers: ScratchFolder
  ) throws {
    let lodge = servers.file("model.lodge")
    let shares = servers.file("shares")
    let commands = [
      [
        "lodge-model", "approximate", model, "--tokens", "\(model)/calibration.json",
        "--out", lodge, "--json",
      ] + more,
      ["lodge-model", "share", lodge, "--out", shares, "--json"],
      [
        "lodge-deal", shares, "--sessions", "0..<\(sessions)", "--prompt", "\(prompt)",
        "--new", "\(new)", "--out", servers.file("correlations"), "--json",
      ],
    ]
    for command in commands {
      let outcome = try Tool.run(command[0], Array(command.dropFirst()))
      try #require(outcome.status == 0, "\(outcome.messages)")
      // The result is one document, and so is the record of the configuration.
      for text in [outcome.output, outcome.messages] {
        _ = try JSON.parse(Array(text.utf8), source: command[0])
      }
    }
  }

  /// Greedy tokens of the reference, rounds and bytes of the cost interpreter: for two prompts.
  @Test(arguments: ["keys", "bits"])
  func theFixtureAnswersAsItsReferenceDoes(compare: String) throws {
    let folder = try ScratchFolder()
    let chosen = try prompts().filter { ["short", "sentence"].contains($0.name) }
    try #require(chosen.count == 2)
    let capacity = chosen.map(\.tokens.count).max() ?? 1
    let newCount = 12
    try convert(
      ["--compare", compare], sessions: 2, prompt: capacity, new: newCount, folder)
    let servers = Servers(converted: folder)
    let parties = try Parties(servers)
    for (session, prompt) in chosen.enumerated() {
      let secure = folder.file("secure-\(session).npy")
      let answer = try parties.generate(
        prompt: prompt.tokens, newCount: newCount, ["--logits", secure])
      #expect(answer.session == session)
      try expectReference(answer, prompt, secure: secure, folder)
      try expectCost(
        answer, promptCount: prompt.tokens.count, newCount: newCount,
        file: servers.bundle(session))
    }
    try parties.stop()
    // What the parties counted themselves is what they told the client.
    for party in 0...1 {
      #expect(try parties[party].tool.messages.components(separatedBy: " finished: ").count == 3)
    }
    let owner = folder.file("model.lodge")
    for file in [owner, servers.bundle(0), folder.file("shares/manifest.json")] {
      try expectJSON("lodge-check", ["verify", file, "--json"])
    }
    try expectJSON("lodge-check", ["program", owner, "--json"])
    try expectJSON("lodge-model", ["inspect", model, "--json"])
    // Only the owner of these files may read them.
    for file in FileManager.default.files(below: folder.path)
    where ["lodge", "bundle", "corr", "batch", "ledger"].contains(URL(filePath: file).pathExtension)
    {
      let attributes = try FileManager.default.attributesOfItem(atPath: folder.file(file))
      let mode = attributes[.posixPermissions] as? Int ?? 0o777
      #expect(mode & 0o077 == 0, "\(file) has mode \(String(mode, radix: 8))")
    }
  }

  /// The tokens are the reference's, except where its margin is small; logits are close.
  private func expectReference(
    _ answer: Answer, _ prompt: ReferencePrompt, secure: String, _ folder: ScratchFolder
  ) throws {
    let count = answer.tokens.count
    let tokens = try folder.write("\(prompt.tokens)".utf8, to: "reference.json")
    let continuation = try Tool.succeed(
      "lodge-model",
      [
        "logits", model, "--tokens", tokens, "--new", "\(count)", "--out",
        folder.file("plaintext.npy"), "--tokens-out", folder.file("plaintext.json"),
      ])
    let plaintext = try TokenFile.read(folder.file("plaintext.json"))
    #expect(plaintext == [Array(prompt.greedy.prefix(count))])
    #expect(continuation.hasPrefix(JSON.array(plaintext[0].map(JSON.integer)).text))
    let comparison = try expectJSON(
      "lodge-check", ["logits", secure, folder.file("plaintext.npy"), "--json"])
    var reader = try JSONReader(comparison, source: "comparison")
    #expect(try reader.integer("rows") == count)
    if try reader.integer("comparedRows") == count { #expect(answer.tokens == plaintext[0]) }
    #expect(try reader.number("largestDifference") <= 0.12)
    #expect(try reader.number("meanDifference") <= 0.005)
  }

  /// Rounds and bytes of every step are those that the cost interpreter computes from shapes.
  private func expectCost(
    _ answer: Answer, promptCount: Int, newCount: Int, file: String
  ) throws {
    let cost = try expectJSON(
      "lodge-check",
      ["cost", file, "--prompt", "\(promptCount)", "--new", "\(newCount)", "--steps", "--json"])
    var reader = try JSONReader(cost, source: "cost")
    let steps = try reader.array("steps")
    try #require(steps.count == answer.steps.count)
    var expected = Answer.Step(rounds: 0, bytesSent: [0, 0])
    for (index, element) in steps.enumerated() {
      var step = try JSONReader(element, source: "cost", place: "steps[\(index)]")
      expected.rounds += try step.integer("rounds")
      let bytes = try step.integer("bytesPerParty")
      for party in 0...1 { expected.bytesSent[party] += bytes }
      #expect(answer.steps[index] == expected, "step \(index)")
    }
    #expect(answer.total == expected)
  }

  @discardableResult
  private func expectJSON(_ tool: String, _ arguments: [String]) throws -> JSON {
    try JSON.parse(Array(Tool.succeed(tool, arguments).utf8), source: tool)
  }

  /// The client that holds the embedding gets the tokens that the secret embedding gives.
  @Test func theClientMayHoldTheEmbedding() throws {
    let folder = try ScratchFolder()
    let prompt = try #require(try prompts().first { $0.name == "short" })
    let newCount = 6
    try convert(
      ["--embedding", "client"], sessions: 1, prompt: prompt.tokens.count, new: newCount, folder)
    let servers = Servers(converted: folder)
    let manifest = try String(
      decoding: Data(contentsOf: URL(filePath: folder.file("shares/manifest.json"))), as: UTF8.self)
    #expect(manifest.contains("embedding: client"))
    let parties = try Parties(servers)
    let bundle = folder.file("shares/client.bundle")
    // Without its bundle, and with a wrong token, nothing is asked for.
    try parties.refuse(
      prompt: prompt.tokens, newCount: newCount,
      saying: ["this model's embedding is held by the client"])
    try parties.refuse(
      prompt: [2, 2048], newCount: newCount, ["--bundle", bundle],
      saying: ["position 1", "token 2048 is outside the vocabulary of 2048"])
    let answer = try parties.generate(
      prompt: prompt.tokens, newCount: newCount, ["--bundle", bundle])
    #expect(answer.session == 0)
    #expect(answer.tokens == Array(prompt.greedy.prefix(newCount)))
    try parties.stop()
  }

  /// An encoder has no new tokens: the client's default for them is not held against it.
  @Test func encodersAnswerWithHiddenStates() throws {
    let folder = try ScratchFolder()
    let checkpoint = try TinyCheckpoint.bert().write(to: folder)
    let tokens = try folder.write("[[1,2,3,4],[5,6,7,8,9]]".utf8, to: "tokens.json")
    let shares = folder.file("shares")
    try Tool.succeed(
      "lodge-model",
      ["approximate", checkpoint, "--tokens", tokens, "--out", folder.file("model.lodge")])
    try Tool.succeed("lodge-model", ["share", folder.file("model.lodge"), "--out", shares])
    try Tool.succeed(
      "lodge-deal", [shares, "--prompt", "4", "--out", folder.file("correlations")])
    let parties = try Parties(Servers(converted: folder))
    let text = try folder.write("[1,2,3,4]".utf8, to: "text.json")
    try Tool.succeed(
      "lodge-client",
      [
        "--party0", parties.party0.address, "--party1", parties.party1.address, "--tokens", text,
        "--logits", folder.file("secure.npy"),
      ])
    try Tool.succeed(
      "lodge-model", ["logits", checkpoint, "--tokens", text, "--out", folder.file("plain.npy")])
    let secure = try NPY.readFloats(folder.file("secure.npy"))
    let plain = try NPY.readFloats(folder.file("plain.npy"))
    #expect(secure.shape == plain.shape)
    let largest = zip(secure.values, plain.values).map { abs($0 - $1) }.max() ?? .infinity
    #expect(largest < 0.1, "largest difference \(largest)")
    try parties.stop()
  }
}
