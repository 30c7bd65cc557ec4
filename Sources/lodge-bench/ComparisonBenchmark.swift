// Comparison keys made and evaluated, against what AES alone would allow.

import Bytes
import CRingKernels
import Rings

/// Comparison keys and evaluations a second at 32 compared bits and one payload word.
struct ComparisonBenchmark {
  private static let layout = ComparisonKeyLayout(levels: 32, payload: 1)
  private static let count = 4096
  /// AES blocks of a key: two parties expand a seed to two children and two values on every level of
  /// the tree, and to a value for every place below its last nodes.
  private static let blocksPerKey = 2 * (4 * layout.depth + 1 << layout.tailBits)
  /// AES blocks of an evaluation: the child and the value that the point leads to.
  private static let blocksPerEvaluation = 2 * layout.depth + 1

  private let rows: [(arm: KernelArm, keys: Rate, evaluations: Rate, blocks: Rate)]

  init(repetitions: Int) {
    let function = ComparisonFunction(
      fixedKey: [UInt8](0..<16), layout: ComparisonBenchmark.layout)
    let count = ComparisonBenchmark.count
    var generator = SystemRandomNumberGenerator()
    func words(_ count: Int) -> [UInt64] { (0..<count).map { _ in generator.next() } }
    let (alphas, betas, points) = (words(count), words(count), words(count))
    let (roots0, roots1) = (words(2 * count), words(2 * count))
    let keys = function.generated(alphas: alphas, betas: betas, roots0: roots0, roots1: roots1)
    let contestants = KernelArm.available.filter { $0 <= .avx512 }.map { arm in
      [
        Rate.Contestant(name: "keys", work: Double(count)) {
          var made = [UInt8](repeating: 0, count: count * function.keyByteCount)
          var span = made.mutableSpan
          function.generate(
            alphas: alphas.span, betas: betas.span, roots0: roots0.span, roots1: roots1.span,
            into: &span, parallel: false, arm: arm)
        },
        Rate.Contestant(name: "evaluations", work: Double(count)) {
          var shares = [UInt64](repeating: 0, count: count)
          var span = shares.mutableSpan
          function.evaluate(
            party: 0, keys: keys.span, roots: roots0.span, points: points.span, into: &span,
            parallel: false, arm: arm)
        },
        ComparisonBenchmark.cipher(arm),
      ]
    }
    let rates = Rate.measure(repetitions: repetitions, contestants.flatMap { $0 })
    rows = KernelArm.available.filter { $0 <= .avx512 }.enumerated().map { index, arm in
      (arm, rates[3 * index], rates[3 * index + 1], rates[3 * index + 2])
    }
  }

  /// AES-128 on blocks in the first-level cache.
  private static func cipher(_ arm: KernelArm) -> Rate.Contestant {
    let (blocks, times) = (512, arm == .portable ? 32 : 1024)
    let encrypt = unsafe lodge_kernels_of(CInt(arm.rawValue)).aes128_encrypt
    return Rate.Contestant(name: "blocks", work: Double(blocks * times)) {
      var schedule = lodge_aes128_schedule()
      unsafe lodge_aes128_expand([UInt8](0..<16), &schedule)
      var words = [UInt64](repeating: 0, count: 2 * blocks)
      for _ in 0..<times { unsafe encrypt(&schedule, &words, blocks) }
    }
  }

  var document: TextDocument {
    var table = TextTable([
      ("32 compared bits, one core", .left), ("M key pairs/s", .right), ("of AES", .right),
      ("M evaluations/s", .right), ("of AES", .right), ("G AES blocks/s", .right),
    ])
    func share(_ rate: Rate, _ blocks: Int, _ all: Rate) -> String {
      "\(Int((100 * rate.median * Double(blocks) / all.median).rounded())) %"
    }
    for row in rows {
      table.addRow([
        row.arm.description, decimal(row.keys.median / 1e6),
        share(row.keys, ComparisonBenchmark.blocksPerKey, row.blocks),
        decimal(row.evaluations.median / 1e6),
        share(row.evaluations, ComparisonBenchmark.blocksPerEvaluation, row.blocks),
        decimal(row.blocks.median / 1e9),
      ])
    }
    return """
      \(table)
      of AES: \(ComparisonBenchmark.blocksPerKey) blocks a key pair and \
      \(ComparisonBenchmark.blocksPerEvaluation) an evaluation would take so much of the time
      """
  }

  var json: JSON {
    .array(
      rows.map { row in
        [
          "arm": .string(row.arm.description), "keyPairsPerSecond": row.keys.json,
          "evaluationsPerSecond": row.evaluations.json, "blocksPerSecond": row.blocks.json,
        ]
      })
  }
}
