// Ring products of every arm, and of a plain loop in Swift.

import Bytes
import Rings

/// Multiply-accumulates a second of [1024, 4096] times [4096, 512].
struct ProductBenchmark {
  private static let (rows, inner, columns) = (1024, 4096, 512)
  /// The slowest contestants multiply fewer rows.
  private static let fewRows = 64
  private static let cases = ["64 x 64", "16 x 64", "8 x 64", "mod 2^32"]

  /// By contestant and case; the loop has the first case only.
  private let rates: [(name: String, rates: [Rate])]

  init(repetitions: Int) {
    let words = ProductBenchmark.words()
    var contestants: [[Rate.Contestant]] = [[ProductBenchmark.loop(words)]]
    for arm in KernelArm.available {
      contestants.append(
        [64, 16, 8].map { bits in
          // Elements of the whole ring, or sign-extended.
          let left = words.left.map {
            UInt64(bitPattern: Int64(bitPattern: $0) >> Int64(64 - bits))
          }
          return ProductBenchmark.contestant(left, words.right, bits: bits, arm: arm)
        } + [
          ProductBenchmark.contestant(
            words.left.map { UInt32(truncatingIfNeeded: $0) },
            words.right.map { UInt32(truncatingIfNeeded: $0) }, bits: 32, arm: arm)
        ])
    }
    let measured = Rate.measure(repetitions: repetitions, contestants.flatMap { $0 })
    var rest = measured[...]
    rates = contestants.map { contestants in
      defer { rest = rest.dropFirst(contestants.count) }
      return (contestants[0].name, Array(rest.prefix(contestants.count)))
    }
  }

  private static func words() -> (left: [UInt64], right: [UInt64]) {
    var generator = SystemRandomNumberGenerator()
    return (
      (0..<(rows * inner)).map { _ in generator.next() },
      (0..<(inner * columns)).map { _ in generator.next() }
    )
  }

  private static func contestant<Element: RingElement>(
    _ left: [Element], _ right: [Element], bits: Int, arm: KernelArm
  ) -> Rate.Contestant {
    let rowCount = arm == .portable ? fewRows : rows
    let a = RingOperand(left, rows: rowCount, columns: inner, bits: bits)
    let b = RingOperand(right, rows: inner, columns: columns)
    return Rate.Contestant(
      name: arm.description, work: Double(rowCount) * Double(inner) * Double(columns)
    ) {
      var c = [Element](repeating: 0, count: rowCount * columns)
      var span = c.mutableSpan
      RingProduct.multiply(a, b, into: &span, stride: columns, parallel: false, arm: arm)
    }
  }

  /// What one writes without thinking of processors: eight lanes, row by row.
  private static func loop(_ words: (left: [UInt64], right: [UInt64])) -> Rate.Contestant {
    let lanes = columns / 8
    let right = (0..<(inner * lanes)).map { index in
      var vector = SIMD8<UInt64>()
      for lane in 0..<8 { vector[lane] = words.right[8 * index + lane] }
      return vector
    }
    return Rate.Contestant(
      name: "Swift SIMD8 loop", work: Double(fewRows) * Double(inner) * Double(columns)
    ) {
      var c = [SIMD8<UInt64>](repeating: .zero, count: fewRows * lanes)
      for row in 0..<fewRows {
        for p in 0..<inner {
          let factor = SIMD8<UInt64>(repeating: words.left[row * inner + p])
          for lane in 0..<lanes { c[row * lanes + lane] &+= factor &* right[p * lanes + lane] }
        }
      }
    }
  }

  /// The first case of a contestant.
  private func full(_ name: String) -> Double? {
    rates.first { $0.name == name }?.rates[0].median
  }

  var document: TextDocument {
    let references = ["avx512", "portable", "Swift SIMD8 loop"]
    var table = TextTable(
      [("1024 x 4096 by 4096 x 512, G/s", .left)]
        + ProductBenchmark.cases.map { ($0, .right) }
        + references.map { ("to \($0)", .right) })
    for row in rates {
      table.addRow(
        [row.name]
          + ProductBenchmark.cases.indices.map {
            $0 < row.rates.count ? decimal(row.rates[$0].median / 1e9) : ""
          }
          + references.map { full($0).map { decimal(row.rates[0].median / $0) } ?? "" })
    }
    return TextDocument(table)
  }

  var json: JSON {
    .array(
      rates.map { row in
        [
          "arm": .string(row.name),
          "multiplyAccumulatesPerSecond": .object(
            Dictionary(
              zip(ProductBenchmark.cases, row.rates.map(\.json)),
              uniquingKeysWith: { first, _ in first })),
        ]
      })
  }
}
