// The client's work on tokens: rows to share, logits from output words, greedy choice.

public import Bytes
import Foundation
public import Models
import Program
import Randomness
public import Sharing

/// Runs a model with both parties from tokens to logits.
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
    /// Counters of both parties after each step.
    public var counters: [(party0: StepCounters, party1: StepCounters)] = []
    public var session: SessionKey
    /// Bytes that a user got from the provider before the first step.
    public var aheadByteCount = 0

    public init(meaning: ModelOutput, session: SessionKey) {
      self.meaning = meaning
      self.session = session
    }
  }

  private let session: any SecureSession
  private let tables: ClientBundle?

  /// - Parameter tables: Needed where the client holds the embedding; `check` tells.
  public init(session: some SecureSession, tables: ClientBundle?) {
    self.session = session
    self.tables = tables
  }

  /// Checks all that can be checked of a client's input before a session is spent on it.
  ///
  /// - Parameters:
  ///   - identity: What the parties run.
  ///   - source: Where `prompt` is from, for errors.
  ///   - stop: Tokens that end the answer.
  public static func check(
    prompt: [Int], source: String, stop: Set<Int> = [], tables: ClientBundle?,
    identity: PartyIdentity
  ) throws(InputError) {
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

  /// Evaluates `prompt` and, for a decoder, generates `newCount` tokens that `sampler` chooses.
  ///
  /// `chosen` is told every token as it is generated; one of `stop`, or for which `ends` holds, is the
  /// last. With `forced`, those tokens are fed instead of the chosen ones, so that logits can be
  /// compared position by position. What `drafter` proposes is computed in the same step as the token
  /// before it, as far as the session's `newCapacity` allows, and stays where it is what is chosen: a
  /// drawn token is that of the logits either way.
  public func run(
    prompt: [Int], newCount: Int, newCapacity: Int? = nil, drafter: (any Drafter)? = nil,
    forced: [Int] = [], stop: Set<Int> = [],
    sampler: TokenSampler = .greedy, ends: (Int) -> Bool = { _ in false },
    chosen: (Int) -> Void = { _ in }
  ) throws(InputError) -> Result {
    let identity = session.identity
    var result = Result(meaning: identity.output.meaning, session: session.key)
    result.aheadByteCount = session.aheadByteCount
    var sampler = sampler
    var drafter = forced.isEmpty && identity.isDecoder ? drafter : nil
    var next = prompt
    // Rows that stay of the last step, and where the next ones stand.
    var (kept, position) = (0, 0)
    var outputsLeft = max(newCapacity ?? newCount, newCount)
    var text = prompt
    generating: repeat {
      let left = max(newCount, 1) - result.newTokens.count
      // Every token that is still wanted keeps an output of its own.
      let room = min(left - 1, outputsLeft - left, Self.mostDrafted)
      let drafted = drafter?.draft(after: text, most: max(room, 0)) ?? []
      let proposed = next + drafted
      let request = StepRequest(
        rowCount: proposed.count, keptCount: kept, outputCount: drafted.count + 1)
      let started = Date()
      let words = try session.step(rows: rows(proposed, start: position), request)
      result.stepSeconds.append(Date().timeIntervalSince(started))
      result.counters.append(session.counters)
      result.draftedCount += drafted.count
      outputsLeft -= request.outputCount
      let values = identity.output.values(
        words, fractionalBits: identity.outputFractionalBits)
      let width = identity.outputWidth
      let outputs = stride(from: 0, to: values.count, by: width).map {
        Array(values[$0..<$0 + width])
      }
      guard identity.isDecoder else {
        result.rows = outputs
        break
      }
      kept = next.count
      position += next.count
      for (place, row) in outputs.suffix(request.outputCount).enumerated() {
        result.rows.append(row)
        let token = sampler.token(row)
        result.newTokens.append(token)
        text.append(token)
        chosen(token)
        if ends(token) || stop.contains(token) { break generating }
        let step = result.newTokens.count - 1
        next = [step < forced.count ? forced[step] : token]
        guard place < drafted.count, drafted[place] == token else { break }
        result.acceptedCount += 1
        kept += 1
        position += 1
      }
    } while result.newTokens.count < newCount
    try session.end()
    return result
  }
}
