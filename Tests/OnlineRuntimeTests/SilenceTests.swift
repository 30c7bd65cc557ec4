// Parties that say nothing though their hosts answer, as stopped processes do.

import Bytes
import Dispatch
import Foundation
import OnlineRuntime
import TestSupport
import Testing

@Suite struct SilenceTests {
  /// Two parties of which one does not come to the end of its steps before `release`.
  private struct Pair {
    let folder: TemporaryFolder
    let parties: [FakeParty]
    private let gate = DispatchSemaphore(value: 0)

    /// - Parameters:
    ///   - stopped: The party whose steps do not end by themselves.
    ///   - isDead: Whether it does not even say that it computes.
    ///   - patience: Of each party with the other.
    init(stopped: Int, isDead: Bool, patience: Duration = .seconds(60)) throws {
      folder = try TemporaryFolder()
      var parties: [FakeParty] = []
      for party in 0..<2 {
        var provider = FakeProvider(party: party)
        let gate = gate
        if party == stopped {
          provider.willStep = { _ throws(InputError) in _ = gate.wait(timeout: .now() + 30) }
        }
        parties.append(
          try FakeParty(provider, folder: folder, peer: parties.first?.address) {
            $0.pulseInterval = isDead && party == stopped ? .seconds(600) : .milliseconds(50)
            $0.progressTimeout = patience
          })
      }
      self.parties = parties
    }

    func release() { gate.signal() }

    func begin(silence: Duration) throws -> ClientSession {
      try ClientSession.begin(
        party0: parties[0].address, party1: parties[1].address, promptCount: 2, newCount: 4,
        timeout: .seconds(20), silence: silence)
    }

    func stop() throws {
      release()
      for party in parties { try party.stop() }
    }
  }

  private let row = [UInt64](repeating: 3, count: fakeInputWidth)

  /// The one that says nothing is named, though the other has no output either.
  @Test(arguments: [0, 1]) func aStoppedPartyIsGivenUp(party: Int) throws {
    let pair = try Pair(stopped: party, isDead: true)
    let client = try pair.begin(silence: .seconds(1))
    let start = ContinuousClock.now
    let error = #expect(throws: InputError.self) { try client.step(rows: row, rowCount: 1) }
    #expect(error?.cause == "silent for 1.00 s (--silence)")
    #expect(error?.source == "party \(party) at \(pair.parties[party].address)")
    #expect(ContinuousClock.now - start < .seconds(10))
    try pair.stop()
    for side in 0...1 {
      #expect(try ledgerState(pair.folder, party: side, session: 0) == .burned)
    }
  }

  /// A step may take longer than anybody's patience with silence.
  @Test(arguments: [0, 1]) func longStepsAreNotSilent(party: Int) throws {
    let pair = try Pair(stopped: party, isDead: false)
    let client = try pair.begin(silence: .milliseconds(500))
    DispatchQueue.global().asyncAfter(deadline: .now() + 1.2) { pair.release() }
    #expect(try client.step(rows: row, rowCount: 1) == [9, 9])
    // Nothing comes between two steps.
    #expect(client.loss() == nil)
    pair.release()
    #expect(try client.step(rows: row, rowCount: 1) == [9, 9])
    try client.end()
    try pair.stop()
    for side in 0...1 {
      #expect(try ledgerState(pair.folder, party: side, session: 0) == .finished)
    }
  }

  /// What a party says of the other is heard, whichever of them it is.
  @Test(arguments: [0, 1]) func theOthersReasonIsHeard(party: Int) throws {
    let pair = try Pair(stopped: party, isDead: true, patience: .seconds(1))
    let client = try pair.begin(silence: .seconds(60))
    let error = #expect(throws: InputError.self) { try client.step(rows: row, rowCount: 1) }
    #expect(error?.source == "party \(1 - party) at \(pair.parties[1 - party].address)")
    #expect(error?.cause.contains("party \(party) at ") == true, "\(error as Any)")
    #expect(error?.cause.hasSuffix("silent for 1.00 s (--silence)") == true, "\(error as Any)")
    try pair.stop()
  }

  /// One that takes a connection and says nothing is not waited for as long as for a turn.
  @Test func aPartyThatDoesNotGreetIsGivenUp() throws {
    let listener = try FrameListener()
    defer { listener.stop() }
    let address = Address(host: "127.0.0.1", port: listener.port)
    let start = ContinuousClock.now
    let error = #expect(throws: InputError.self) {
      try ClientSession.begin(
        party0: address, party1: address, promptCount: 1, newCount: 1, timeout: .seconds(60),
        silence: .seconds(1))
    }
    #expect(error?.source == "party 0 at \(address)" && error?.cause == "no answer in time")
    #expect(ContinuousClock.now - start < .seconds(10))
  }
}
