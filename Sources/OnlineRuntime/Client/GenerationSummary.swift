// What `lodge-client` prints: tokens, and what they cost on the wire.

public import Bytes

/// Tokens, rounds, bytes and time of one secure generation.
public struct GenerationSummary {
  private let result: SecureGeneration.Result

  public init(_ result: SecureGeneration.Result) { self.result = result }

  private var counters: StepCounters { result.counters.last?.party0 ?? StepCounters() }
  private var otherCounters: StepCounters { result.counters.last?.party1 ?? StepCounters() }
  private var seconds: Double { result.stepSeconds.reduce(0, +) }

  public var text: String {
    let tokens = JSON.array(result.newTokens.map(JSON.integer)).text
    return """
      \(result.newTokens.isEmpty ? "\(result.rows.count) output rows" : tokens)
      \(result.session): \(counters.rounds) rounds, party 0 sent \
      \(Quantity.text(byteCount: counters.bytesSent)), party 1 sent \
      \(Quantity.text(byteCount: otherCounters.bytesSent)), \(Quantity.text(seconds: seconds))
      """
  }

  public var json: JSON {
    [
      "tokens": .array(result.newTokens.map(JSON.integer)), "batch": .string(result.session.batch),
      "session": .integer(result.session.session), "rounds": .integer(counters.rounds),
      "party0BytesSent": .integer(counters.bytesSent),
      "party1BytesSent": .integer(otherCounters.bytesSent), "seconds": .number(seconds),
      "steps": .array(
        zip(result.stepSeconds, result.counters).map { seconds, counters in
          [
            "seconds": .number(seconds), "rounds": .integer(counters.party0.rounds),
            "party0BytesSent": .integer(counters.party0.bytesSent),
            "party1BytesSent": .integer(counters.party1.bytesSent),
          ]
        }),
    ]
  }
}
