// What generation needs of a session, whoever the parties are.

public import Bytes

/// A session that turns input rows into output rows, step by step.
public protocol SecureSession {
  /// What the parties run.
  var identity: PartyIdentity { get }
  var key: SessionKey { get }
  /// What each party has counted, after the last step.
  var counters: (party0: StepCounters, party1: StepCounters) { get }

  /// Bytes that the other side has sent before the first step.
  var aheadByteCount: Int { get }

  /// Runs one step and returns the output words, row-major [rows, outputWidth].
  ///
  /// - Parameter rows: Ring elements, row-major [rowCount, inputWidth].
  /// - Throws: `InputError` naming who failed, with the reason; the session is over.
  func step(rows: [UInt64], rowCount: Int) throws(InputError) -> [UInt64]

  /// Ends the session and waits until that is noted.
  func end() throws(InputError)
}

extension ClientSession: SecureSession {
  public var aheadByteCount: Int { 0 }
}
