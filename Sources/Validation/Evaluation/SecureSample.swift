// Two real parties over loopback on a sample of an evaluation set, checked against the simulator.

public import Bytes
import Correlations
import Foundation
import Models
import OnlineRuntime
import Program
public import Sharing

/// What two parties gave on a sample: the simulator's output words, bit for bit.
public struct SecureSample: Sendable {
  public private(set) var sessionCount = 0
  public private(set) var stepCount = 0
  /// Output words that were compared.
  public private(set) var wordCount = 0
  /// Counted by party 0 over all sessions.
  public private(set) var roundCount = 0
  public private(set) var byteCount = 0
  /// As the client sees it, without sharing and dealing.
  public private(set) var seconds = 0.0
  /// Against the original model in float, on the sample.
  public private(set) var logits = LogitMetrics()
  public private(set) var embeddings = EmbeddingMetrics()

  /// Tokens of a window that a session evaluates at most: its randomness is written to disk.
  public static let tokenLimit = 32

  /// Shares and deals in a temporary folder, and runs the beginnings of the first `sessionCount`
  /// windows of `set`, half of each as prompt and the rest token by token.
  ///
  /// The folder takes the correlations of one session after the other, hundreds of megabytes for
  /// models of millions of parameters, and is removed.
  /// - Throws: `InputError` naming window, step and word where the two parties' output is not the
  ///   simulator's.
  public init(
    _ file: ModelFile, evaluator: Evaluator, set: EvaluationSet, sessionCount: Int,
    progress: (Int) -> Void = { _ in }
  ) throws(InputError) {
    // It holds the weights, and both parties' files: it goes however this process ends.
    let temporary = try TemporaryFolder(prefix: "lodge-validate")
    let folder = temporary.path
    defer { withExtendedLifetime(temporary) {} }
    let shares = "\(folder)/shares"
    _ = try ShareWriter.share(file, into: shares)
    let bundle = try DealerBundle(path: "\(shares)/dealer.bundle")
    let weights =
      bundle.program.hasGates
      ? try SecureSample.sharedWeights(of: bundle.program, in: shares) : nil
    for (number, window) in set.windows.prefix(sessionCount).enumerated() {
      let tokens = try SecureSample.beginning(of: window, evaluator.model)
      let isDecoder = evaluator.model.kind.isDecoder
      let promptCount =
        try evaluator.model.contextMarkers?.promptLength(of: tokens)
        ?? (isDecoder ? (tokens.count + 1) / 2 : tokens.count)
      let shape = SessionShape(
        kind: evaluator.model.kind, promptCapacity: promptCount,
        newCapacity: isDecoder ? tokens.count - promptCount + 1 : 0)
      let correlations = "\(folder)/correlations\(number)"
      let batch = try Batch(folder: correlations, conversion: bundle.conversion, shape: shape)
      _ = try batch.deal(session: 0, program: bundle.program, weights: bundle)
      // Sessions of other batches have other seeds, so each may be session 0.
      let openings = RecordedOpenings()
      let parties = try LocalParties(
        shares: shares, correlations: correlations, observe: openings.record)
      defer { parties.stop() }
      try run(
        tokens, shape, parties, openings, evaluator,
        evaluator.simulator(batch.seeds, session: 0, weights: weights ?? []),
        hasWeights: weights != nil, place: "window \(number)")
      try? FileManager.default.removeItem(atPath: correlations)
      self.sessionCount += 1
      progress(1)
    }
  }

  /// The first tokens of a window; of a prefix decoder's the end of the context and what follows, up
  /// to half of the limit each.
  private static func beginning(of window: EvaluationWindow, _ model: Model) throws(InputError)
    -> [Int]
  {
    guard let prompt = try model.contextMarkers?.promptLength(of: window.tokens) else {
      return Array(window.tokens.prefix(tokenLimit))
    }
    let first = max(prompt - tokenLimit / 2, 0)
    return Array(window.tokens[first...].prefix(tokenLimit))
  }

  /// What both parties' shares add up to: weights with their blocks in the order of this conversion,
  /// which patterns are opened in.
  private static func sharedWeights(of program: SecureProgram, in folder: String)
    throws(InputError) -> [[UInt64]]
  {
    let bundles = try [0, 1].map { party throws(InputError) in
      try PartyBundle(path: "\(folder)/party\(party).bundle")
    }
    return try program.weights.indices.map { id throws(InputError) in
      zip(try bundles[0].share(id), try bundles[1].share(id)).map { $0 &+ $1 }
    }
  }

  /// - Parameter hasWeights: Whether `simulator` has those of the conversion, and not `evaluator` its own.
  private mutating func run(
    _ tokens: [Int], _ shape: SessionShape, _ parties: LocalParties,
    _ openings: RecordedOpenings, _ evaluator: Evaluator, _ simulator: RingSimulator,
    hasWeights: Bool, place: String
  ) throws(InputError) {
    var simulator = simulator
    let client = try ClientSession.begin(
      party0: parties.addresses[0], party1: parties.addresses[1],
      promptCount: shape.promptCapacity, newCount: shape.newCapacity)
    let original = try evaluator.original(tokens)
    let width = original.columnCount
    let clock = ContinuousClock()
    for index in 0..<max(shape.newCapacity, 1) {
      let start = index == 0 ? 0 : shape.promptCapacity + index - 1
      let rows = start..<(index == 0 ? shape.promptCapacity : start + 1)
      let input = try evaluator.input(Array(tokens[rows]), start: start)
      let started = clock.now
      let words = try client.step(rows: input, rowCount: rows.count)
      seconds += (clock.now - started) / .seconds(1)
      simulator.opened = openings.take()
      let step = SessionStep(session: shape, rows: rows, index: index)
      let expected =
        hasWeights
        ? simulator.step(step, input: input)
        : try evaluator.step(&simulator, step, input: input)
      guard words == expected else {
        let word = zip(words, expected).enumerated().first { $0.element.0 != $0.element.1 }
        throw InputError(
          "two parties", place: "\(place), step \(index)",
          "output word \(word?.offset ?? min(words.count, expected.count)) is not the simulator's",
          hint: "this is a fault of Lodge: report it with the model and the texts")
      }
      stepCount += 1
      wordCount += words.count
      let values = evaluator.decoded(words)
      let last = rows.upperBound - 1
      if shape.kind == .encoder {
        embeddings.add(
          stage: values, original: original.values, width: width, pooling: evaluator.pooling,
          output: evaluator.model.output)
      } else if last + 1 < tokens.count {
        logits.add(stage: values, original: original.row(last), next: tokens[last + 1])
      }
    }
    roundCount += client.counters.party0.rounds
    byteCount += client.counters.party0.bytesSent
    try client.end()
  }

  var json: JSON {
    [
      "sessionCount": .integer(sessionCount), "stepCount": .integer(stepCount),
      "wordCount": .integer(wordCount), "rounds": .integer(roundCount),
      "party0BytesSent": .integer(byteCount), "seconds": .number(seconds),
    ]
  }
}
