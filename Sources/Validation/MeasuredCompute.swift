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
  /// Of one further token, the median of some; that of the prompt where there is none.
  public let tokenSeconds: Double

  /// What both parties may hold here in weight shares, so that nothing is swapped out.
  private static let largestWeightByteCount = Int(ProcessInfo.processInfo.physicalMemory / 2)
  private static let measuredTokenCount = 9

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
  public init?(program: SecureProgram, session: SessionShape) throws(InputError) {
    let elementCount = program.weights.reduce(0) { $0 + $1.elementCount }
    guard elementCount <= MeasuredCompute.largestWeightByteCount / 16 else { return nil }
    let listener = try Listener(Address(host: "127.0.0.1", port: 0))
    let dialled = try Connection.dial(listener.address)
    guard let accepted = listener.accept(milliseconds: 5000) else {
      throw InputError("\(listener.address)", "no connection within this machine")
    }
    let channels = [PausingChannel(accepted), PausingChannel(dialled)]
    PartyService.keepFreedMemory()
    let steps = MeasuredCompute.steps(of: session)
    // Either party has a thread of its own, however few cores there are.
    let running = DispatchGroup()
    for (party, channel) in channels.enumerated() {
      running.enter()
      Thread {
        do throws(InputError) {
          try MeasuredCompute.run(program, session, steps, party: party, through: channel)
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
    let seconds = steps.indices.map { step in
      zip(channels[0].marks[step], channels[1].marks[step]).reduce(0.0) { sum, marks in
        let start = max(marks.0.start, marks.1.start)
        let end = max(marks.0.end, marks.1.end)
        return sum + max(end - start, .zero) / .seconds(1)
      }
    }
    promptSeconds = seconds[0]
    let tokens = seconds.dropFirst().sorted()
    tokenSeconds = tokens.isEmpty ? promptSeconds : tokens[tokens.count / 2]
  }

  /// Rows of each step that is measured.
  private static func steps(of session: SessionShape) -> [Int] {
    [session.promptCapacity]
      + [Int](
        repeating: 1, count: min(max(session.newCapacity - 1, 0), measuredTokenCount))
  }

  private static func run(
    _ program: SecureProgram, _ session: SessionShape, _ steps: [Int], party: Int,
    through channel: PausingChannel
  ) throws(InputError) {
    let weights = program.weights.map { [UInt64](repeating: 0, count: $0.elementCount) }
    let width = program.inputValue?.shape.width ?? 0
    // A party that serves has served before: memory and caches are those of a second session.
    for isCounted in [false, true] {
      channel.forget()
      var interpreter = PartyInterpreter(
        program: program, weights: weights,
        material: MadeUpMaterial(program: program, session: session, party: party))
      for rowCount in isCounted ? steps : [steps[0]] {
        let input = [UInt64](repeating: 0, count: rowCount * width)
        // The other party may have been slower to get ready.
        _ = try channel.connection.exchange([0])
        channel.beginStep()
        _ = try interpreter.step(inputShare: input, rowCount: rowCount, through: channel)
        channel.endStep()
      }
    }
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

  func exchange(_ words: [UInt64]) throws(InputError) -> [UInt64] {
    let words = try connection.exchange(words)
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
  let streams: SessionStreams
  let comparisonKey = [UInt8](repeating: 0, count: 16)
  private let pool: Pool
  private let keyByteCounts: [Int]

  init(program: SecureProgram, session: SessionShape, party: Int) {
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
    let all = cost.byteCount(party: party) / 8
    pool = Pool(wordCount: max(largest, min(all, 16 << 20)))
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
