// The durable record of the sessions that one party has used; what makes masks single use.

public import Bytes
import CSQLite
import Glibc
import Trust

/// A SQLite database in which every session is claimed before its first byte is used.
///
/// A claim is on the disk before `claim` returns and stays there: a session whose process died is
/// shown as burned when the ledger is opened again. Only what neither party has used nor will use is
/// taken back, by `withdraw`. The file lies outside the folder of
/// correlations, so that putting back an old copy of that folder does not make them usable again.
public final class SessionLedger {
  /// What became of a claimed session.
  public enum State: String, Sendable {
    /// In use by the process that holds the ledger open.
    case claimed
    /// Used to its end.
    case finished
    /// Given up half way; as unusable as a finished one.
    case burned
  }

  public let path: String
  private let database: SQLiteDatabase
  private let locks: [ProcessLock]

  private static let applicationIdentifier = 0x4c6f_4c67  // "LoLg"
  private static let formatVersion = 1

  /// Opens or creates the ledger of `party` and locks it for this process.
  ///
  /// - Parameter correlationFolder: The sessions that this ledger watches over. It is locked as
  ///   well: two processes with a ledger each would otherwise use the same sessions.
  /// - Throws: `InputError` when the ledger would lie in that folder, when another process holds
  ///   either, when the ledger belongs to the other party, or when the file is no intact ledger.
  public init(path: String, party: Int, guarding correlationFolder: String? = nil)
    throws(InputError)
  {
    self.path = path
    if let correlationFolder { try SessionLedger.check(path, isOutside: correlationFolder) }
    let hint = "stop the other lodge-party, or let the other lodge-client finish"
    var locks = [
      try ProcessLock(
        path, flags: O_RDWR | O_CREAT, taken: "another process uses this ledger", hint: hint)
    ]
    if let correlationFolder {
      locks.append(
        try ProcessLock(
          correlationFolder, flags: O_RDONLY | O_DIRECTORY,
          taken: "another process uses the sessions in this folder", hint: hint))
    }
    self.locks = locks
    database = try SQLiteDatabase(path: path)
    // EXTRA also flushes the folder after the journal is unlinked: with FULL, a power cut right
    // after a commit could bring the journal back and undo the claim.
    try database.run("PRAGMA synchronous = EXTRA")
    try database.run("PRAGMA journal_mode = DELETE")
    try database.run("BEGIN EXCLUSIVE")
    try prepare(party: party)
    try database.run("COMMIT")
  }

  /// Where the ledger of the party with this bundle lies when nobody says otherwise: the same place
  /// whether the bundle is sealed or not, since its sessions are the same.
  public static func defaultPath(bundle path: String) -> String {
    (path.hasSuffix(AgeTool.suffix) ? String(path.dropLast(AgeTool.suffix.count)) : path)
      + ".ledger"
  }

  /// Throws when the ledger at `path` lies in `folder` or below it, whatever links lead there.
  private static func check(_ path: String, isOutside folder: String) throws(InputError) {
    guard let folder = FilePaths.resolved(folder),
      let place = FilePaths.resolved(path) ?? FilePaths.resolved(FilePaths.folder(of: path)),
      place == folder || place.hasPrefix(folder + "/")
    else { return }
    throw InputError(
      path, "lies in the folder of the sessions that it watches over",
      hint: "an old copy of that folder would forget what was used: name a file elsewhere with "
        + "--ledger, and move a ledger that is there")
  }

  private func prepare(party: Int) throws(InputError) {
    let identifier = try database.integer("PRAGMA application_id") ?? 0
    let tableCount = try database.integer("SELECT count(*) FROM sqlite_schema") ?? 0
    if identifier == 0, tableCount == 0 {
      try database.run("PRAGMA application_id = \(SessionLedger.applicationIdentifier)")
      try database.run("PRAGMA user_version = \(SessionLedger.formatVersion)")
      try database.run("CREATE TABLE owner (party INTEGER NOT NULL)")
      try database.run("INSERT INTO owner VALUES (?)", [.integer(party)])
      try database.run(
        """
        CREATE TABLE sessions (
          batch TEXT NOT NULL, session INTEGER NOT NULL,
          state TEXT NOT NULL CHECK (state IN ('claimed', 'finished', 'burned')),
          claimed_at TEXT NOT NULL, ended_at TEXT,
          PRIMARY KEY (batch, session)) WITHOUT ROWID
        """)
      return
    }
    let owner = try SessionLedger.checkedOwner(of: database, path: path)
    guard owner == party else {
      throw InputError(path, "is the ledger of party \(owner), not of party \(party)")
    }
    try database.run(
      """
      UPDATE sessions SET state = 'burned', ended_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
      WHERE state = 'claimed'
      """)
  }

  /// The party whose intact ledger `database` is.
  static func checkedOwner(of database: SQLiteDatabase, path: String) throws(InputError) -> Int {
    let identifier = try database.integer("PRAGMA application_id") ?? 0
    guard identifier == applicationIdentifier else {
      throw InputError(path, "is a database but not a session ledger")
    }
    let version = try database.integer("PRAGMA user_version") ?? 0
    guard version == formatVersion else {
      throw InputError(path, "ledger format \(version), this reads format \(formatVersion)")
    }
    guard try database.text("PRAGMA quick_check") == "ok",
      let owner = try database.integer("SELECT party FROM owner")
    else { throw InputError(path, "the ledger is damaged", hint: damageHint) }
    return owner
  }

  static let damageHint =
    "deal a new batch: without its ledger nobody can tell which sessions are used"

  /// Claims `key` durably; after that it can never be claimed again.
  ///
  /// - Throws: `InputError` "already used" when it was claimed before, in whatever way it ended.
  public func claim(_ key: SessionKey) throws(InputError) {
    guard let state = try claimed(key) else { return }
    throw alreadyUsed(key, state)
  }

  /// The error for a session that is in the ledger.
  func alreadyUsed(_ key: SessionKey, _ state: State) -> InputError {
    InputError(
      path, "\(key) is already used (\(state.rawValue))",
      hint: "every session runs once; deal more with lodge-deal")
  }

  /// Claims `key` durably unless it is in the ledger already.
  ///
  /// - Returns: What became of it before; nil when it is claimed now.
  /// - Throws: `InputError` for faults of the ledger alone.
  func claimed(_ key: SessionKey) throws(InputError) -> State? {
    precondition(key.isWellFormed, "a session key comes checked")
    let inserted = try database.run(
      """
      INSERT INTO sessions (batch, session, state, claimed_at)
      VALUES (?, ?, 'claimed', strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) ON CONFLICT DO NOTHING
      """, [.text(key.batch), .integer(key.session)])
    return inserted == 1 ? nil : try state(of: key) ?? .claimed
  }

  /// Takes the claim of `key` back.
  ///
  /// Only for a party that has used nothing of the session and has the other's word that it has not
  /// claimed it: the session is then as good as new. A claim that a crash left behind is not taken
  /// back but burned.
  func withdraw(_ key: SessionKey) throws(InputError) {
    try database.run(
      "DELETE FROM sessions WHERE batch = ? AND session = ? AND state = 'claimed'",
      [.text(key.batch), .integer(key.session)])
  }

  /// Records how a claimed session ended.
  public func end(_ key: SessionKey, as state: State) throws(InputError) {
    precondition(state != .claimed, "a session ends finished or burned")
    let changed = try database.run(
      """
      UPDATE sessions SET state = ?, ended_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
      WHERE batch = ? AND session = ? AND state = 'claimed'
      """, [.text(state.rawValue), .text(key.batch), .integer(key.session)])
    guard changed == 1 else { throw InputError(path, "\(key) is not claimed") }
  }

  /// What became of `key`; nil when it was never claimed.
  public func state(of key: SessionKey) throws(InputError) -> State? {
    let text = try database.text(
      "SELECT state FROM sessions WHERE batch = ? AND session = ?",
      [.text(key.batch), .integer(key.session)])
    return text.flatMap(State.init)
  }

  /// Marks those of `keys` as burned that were never claimed, durably and all at once.
  ///
  /// - Returns: the keys that this ledger did not know.
  public func burn(_ keys: [SessionKey]) throws(InputError) -> [SessionKey] {
    precondition(keys.allSatisfy(\.isWellFormed), "session keys come checked")
    let keys = try unclaimed(among: keys)
    if keys.isEmpty { return [] }
    var burned: [SessionKey] = []
    try database.run("BEGIN EXCLUSIVE")
    do throws(InputError) {
      for key in keys {
        let inserted = try database.run(
          """
          INSERT INTO sessions (batch, session, state, claimed_at, ended_at)
          VALUES (?, ?, 'burned', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'),
            strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) ON CONFLICT DO NOTHING
          """, [.text(key.batch), .integer(key.session)])
        if inserted == 1 { burned.append(key) }
      }
      try database.run("COMMIT")
    } catch {
      _ = try? database.run("ROLLBACK")
      throw error
    }
    return burned
  }

  /// Every session that was ever claimed, in the order of batches and numbers.
  public func claimedSessions() throws(InputError) -> [SessionKey] {
    try database.rows("SELECT batch, session, state FROM sessions ORDER BY batch, session")
      .map { SessionKey(batch: $0.0, session: $0.1) }
  }

  /// Those of `keys` that were never claimed, in the same order.
  public func unclaimed(among keys: [SessionKey]) throws(InputError) -> [SessionKey] {
    var result: [SessionKey] = []
    for key in keys where try state(of: key) == nil { result.append(key) }
    return result
  }
}
