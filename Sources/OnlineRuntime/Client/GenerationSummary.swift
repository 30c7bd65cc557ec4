// What `lodge-client` prints: the answer, and what it cost on the wire.

public import Bytes
import Models

/// Tokens, classes or the size of the output; rounds, bytes and time of one secure generation.
public struct GenerationSummary {
  private let result: SecureGeneration.Result

  public init(_ result: SecureGeneration.Result) { self.result = result }

  private var counters: StepCounters { result.counters.last?.party0 ?? StepCounters() }
  private var otherCounters: StepCounters { result.counters.last?.party1 ?? StepCounters() }
  private var seconds: Double { result.stepSeconds.reduce(0, +) }

  /// The best column of every row, the first of equal ones.
  private var bestColumns: [Int] {
    result.rows.map { row in row.indices.reduce(0) { row[$1] > row[$0] ? $1 : $0 } }
  }

  /// The answer in a line: tokens, classes, or how many numbers there are.
  public var answer: String {
    func list(_ integers: [Int]) -> String { JSON.array(integers.map(JSON.integer)).text }
    let width = result.rows.first?.count ?? 0
    switch result.meaning {
    case .logits: return list(result.newTokens)
    case .states: return Quantity.count(result.rows.count, "output row")
    case .tokenLogits: return "most likely tokens \(list(bestColumns))"
    case .tokenClasses: return "classes \(list(bestColumns)) of \(width)"
    case .classes:
      let scores = (result.rows.first ?? []).enumerated().map { index, score in
        "\(index): \(Quantity.decimal(Double(score), fractionDigits: 4))"
      }
      return "class \(bestColumns.first ?? 0), scores \(scores.joined(separator: ", "))"
    case .embedding: return "one embedding of \(width) numbers"
    }
  }

  public var text: String { "\(answer)\n\(statistics)" }

  /// What the session cost.
  public var statistics: String {
    let ahead =
      result.aheadByteCount == 0
      ? "" : "; \(Quantity.text(byteCount: result.aheadByteCount)) of keys came before"
    let drafts =
      result.draftedCount == 0
      ? ""
      : "; \(Quantity.count(result.newTokens.count, "token")) in "
        + "\(Quantity.count(result.stepSeconds.count, "step")), "
        + "\(result.acceptedCount) of \(result.draftedCount) drafts came true"
    return """
      \(result.session): \(counters.rounds) flights, party 0 sent \
      \(Quantity.text(byteCount: counters.bytesSent)), party 1 sent \
      \(Quantity.text(byteCount: otherCounters.bytesSent)), \(Quantity.text(seconds: seconds))\(ahead)\(drafts)
      """
  }

  public var json: JSON {
    var members: [String: JSON] = [
      "tokens": .array(result.newTokens.map(JSON.integer)), "batch": .string(result.session.batch),
      "session": .integer(result.session.session), "rounds": .integer(counters.rounds),
      "party0BytesSent": .integer(counters.bytesSent),
      "party1BytesSent": .integer(otherCounters.bytesSent), "seconds": .number(seconds),
      "aheadBytes": .integer(result.aheadByteCount), "drafted": .integer(result.draftedCount),
      "accepted": .integer(result.acceptedCount),
      "steps": .array(
        zip(result.stepSeconds, result.counters).map { seconds, counters in
          [
            "seconds": .number(seconds), "rounds": .integer(counters.party0.rounds),
            "party0BytesSent": .integer(counters.party0.bytesSent),
            "party1BytesSent": .integer(counters.party1.bytesSent),
          ]
        }),
    ]
    if let warning = result.warning { members["warning"] = .string(warning) }
    switch result.meaning {
    case .logits, .states: break
    case .embedding:
      members["embedding"] = .array((result.rows.first ?? []).map { .number(Double($0)) })
    case .tokenLogits, .tokenClasses:
      members["best"] = .array(bestColumns.map(JSON.integer))
    case .classes:
      members["best"] = .array(bestColumns.map(JSON.integer))
      members["scores"] = .array((result.rows.first ?? []).map { .number(Double($0)) })
    }
    return .object(members)
  }
}
