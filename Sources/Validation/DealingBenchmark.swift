// Times dealing beside what it cannot do without: its multiplications and the writing of its bytes.

public import Bytes
import Correlations
import Foundation
public import Models
import Program
import Rings
public import Sharing

/// Dealing sessions of one conversion, medians over repetitions.
///
/// The bound is the time of the multiply-accumulates with weights and between masks at the rate of
/// a 1024 x 1024 by 1024 x 1024 product of 64 by 16 bits, plus that of writing as many bytes to as
/// many files in the same folder from as many threads. All three take turns in each repetition.
public struct DealingBenchmark: Report {
  /// Seconds of each repetition.
  public private(set) var multiplying: [Double] = []
  public private(set) var writing: [Double] = []
  public private(set) var dealing: [Double] = []
  /// Processor seconds of each repetition of `dealing`, user and system.
  public private(set) var processor: [Double] = []
  public let sessionCount: Int
  /// Of one session, both files.
  public private(set) var byteCount = 0
  public private(set) var keyCount = 0
  public private(set) var productCount = 0

  /// Deals `sessionCount` sessions `repetitions` times in files below `folder`, which go with it.
  public init(
    bundle: DealerBundle, promptCount: Int, newCount: Int?, sessionCount: Int,
    memory: MemoryBudget, repetitions: Int, folder temporary: TemporaryFolder,
    report: (String) -> Void
  ) throws(InputError) {
    self.sessionCount = sessionCount
    let folder = "\(temporary.path)/batch"
    let shape = try SessionShape.requested(
      program: bundle.program, prompt: promptCount, new: newCount)
    let cost = bundle.program.correlationCost(of: shape)
    byteCount = cost.byteCount(party: 0) + cost.byteCount(party: 1)
    keyCount = cost.keyCount
    productCount = bundle.program.cost(of: .dealing(shape)).productCount
    try DiskSpace.check(
      byteCount: bundle.program.sessionByteCount(shape), times: sessionCount,
      of: "the files of \(Quantity.count(sessionCount, "session"))", at: folder)
    for repetition in 0..<repetitions {
      report("repetition \(repetition + 1) of \(repetitions)")
      multiplying.append(
        Double(sessionCount) * Double(productCount) / DealingBenchmark.productRate())
      writing.append(
        try DealingBenchmark.secondsToWrite(
          byteCount: byteCount / 2, fileCount: 2 * sessionCount, folder: folder))
      let batch = try Batch(folder: folder, conversion: bundle.conversion, shape: shape)
      defer { try? FileManager.default.removeItem(atPath: folder) }
      let before = DealingBenchmark.processorSeconds
      let started = ContinuousClock.now
      _ = try batch.deal(
        sessions: 0..<sessionCount, program: bundle.program, weights: bundle, memory: memory)
      dealing.append((ContinuousClock.now - started) / .seconds(1))
      processor.append(DealingBenchmark.processorSeconds - before)
    }
  }

  /// Multiply-accumulates a second on all cores.
  private static func productRate() -> Double {
    let size = 1024
    var state: UInt64 = 1
    let words = (0..<size * size).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state
    }
    let narrow = words.map { UInt64(bitPattern: Int64(Int16(truncatingIfNeeded: $0 >> 40))) }
    let weight = RingOperand(narrow, rows: size, columns: size, bits: 16)
    let masks = RingOperand(words, rows: size, columns: size)
    var count = 0
    let started = ContinuousClock.now
    while ContinuousClock.now - started < .milliseconds(200) {
      _ = RingProduct.product(masks, weight.transposed)
      count += 1
    }
    return Double(count * size * size * size) / ((ContinuousClock.now - started) / .seconds(1))
  }

  /// Seconds until `fileCount` files of `byteCount` bytes are durable.
  private static func secondsToWrite(byteCount: Int, fileCount: Int, folder: String)
    throws(InputError) -> Double
  {
    try Folder.make(folder)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let block = [UInt8](repeating: 0x5a, count: 1 << 20)
    let started = ContinuousClock.now
    try ConcurrentTasks.run(fileCount) { (number) throws(InputError) in
      let path = "\(folder)/\(number)"
      let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
      defer { close(descriptor) }
      var isWritten = descriptor >= 0 && posix_fallocate(descriptor, 0, byteCount) == 0
      for start in stride(from: 0, to: byteCount, by: block.count) where isWritten {
        let count = min(block.count, byteCount - start)
        isWritten = unsafe pwrite(descriptor, block, count, start) == count
      }
      guard isWritten, fsync(descriptor) == 0 else {
        throw InputError(path, "cannot be written: \(SystemError.message(errno))")
      }
    }
    return (ContinuousClock.now - started) / .seconds(1)
  }

  private static var processorSeconds: Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}

extension DealingBenchmark {
  /// Dealing over the bound in each repetition.
  private var ratios: [Double] {
    dealing.indices.map { dealing[$0] / (multiplying[$0] + writing[$0]) }
  }

  private static func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

  public var document: TextDocument {
    var table = TextTable([
      (Quantity.count(sessionCount, "session"), .left), ("median", .right), ("fastest", .right),
      ("slowest", .right), ("a session", .right), ("of what", .prose),
    ])
    let bytes = Quantity.text(byteCount: sessionCount * byteCount)
    for (name, seconds, note) in [
      (
        "multiplying", multiplying,
        "\(Quantity.grouped(sessionCount * productCount)) multiply-accumulates"
      ),
      ("writing", writing, "\(bytes) to \(2 * sessionCount) files"),
      ("dealing", dealing, "\(Quantity.grouped(sessionCount * keyCount)) comparison keys"),
      ("processor time", processor, "of dealing, user and system"),
    ] {
      table.addRow([
        name, Quantity.text(seconds: Self.median(seconds)),
        Quantity.text(seconds: seconds.min() ?? 0), Quantity.text(seconds: seconds.max() ?? 0),
        Quantity.text(seconds: Self.median(seconds) / Double(sessionCount)), note,
      ])
    }
    let ratio = Quantity.decimal(Self.median(ratios), fractionDigits: 2)
    return """
      \(table)

      Dealing takes \(ratio) times as long as multiplying and writing.

      medians on \(Benchmark.machine)
      """
  }

  public var json: JSON {
    [
      "sessions": .integer(sessionCount), "bytesPerSession": .integer(byteCount),
      "keysPerSession": .integer(keyCount), "productsPerSession": .integer(productCount),
      "multiplyingSeconds": .array(multiplying.map(JSON.number)),
      "writingSeconds": .array(writing.map(JSON.number)),
      "dealingSeconds": .array(dealing.map(JSON.number)),
      "processorSeconds": .array(processor.map(JSON.number)),
      "ratios": .array(ratios.map(JSON.number)),
    ]
  }
}
