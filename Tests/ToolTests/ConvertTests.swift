// `lodge-model convert`, and the tools on the folders of roles that it writes.

import Bytes
import Foundation
import TestSupport
import Testing

@Suite(.serialized, .needsPython) struct ConvertTests {
  /// The trained fixture, which tools/tokenize gives no start token.
  private static let fixture = Repository.fixtures.appending(path: "opt-dickens-5m").path

  private static let text = """
    It was a cold evening in the great city, and the lamps had been lit early along the narrow streets. \
    The old gentleman sat by the fire with his feet upon the fender, and looked into the coals as if he \
    saw there the faces of all whom he had known. "My dear sir," said the visitor, "I have come a long \
    way to see you, and I hope that you will hear me." The old gentleman said nothing for some time; \
    then he took up his glass, and put it down again, and said that he would be very happy to hear \
    anything which so good a friend had to say. There was a letter in his hand, and it was plain that \
    he did not know how to begin. "Read it," he said, "and leave nothing out."
    """

  /// A tiny OPT with a tokenizer of ten letters.
  private static let tiny = Result {
    try SharedFolder.make("convert-tiny") { folder in
      let checkpoint = try ScratchFolder()
      _ = try TinyCheckpoint.opt(layerCount: 1).write(to: checkpoint)
      for name in try checkpoint.names() {
        try FileManager.default.copyItem(
          atPath: checkpoint.file(name), toPath: "\(folder)/\(name)")
      }
      try tokenizer(offset: 1).write(
        toFile: "\(folder)/tokenizer.json", atomically: true, encoding: .utf8)
      try letters.write(toFile: "\(folder)/text.txt", atomically: true, encoding: .utf8)
    }
  }

  private static let letters = "a b c d e f g h i j a c e g i b d f h j a d g j c f i b e h"

  /// A tokenizer of the words a to j with the ids from `offset` on.
  private static func tokenizer(offset: Int) -> String {
    let words = "abcdefghij".enumerated().map { #""\#($1)":\#($0 + offset)"# }
    return
      #"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,"#
      + #""pre_tokenizer":{"type":"WhitespaceSplit"},"post_processor":null,"decoder":null,"#
      + #""model":{"type":"WordLevel","unk_token":"<unk>","vocab":{"<unk>":0,"#
      + words.joined(separator: ",") + "}}}"
  }

  private func wait(_ listening: [PartyProcess], _ client: [String]) throws -> Answer {
    let answer = try Answer(Tool.succeed("lodge-client", client + ["--json"]))
    for party in listening { try party.stop() }
    return answer
  }

  /// convert, deal, two parties, a client: the tokens are those of the plaintext model.
  @Test func fourCommandsGiveThePlaintextAnswer() throws {
    let folder = try ScratchFolder()
    let out = folder.file("served")
    let text = try folder.write(Self.text.utf8, to: "book.txt")
    let converted = try Tool.run(
      "lodge-model",
      [
        "convert", Self.fixture, "--text", text, "--start", "2", "--out", out, "--recipe",
        "accurate",
      ])
    try #require(converted.status == 0, "\(converted.messages)")
    #expect(converted.output.contains("accurate") && converted.output.contains("chosen"))
    #expect(converted.messages.contains("held out"))
    let last = converted.messages.split(separator: "\n").last ?? ""
    #expect(last.hasPrefix("Next: lodge-deal \(out) --sessions "))
    // Nobody is handed more than their own.
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: out).sorted() == [
        "README.txt", "client", "dealer", "owner", "party0", "party1",
      ])
    for party in 0...1 {
      #expect(
        FileManager.default.files(below: "\(out)/party\(party)") == [
          "manifest.json", "party\(party).bundle",
        ])
    }
    #expect(
      FileManager.default.files(below: "\(out)/client").allSatisfy { $0.hasPrefix("tokenizer") })
    let readme = try String(contentsOfFile: "\(out)/README.txt", encoding: .utf8)
    #expect(readme.contains("lodge-party \(out)/party0 --listen "))
    // The tokenizer is there.
    #expect(readme.contains("lodge-client --folder \(out)/client --party0 "))

    let dealt = try Tool.run(
      "lodge-deal", [out, "--sessions", "0..<1", "--prompt", "16", "--new", "4"])
    try #require(dealt.status == 0, "\(dealt.messages)")
    #expect(dealt.messages.contains("Next: lodge-party \(out)/party1 --listen "))
    #expect(dealt.messages.contains("'Your question'"))
    let files = FileManager.default.files(below: out)
    for path in ["party0", "party1"] { #expect(files.contains("\(path)/correlations/000000.corr")) }
    #expect(files.contains("dealer/correlations/dealer.batch"))
    #expect(try Tool.succeed("lodge-deal", ["status", out]).contains("1"))

    // One by its own folder, the other by that of all roles.
    let party0 = try PartyProcess(
      arguments: ["\(out)/party0", "--listen", "127.0.0.1:0"], 0, peer: "127.0.0.1:0")
    let party1 = try PartyProcess(
      arguments: [out, "--party", "1", "--listen", "127.0.0.1:0"], 1, peer: party0.address)
    let ids = try TokenFile.read("\(out)/owner/evaluation.json")[0].prefix(16)
    let prompt = try folder.write("\(ids)".utf8, to: "prompt.json")
    let answer = try wait(
      [party0, party1],
      [
        "--folder", "\(out)/client", "--party0", party0.address, "--party1", party1.address,
        "--tokens", prompt, "--new", "4",
      ])
    let plaintext = folder.file("plaintext.json")
    try Tool.succeed(
      "lodge-model",
      [
        "logits", Self.fixture, "--tokens", prompt, "--new", "4", "--out", folder.file("p.npy"),
        "--tokens-out", plaintext,
      ])
    #expect(try TokenFile.read(plaintext)[0] == answer.tokens)
  }

  /// A provider and its user, signed; the recipe is chosen.
  @Test func twoCommandsServeAUser() throws {
    let folder = try ScratchFolder()
    let out = folder.file("served")
    let checkpoint = try Self.tiny.get()
    let key = folder.file("owner.key")
    try Tool.succeed("lodge-party", ["keygen", key])
    let document = try Tool.succeed(
      "lodge-model",
      [
        "convert", checkpoint, "--text", "\(checkpoint)/text.txt", "--out", out, "--deployment",
        "provider-user", "--sign", key, "--json",
      ])
    var reader = try JSONReader(JSON.parse(Array(document.utf8), source: "o"), source: "o")
    #expect(try reader.string("folder") == out)
    // What costs nothing more is not tried twice, and what is not fit is not tried.
    let trials = try reader.array("trials").map { "\($0.text)" }
    #expect(trials.count == 10 && trials.filter { $0.contains(#""isChosen":true"#) }.count == 1)
    #expect(trials.contains { $0.contains("permllm") && $0.contains("excluded") })
    #expect(trials.contains { $0.contains(#""maxPerplexityIncrease":null"#) })
    #expect(
      FileManager.default.files(below: "\(out)/user").filter { !$0.hasPrefix("tokenizer") } == [
        "manifest.json", "manifest.json.sig", "user.bundle",
      ])
    // Whoever deals must not have the folders of the others.
    try Tool.fail(
      "lodge-deal", [out], saying: ["whoever deals must not have those of a party"])
    // On a machine of its own the dealer keeps sessions in its folder.
    let away = folder.file("dealer")
    try FileManager.default.copyItem(atPath: "\(out)/dealer", toPath: away)
    let deal = ["--prompt", "3", "--new", "2", "--sign", key]
    try Tool.succeed("lodge-deal", [away] + deal)
    for (party, role) in ["provider", "user"].enumerated() {
      try FileManager.default.moveItem(
        atPath: "\(away)/correlations/party\(party)", toPath: "\(out)/\(role)/correlations")
    }
    let trust = ["--trust", "\(key).pub"]
    let provider = try PartyProcess(
      arguments: ["\(out)/provider", "--listen", "127.0.0.1:0"] + trust, 0, peer: nil)
    let answer = try wait(
      [provider],
      [
        "--folder", "\(out)/user", "--provider", provider.address, "--tokens",
        try folder.write("[3,1,4]".utf8, to: "prompt.json"), "--new", "2",
      ] + trust)
    #expect(answer.tokens.count == 2)
  }

  /// What cannot be is refused by name, and leaves nothing behind.
  @Test func wrongUsesAreRefused() throws {
    let folder = try ScratchFolder()
    let checkpoint = try Self.tiny.get()
    let out = folder.file("served")
    func refuse(_ more: [String], status: Int32 = 1, saying parts: [String]) throws {
      let outcome = try Tool.run("lodge-model", ["convert", checkpoint, "--out", out] + more)
      Tool.expectFailure(outcome, of: "lodge-model", status: status, saying: parts)
    }
    func file(_ text: String, _ name: String = "t.txt") throws -> [String] {
      ["--text", try folder.write(text.utf8, to: name)]
    }
    let empty = folder.file("empty")
    try FileManager.default.createDirectory(atPath: empty, withIntermediateDirectories: true)
    try refuse(["--text", folder.file("none")], saying: ["none: no such file or folder"])
    try refuse(["--text", empty], saying: ["empty: holds no file that ends in .txt"])
    try refuse(file(" \n\n"), saying: ["t.txt: holds no text"])
    try refuse(file("a b"), saying: ["t.txt: holds 2 tokens: too little"])
    try refuse(file("[[1,2]]", "t.json"), saying: ["t.json: is JSON, plain text is expected"])
    try refuse(
      ["--text", try folder.write([0x61, 0xff, 0x62], to: "u.txt")], saying: ["is not UTF-8 text"])
    let other = folder.file("other")
    try FileManager.default.createDirectory(atPath: other, withIntermediateDirectories: true)
    try refuse(
      file(Self.letters) + ["--tokenizer", other], saying: ["tokenizer.json: there is no tokenizer"]
    )
    try Self.tokenizer(offset: 5).write(
      toFile: "\(other)/tokenizer.json", atomically: true, encoding: .utf8)
    try refuse(
      file(Self.letters) + ["--tokenizer", other],
      saying: ["the model's vocabulary is 11: the tokenizer is another model's"])
    let unreachable = try Tool.run(
      "lodge-model",
      ["convert", Self.fixture, "--out", out, "--start", "2", "--recipe", "puma"]
        + file(Self.text) + ["--max-perplexity-increase", "0.001"])
    Tool.expectFailure(
      unreachable, of: "lodge-model", status: 2,
      saying: ["no recipe keeps the limits", "puma: perplexity increase is 0.00"])
    #expect(unreachable.output.contains("puma"))
    try refuse(
      file(Self.letters) + ["--recipe", "permllm"], saying: ["permllm: party 1 learns what"])
    #expect(try folder.names().filter { $0.contains("served") }.isEmpty)
    try FileManager.default.createDirectory(atPath: out, withIntermediateDirectories: true)
    try refuse(file(Self.letters), saying: ["served: is there already"])
  }

  /// Folders of roles that do not belong together, or to another role.
  @Test func foldersOfAnotherConversionAreRefused() throws {
    let folder = try ScratchFolder()
    let checkpoint = try Self.tiny.get()
    let (first, second) = (folder.file("first"), folder.file("second"))
    for out in [first, second] {
      try Tool.succeed(
        "lodge-model",
        [
          "convert", checkpoint, "--text", "\(checkpoint)/text.txt", "--out", out, "--recipe",
          "accurate",
        ])
    }
    try Tool.fail(
      "lodge-party", [first, "--listen", "127.0.0.1:0", "--peer", "127.0.0.1:1"],
      saying: ["first: holds the files of both parties"])
    try Tool.fail(
      "lodge-party", ["\(first)/party1", "--listen", "127.0.0.1:0", "--peer", "127.0.0.1:1"],
      saying: ["party1/correlations: there are no sessions yet"])
    try Tool.fail(
      "lodge-party",
      ["\(first)/party1", "--party", "0", "--listen", "127.0.0.1:0", "--peer", "127.0.0.1:1"],
      saying: ["holds the files of party 1, not of party 0"])
    try Tool.fail(
      "lodge-party", ["\(first)/client", "--listen", "127.0.0.1:0", "--peer", "127.0.0.1:1"],
      saying: ["client: holds no bundle of a party"])
    try Tool.fail(
      "lodge-client",
      [
        "--folder", "\(first)/client", "--provider", "127.0.0.1:1", "--tokens",
        "\(first)/owner/evaluation.json",
      ], saying: ["client: holds no bundle of a user"])
    let deal = ["--sessions", "0..<1", "--prompt", "3", "--new", "2"]
    try Tool.succeed("lodge-deal", [second] + deal)
    // Sessions of another conversion in a party's folder, and a party's folder beside another dealer.
    try FileManager.default.moveItem(
      atPath: "\(second)/party1/correlations", toPath: "\(first)/party1/correlations")
    try Tool.fail(
      "lodge-party", ["\(first)/party1", "--listen", "127.0.0.1:0", "--peer", "127.0.0.1:1"],
      saying: ["conversion"])
    try FileManager.default.removeItem(atPath: "\(first)/party1")
    try FileManager.default.moveItem(atPath: "\(second)/party1", toPath: "\(first)/party1")
    try Tool.fail(
      "lodge-deal", [first] + deal,
      saying: ["party1/manifest.json: conversion: ", "is another than that of"])
  }
}
