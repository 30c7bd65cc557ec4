// The ledger of a party that goes on while its disk is full: what could not be noted is noted later.

import Bytes
import Synchronization

/// A ledger, with the notes that it still has to take; for all sessions that run at once.
///
/// No session is claimed before they are all written, so that nothing gets lost behind a new claim.
public final class PatientLedger: Sendable {
  private enum Note {
    case end(SessionLedger.State)
    case withdrawal
    case burn
  }

  private struct State {
    private var open: SessionLedger?
    var notes: [SessionKey: Note] = [:]

    init(_ ledger: SessionLedger) { open = ledger }

    mutating func close() { open = nil }

    var ledger: SessionLedger {
      get throws(InputError) {
        if let open { return open }
        throw InputError("ledger", "is closed: this party has stopped")
      }
    }

    func unclaimed(among keys: [SessionKey]) throws(InputError) -> [SessionKey] {
      try ledger.unclaimed(among: keys).filter { notes[$0] == nil }
    }

    mutating func catchUp() throws(InputError) {
      if notes.isEmpty { return }
      var burned: [SessionKey] = []
      for (key, note) in notes {
        switch note {
        case .burn:
          burned.append(key)
          continue
        case .withdrawal: try ledger.withdraw(key)
        case .end(let state):
          if try ledger.state(of: key) == .claimed { try ledger.end(key, as: state) }
        }
        notes[key] = nil
      }
      _ = try ledger.burn(burned.sorted())
      for key in burned { notes[key] = nil }
    }
  }

  private let state: Mutex<State>

  public init(_ ledger: sending SessionLedger) { state = Mutex(State(ledger)) }

  /// Lets the ledger go for others to open; whoever comes later is told that it is closed.
  func close() { state.withLock { $0.close() } }

  /// Claims `key` durably; throws `used` or `machine`.
  func claim(_ key: SessionKey) throws(SessionFault) {
    try state.withLock { state throws(SessionFault) in
      let before: InputError?
      do throws(InputError) {
        try state.catchUp()
        let ledger = try state.ledger
        before = try ledger.claimed(key).map { ledger.alreadyUsed(key, $0) }
      } catch {
        throw SessionFault(.machine, error)
      }
      if let before { throw SessionFault(.used, before) }
    }
  }

  /// Notes how a claimed session ended; where that fails now, `claim` tries again.
  func end(_ key: SessionKey, as end: SessionLedger.State) throws(InputError) {
    try state.withLock { state throws(InputError) in
      state.notes[key] = .end(end)
      try state.catchUp()
    }
  }

  /// Takes back a claim as `SessionLedger.withdraw` does; until that is written the session is not
  /// used.
  func withdraw(_ key: SessionKey) throws(InputError) {
    try state.withLock { state throws(InputError) in
      state.notes[key] = .withdrawal
      try state.catchUp()
    }
  }

  /// Burns those of `keys` that the ledger does not hold, and returns them.
  func burn(_ keys: [SessionKey]) throws(InputError) -> [SessionKey] {
    try state.withLock { state throws(InputError) -> [SessionKey] in
      let unknown: [SessionKey]
      do throws(InputError) {
        unknown = try state.unclaimed(among: keys)
      } catch {
        // Which of them it holds cannot be read now; it will not burn those.
        for key in keys where state.notes[key] == nil { state.notes[key] = .burn }
        throw error
      }
      for key in unknown { state.notes[key] = .burn }
      try state.catchUp()
      return unknown
    }
  }

  /// Every session that was ever claimed, in the order of batches and numbers.
  func claimedSessions() throws(InputError) -> [SessionKey] {
    try state.withLock { state throws(InputError) -> [SessionKey] in
      try state.ledger.claimedSessions()
    }
  }

  /// Those of `keys` that were never claimed and of which nothing is to be noted.
  func unclaimed(among keys: [SessionKey]) throws(InputError) -> [SessionKey] {
    try state.withLock { state throws(InputError) -> [SessionKey] in
      try state.unclaimed(among: keys)
    }
  }
}
