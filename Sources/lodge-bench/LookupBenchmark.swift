// Point keys evaluated in all cells, as lookups do, against what AES alone would allow.

import Bytes
import Rings

/// Cells a second of parabolas: three payload words of eight bytes, six sums a key, 32 cells taken
/// one by one and a line to the right.
struct LookupBenchmark {
  private static let bits = [7, 8, 10]

  private let rows: [(arm: KernelArm, cells: [Rate])]

  init(repetitions: Int) {
    var generator = SystemRandomNumberGenerator()
    func words(_ count: Int) -> [UInt64] { (0..<count).map { _ in generator.next() } }
    let cases = LookupBenchmark.bits.map { bits in
      let count = 1 << (16 - bits)
      let window = PointWindow(-16..<16, bits: bits)
      let function = PointFunction(
        fixedKey: [UInt8](0..<16),
        layout: PointKeyLayout(bits: bits, payload: 3, middleLevels: window.levels))
      var keys = [UInt8](repeating: 0, count: count * function.layout.byteCount)
      var span = keys.mutableSpan
      let (alphas, betas) = (words(count), words((3 + function.layout.gammaCount) * count))
      let (roots0, roots1) = (words(2 * count), words(2 * count))
      function.generate(
        alphas: alphas.span, betas: betas.span, roots0: roots0.span, roots1: roots1.span,
        into: &span)
      let tables = PointTables(
        [0, 0, 1, 0, 1, 2].map { (word: $0, values: words(1 << bits)) }, layout: function.layout,
        window: window, cellBits: 0, countsLeft: false)
      return (
        function: function, keys: keys, roots: roots0,
        places: words(count).map { $0 >> UInt64(64 - bits) }, tables: tables
      )
    }
    let arms = KernelArm.available.filter { $0 <= .avx512 }
    let contestants = arms.flatMap { arm in
      cases.map { one in
        Rate.Contestant(name: "\(one.function.layout.bits)", work: 65536) {
          var sums = [UInt64](repeating: 0, count: one.tables.sumCount * one.places.count)
          var span = sums.mutableSpan
          unsafe one.function.sum(
            party: 0, keys: one.keys.span.bytes, roots: one.roots.span, places: one.places.span,
            tables: one.tables, into: &span, parallel: false, arm: arm)
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
      [("parabolas looked up, M cells/s", .left)]
        + LookupBenchmark.bits.map { ("of \(1 << $0)", .right) })
    for row in rows {
      table.addRow([row.arm.description] + row.cells.map { decimal($0.median / 1e6) })
    }
    return TextDocument(table)
  }

  var json: JSON {
    .array(
      rows.map { row in
        ["arm": .string(row.arm.description), "cellsPerSecond": .array(row.cells.map(\.json))]
      })
  }
}
