// A party whose model is "three times the first columns", for tests of everything around it.

import Bytes
import Foundation
import OnlineRuntime
import Program
import Synchronization

let fakeInputWidth = 5
let fakeOutputWidth = 2

/// Adds both parties' shares up in one exchange (as an opening does) and returns 3 x.
struct FakeEngine: SessionEngine {
  let party: Int
  /// Called before each step.
  let willStep: @Sendable (Int) throws(InputError) -> Void
  var stepIndex = 0

  mutating func step(
    inputShare: [UInt64], _ request: StepRequest, through channel: any OpeningChannel
  )
    throws(InputError)
    -> [UInt64]
  {
    let rowCount = request.rowCount
    try willStep(stepIndex)
    stepIndex += 1
    let width = inputShare.count / rowCount
    let received = try channel.exchange(inputShare, incomingCount: inputShare.count)
    let opened = zip(inputShare, received).map { $0 &+ $1 }
    // The opened sum is public: party 0 alone contributes to the result.
    return (0..<rowCount * fakeOutputWidth).map { index in
      let place = index / fakeOutputWidth * width + index % fakeOutputWidth
      return party == 0 ? 3 &* opened[place] &- 77 : 77
    }
  }
}

struct FakeProvider: SessionProvider {
  var identity: PartyIdentity
  var sessions: [SessionDescription]
  var unreadable: Set<Int> = []
  /// Is told of every session that is opened, and may find a fault.
  var willOpen: @Sendable (Int) throws(SessionFault) -> Void = { _ in }
  var willStep: @Sendable (Int) throws(InputError) -> Void = { _ in }

  init(
    party: Int, sessionCount: Int = 3, inputWidth: Int = fakeInputWidth, promptCapacity: Int = 64
  ) {
    identity = PartyIdentity(
      party: party, programDigest: [1, 2, 3, 4], conversionDigest: [9, 8, 7],
      inputWidth: inputWidth, outputWidth: fakeOutputWidth, isDecoder: true)
    sessions = (0..<sessionCount).map {
      SessionDescription(
        key: SessionKey(batch: "beef", session: $0), promptCapacity: promptCapacity,
        newCapacity: 8)
    }
  }

  func availableSessions() throws(InputError) -> [SessionDescription] { sessions }

  func openSession(_ session: SessionDescription) throws(SessionFault) -> any SessionEngine {
    try willOpen(session.key.session)
    if unreadable.contains(session.key.session) {
      throw SessionFault(
        opening: InputError(
          "\(session.key.session).corr", offset: 40, "digest does not match"))
    }
    return FakeEngine(party: identity.party, willStep: willStep)
  }
}

/// A running party on a thread of its own.
final class FakeParty: Sendable {
  let service: PartyService
  let worker: Worker<Void>
  private let lines: LogLines
  private let folder: TemporaryFolder

  var log: String { lines.text }
  var address: Address { service.address }

  /// - Parameter peer: Address of the other party; nil when that one dials.
  init(
    _ provider: some SessionProvider, folder: TemporaryFolder, listen: Address? = nil,
    peer: Address? = nil, configure: (inout PartyConfiguration) -> Void = { _ in }
  ) throws {
    let anywhere = try Address("127.0.0.1:0")
    var configuration = PartyConfiguration(listen: listen ?? anywhere, peer: peer ?? anywhere)
    configuration.peerTimeout = .seconds(10)
    configure(&configuration)
    let lines = LogLines()
    self.lines = lines
    self.folder = folder
    let service = try PartyService(
      identity: provider.identity, configuration: configuration, log: { lines.append($0) })
    self.service = service
    let path = folder.path("party\(provider.identity.party).db")
    let party = provider.identity.party
    worker = Worker {
      let ledger = try SessionLedger(path: path, party: party)
      try service.run(provider: provider, ledger: ledger)
    }
  }

  /// Stops and waits for the end; throws what `run` threw.
  func stop() throws {
    service.stop()
    try worker.value(seconds: 15)
  }

  /// Waits until a log line contains `text`.
  func waitForLog(_ text: String, seconds: Double = 10) -> Bool {
    let end = Date(timeIntervalSinceNow: seconds)
    while Date() < end {
      if log.contains(text) { return true }
      Thread.sleep(forTimeInterval: 0.02)
    }
    return false
  }
}

final class LogLines: Sendable {
  private let lines = Mutex<[String]>([])
  var text: String { lines.withLock { $0.joined(separator: "\n") } }
  func append(_ line: String) { lines.withLock { $0.append(line) } }
}

/// What the ledger of `party` says about a session after its process has ended.
func ledgerState(_ folder: TemporaryFolder, party: Int, session: Int) throws -> SessionLedger.State?
{
  try SessionLedger(path: folder.path("party\(party).db"), party: party)
    .state(of: SessionKey(batch: "beef", session: session))
}
