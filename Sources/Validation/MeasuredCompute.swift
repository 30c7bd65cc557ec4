// What a step takes without a network: both parties' interpreters run here on made-up shares.

public import Bytes
import Foundation
import OnlineRuntime
public import Program
import Randomness
import Sharing

/// Seconds that two parties compute on this machine, with what the system takes for their messages.
public struct MeasuredCompute: Sendable {
  /// Of the whole prompt, or of an encoder's text.
  public let promptSeconds: Double
  /// Of one further token; that of the prompt where there is none.
  public let tokenSeconds: Double

  /// What both parties may hold here in weight shares, so that nothing is swapped out.
  private static let largestWeightByteCount = Int(ProcessInfo.processInfo.physicalMemory / 2)
  private static let measuredTokenCount = 9
  /// A prompt that takes less time is measured several times.
  private static let repeatedNanoseconds: UInt64 = 2_000_000_000
  private static let shortPromptCount = 4

  /// Runs the steps of `session`: the prompt and the first tokens after it.
  ///
  /// After each exchange a party pauses as it would wait on a network, because one that has slept
  /// computes slower than one that has not. A step's time is the sum, over its exchanges, of the
  /// time from the later end of a pause to the later receipt: what a party computes, and what the
  /// system takes to bring a message to somebody who sleeps.
  ///
  /// - Returns: nil where the weight shares of both parties take more than half of this machine's
  ///   memory.
  /// - Throws: `InputError` where no connection can be made on this machine.
  public init?(
    program: SecureProgram, session: SessionShape, deployment: Deployment = .twoServer
  ) throws(InputError) {
    let elementCount = program.weights.reduce(0) { $0 + $1.elementCount }
    guard elementCount <= MeasuredCompute.largestWeightByteCount / 16 else { return nil }
    let listener = try Listener(Address(host: "127.0.0.1", port: 0))
    let dialled = try Connection.dial(listener.address)
    guard let accepted = listener.accept(milliseconds: 5000) else {
      throw InputError("\(listener.address)", "no connection within this machine")
    }
    let channels = [PausingChannel(accepted), PausingChannel(dialled)]
    PartyService.keepFreedMemory()
    // Either party has a thread of its own, however few cores there are.
    let running = DispatchGroup()
    for (party, channel) in channels.enumerated() {
      running.enter()
      Thread {
        do throws(InputError) {
          try MeasuredCompute.run(
            program, session, deployment, party: party, through: channel)
        } catch {
          channel.failure = error
          channel.connection.close()
        }
        running.leave()
      }.start()
    }
    running.wait()
    for channel in channels {
      if let failure = channel.failure { throw failure }
    }
    // By step and exchange.
    let seconds = zip(channels[0].marks, channels[1].marks).map { steps in
      zip(steps.0, steps.1).map { marks in
        let start = max(marks.0.start, marks.1.start)
        let end = max(marks.0.end, marks.1.end)
        return max(end - start, .zero) / .seconds(1)
      }
    }
    let tokenCount = MeasuredCompute.tokenCount(of: session)
    promptSeconds = MeasuredCompute.total(seconds.dropLast(tokenCount))
    tokenSeconds =
      tokenCount == 0 ? promptSeconds : MeasuredCompute.total(seconds.suffix(tokenCount))
  }

  /// The sum over the exchanges of what each takes in the quicker of steps that do the same.
  ///
  /// Other work on this machine makes some exchanges of every step long, so that no step as a whole
  /// tells what it takes; that a quarter of them is disturbed at the same place is rare.
  static func total(_ steps: ArraySlice<[Double]>) -> Double {
    let exchangeCount = steps.map(\.count).min() ?? 0
    return (0..<exchangeCount).reduce(0.0) { sum, exchange in
      sum + steps.map { $0[exchange] }.sorted()[steps.count / 4]
    }
  }

  /// Tokens after the prompt that are measured.
  private static func tokenCount(of session: SessionShape) -> Int {
    min(max(session.newCapacity - 1, 0), measuredTokenCount)
  }

  /// Runs the prompt in a session that does not count, then in one or some that do, and the tokens
  /// after the last of them.
  private static func run(
    _ program: SecureProgram, _ session: SessionShape, _ deployment: Deployment, party: Int,
    through channel: PausingChannel
  ) throws(InputError) {
    // A user has nothing of the weights.
    let hasWeights = deployment != .providerUser || party == 0
    let linear = deployment == .providerUser ? program.linearWeights : []
    let weights = program.weights.enumerated().map { id, weight in
      guard hasWeights else { return HeldWeight.words([]) }
      // Those of a provider are small, nearly all of them.
      return linear.contains(id)
        ? HeldWeight([Int16](repeating: 0, count: weight.elementCount), of: weight)
        : .words([UInt64](repeating: 0, count: weight.elementCount))
    }
    let width = program.inputValue?.shape.width ?? 0
    func prepared() -> PartyInterpreter<MadeUpMaterial> {
      var interpreter = PartyInterpreter(
        program: program, weights: weights,
        material: MadeUpMaterial(
          program: program, session: session, deployment: deployment, party: party))
      interpreter.assumesExpectedBlocks = true
      return interpreter
    }
    func step(
      _ interpreter: inout PartyInterpreter<MadeUpMaterial>, rowCount: Int
    ) throws(InputError) {
      let input = [UInt64](repeating: 0, count: rowCount * width)
      // The other party may have been slower to get ready.
      _ = try channel.connection.exchange([0], incomingCount: 1)
      channel.beginStep()
      _ = try interpreter.step(
        inputShare: input, StepRequest(rowCount: rowCount), through: channel)
      channel.endStep()
    }
    // A party that serves has served before: memory and caches are those of a second session.
    var interpreter = prepared()
    let started = ContinuousClock.now
    try step(&interpreter, rowCount: session.promptCapacity)
    let own = UInt64((ContinuousClock.now - started) / .nanoseconds(1))
    let others = try channel.connection.exchange([own], incomingCount: 1)
    channel.forget()
    // The parties must do the same.
    let isShort = max(own, others[0]) < repeatedNanoseconds
    for _ in 0..<(isShort ? shortPromptCount : 1) {
      interpreter = prepared()
      try step(&interpreter, rowCount: session.promptCapacity)
    }
    for _ in 0..<tokenCount(of: session) { try step(&interpreter, rowCount: 1) }
  }
}

/// Exchanges with the other party and then pauses; used by one thread.
private final class PausingChannel: OpeningChannel, @unchecked Sendable {
  struct Mark {
    /// When the last pause ended.
    var start: ContinuousClock.Instant
    /// When the words of the other party were there.
    var end: ContinuousClock.Instant
  }

  let connection: Connection
  /// By step and exchange; the last of a step is its end.
  private(set) var marks: [[Mark]] = []
  var failure: InputError?
  private var start = ContinuousClock.now

  init(_ connection: Connection) {
    connection.sleepWhileWaiting()
    self.connection = connection
  }

  func forget() { marks = [] }

  func beginStep() {
    marks.append([])
    pause()
  }

  func endStep() { mark() }

  func exchange(_ words: [UInt64], incomingCount: Int) throws(InputError) -> [UInt64] {
    let words = try connection.exchange(words, incomingCount: incomingCount)
    mark()
    pause()
    return words
  }

  private func mark() { marks[marks.count - 1].append(Mark(start: start, end: .now)) }

  private func pause() {
    usleep(500)
    start = .now
  }
}

/// Shares of zeros and keys that compare nothing, which take as long to read and use as real ones.
private struct MadeUpMaterial: SessionMaterial {
  /// What is read goes round in more than a processor's caches hold, as what comes from a file.
  private final class Pool {
    let words: [UInt64]
    private var next = 0

    init(wordCount: Int) { words = [UInt64](repeating: 0, count: wordCount) }

    func take(_ count: Int) -> Range<Int> {
      if next + count > words.count { next = 0 }
      next += count
      return next - count..<next
    }
  }

  let session: SessionShape
  let deployment: Deployment
  let streams: SessionStreams
  let comparisonKey = [UInt8](repeating: 0, count: 16)
  private let pool: Pool
  private let program: SecureProgram
  private let keyByteCounts: [Int]

  init(program: SecureProgram, session: SessionShape, deployment: Deployment, party: Int) {
    self.deployment = deployment
    self.program = program
    self.session = session
    streams = SessionStreams(seed: .random(), session: 0, party: party)
    keyByteCounts = program.nodes.map { $0.operation.dealtKey?.key.byteCount ?? 0 }
    let cost = program.correlationCost(of: session)
    var largest = 0
    for (index, node) in program.nodes.enumerated() {
      for component in program.correlationComponents(index) {
        largest = max(largest, component.wordCount(session))
      }
      guard let input = node.operation.inputs.first else { continue }
      let keys = session.dealtCount(program.values[input].shape) * keyByteCounts[index]
      largest = max(largest, keys / 8 + 1)
    }
    let all = cost.byteCount(party: 0) / 8
    pool = Pool(wordCount: max(largest, min(all, 16 << 20)))
  }

  func stores(node: Int, component: Int) -> Bool {
    // Products of a blind dealer are completed before the session, and then in memory.
    if deployment.isDealerBlind, program.nodes[node].operation.weight != nil { return true }
    return program.holder(node: node, component: component, in: deployment) == Int(streams.party)
  }

  func storedWords(node: Int, component: Int, ranges: [Range<Int>]) -> [UInt64] {
    Array(pool.words[pool.take(ranges.reduce(0) { $0 + $1.count })])
  }

  func withKeys<Result>(
    node: Int, ranges: [Range<Int>], _ body: (RawSpan) -> Result
  ) -> Result {
    let byteCount = ranges.reduce(0) { $0 + $1.count } * keyByteCounts[node]
    let place = pool.take((byteCount + 7) / 8)
    let bytes = 8 * place.lowerBound..<8 * place.lowerBound + byteCount
    let words = pool.words
    return unsafe body(words.span.bytes.extracting(bytes))
  }
}
