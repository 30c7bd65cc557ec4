// How far a session has come: the next step from what is asked for it.

public import Bytes
import Models

/// What a client asks of one step.
public struct StepRequest: Hashable, Sendable {
  /// Rows that are computed.
  public var rowCount: Int
  /// How many of the last step's rows stay in the text, from its first on; nil for all.
  public var keptCount: Int?
  /// How many of the last of these rows give an output.
  public var outputCount: Int

  public init(rowCount: Int, keptCount: Int? = nil, outputCount: Int = 1) {
    self.rowCount = rowCount
    self.keptCount = keptCount
    self.outputCount = outputCount
  }
}

/// The steps of a session, in order: every row takes the next slot, every output the next of its own.
public struct SessionProgress: Sendable {
  public let session: SessionShape
  /// The slots of the text before the last step.
  private var text = TextSlots()
  /// The last step's slots.
  private var last = 0..<0
  private var lastOutputCount = 0
  private var outputCount = 0
  private var promptLength = 0

  public init(_ session: SessionShape) { self.session = session }

  /// Slots and outputs that are left.
  public var remainingRowCount: Int { session.rowCapacity - last.upperBound }
  public var remainingOutputCount: Int { session.dealtRowCount(.last) - outputCount }

  /// The step that `request` asks for.
  ///
  /// - Throws: `InputError` when the session has no slots left, or when rows are to go that nobody
  ///   drafted: only those that give outputs, but the first of these, may be rejected.
  public mutating func next(_ request: StepRequest) throws(InputError) -> SessionStep {
    let isFirst = last.isEmpty
    guard isFirst || session.kind.isDecoder else {
      throw InputError("session", "an encoder's session has one step")
    }
    guard !isFirst || request.rowCount - request.outputCount < session.promptCapacity else {
      throw InputError(
        "session",
        "prompt has \(request.rowCount) tokens, sessions allow \(session.promptCapacity)")
    }
    guard request.rowCount > 0, request.rowCount <= remainingRowCount,
      request.outputCount <= remainingOutputCount
    else {
      throw InputError(
        "session",
        "\(last.upperBound + request.rowCount) positions are more than the "
          + "\(session.rowCapacity) dealt")
    }
    guard (1...request.rowCount).contains(request.outputCount),
      session.kind.isDecoder || request.outputCount == 1
    else {
      throw InputError(
        "session", "\(request.outputCount) outputs of \(request.rowCount) rows")
    }
    let kept = request.keptCount ?? last.count
    guard kept <= last.count, isFirst || kept > last.count - lastOutputCount else {
      throw InputError(
        "session", "\(kept) rows of a step of \(last.count) with \(lastOutputCount) outputs stay")
    }
    text.append(last.lowerBound..<last.lowerBound + kept)
    last = last.upperBound..<last.upperBound + request.rowCount
    if isFirst { promptLength = request.rowCount - request.outputCount + 1 }
    let outputs = outputCount..<outputCount + request.outputCount
    lastOutputCount = request.outputCount
    outputCount = outputs.upperBound
    return SessionStep(
      session: session, rows: last, earlier: text, outputs: outputs, promptLength: promptLength)
  }
}
