// A ledger as it is at one moment, read beside the party that may be using it.

public import Bytes
import Glibc

/// The used sessions of one party.
public struct LedgerSnapshot: Sendable {
  public let path: String
  public let party: Int
  public let states: [SessionKey: SessionLedger.State]

  /// Reads the ledger at `path`, which is not changed; its party may be running.
  ///
  /// A session that is claimed while no process holds the ledger is shown as burned: that is what
  /// the next start makes of it.
  public init(path: String) throws(InputError) {
    guard FilePaths.exists(path) else {
      throw InputError(path, "there is no such ledger", hint: "lodge-party says where it keeps it")
    }
    close(try FilePaths.openSecret(path))
    let isHeld = ProcessLock.isTaken(path)
    let database = try SQLiteDatabase(path: path)
    try database.run("PRAGMA query_only = ON")
    party = try SessionLedger.checkedOwner(of: database, path: path)
    var states: [SessionKey: SessionLedger.State] = [:]
    for (batch, session, text) in try database.rows("SELECT batch, session, state FROM sessions") {
      guard let state = SessionLedger.State(rawValue: text) else {
        throw InputError(path, "the ledger is damaged", hint: SessionLedger.damageHint)
      }
      states[SessionKey(batch: batch, session: session)] =
        state == .claimed && !isHeld ? .burned : state
    }
    self.path = path
    self.states = states
  }
}
