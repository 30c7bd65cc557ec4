// The ledger of a party that goes on while its disk is full: what could not be noted is noted later.

import Bytes

/// A ledger, with the notes that it still has to take.
///
/// No session is claimed before they are all written, so that nothing gets lost behind a new claim.
struct PatientLedger {
  private enum Note {
    case end(SessionLedger.State)
    case withdrawal
    case burn
  }

  private let ledger: SessionLedger
  private var notes: [SessionKey: Note] = [:]

  init(_ ledger: SessionLedger) { self.ledger = ledger }

  /// Claims `key` durably; throws `used` or `machine`.
  mutating func claim(_ key: SessionKey) throws(SessionFault) {
    let before: SessionLedger.State?
    do throws(InputError) {
      try catchUp()
      before = try ledger.claimed(key)
    } catch {
      throw SessionFault(.machine, error)
    }
    if let before { throw SessionFault(.used, ledger.alreadyUsed(key, before)) }
  }

  /// Notes how a claimed session ended; where that fails now, `claim` tries again.
  mutating func end(_ key: SessionKey, as state: SessionLedger.State) throws(InputError) {
    notes[key] = .end(state)
    try catchUp()
  }

  /// Takes back a claim as `SessionLedger.withdraw` does; until that is written the session is not
  /// used.
  mutating func withdraw(_ key: SessionKey) throws(InputError) {
    notes[key] = .withdrawal
    try catchUp()
  }

  /// Burns those of `keys` that the ledger does not hold, and returns them.
  mutating func burn(_ keys: [SessionKey]) throws(InputError) -> [SessionKey] {
    let unknown: [SessionKey]
    do throws(InputError) {
      unknown = try unclaimed(among: keys)
    } catch {
      // Which of them it holds cannot be read now; it will not burn those.
      for key in keys where notes[key] == nil { notes[key] = .burn }
      throw error
    }
    for key in unknown { notes[key] = .burn }
    try catchUp()
    return unknown
  }

  /// Every session that was ever claimed, in the order of batches and numbers.
  func claimedSessions() throws(InputError) -> [SessionKey] { try ledger.claimedSessions() }

  /// Those of `keys` that were never claimed and of which nothing is to be noted.
  func unclaimed(among keys: [SessionKey]) throws(InputError) -> [SessionKey] {
    try ledger.unclaimed(among: keys).filter { notes[$0] == nil }
  }

  private mutating func catchUp() throws(InputError) {
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
