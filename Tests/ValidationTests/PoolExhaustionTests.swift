// How often sessions of real text use up a pool, and what the cost table says of it.

import Approximation
import Bytes
import Foundation
import Models
import TestSupport
import Testing

struct PoolExhaustionTests {
  /// Blocks that run in each row of each text, by node.
  private static func counts(_ interpreter: FloatInterpreter, _ texts: [[Int]]) throws -> [String:
    [[Int]]]
  {
    var result: [String: [[Int]]] = [:]
    for tokens in texts {
      _ = try interpreter.run(tokens: tokens) { [model = interpreter.model] node, kind, values in
        guard kind == .output, case .gates = model.nodes[node].operation else { return }
        let count = model.nodes[node].width
        result[model.nodes[node].name, default: []].append(
          stride(from: 0, to: values.count, by: count).map { start in
            values[start..<start + count].count { $0 > 0 }
          })
      }
    }
    return result
  }

  /// Sessions are windows of held-out text, pools smaller than those that are dealt, so that there is
  /// something to count: the shares that use them up are those that the calibration foretold.
  @Test func sharesAreForetold() throws {
    let folder = Repository.fixtures.appending(path: "opt-dickens-gated").path
    let interpreter = try FloatInterpreter(ModelLoader.load(path: folder))
    let texts = Repository.fixtures.appending(path: "opt-dickens-5m").path
    let seen = try Self.counts(interpreter, TokenFile.read("\(texts)/calibration.json"))
    let held = try Self.counts(interpreter, TokenFile.read("\(texts)/evaluation.json"))
    for rowCount in [32, 95] {
      for deviations in [0.5, 1, 2, 5] {
        var (foretold, used, sessions) = (0.0, 0, 0)
        for (node, rows) in seen {
          let width = 57
          var statistics = BlockStatistics()
          for counts in rows {
            statistics.include(
              counts.flatMap { count in (0..<width).map { $0 < count ? 1 : 0 } },
              blockCount: width)
          }
          let load = statistics.load(noise: 0, blockCount: width)
          let capacity = Int(
            load.mean * Double(rowCount)
              + deviations * load.deviation * Double(rowCount).squareRoot())
          let share = load.exhaustion(capacity: capacity, rowCount: rowCount)
          for counts in try #require(held[node]) {
            for start in stride(from: 0, through: counts.count - rowCount, by: rowCount) {
              sessions += 1
              foretold += share
              if counts[start..<start + rowCount].reduce(0, +) > capacity { used += 1 }
            }
          }
        }
        print("| \(rowCount) rows | \(deviations) | \(sessions) | \(foretold) | \(used) |")
        // Sessions of one text are alike: their number deviates by more than a binomial one.
        let deviation = (2 * foretold).squareRoot()
        #expect(
          abs(Double(used) - foretold) <= 3 * deviation + 1,
          "\(used) of \(sessions) sessions of \(rowCount) rows, foretold \(foretold)")
        if deviations == 5 { #expect(used == 0) }
      }
    }
  }
}
