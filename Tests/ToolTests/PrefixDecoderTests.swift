// A small ChatGLM from checkpoint to answer, through the executables.

import Bytes
import Foundation
import TestSupport
import Testing

@Suite(.serialized) struct PrefixDecoderTests {
  private static let checkpoint = Repository.fixtures.appending(path: "chatglm-small").path

  /// Converted, shared and dealt for prompts of 10 tokens and 8 new ones.
  private static func parties(_ folder: ScratchFolder, _ options: [String], sessions: Int) throws
    -> Parties
  {
    let (lodge, shares) = (folder.file("model.lodge"), folder.file("shares"))
    try Tool.succeed(
      "lodge-model",
      [
        "approximate", checkpoint, "--tokens", "\(checkpoint)/calibration.json", "--out", lodge,
      ] + options)
    try Tool.succeed("lodge-model", ["share", lodge, "--out", shares])
    try Tool.succeed(
      "lodge-deal",
      [
        shares, "--sessions", "0..<\(sessions)", "--prompt", "10", "--new", "8", "--out",
        folder.file("correlations"),
      ])
    return try Parties(Servers(converted: folder))
  }

  /// The tokens that the independent forward pass gives, of prompts as long as dealt and shorter.
  @Test(arguments: [[], ["--compare", "bits"], ["--embedding", "client"]])
  func answersAsTheReferenceDoes(options: [String]) throws {
    let folder = try ScratchFolder()
    let prompts = try ReferencePrompt.read("\(Self.checkpoint)/reference/prompts.json")
      .filter { !$0.greedy.isEmpty }
    #expect(prompts.map(\.tokens.count) == [5, 10, 2])
    let parties = try Self.parties(folder, options, sessions: prompts.count)
    let bundle =
      options.contains("client") ? ["--bundle", folder.file("shares/client.bundle")] : []
    for prompt in prompts {
      let answer = try parties.generate(prompt: prompt.tokens, newCount: 8, bundle)
      #expect(answer.tokens == prompt.greedy)
    }
    try parties.stop()
  }

  /// A provider and a user alone give the same tokens, with and without permuted values.
  @Test(arguments: [["--recipe", "accurate"], ["--recipe", "permllm", "--accept-leakage"]])
  func answersAUser(options: [String]) throws {
    let folder = try ScratchFolder()
    let lodge = folder.file("model.lodge")
    try Tool.succeed(
      "lodge-model",
      [
        "approximate", Self.checkpoint, "--tokens", "\(Self.checkpoint)/calibration.json", "--out",
        lodge,
      ] + options)
    let roles = folder.file("roles")
    try Tool.succeed(
      "lodge-model", ["share", lodge, "--deployment", "provider-user", "--out", roles])
    let prompts = try ReferencePrompt.read("\(Self.checkpoint)/reference/prompts.json")
      .filter { !$0.greedy.isEmpty }
    let correlations = folder.file("correlations")
    try Tool.succeed(
      "lodge-deal",
      [
        "\(roles)/dealer", "--sessions", "0..<\(prompts.count)", "--prompt", "10", "--new", "8",
        "--out", correlations,
      ])
    let provider = try RunningTool(
      "lodge-party",
      [
        "--party", "0", "--bundle", "\(roles)/provider/provider.bundle", "--correlations",
        "\(correlations)/party0", "--listen", "127.0.0.1:0",
      ])
    try provider.await("listens on ")
    let address = try provider.messages.components(separatedBy: "listens on ")[1]
      .prefix { $0 != "\n" }
    for prompt in prompts {
      let tokens = try folder.write("\(prompt.tokens)".utf8, to: "prompt.json")
      let answer = try Tool.succeed(
        "lodge-client",
        [
          "--provider", String(address), "--bundle", "\(roles)/user/user.bundle",
          "--correlations", "\(correlations)/party1", "--tokens", tokens, "--new", "8", "--json",
        ])
      var reader = try JSONReader(
        JSON.parse(Array(answer.utf8), source: "answer"), source: "answer")
      #expect(try reader.integers("tokens") == prompt.greedy)
    }
    provider.signal(SIGTERM)
    #expect(try provider.wait(.seconds(10)) == 0)
  }

  /// A client asks for nothing where the context would not end where positions say, and no session
  /// is dealt that holds no prompt.
  @Test func promptsWithoutMarkersAreRefused() throws {
    let folder = try ScratchFolder()
    let parties = try Self.parties(folder, [], sessions: 1)
    for (prompt, parts) in [
      ([5, 8, 13], ["the start token 34 is missing"]),
      ([5, 8, 34], ["the mask token 31 or 30 is missing"]),
      ([5, 31, 8, 34], ["the mask token 31 at position 1 does not stand right before"]),
      ([5, 31, 34, 8], ["the start token 34 at position 2 is not the last of 4"]),
    ] {
      try parties.refuse(prompt: prompt, newCount: 8, saying: parts + ["prompt-"])
    }
    let answer = try parties.generate(prompt: [5, 8, 13, 31, 34], newCount: 8)
    #expect(answer.session == 0)
    try parties.stop()
    try Tool.fail(
      "lodge-deal",
      [folder.file("shares"), "--prompt", "1", "--new", "8", "--out", folder.file("more")],
      saying: ["--prompt", "a prompt holds a mask and a start token"])
    try Tool.fail(
      "lodge-model",
      [
        "approximate", Self.checkpoint, "--tokens",
        try folder.write("[[1,2,3],[5,31,34,2]]".utf8, to: "texts.json"), "--out",
        folder.file("other.lodge"),
      ], saying: ["the start token 34 is missing"])
  }

  /// All stages of a validation and two parties on a sample.
  @Test func validates() throws {
    let folder = try ScratchFolder()
    try Tool.succeed(
      "lodge-model",
      [
        "approximate", Self.checkpoint, "--tokens", "\(Self.checkpoint)/calibration.json",
        "--out", folder.file("model.lodge"),
      ])
    let report = try Tool.succeed(
      "lodge-check",
      [
        "validate", folder.file("model.lodge"), "--tokens",
        "\(Self.checkpoint)/calibration.json", "--secure", "1", "--min-top1", "0.95",
      ])
    #expect(report.contains("top-1"))
  }
}
