// Questions in text, from the command line to the answer that is printed.

import Bytes
import Foundation
import OnlineRuntime
import TestSupport
import Testing

@Suite(.serialized) struct TextAnswerTests {
  /// A tokenizer of the tiny model: word N is token N.
  private func writeTokenizer(to folder: ScratchFolder, endToken: Int? = nil) throws {
    let words = (0..<11).map { #""w\#($0)":\#($0)"# }.joined(separator: ",")
    let text =
      #"{"version":"1.0","added_tokens":[],"normalizer":null,"#
      + #""pre_tokenizer":{"type":"WhitespaceSplit"},"post_processor":null,"decoder":null,"#
      + #""model":{"type":"WordLevel","unk_token":"w0","vocab":{\#(words)}}}"#
    _ = try folder.write(text.utf8, to: "tokenizer.json")
    _ = try folder.write("{{ messages[0].content }} w4".utf8, to: "chat_template.jinja")
    if let endToken {
      _ = try folder.write(
        #"{"eos_token_id":[\#(endToken),10000]}"#.utf8, to: "generation_config.json")
    }
  }

  private func ask(
    _ parties: Parties, _ tokenizer: ScratchFolder, _ more: [String]
  ) throws -> Tool.Outcome {
    try Tool.run(
      "lodge-client",
      [
        "--party0", parties.party0.address, "--party1", parties.party1.address, "--tokenizer",
        tokenizer.path, "--new", "3",
      ] + more)
  }

  @Test func textIsAskedAndAnswered() throws {
    let folder = try ScratchFolder()
    try writeTokenizer(to: folder)
    let parties = try Parties(Servers())
    let ids = try parties.generate().tokens
    let expected = ids.map { "w\($0)" }
    let plain = try ask(parties, folder, ["w3 w1 w4"])
    #expect(plain.status == 0 && plain.output == expected.joined(separator: " ") + "\n")
    #expect(plain.messages.contains("flights, party 0 sent"))
    // The chat template, and the model's own end token, which is not shown.
    let end = ids[1]
    try writeTokenizer(to: folder, endToken: end)
    let ended = try ask(parties, folder, ["--chat", "--json", "w3 w1"])
    try #require(ended.status == 0, "\(ended.messages)")
    var reader = try JSONReader(
      JSON.parse(Array(ended.output.utf8), source: "answer"), source: "answer")
    let kept = Array(ids.prefix { $0 != end })
    #expect(try reader.string("text") == kept.map { "w\($0)" }.joined(separator: " "))
    #expect(try reader.integers("tokens") == kept + [end])
    try parties.stop()
  }

  @Test func severalQuestionsTakeASessionEach() throws {
    let folder = try ScratchFolder()
    try writeTokenizer(to: folder)
    let files = try ScratchFolder()
    try FileManager.default.copyItem(
      atPath: "\(try Tiny.first.get())/shares", toPath: files.file("shares"))
    try Tiny.deal(files.path, into: files.file("correlations"), sessions: 5)
    let parties = try Parties(Servers(converted: files))
    let wrong: [([String], Int32, String)] = [
      (["--new=0", "w1"], 64, "--new"), (["w1", "--tokens", "x"], 64, "exclude each other"),
      ([""], 1, "is empty"), (["--file", folder.file("none"), "x"], 64, "exclude each other"),
      (["--file", folder.file("none")], 1, "no such file"),
      (["--out", folder.file("o"), "w1", "w2"], 64, "one question"),
      (["--top-k", "3", "w1"], 1, "--top-k"),
    ]
    for (arguments, status, part) in wrong {
      let given = [
        "--party0", parties.party0.address, "--party1", parties.party1.address, "--tokenizer",
        folder.path,
      ]
      try Tool.fail("lodge-client", given + arguments, status: status, saying: [part])
    }
    // Asked side by side, answered in their order.
    let answer = try ask(parties, folder, ["w3 w1 w4", "w5", "w3 w1 w4", "--concurrent", "2"])
    try #require(answer.status == 0, "\(answer.messages)")
    let lines = answer.output.split(separator: "\n")
    try #require(lines.count == 3)
    #expect(lines[0] == lines[2])
    let alone = try ask(parties, folder, ["w5"])
    #expect(alone.output == "\(lines[1])\n")
    // A text that ends the answer; errors above have cost no session.
    let second = try #require(lines[0].split(separator: " ").dropFirst().first)
    let file = try folder.write("w3 w1 w4\n".utf8, to: "question.txt")
    let ended = try ask(parties, folder, ["--file", file, "--stop", " \(second)"])
    #expect(ended.status == 0 && ended.output == "\(lines[0].split(separator: " ")[0])\n")
    try parties.stop()
  }

  /// A program that comes before the servers waits for them, or is told that nobody listens.
  @Test func requestsWaitForServers() throws {
    let folder = try ScratchFolder()
    try writeTokenizer(to: folder)
    let servers = try Servers()
    let addresses = try (0...1).map { _ in "\(try Listener(Address("127.0.0.1:0")).address)" }
    let file = try folder.write(
      #"{"output":"text","prompts":["w3 w1 w4"]}"#.utf8, to: "request.json")
    let ask = [
      "--party0", addresses[0], "--party1", addresses[1], "--tokenizer", folder.path, "--new", "3",
      "--request", file,
    ]
    let alone = try Tool.run("lodge-client", ask + ["--wait", "0s"])
    Tool.expectFailure(alone, of: "lodge-client", saying: ["connection refused"])
    #expect(alone.output.contains(#""hint":"nobody listens there: start lodge-party"#))
    let client = try RunningTool("lodge-client", ask)
    try client.await("does not listen yet: waits up to 30.0 s (--wait)")
    let parties = try (0...1).map { party in
      try PartyProcess(servers, party, peer: addresses[1 - party], listen: addresses[party])
    }
    let status = try client.wait(.seconds(60))
    #expect(status == 0)
    #expect(try client.output.contains(#""event":"answer""#))
    for party in parties.reversed() { try party.stop() }
  }

  /// What programs ask is JSON, and so is what they are told; what is wrong costs no session.
  @Test func programsAskWithRequests() throws {
    let folder = try ScratchFolder()
    try writeTokenizer(to: folder)
    let parties = try Parties(Servers())
    let ids = try parties.generate().tokens
    func ask(_ request: String, _ more: [String] = []) throws -> (Tool.Outcome, [String]) {
      let file = try folder.write(request.utf8, to: "request.json")
      let outcome = try self.ask(parties, folder, ["--request", file] + more)
      return (outcome, outcome.output.split(separator: "\n").map { String($0) })
    }
    let wrong: [(String, String)] = [
      ("{", "byte 1"), (#"{"output":"sound","prompts":[]}"#, "neither text nor embedding"),
      (#"{"output":"text"}"#, "prompts: missing key"),
      (#"{"output":"text","prompts":[3]}"#, "prompts: expected texts"),
      (#"{"output":"text","prompts":[[]]}"#, "prompts: expected texts"),
      (#"{"output":"text","prompts":["w1"],"old":3}"#, "old"),
      (#"{"output":"text","prompts":["w1"],"new":0}"#, "new"),
      (#"{"output":"text","prompts":["w1"],"topP":2}"#, "topP"),
      (#"{"output":"text","prompts":["w1"],"topK":2}"#, "--top-k"),
      (#"{"output":"text","prompts":["w1"],"stop":[""]}"#, "stop: expected texts"),
      (#"{"output":"text","messages":[]}"#, "messages: there are none"),
      (#"{"output":"text","prompts":["w1",[11]]}"#, "token 11 is outside the vocabulary of 11"),
      (#"{"output":"embedding","prompts":["w1"]}"#, "this model: gives logits, no embedding"),
    ]
    for (request, part) in wrong {
      let (outcome, lines) = try ask(request)
      Tool.expectFailure(outcome, of: "lodge-client", saying: [part])
      #expect(lines.last?.contains(#""stage":"request""#) == true, "\(lines)")
    }
    let (_, refused) = try ask(#"{"output":"text","prompts":["w1 w1 w1 w1"]}"#)
    #expect(refused.last?.contains("sessions allow 3") == true, "\(refused)")
    #expect(refused.last?.contains(#""stage":"session""#) == true, "\(refused)")
    #expect(try ask("", ["--chat"]).0.status == 64)
    // The longer first.
    let (outcome, lines) = try ask(#"{"output":"text","prompts":["w7",[3,1,4]],"stop":["w99"]}"#)
    try #require(outcome.status == 0, "\(outcome.messages)")
    #expect(lines[0] == #"{"event":"question","index":0,"tokens":1}"#)
    #expect(lines[2].contains(#""event":"session","index":1,"session":1"#))
    for (step, id) in ids.enumerated() {
      #expect(lines[3 + step].hasPrefix(#"{"event":"token","id":\#(id),"index":1,"text":""#))
    }
    #expect(
      lines[3 + ids.count].hasPrefix(#"{"event":"answer","index":1,"reason":"length","text":""#))
    #expect(lines.last?.hasPrefix(#"{"event":"answer","index":0,"#) == true)
    try parties.stop()
  }

  @Test func textIsTokenisedForTheOtherTools() throws {
    let model = Repository.fixtures.appending(path: "opt-dickens-5m").path
    let folder = try ScratchFolder()
    let out = folder.file("ids.json")
    let texts = ["It was the best of times", "naïve 🧑🏿‍🚀"]
    let file = try folder.write((texts.joined(separator: "\n\n") + "\n").utf8, to: "texts.txt")
    try Tool.succeed("lodge-model", ["tokenize", model, "--text", file, "--out", out])
    let lists = try TokenFile.read(out)
    #expect(lists.count == 2)
    let back = try Tool.succeed("lodge-model", ["tokenize", model, "--decode", out])
    #expect(back == texts.joined(separator: "\n") + "\n")
    let started = try Tool.succeed(
      "lodge-model", ["tokenize", model, "--start", "2", "--max", "3", texts[0]])
    #expect(started == "[2,\(lists[0][0]),\(lists[0][1])]\n")
    try Tool.fail(
      "lodge-model", ["tokenize", model, "--start", "9999", "a"],
      saying: ["9999 is no id of the tokenizer, whose largest is 2047"])
  }

  /// What Lodge does not do itself goes to tools/tokenize, with the same result.
  @Test(.needsPython) func otherTokenizersGoToTheHelper() throws {
    let folder = try ScratchFolder()
    try writeTokenizer(to: folder)
    let path = folder.file("tokenizer.json")
    let text = try String(contentsOfFile: path, encoding: .utf8)
    let other = text.replacing(
      #"{"type":"WhitespaceSplit"}"#,
      with:
        #"{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"(?<=q)z"},"behavior":"Isolated","invert":false},{"type":"WhitespaceSplit"}]}"#
    )
    #expect(other != text)
    _ = try folder.write(other.utf8, to: "tokenizer.json")
    let words = ["w3 w1 w4", "w7\nw2"]
    let ids = try Tool.succeed("lodge-model", ["tokenize", folder.path] + words)
    #expect(ids == "[[3,1,4],[7,2]]\n")
    let file = try folder.write(ids.utf8, to: "ids.json")
    #expect(
      try Tool.succeed("lodge-model", ["tokenize", folder.path, "--decode", file])
        == "w3 w1 w4\nw7 w2\n")
    try Tool.fail(
      "lodge-model", ["tokenize", folder.path, "--exact", "w1"], saying: ["(?<=q)z"])
  }
}
