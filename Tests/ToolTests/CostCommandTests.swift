// `lodge-check cost`: whose cost it tells.

import Bytes
import TestSupport
import Testing

@Suite struct CostCommandTests {
  /// A bundle says who the parties are; a model, which may become one of either, takes what is asked.
  @Test func theDeploymentIsThatOfABundle() throws {
    let folder = try ScratchFolder()
    let model = try "\(Tiny.converted.get())/model.lodge"
    let roles = folder.file("roles")
    try Tool.succeed(
      "lodge-model", ["share", model, "--out", roles, "--deployment", "provider-user"])
    func cost(_ file: String, _ options: [String] = []) throws -> JSON {
      let output = try Tool.succeed(
        "lodge-check",
        ["cost", file, "--prompt", "2", "--new", "2", "--no-compute", "--json"] + options)
      return try JSON.parse(output, source: "cost")
    }
    let user = try cost(model, ["--deployment", "provider-user"])
    #expect(try user != cost(model))
    for file in ["user/user.bundle", "provider/provider.bundle", "dealer/dealer.bundle"] {
      #expect(try cost("\(roles)/\(file)") == user, "\(file)")
      #expect(try cost("\(roles)/\(file)", ["--deployment", "provider-user"]) == user, "\(file)")
    }
    let refused = try Tool.run(
      "lodge-check", ["cost", "\(roles)/user/user.bundle", "--deployment", "two-server"])
    #expect(refused.status != 0)
    #expect(
      refused.messages.contains("is of a conversion for provider-user, not two-server"),
      "\(refused.messages)")
  }
}
