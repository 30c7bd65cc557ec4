// Two party processes and what a client asks of them.

import Bytes
import Foundation
import OnlineRuntime
import TestSupport
import Testing

/// One running lodge-party; killed when the last reference goes.
final class PartyProcess {
  let party: Int
  let tool: RunningTool
  let address: String

  /// Starts a party and waits until it listens.
  convenience init(
    _ servers: Servers, _ party: Int, peer: String, listen: String = "127.0.0.1:0",
    _ more: [String] = []
  ) throws {
    try self.init(arguments: servers.arguments(party, listen: listen) + more, party, peer: peer)
  }

  /// The same with `arguments` that name everything but the peer, which a provider does not have.
  init(arguments: [String], _ party: Int, peer: String?) throws {
    self.party = party
    tool = try RunningTool("lodge-party", arguments + (peer.map { ["--peer", $0] } ?? []))
    try tool.await("listens on ")
    let line = try tool.messages.components(separatedBy: "listens on ")[1]
    address = String(line.prefix { $0 != "\n" })
  }

  /// Stops the party as an administrator does and checks that it goes quietly.
  func stop(sourceLocation: SourceLocation = #_sourceLocation) throws {
    tool.signal(SIGTERM)
    let status = try tool.wait(.seconds(10), sourceLocation: sourceLocation)
    let log = try tool.messages
    #expect(status == 0, "\(log)", sourceLocation: sourceLocation)
  }
}

/// Both parties of a conversion.
struct Parties {
  let servers: Servers
  var party0: PartyProcess
  var party1: PartyProcess

  /// - Parameter more: Further arguments of each party.
  init(_ servers: Servers, _ more: [[String]] = [[], []]) throws {
    self.servers = servers
    party0 = try PartyProcess(servers, 0, peer: "127.0.0.1:0", more[0])
    party1 = try PartyProcess(servers, 1, peer: party0.address, more[1])
  }

  init(servers: Servers, party0: PartyProcess, party1: PartyProcess) {
    self.servers = servers
    self.party0 = party0
    self.party1 = party1
  }

  subscript(party: Int) -> PartyProcess { party == 0 ? party0 : party1 }

  /// Arguments of a client that asks for `newCount` tokens after `prompt`.
  func clientArguments(prompt: [Int] = [3, 1, 4], newCount: Int = Tiny.newCapacity) throws
    -> [String]
  {
    let path = servers.folder.file("prompt-\(UUID().uuidString).json")
    try Data("\(prompt)".utf8).write(to: URL(filePath: path))
    return [
      "--party0", party0.address, "--party1", party1.address, "--tokens", path, "--new",
      "\(newCount)",
    ]
  }

  /// Asks for a continuation that has to succeed.
  @discardableResult
  func generate(
    prompt: [Int] = [3, 1, 4], newCount: Int = Tiny.newCapacity, _ more: [String] = [],
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> Answer {
    let arguments = try clientArguments(prompt: prompt, newCount: newCount) + more + ["--json"]
    return try Answer(
      Tool.succeed("lodge-client", arguments, sourceLocation: sourceLocation))
  }

  /// Asks for a continuation that has to be refused.
  func refuse(
    prompt: [Int] = [3, 1, 4], newCount: Int = Tiny.newCapacity, _ more: [String] = [],
    saying parts: [String], sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    try Tool.fail(
      "lodge-client", clientArguments(prompt: prompt, newCount: newCount) + more, saying: parts,
      sourceLocation: sourceLocation)
  }

  /// Begins a session in this process, so that a test decides when its steps come.
  func begin() throws -> ClientSession {
    try ClientSession.begin(
      party0: Address(party0.address), party1: Address(party1.address),
      promptCount: Tiny.promptCapacity, newCount: Tiny.newCapacity)
  }

  func stop() throws {
    try party1.stop()
    try party0.stop()
  }
}

extension ClientSession {
  /// Evaluates one row in which the first token is hot.
  func stepOneRow() throws {
    _ = try step(rows: [1] + [UInt64](repeating: 0, count: identity.inputWidth - 1), rowCount: 1)
  }
}

/// What `lodge-client --json` prints.
struct Answer {
  struct Step: Equatable {
    var rounds: Int
    var bytesSent: [Int]
  }

  var tokens: [Int]
  var session: Int
  var total: Step
  /// Totals after each step.
  var steps: [Step]

  init(_ text: String) throws {
    var reader = try JSONReader(JSON.parse(Array(text.utf8), source: "answer"), source: "answer")
    func step(_ reader: inout JSONReader) throws -> Step {
      _ = try reader.number("seconds")
      return Step(
        rounds: try reader.integer("rounds"),
        bytesSent: [
          try reader.integer("party0BytesSent"), try reader.integer("party1BytesSent"),
        ])
    }
    tokens = try reader.integers("tokens")
    session = try reader.integer("session")
    _ = try reader.string("batch")
    _ = try reader.integer("aheadBytes")
    _ = try reader.integer("drafted")
    _ = try reader.integer("accepted")
    total = try step(&reader)
    steps = try reader.array("steps").map { element in
      var inner = try JSONReader(element, source: "answer", place: "steps")
      let result = try step(&inner)
      try inner.finish()
      return result
    }
    try reader.finish()
  }
}
