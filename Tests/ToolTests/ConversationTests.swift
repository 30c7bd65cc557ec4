// Conversations in one session, by the built tools: lines of a chat, and requests of a program.

import Bytes
import Foundation
import TestSupport
import Testing

@Suite(.serialized) struct ConversationTests {
  private let folder: ScratchFolder

  init() throws { folder = try ScratchFolder() }

  private func parties(
    _ template: String = WordParties.template, sessions: Int, _ more: [String] = []
  ) throws -> WordParties {
    try WordParties(
      folder.file("served"), files: ["chat_template.jinja": template],
      deal: ["--sessions", "\(sessions)", "--prompt", "12", "--new", "40"], more)
  }

  /// A client of `parties` that reads `lines`, or what the caller writes.
  private func start(_ parties: WordParties, _ arguments: [String], _ lines: [String] = [])
    throws -> (tool: RunningTool, input: Pipe)
  {
    let input = Pipe()
    let tool = try RunningTool(
      "lodge-client", parties.clientArguments + ["--new", "4", "--room", "40"] + arguments,
      input: input)
    if !lines.isEmpty {
      input.fileHandleForWriting.write(Data((lines.joined(separator: "\n") + "\n").utf8))
      try input.fileHandleForWriting.close()
    }
    return (tool, input)
  }

  private struct Turn {
    var tokens: [Int]
    var session: Int
    var question: Int
    var tokensLeft: Int
    var text: String

    init(_ line: Substring) throws {
      var reader = try JSONReader(JSON.parse(Array(line.utf8), source: "turn"), source: "turn")
      tokens = try reader.integers("tokens")
      session = try reader.integer("session")
      question = try reader.integer("question")
      tokensLeft = try reader.integer("tokensLeft")
      text = try reader.string("text")
    }
  }

  /// Lines are turns of one session; one that is too long is refused and costs nothing.
  @Test func linesAreTurnsOfOneSession() throws {
    let parties = try parties(sessions: 2)
    let long = Array(repeating: "h", count: 40).joined(separator: " ")
    let (chat, _) = try start(parties, ["--chat", "-", "--json"], ["a b", "", long, "c"])
    #expect(try chat.wait(.seconds(60)) == 1)
    let messages = try chat.messages
    #expect(messages.contains("error: the question: its 42 tokens and 4 of an answer are more"))
    #expect(messages.contains("1 of its questions was refused"))
    // The error is printed as JSON as well, at the end.
    let turns = try chat.output.split(separator: "\n").prefix(2).map(Turn.init)
    try #require(turns.count == 2, "\(messages)")
    #expect(turns[0].question == 3 && turns[1].question == 3)
    #expect(turns[0].session == turns[1].session)
    #expect(turns.map(\.tokensLeft) == [37, 31])
    // A session of its own answers the whole conversation as the second turn was answered.
    let said = [1, 2, 4] + turns[0].tokens + [3, 4]
    let file = try folder.write("\(said)".utf8, to: "said.json")
    let alone = try Tool.succeed(
      "lodge-client", parties.clientArguments + ["--tokens", file, "--new", "4", "--json"])
    #expect(try Answer(alone).tokens == turns[1].tokens)
    try parties.stop()
    #expect(try parties.count("finished") == 2 && parties.count("burned") == 0)
  }

  /// A template that rewrites the past takes another session for each turn.
  @Test func aRewrittenPastTakesAnotherSession() throws {
    let parties = try parties("{% for m in messages %}{{ m.content }} {% endfor %}d", sessions: 2)
    let (chat, _) = try start(parties, ["--chat", "-", "--draft", "repeats"], ["a b", "c"])
    // With drafts as many rows again are asked for, and 40 new tokens are dealt.
    #expect(try chat.wait(.seconds(60)) == 1)
    #expect(try chat.messages.contains("80 new tokens were asked for, sessions allow 40"))
    #expect(
      try chat.messages.contains(
        "lodge-deal DEALER-FOLDER --prompt 12 --new 80 --out LONGER"))
    let (other, _) = try start(
      parties, ["--chat", "-", "--draft", "repeats", "--draft-slots", "0"], ["a b", "c"])
    #expect(try other.wait(.seconds(60)) == 0)
    let messages = try other.messages
    #expect(messages.contains("note: the chat template does not go on from what was said"))
    #expect(try other.output.split(separator: "\n").count == 2)
    #expect(messages.components(separatedBy: "tokens asked, room for ").count == 3, "\(messages)")
    try parties.stop()
    #expect(try parties.count("finished") == 2 && parties.count("burned") == 0)
  }

  /// Parties burn a session that nothing comes for; the conversation goes on in another.
  @Test func silenceCostsTheSessionAndNotTheConversation() throws {
    let parties = try parties(sessions: 2, ["--idle", "2s"])
    let (chat, input) = try start(parties, ["--chat", "-", "--json"])
    let writing = input.fileHandleForWriting
    writing.write(Data("a b\n".utf8))
    try parties.parties[0].tool.await(" burned: ", count: 1)
    writing.write(Data("c\n".utf8))
    try writing.close()
    #expect(try chat.wait(.seconds(60)) == 0)
    let messages = try chat.messages
    #expect(messages.contains("note: the session is over ("), "\(messages)")
    #expect(messages.contains("sent no step in 2.00 s (--idle)"), "\(messages)")
    let turns = try chat.output.split(separator: "\n").map(Turn.init)
    #expect(turns.map(\.question) == [3, 3 + 4 + 2])
    try parties.stop()
    #expect(try parties.count("finished") == 1 && parties.count("burned") == 1)
  }

  /// Requests a line: messages that go on do so in their session, and errors end nothing.
  @Test func requestsGoOn() throws {
    let parties = try parties(sessions: 3)
    func messages(_ texts: String...) -> String {
      let list = texts.enumerated().map { index, text in
        #"{"role":"\#(index.isMultiple(of: 2) ? "user" : "assistant")","content":"\#(text)"}"#
      }
      return #"{"output":"text","new":3,"messages":[\#(list.joined(separator: ","))]}"#
    }
    let (client, input) = try start(parties, ["--request", "-", "--lines"])
    let writing = input.fileHandleForWriting
    func ask(_ line: String, _ event: String, count: Int) throws -> [String] {
      writing.write(Data("\(line)\n".utf8))
      var lines: [String] = []
      let isThere = client.poll(.seconds(60)) {
        lines = ((try? client.output) ?? "").split(separator: "\n").map { String($0) }
        return lines.count { $0.contains(#""event":"\#(event)""#) } == count
      }
      let log = try client.messages
      try #require(isThere, "\(lines) \(log)")
      return lines
    }
    func text(_ lines: [String]) -> String {
      lines.drop { !$0.contains(#""event":"session""#) }.compactMap { line in
        line.components(separatedBy: #""text":""#).last?.components(separatedBy: "\"").first
      }.dropFirst().joined()
    }
    let first = try ask(messages("a b"), "answer", count: 1)
    #expect(!first.contains { $0.contains("kept") })
    _ = try ask(#"{"output":"text"}"#, "error", count: 1)
    let second = try ask(messages("a b", text(first), "c"), "answer", count: 2)
    #expect(second.contains { $0.contains(#""event":"session""#) && $0.contains(#""kept":5"#) })
    // Another conversation, and one that has no room left: a session each.
    let third = try ask(messages("e"), "answer", count: 3)
    let long = Array(repeating: "h", count: 38).joined(separator: " ")
    _ = try ask(messages("e", text(Array(third[second.count...])), long), "error", count: 2)
    try writing.close()
    #expect(try client.wait(.seconds(30)) == 0)
    #expect(try client.output.contains("the prompt has 44 tokens, sessions allow 12"))
    try parties.stop()
    #expect(try parties.count("finished") == 2 && parties.count("burned") == 0)
  }

  @Test func conversationsAreCheckedFirst() throws {
    let addresses = ["--party0", "127.0.0.1:1", "--party1", "127.0.0.1:2"]
    let cases: [([String], String)] = [
      (["--chat", "-", "--out", "x"], "--out goes without a conversation"),
      (["--room", "9", "a"], "--room goes with a conversation"),
      (["--chat"], "QUESTION is missing"),
      (["--request", "x", "--lines"], "--lines goes with --request -"),
      (["--lines", "a"], "--lines goes with --request -"),
    ]
    for (arguments, part) in cases {
      try Tool.fail("lodge-client", addresses + arguments, status: 64, saying: [part])
    }
  }
}
