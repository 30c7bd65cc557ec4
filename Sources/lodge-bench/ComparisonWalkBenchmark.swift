// Many public points of one comparison key, as tables of many knots ask for them.

import Bytes
import Rings

/// Points a second at 32 compared bits and three payload words, by the number of points of a key.
struct ComparisonWalkBenchmark {
  private static let levels = 32
  private static let pointsPerKey = [1, 16, 128, 555]

  private let rows: [(arm: KernelArm, points: [Rate])]

  init(repetitions: Int) {
    let function = ComparisonFunction(
      fixedKey: [UInt8](0..<16),
      layout: ComparisonKeyLayout(levels: ComparisonWalkBenchmark.levels, payload: 3))
    var generator = SystemRandomNumberGenerator()
    func words(_ count: Int) -> [UInt64] { (0..<count).map { _ in generator.next() } }
    // The points of an element are an opened value minus ascending knots in half of the ring.
    let cases = ComparisonWalkBenchmark.pointsPerKey.map { pointsPerKey in
      let count = 4096 / pointsPerKey
      let knots = words(pointsPerKey).map { $0 >> 33 }.sorted()
      let points = words(count).flatMap { opened in knots.map { opened &- $0 } }
      let keys = function.generated(
        alphas: words(count), betas: words(3 * count), roots0: words(2 * count),
        roots1: words(2 * count))
      return (pointsPerKey: pointsPerKey, roots: words(2 * count), keys: keys, points: points)
    }
    let arms = KernelArm.available.filter { $0 <= .avx512 }
    let contestants = arms.flatMap { arm in
      cases.map { one in
        Rate.Contestant(name: "\(one.pointsPerKey)", work: Double(one.points.count)) {
          var shares = [UInt64](repeating: 0, count: 3 * one.points.count)
          var span = shares.mutableSpan
          function.evaluate(
            party: 0, keys: one.keys.span, roots: one.roots.span, pointsPerKey: one.pointsPerKey,
            points: one.points.span, into: &span, parallel: false, arm: arm)
        }
      }
    }
    let rates = Rate.measure(repetitions: repetitions, contestants)
    rows = arms.enumerated().map { index, arm in
      (arm, Array(rates[index * cases.count..<(index + 1) * cases.count]))
    }
  }

  var document: TextDocument {
    var table = TextTable(
      [("32 compared bits, 3 words, M points/s", .left)]
        + ComparisonWalkBenchmark.pointsPerKey.map { ("\($0) of a key", .right) })
    for row in rows {
      table.addRow([row.arm.description] + row.points.map { decimal($0.median / 1e6) })
    }
    return TextDocument(table)
  }

  var json: JSON {
    .array(
      rows.map { row in
        [
          "arm": .string(row.arm.description),
          "pointsPerSecond": .array(row.points.map(\.json)),
        ]
      })
  }
}
