// A provider and its user are killed at random points: no mask is ever used twice.

import Bytes
import Foundation
import Glibc
import OnlineRuntime
import Synchronization
import TestSupport
import Testing

/// A provider and users that are killed and started again, watched on the wire between them.
private final class KilledProvider {
  let files: ProviderFiles
  let relay: RecordingRelay
  private var generator: SplitMix
  private var provider: PartyProcess
  private(set) var killCount = 0
  /// Users that got their whole answer.
  private(set) var finishedCount = 0
  /// What users said that were not killed and got none.
  private(set) var complaints: [String] = []

  init(seed: UInt64, sessionCount: Int) throws {
    generator = SplitMix(seed)
    files = try ProviderFiles(sessionCount: sessionCount, isInMemory: true)
    relay = try RecordingRelay()
    provider = try files.provider()
    relay.setTarget(try Address(provider.address))
  }

  deinit { relay.close() }

  /// Has a user ask for a session, and kills it, the provider or both at a random point of it.
  func killOnce(both: Bool = false, whileDown: (ProviderFiles) throws -> Void = { _ in }) throws {
    let choice = Int.random(in: 0..<10, using: &generator)
    let (killsProvider, killsUser) = (
      both || choice == 0 || choice % 2 == 1, both || choice % 2 == 0
    )
    // A session has some 90 frames; greeting, agreement and claims are the first of them.
    let frame =
      Bool.random(using: &generator)
      ? Int.random(in: 0..<10, using: &generator) : Int.random(in: 0..<100, using: &generator)
    let delay = Bool.random(using: &generator) ? UInt32.random(in: 0..<2000, using: &generator) : 0
    let user = try RunningTool(
      "lodge-client",
      files.userArguments(
        relay.address.description,
        prompt: (0..<ProviderFiles.promptCapacity).map { _ in
          Int.random(in: 0..<11, using: &generator)
        }))
    let killed =
      (killsProvider ? [provider.tool.identifier] : []) + (killsUser ? [user.identifier] : [])
    relay.setTrap(frame: frame) {
      if delay > 0 { usleep(delay) }
      for identifier in killed { kill(identifier, SIGKILL) }
    }
    let status = try user.wait(.seconds(30))
    relay.setTrap(frame: .max) {}
    if status == 0 {
      finishedCount += 1
    } else if status > 0 {
      complaints.append(try user.messages)
    }
    killCount += killed.count
    guard killsProvider else { return }
    relay.setTarget(nil)
    provider.tool.kill()
    try whileDown(files)
    provider = try files.provider()
    relay.setTarget(try Address(provider.address))
  }

  /// After a last session that nobody disturbs.
  func finish() throws {
    try Tool.succeed(
      "lodge-client", files.userArguments(relay.address.description, prompt: [3, 1]))
    finishedCount += 1
    try provider.stop()
  }
}

@Suite(.serialized) struct ProviderKillTests {
  /// Whatever is killed wherever: every opening of every session is sent once, for one request, after
  /// both have claimed it; and a session that did not come to its end is at neither of them as good as
  /// new.
  @Test func noMaskIsUsedTwice() throws {
    let seed = UInt64.random(in: 0..<UInt64.max)
    print("provider kill test seed: \(seed)")
    let roles = try KilledProvider(seed: seed, sessionCount: 80)
    while roles.killCount < 60 { try roles.killOnce() }
    try roles.finish()
    let record = roles.relay.record
    #expect(record.repeated.isEmpty, "seed \(seed): \(record.repeated)")
    #expect(record.requests.values.allSatisfy { $0.count == 1 }, "seed \(seed)")
    for party in 0...1 {
      let ledger = try roles.files.ledgerOf(party)
      let states = try record.requests.keys.map { try ledger.state(of: $0) }
      #expect(!states.contains(nil), "seed \(seed): opened without a claim of party \(party)")
      // A provider that has said its last word may be killed before it has noted that.
      if party == 1 { #expect(states.count { $0 == .finished } >= roles.finishedCount) }
    }
    print(
      "\(roles.killCount) kills: \(record.requests.count) sessions opened something, "
        + "\(roles.finishedCount) reached their end, \(record.openings.count) openings")
    #expect(record.requests.count > 5 && record.requests.count < 80)
    // Users whose provider died were told in one line, with the session lost and nothing else.
    for complaint in roles.complaints {
      let errors = complaint.split(separator: "\n").filter { $0.hasPrefix("lodge-client: error: ") }
      #expect(errors.count == 1, "seed \(seed): \(complaint)")
    }
    #expect(!roles.complaints.isEmpty)
  }

  /// The record sees a reuse when there is one: both lose their ledgers and repeat masks.
  @Test func theRecordSeesReuse() throws {
    let roles = try KilledProvider(seed: 1, sessionCount: 2)
    var reuse = false
    for _ in 0..<20 where !reuse {
      try roles.killOnce(both: true) { files in
        for party in 0...1 { try? FileManager.default.removeItem(atPath: files.ledger(party)) }
      }
      reuse = !roles.relay.record.repeated.isEmpty
    }
    #expect(reuse)
  }
}
