// The client's work on tokens: rows to share, logits from output words, greedy choice.

public import Bytes
import Foundation
public import Models
import Program
import Randomness
public import Sharing

/// Runs a model with both parties from tokens to logits, in one session that goes on from answer to answer.
public struct SecureGeneration {
  /// What a session gave.
  public struct Result: Sendable {
    /// Tokens chosen greedily; empty for encoders.
    public var newTokens: [Int] = []
    /// Output rows as real numbers: one a generated token; one a position for encoders, or one a
    /// text.
    public var rows: [[Float]] = []
    public var meaning: ModelOutput
    /// Tokens that were proposed ahead, and how many of them came true.
    public var draftedCount = 0
    public var acceptedCount = 0
    /// Seconds of each step as the client sees it.
    public var stepSeconds: [Double] = []
    /// What both parties have counted for this answer after each step.
    public var counters: [(party0: StepCounters, party1: StepCounters)] = []
    public var session: SessionKey
    /// Bytes that a user got from the provider before the first step.
    public var aheadByteCount = 0
    /// Why the answer is not to be trusted; nil where nothing says so.
    public var warning: String?

    public init(meaning: ModelOutput, session: SessionKey) {
      self.meaning = meaning
      self.session = session
    }
  }

  private let session: any SecureSession
  private let tables: ClientBundle?
  /// Rows that wrong guesses may still take; nil for all that no wanted token needs.
  private var draftRowsLeft: Int?
  private var progress: SessionProgress
  /// The tokens whose rows stay: all but what was chosen last, which nothing has followed yet.
  public private(set) var text: [Int] = []
  /// How many of the last step's rows stay.
  private var keptCount = 0

  /// - Parameters:
  ///   - tables: Needed where the client holds the embedding; `check` tells.
  ///   - draftCapacity: Rows that wrong guesses may take in all; nil for all that no wanted token needs.
  public init(session: some SecureSession, tables: ClientBundle?, draftCapacity: Int? = nil) {
    self.session = session
    self.tables = tables
    draftRowsLeft = draftCapacity
    progress = SessionProgress(session.shape)
  }

  /// Checks all that can be checked of a client's input before a session is spent on it.
  ///
  /// - Parameters:
  ///   - identity: What the parties run.
  ///   - source: Where `prompt` is from, for errors.
  ///   - stop: Tokens that end the answer.
  ///   - isDrafting: Whether tokens are guessed ahead, so that rows may have to be taken back.
  public static func check(
    prompt: [Int], source: String, stop: Set<Int> = [], isDrafting: Bool = false,
    tables: ClientBundle?, identity: PartyIdentity
  ) throws(InputError) {
    guard identity.allowsRejection || !isDrafting else {
      throw InputError(
        "--draft",
        "is not possible: this model's attention has a window or skips heads, and takes no row back",
        hint: "ask without --draft")
    }
    if identity.takesEmbedding {
      guard let tables else {
        throw InputError(
          "client", "this model's embedding is held by the client",
          hint: "give --bundle client.bundle")
      }
      guard SHA256.digest(tables.conversion.identifier) == identity.conversionDigest else {
        throw InputError("client.bundle", "is of another conversion than the parties' bundles")
      }
    } else if tables != nil {
      throw InputError("client", "this model's embedding is secret, it needs no client bundle")
    }
    let size = tables?.vocabularySize ?? identity.inputWidth
    for (position, token) in prompt.enumerated() where !(0..<size).contains(token) {
      throw InputError(
        source, place: "position \(position)",
        "token \(token) is outside the vocabulary of \(size)")
    }
    try StopTokens.check(stop, vocabularySize: size)
    if let markers = identity.output.contextMarkers {
      do throws(InputError) { try markers.check(prompt: prompt) } catch {
        throw InputError(source, error.cause, hint: error.hint)
      }
    }
    if let padToken = identity.output.padToken, prompt.count > 1, prompt.contains(padToken) {
      let count = prompt.count { $0 == padToken }
      throw InputError(
        source,
        "holds \(count) \(count == 1 ? "token" : "tokens") of padding (\(padToken)), which would "
          + "be read as text",
        hint: "leave padding out")
    }
  }

  /// Ring elements of the input rows of `tokens`, the first of them at position `start`.
  private func rows(_ tokens: [Int], start: Int) throws(InputError) -> [UInt64] {
    if let tables { return try tables.rows(tokens, start: start) }
    let width = session.identity.inputWidth
    var words = [UInt64](repeating: 0, count: tokens.count * width)
    for (row, token) in tokens.enumerated() {
      precondition((0..<width).contains(token), "tokens come checked")
      words[row * width + token] = 1
    }
    return words
  }

  /// Most tokens that are proposed for one step: more come true too seldom for what they cost.
  public static let mostDrafted = 8

  /// Evaluates `prompt` and, for a decoder, generates `newCount` tokens; the session ends with that.
  ///
  /// `chosen` is told every token as it is generated. With `forced`, those tokens are fed instead of the
  /// chosen ones, so that logits can be compared position by position.
  public func run(
    prompt: [Int], newCount: Int, drafter: (any Drafter)? = nil, forced: [Int] = [],
    stop: Set<Int> = [], sampler: TokenSampler = .greedy, ends: (Int) -> Bool = { _ in false },
    chosen: (Int) -> Void = { _ in }
  ) throws(InputError) -> Result {
    var generation = self
    var sampler = sampler
    let result = try generation.answer(
      prompt, newCount: newCount, drafter: drafter, forced: forced, stop: stop,
      sampler: &sampler, ends: ends, chosen: chosen)
    try generation.end()
    return result
  }

  /// Computes the rows of `tokens` after all that stay so far and, for a decoder, generates at most
  /// `newCount` tokens that `sampler` chooses; what comes next goes on from there.
  ///
  /// A token of `stop`, or for which `ends` holds, is the last. What `drafter` proposes is computed in
  /// the same step as the token before it, as far as no row is taken that a wanted token needs, and
  /// stays where it is what is chosen: a drawn token is that of the logits either way.
  ///
  /// - Throws: `InputError` where `checkRoom` does, and then the session can go on; or of a step, after
  ///   which it is over.
  public mutating func answer(
    _ tokens: [Int], newCount: Int, drafter: (any Drafter)? = nil, forced: [Int] = [],
    stop: Set<Int> = [], sampler: inout TokenSampler, ends: (Int) -> Bool = { _ in false },
    chosen: (Int) -> Void = { _ in }
  ) throws(InputError) -> Result {
    try checkRoom(tokens, newCount: newCount)
    let identity = session.identity
    var result = Result(meaning: identity.output.meaning, session: session.key)
    result.aheadByteCount = session.aheadByteCount
    let before = session.counters
    var drafter = forced.isEmpty && identity.isDecoder ? drafter : nil
    var next = tokens
    generating: repeat {
      let left = max(newCount, 1) - result.newTokens.count
      let drafted =
        drafter?.draft(after: text + next, most: draftRoom(after: next.count, left: left)) ?? []
      let proposed = next + drafted
      let request = StepRequest(
        rowCount: proposed.count, keptCount: keptCount, outputCount: drafted.count + 1)
      _ = try progress.next(request)
      let started = Date()
      let input = try rows(proposed, start: text.count)
      let words: [UInt64]
      do throws(InputError) { words = try session.step(rows: input, request) } catch {
        var error = error
        if error.hint.isEmpty { error.hint = "this session is used up: ask again, in another" }
        throw error
      }
      result.stepSeconds.append(Date().timeIntervalSince(started))
      result.counters.append(
        (
          session.counters.party0.since(before.party0), session.counters.party1.since(before.party1)
        ))
      let outputs = outputRows(words)
      guard identity.isDecoder else {
        result.rows = outputs
        break
      }
      text += next
      keptCount = next.count
      result.draftedCount += drafted.count
      draftRowsLeft = draftRowsLeft.map { $0 - drafted.count }
      for (place, row) in outputs.suffix(request.outputCount).enumerated() {
        result.rows.append(row)
        let token = sampler.token(row)
        result.newTokens.append(token)
        chosen(token)
        if ends(token) || stop.contains(token) { break generating }
        let step = result.newTokens.count - 1
        next = [step < forced.count ? forced[step] : token]
        guard place < drafted.count, drafted[place] == token else { break }
        result.acceptedCount += 1
        draftRowsLeft = draftRowsLeft.map { $0 + 1 }
        text.append(token)
        keptCount += 1
      }
    } while result.newTokens.count < newCount
    result.warning = identity.output.warning(about: result.rows) ?? session.strained.warning
    return result
  }

  /// Drafts that a step may have behind `rowCount` rows when `left` tokens are wanted: each of these
  /// keeps an output of its own, and a row but the last.
  private func draftRoom(after rowCount: Int, left: Int) -> Int {
    let spare = min(
      progress.remainingOutputCount - left, progress.remainingRowCount - rowCount - left + 1,
      draftRowsLeft ?? .max)
    return max(min(left - 1, spare, Self.mostDrafted), 0)
  }

  /// Output words as numbers, a row an array.
  private func outputRows(_ words: [UInt64]) -> [[Float]] {
    let identity = session.identity
    let values = identity.output.values(words, fractionalBits: identity.outputFractionalBits)
    return stride(from: 0, to: values.count, by: identity.outputWidth).map {
      Array(values[$0..<$0 + identity.outputWidth])
    }
  }

  /// Ends the session and waits until that is noted.
  public func end() throws(InputError) { try session.end() }
}

extension SecureGeneration {
  // A session that goes on.

  public var key: SessionKey { session.key }
  public var identity: PartyIdentity { session.identity }

  /// Tokens that the session still has room for, those of questions and answers together.
  public var tokensLeft: Int { max(progress.remainingRowCount + 1, 0) }

  /// Why the session is over though nobody here ended it; nil while it can go on.
  public func loss() -> InputError? { session.loss() }

  /// What of `ids`, the tokens of a whole conversation, is still to be computed.
  ///
  /// - Returns: Nil where the session cannot go on with them: they do not begin with `text`, or have
  ///   nothing behind it, or the model reads its prompt in one piece.
  public func continuation(of ids: [Int]) -> [Int]? {
    guard session.identity.kind == .decoder, ids.count > text.count, ids.starts(with: text) else {
      return nil
    }
    return Array(ids[text.count...])
  }

  /// Throws where the session has no room for `tokens` and an answer of `newCount`; nothing is lost.
  public func checkRoom(_ tokens: [Int], newCount: Int) throws(InputError) {
    let newCount = session.identity.isDecoder ? max(newCount, 1) : 1
    guard tokens.count + newCount <= tokensLeft, newCount <= progress.remainingOutputCount else {
      throw InputError(
        "the question",
        "its \(tokens.count) tokens and \(newCount) of an answer are more than the "
          + "\(min(tokensLeft, progress.remainingOutputCount + tokens.count)) that the session has left",
        hint: "ask for a shorter answer (--new), or begin another conversation, longer by --room")
    }
  }
}

extension StepCounters {
  /// What was counted after `earlier`.
  fileprivate func since(_ earlier: StepCounters) -> StepCounters {
    StepCounters(
      rounds: rounds - earlier.rounds, bytesSent: bytesSent - earlier.bytesSent,
      bytesReceived: bytesReceived - earlier.bytesReceived)
  }
}
