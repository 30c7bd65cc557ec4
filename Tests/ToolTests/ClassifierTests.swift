// A classifier of texts, asked in text: the classes by name, with the probabilities of transformers.

import Bytes
import Foundation
import OnlineRuntime
import TestSupport
import Testing

@Suite struct ClassifierTests {
  private static let fixture = Repository.fixtures.appending(path: "bert-classifier").path

  /// Texts, ids and probabilities as tools/development/write-classifier had them from transformers.
  private struct Expected {
    var text: String
    var ids: [Int]
    var probabilities: [String: Double]

    static func read() throws -> [Expected] {
      let path = "\(ClassifierTests.fixture)/expected.json"
      guard case .array(let entries) = try JSON.read(path) else { return [] }
      return try entries.map { entry in
        var reader = try JSONReader(entry, source: path)
        let shares = try reader.object("probabilities")
        return Expected(
          text: try reader.string("text"), ids: try reader.integers("ids"),
          probabilities: try ["bad", "middling", "good"].reduce(into: [:]) { result, name in
            var shares = shares
            result[name] = try shares.number(name)
          })
      }
    }
  }

  /// An address at which nobody listens yet.
  private func freeAddress() throws -> String { "\(try Listener(Address("127.0.0.1:0")).address)" }

  @Test func classesAreNamedWithTheirProbabilities() throws {
    let folder = try ScratchFolder()
    let out = folder.file("served")
    let inspected = try Tool.run("lodge-model", ["inspect", Self.fixture])
    #expect(
      inspected.messages
        == "Next: lodge-model convert \(Self.fixture) --text text.txt --out served\n")
    let converted = try Tool.run(
      "lodge-model",
      [
        "convert", Self.fixture, "--text", "\(Self.fixture)/text.txt", "--out", out, "--recipe",
        "accurate",
      ])
    try #require(converted.status == 0, "\(converted.messages)")
    #expect(converted.output.contains("top-1 agreement"))
    let expected = try Expected.read()
    #expect(expected.count == 4)
    try Tool.succeed("lodge-deal", [out, "--sessions", "\(expected.count + 1)", "--prompt", "12"])

    // The client is the first to come, and waits for the servers.
    let addresses = [try freeAddress(), try freeAddress()]
    let ask = ["--folder", "\(out)/client", "--party0", addresses[0], "--party1", addresses[1]]
    try Tool.fail(
      "lodge-client", ask + ["--wait", "0s", "the film was good"],
      saying: ["party 0 at \(addresses[0]): cannot connect: connection refused"])
    let client = try RunningTool("lodge-client", ask + expected.map(\.text))
    try client.await("\(addresses[0]) does not listen yet: waits up to 30.0 s (--wait)")
    let parties = try (0...1).map { party in
      try PartyProcess(
        arguments: ["\(out)/party\(party)", "--listen", addresses[party]], party,
        peer: addresses[1 - party])
    }
    let status = try client.wait(.seconds(60))
    let messages = try client.messages
    try #require(status == 0, "\(messages)")
    #expect(messages.components(separatedBy: "does not listen yet").count == 2)
    let lines = try client.output.split(separator: "\n")
    try #require(lines.count == 3 * expected.count, "\(lines)")
    for (index, one) in expected.enumerated() {
      var previous = 1.0
      for line in lines[3 * index..<3 * index + 3] {
        let words = line.split(separator: " ")
        let share = try #require(one.probabilities["\(words[0])"])
        let printed = try #require(Double(words[1]))
        #expect(abs(printed - share) < 0.002, "\(one.text): \(line)")
        #expect(printed <= previous)
        previous = printed
      }
    }

    // One more for machines, and its scores as a file.
    let scores = folder.file("scores.npy")
    let document = try Tool.succeed(
      "lodge-client", ask + ["--json", "--out", scores, expected[0].text])
    var reader = try JSONReader(
      JSON.parse(Array(document.utf8), source: "answer"), source: "answer")
    #expect(try reader.value("labels") == ["bad", "middling", "good"])
    guard case .array(let shares) = try reader.value("probabilities") else { return }
    for (name, share) in zip(["bad", "middling", "good"], shares) {
      guard case .number(let share) = share else { continue }
      #expect(abs(share - (expected[0].probabilities[name] ?? 0)) < 0.002)
    }
    let array = try NPY.readFloats(scores)
    #expect(array.shape == [1, 3] && array.values.max() == array.values[1])

    // All are used, and so say those who count; an option that does nothing would not cost one anyway.
    try Tool.fail(
      "lodge-client", ask + ["--stop", "x", "hi"], saying: ["--stop: does nothing"])
    try Tool.fail(
      "lodge-client", ask + ["--new", "4", "hi"], saying: ["--new: does nothing"])
    let state = try Tool.succeed("lodge-deal", ["status", out])
    #expect(state.contains("Ready at both parties: 0 sessions"), "\(state)")
    let again = try Tool.run(
      "lodge-deal", [out, "--sessions", "\(expected.count + 1)", "--prompt", "12"])
    #expect(again.messages.contains("note: 5 of these 5 sessions are used already"))
    #expect(again.messages.contains("Next: lodge-deal \(out) --keep 5 --prompt 12"))
    try Tool.succeed("lodge-deal", [out, "--keep", "1", "--prompt", "12"])
    // The folder of another conversion is noticed before a session is.
    let other = folder.file("other")
    try FileManager.default.copyItem(atPath: "\(out)/client", toPath: other)
    try #"{"program": "\#(String(repeating: "07", count: 32))"}"#.write(
      toFile: "\(other)/tokenizer/lodge.json", atomically: true, encoding: .utf8)
    try Tool.fail(
      "lodge-client", ["--folder", other] + ask.dropFirst(2) + ["hi"],
      saying: ["the client's folder: is of another conversion than what the servers run"])
    try Tool.succeed("lodge-client", ask + ["hi"])
    for party in parties.reversed() { try party.stop() }
  }

  @Test func textsBecomeTheIDsOfTransformers() throws {
    for one in try Expected.read() {
      let ids = try Tool.succeed("lodge-model", ["tokenize", Self.fixture, one.text])
      #expect(ids == "\(JSON.array(one.ids.map(JSON.integer)).text)\n")
    }
  }
}
