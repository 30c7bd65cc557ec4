// The JSON form of a cost report.

public import Bytes
import OnlineRuntime
import Program
import Sharing

extension CostReport {
  /// Sizes of a session's correlations by kind, both files together.
  private var correlationKinds: JSON {
    let sizes = program.correlationSizes(of: session)
    return .array(
      CorrelationKind.allCases.compactMap { kind in
        sizes[kind].map { size in
          [
            "kind": .string(kind.rawValue), "count": .integer(size.count),
            "storedBytes": .integer(size.storedByteCount),
            "minimumBytes": .integer((size.minimumBitCount + 7) / 8),
          ]
        }
      })
  }

  public var json: JSON {
    func step(_ cost: StepCost) -> JSON {
      [
        "rounds": .integer(cost.roundCount),
        "bytesPerParty": .integer(
          cost.byteCount(frameByteCount: Connection.frameHeaderByteCount)),
        "bytesOfParties": .array(
          (0...1).map {
            .integer(cost.byteCount(party: $0, frameByteCount: Connection.frameHeaderByteCount))
          }),
        "aheadBytes": .integer(8 * cost.aheadWordCount),
        "permutedElements": .integer(cost.permutedElementCount),
        "comparisons": .integer(cost.comparisonCount),
        "bitComparisons": .integer(cost.bitComparisonCount),
        "products": .integer(cost.productCount),
        "networkSeconds": .number(network.seconds(cost)),
      ]
    }
    func object(_ row: Row) -> JSON {
      [
        "part": .string(row.name), "prompt": step(row.prompt), "token": step(row.token),
        "correlations": [
          "party0Bytes": .integer(row.correlations.byteCount(party: 0)),
          "party1Bytes": .integer(row.correlations.byteCount(party: 1)),
          "keys": .integer(row.correlations.keyCount),
          "bitComparisons": .integer(row.correlations.bitComparisonCount),
          "seededWords": .integer(row.correlations.seededWordCount),
        ],
      ]
    }
    var members: [String: JSON] = [
      "promptCapacity": .integer(session.promptCapacity),
      "newCapacity": .integer(session.newCapacity), "textTokens": .integer(prompt.rows.count),
      "roundTripSeconds": .number(network.roundTripSeconds),
      "bitsPerSecond": .number(network.bitsPerSecond),
      "clientRoundTripSeconds": .number(clientLink.roundTripSeconds),
      "clientBitsPerSecond": .number(clientLink.bitsPerSecond),
      "seconds": .object(
        Dictionary(uniqueKeysWithValues: times.map { ($0.name, $0.time.json) })),
      "total": object(total),
      "layers": object(layers), "layerCount": .integer(layerCount),
      "flightsPerLayer": .number(flightsPerLayer),
      "parts": .array(rows.map(object)), "correlationKinds": correlationKinds,
      "leakage": .array(LeakageEntry.revealed(program, deployment).map(\.json)),
      "compare": .object(
        Dictionary(uniqueKeysWithValues: comparisons.map { ($0.name, object($0)) })),
    ]
    if deployment != .providerUser {
      let once = program.correlationCost(of: session, deployment: deployment, keys: .once)
      members["keysOnce"] = [
        "party0Bytes": .integer(once.byteCount(party: 0)),
        "party1Bytes": .integer(once.byteCount(party: 1)),
        "passedBytes": .array(once.passedKeyByteCount.map(JSON.integer)),
      ]
    }
    if let gates { members["gates"] = gates.json }
    if let steps { members["steps"] = .array(steps.map(step)) }
    return .object(members)
  }
}
