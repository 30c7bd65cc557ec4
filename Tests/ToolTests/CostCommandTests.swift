// `lodge-check cost`: whose cost it tells.

import Bytes
import TestSupport
import Testing

@Suite struct CostCommandTests {
  /// Bytes that each party sends for the prompt.
  private func prompt(_ cost: JSON) throws -> Int {
    var reader = try JSONReader(cost, source: "cost")
    var total = try JSONReader(reader.value("total"), source: "cost")
    var step = try JSONReader(total.value("prompt"), source: "cost")
    return try step.integer("bytesPerParty")
  }

  /// What cannot be shared has no costs either.
  @Test func gatesAreRefusedWithAProvider() throws {
    let files = try ConversionFiles.tiny(TinyGraph(GraphKind.gates[0]))
    try Tool.fail(
      "lodge-check", ["cost", files.modelPath, "--deployment", "provider-user", "--no-compute"],
      saying: ["this model has gates"])
  }

  /// What is dealt is told as files are, headers included: a user's holds little else.
  @Test func dealtBytesAreThoseOfFiles() throws {
    let folder = try ScratchFolder()
    let model = try "\(Tiny.converted.get())/model.lodge"
    try Tool.succeed(
      "lodge-model",
      ["share", model, "--out", folder.file("roles"), "--deployment", "provider-user"])
    let output = try Tool.succeed(
      "lodge-deal",
      [
        folder.file("roles/dealer"), "--sessions", "0..<1", "--prompt", "2", "--new", "2", "--out",
        folder.file("sessions"), "--json",
      ])
    var told = try JSONReader(JSON.parse(output, source: "dealt"), source: "dealt")
    for party in 0...1 {
      let path = folder.file("sessions/party\(party)/000000.corr")
      #expect(
        try told.integer("party\(party)BytesPerSession") == FilePaths.byteCount(of: path))
    }
  }

  /// A bundle says who the parties are; a model, which may become one of either, takes what is asked.
  @Test func theDeploymentIsThatOfABundle() throws {
    let folder = try ScratchFolder()
    let model = try "\(Tiny.converted.get())/model.lodge"
    let roles = folder.file("roles")
    try Tool.succeed(
      "lodge-model", ["share", model, "--out", roles, "--deployment", "provider-user"])
    func cost(_ file: String, _ options: [String] = [], room: Int = 2) throws -> JSON {
      let output = try Tool.succeed(
        "lodge-check",
        ["cost", file, "--prompt", "\(room)", "--new", "2", "--no-compute", "--json"] + options)
      return try JSON.parse(output, source: "cost")
    }
    let user = try cost(model, ["--deployment", "provider-user"])
    #expect(try user != cost(model))
    for file in ["user/user.bundle", "provider/provider.bundle", "dealer/dealer.bundle"] {
      #expect(try cost("\(roles)/\(file)") == user, "\(file)")
      #expect(try cost("\(roles)/\(file)", ["--deployment", "provider-user"]) == user, "\(file)")
    }
    // A shorter text in a session of that size, and in one of its own.
    let options = ["--deployment", "provider-user", "--text", "1"]
    let shorter = try cost(model, options)
    #expect(try prompt(shorter) < prompt(user))
    #expect(try prompt(cost(model, options, room: 1)) <= prompt(shorter))
    try Tool.fail(
      "lodge-check", ["cost", model, "--prompt", "2", "--text", "3", "--no-compute"], status: 64,
      saying: ["--text: 3 tokens, the session has room for 2"])
    let refused = try Tool.run(
      "lodge-check", ["cost", "\(roles)/user/user.bundle", "--deployment", "two-server"])
    #expect(refused.status != 0)
    #expect(
      refused.messages.contains("is of a conversion for provider-user, not two-server"),
      "\(refused.messages)")
  }
}
