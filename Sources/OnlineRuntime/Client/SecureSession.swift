// What generation needs of a session, whoever the parties are.

public import Bytes
public import Program

/// A session that turns input rows into output rows, step by step.
public protocol SecureSession {
  /// What the parties run.
  var identity: PartyIdentity { get }
  var key: SessionKey { get }
  /// The steps that were asked for.
  var shape: SessionShape { get }
  /// What each party has counted, after the last step.
  var counters: (party0: StepCounters, party1: StepCounters) { get }

  /// Bytes that the other side has sent before the first step.
  var aheadByteCount: Int { get }

  /// What was seen here, in all steps so far, that the program hardly has room for.
  var strained: StrainedOperands { get }

  /// Runs one step and returns the output words, row-major [rows, outputWidth].
  ///
  /// - Parameters:
  ///   - rows: Ring elements, row-major [rowCount, inputWidth].
  ///   - request: How many rows, which of the last step stay, and how many outputs.
  /// - Throws: `InputError` naming who failed, with the reason; the session is over.
  func step(rows: [UInt64], _ request: StepRequest) throws(InputError) -> [UInt64]

  /// Why the session is over though nobody here ended it, as after too long a silence; nil while the
  /// other side waits for a step.
  func loss() -> InputError?

  /// Ends the session and waits until that is noted.
  func end() throws(InputError)
}

extension SecureSession {
  public var strained: StrainedOperands { StrainedOperands() }

  /// Runs a step of which the last row gives an output, after all rows so far.
  public func step(rows: [UInt64], rowCount: Int) throws(InputError) -> [UInt64] {
    try step(rows: rows, StepRequest(rowCount: rowCount))
  }
}

extension ClientSession: SecureSession {
  public var aheadByteCount: Int { 0 }
}
