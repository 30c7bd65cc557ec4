// A thin owner of a SQLite connection; the only file that talks to libsqlite3.

import Bytes
import CSQLite

/// One open database.
@safe final class SQLiteDatabase {
  /// A value bound to a statement's `?`.
  enum Value {
    case integer(Int)
    case text(String)
  }

  private let path: String
  private let handle: OpaquePointer

  /// Opens the file at `path`, which exists; an empty one is an empty database.
  init(path: String) throws(InputError) {
    self.path = path
    var pointer: OpaquePointer?
    // Without SQLITE_OPEN_CREATE: SQLite would make a file that all may read.
    let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_NOFOLLOW
    // Links of folders are followed here: SQLite would refuse them, too.
    let folder = FilePaths.resolved(FilePaths.folder(of: path)) ?? FilePaths.folder(of: path)
    let status = unsafe sqlite3_open_v2(
      "\(folder)/\(FilePaths.lastComponent(of: path))", &pointer, flags, nil)
    guard let opened = unsafe pointer else { throw InputError(path, "not enough memory") }
    guard status == SQLITE_OK else {
      let error = unsafe SQLiteDatabase.error(path, opened)
      _ = unsafe sqlite3_close(opened)
      throw error
    }
    unsafe handle = unsafe opened
    // Who reads the stock of a running party holds its ledger for a moment.
    _ = unsafe sqlite3_busy_timeout(handle, 5000)
  }

  deinit { _ = unsafe sqlite3_close(handle) }

  /// Runs a statement to its end and returns how many rows it changed.
  @discardableResult
  func run(_ statement: String, _ values: [Value] = []) throws(InputError) -> Int {
    try unsafe withStatement(statement, values) { _ in }
    return Int(unsafe sqlite3_changes(handle))
  }

  /// The first column of the first row, or nil without a row.
  func integer(_ statement: String, _ values: [Value] = []) throws(InputError) -> Int? {
    var result: Int?
    try unsafe withStatement(statement, values) { row in
      if result == nil { result = Int(unsafe sqlite3_column_int64(row, 0)) }
    }
    return result
  }

  /// The first column of the first row, or nil without a row.
  func text(_ statement: String, _ values: [Value] = []) throws(InputError) -> String? {
    var result: String?
    try unsafe withStatement(statement, values) { row in
      if result == nil, let bytes = unsafe sqlite3_column_text(row, 0) {
        result = unsafe String(cString: bytes)
      }
    }
    return result
  }

  /// All rows of a statement whose columns are a text, an integer and a text.
  func rows(_ statement: String) throws(InputError) -> [(String, Int, String)] {
    var result: [(String, Int, String)] = []
    try unsafe withStatement(statement, []) { row in
      if let first = unsafe sqlite3_column_text(row, 0),
        let last = unsafe sqlite3_column_text(row, 2)
      {
        let number = Int(unsafe sqlite3_column_int64(row, 1))
        result.append((unsafe String(cString: first), number, unsafe String(cString: last)))
      }
    }
    return result
  }

  private func withStatement(
    _ text: String, _ values: [Value], row: (OpaquePointer) -> Void
  ) throws(InputError) {
    var pointer: OpaquePointer?
    var status = unsafe sqlite3_prepare_v2(handle, text, -1, &pointer, nil)
    guard status == SQLITE_OK, let statement = unsafe pointer else {
      throw unsafe SQLiteDatabase.error(path, handle)
    }
    defer { _ = unsafe sqlite3_finalize(statement) }
    for (index, value) in values.enumerated() {
      let position = Int32(index + 1)
      switch value {
      case .integer(let number):
        status = unsafe sqlite3_bind_int64(statement, position, Int64(number))
      case .text(let string):
        // SQLITE_TRANSIENT: SQLite makes its own copy.
        let copies = unsafe unsafeBitCast(-1, to: sqlite3_destructor_type.self)
        status = unsafe sqlite3_bind_text(
          statement, position, string, Int32(string.utf8.count), copies)
      }
      guard status == SQLITE_OK else { throw unsafe SQLiteDatabase.error(path, handle) }
    }
    while true {
      status = unsafe sqlite3_step(statement)
      if status == SQLITE_ROW {
        unsafe row(statement)
      } else if status == SQLITE_DONE {
        return
      } else {
        throw unsafe SQLiteDatabase.error(path, handle)
      }
    }
  }

  private static func error(_ path: String, _ handle: OpaquePointer) -> InputError {
    let message = unsafe String(cString: sqlite3_errmsg(handle))
    switch unsafe sqlite3_errcode(handle) {
    case SQLITE_BUSY, SQLITE_LOCKED:
      return InputError(path, "another process holds this ledger", hint: "wait until it is done")
    case SQLITE_NOTADB, SQLITE_CORRUPT:
      return InputError(path, "the ledger is damaged: \(message)", hint: SessionLedger.damageHint)
    case SQLITE_FULL: return InputError(path, "the disk is full")
    case SQLITE_CANTOPEN:
      return InputError(path, "cannot open the ledger: \(message)", hint: "does the folder exist?")
    default: return InputError(path, "ledger: \(message)")
    }
  }
}
