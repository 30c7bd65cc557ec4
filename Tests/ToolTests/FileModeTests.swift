// Every file that the pipeline writes is its owner's alone, whatever the umask.

import Foundation
import TestSupport
import Testing

@Suite(.serialized) struct FileModeTests {
  /// The umask is a property of the process: a shell sets it for the tool that it becomes.
  private func run(_ umask: String, _ name: String, _ arguments: [String]) throws {
    let process = try RunningTool(
      executable: URL(filePath: "/bin/sh"),
      ["-c", "umask \(umask); exec \"$0\" \"$@\"", try Tool.executable(name).path] + arguments)
    let status = try process.wait(.seconds(60))
    let messages = try process.messages
    try #require(status == 0, "\(name): \(messages)")
  }

  @Test(arguments: ["022", "000"])
  func filesAre0600AndFolders0700(umask: String) throws {
    let scratch = try ScratchFolder()
    _ = try TinyCheckpoint.opt(layerCount: 1).write(to: scratch)
    _ = try scratch.write("[[1,2,3,4,5,6],[7,8,9,10,0,1]]".utf8, to: "texts.json")
    _ = try scratch.write("[[3,1]]".utf8, to: "prompts.json")
    let given = Set(FileManager.default.files(below: scratch.path))
    // Parents that are made on the way count as well.
    let out = scratch.file("out/deep")
    try run(
      umask, "lodge-model",
      [
        "approximate", scratch.path, "--tokens", scratch.file("texts.json"), "--out",
        scratch.file("model.lodge"),
      ])
    try run(
      umask, "lodge-model",
      [
        "calibrate", scratch.path, "--tokens", scratch.file("texts.json"), "--out",
        scratch.file("model.calibration"),
      ])
    try run(
      umask, "lodge-model",
      [
        "logits", scratch.path, "--tokens", scratch.file("prompts.json"), "--new", "2", "--out",
        scratch.file("plain.npy"), "--tokens-out", scratch.file("plain.json"),
      ])
    try run(umask, "lodge-model", ["share", scratch.file("model.lodge"), "--out", "\(out)/shares"])
    try run(
      umask, "lodge-deal",
      ["\(out)/shares", "--prompt", "2", "--new", "2", "--out", "\(out)/deeper/correlations"])
    // The parties run under the same umask, each with its ledger.
    var parties: [RunningTool] = []
    var addresses = ["127.0.0.1:0"]
    for party in 0...1 {
      let tool = try RunningTool(
        executable: URL(filePath: "/bin/sh"),
        [
          "-c", "umask \(umask); exec \"$0\" \"$@\"", try Tool.executable("lodge-party").path,
          "--party", "\(party)", "--bundle", "\(out)/shares/party\(party).bundle",
          "--correlations", "\(out)/deeper/correlations/party\(party)",
          "--listen", "127.0.0.1:0", "--peer", addresses[party],
        ])
      try tool.await("listens on ")
      let line = try tool.messages.components(separatedBy: "listens on ")[1]
      addresses.insert(String(line.prefix { $0 != "\n" }), at: party == 0 ? 1 : 2)
      parties.append(tool)
    }
    try run(
      umask, "lodge-client",
      [
        "--party0", addresses[1], "--party1", addresses[2], "--tokens",
        scratch.file("prompts.json"), "--new", "2", "--logits", scratch.file("secure.npy"),
      ])
    for party in parties {
      party.signal(SIGTERM)
      #expect(try party.wait(.seconds(10)) == 0)
    }
    let written = Set(FileManager.default.files(below: scratch.path)).subtracting(given)
    #expect(written.count { $0.hasSuffix(".ledger") } == 2, "\(written.sorted())")
    #expect(written.isSuperset(of: ["model.lodge", "plain.npy", "secure.npy"]))
    for name in written.sorted() {
      let attributes = try FileManager.default.attributesOfItem(atPath: scratch.file(name))
      let mode = try #require(attributes[.posixPermissions] as? Int)
      let isFolder = attributes[.type] as? FileAttributeType == .typeDirectory
      #expect(mode == (isFolder ? 0o700 : 0o600), "\(name): \(String(mode, radix: 8))")
    }
  }
}
