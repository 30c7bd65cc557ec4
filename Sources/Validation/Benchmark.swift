// Times the whole path of one model: share, deal, and online in two parties over loopback TCP.

public import Approximation
public import Bytes
import Correlations
import Foundation
public import Models
import OnlineRuntime
import Program
import Sharing

/// One benchmark run of a model, medians over repetitions.
public struct Benchmark: Report {
  /// One line of the table.
  public struct Row: Sendable {
    public var stage: String
    /// Median, fastest and slowest of the repetitions.
    public var seconds: [Double]
    public var byteCount: Int?
    public var note: String

    var median: Double { seconds.sorted()[seconds.count / 2] }
  }

  public private(set) var rows: [Row] = []
  private let name: String

  /// Runs everything `repetitions` times in `folder`, in files that go with it.
  ///
  /// Calibrates on `texts`; the first of them gives the prompt.
  public init(
    checkpoint: String, output: ModelOutput? = nil, recipe: Recipe, texts: [[Int]], source: String,
    promptCount: Int,
    newCount: Int, repetitions: Int, folder temporary: TemporaryFolder, report: (String) -> Void
  ) throws {
    name = FilePaths.lastComponent(of: checkpoint)
    let loaded = try ModelLoader.load(path: checkpoint, output: output)
    let weights = try EqualisedWeights(loaded.model, loaded)
    let interpreter = try FloatInterpreter(loaded.model, weights: weights)
    let approximated = try ApproximatedModel(
      loaded.model, weights: weights, recipe: recipe,
      calibration: .observe(interpreter, texts: texts, source: source),
      texts: ApproximatedModel.Texts(texts, source: source))
    let folder = temporary.path
    let model = "\(folder)/model.lodge"
    try ModelFile.write(
      to: model, model: loaded.model, recipe: approximated.recipe,
      calibration: approximated.calibration, checkpoint: name, weights: weights)
    guard let first = texts.first(where: { $0.count >= promptCount }) else {
      throw InputError(source, "no text has \(promptCount) tokens for the prompt")
    }
    let prompt = Array(first.prefix(promptCount))

    var share: [Double] = []
    var deal: [Double] = []
    var promptSeconds: [Double] = []
    var tokenSeconds: [Double] = []
    var shares = ""
    var batch: Batch?
    var last: SecureGeneration.Result?
    var program: SecureProgram?
    for repetition in 0..<repetitions {
      report("repetition \(repetition + 1) of \(repetitions)")
      shares = "\(folder)/shares\(repetition)"
      let correlations = "\(folder)/correlations\(repetition)"
      share.append(
        try Benchmark.seconds {
          _ = try ShareWriter.share(ModelFile(path: model), into: shares)
        })
      let bundle = try DealerBundle(path: "\(shares)/dealer.bundle")
      let shape = try SessionShape.requested(
        program: bundle.program, prompt: promptCount,
        new: bundle.program.kind.isDecoder ? newCount : nil)
      let dealt = try Batch(folder: correlations, conversion: bundle.conversion, shape: shape)
      deal.append(
        try Benchmark.seconds {
          _ = try dealt.deal(session: 0, program: bundle.program, weights: bundle)
        })
      let parties = try LocalParties(shares: shares, correlations: correlations)
      let result = try parties.generate(prompt: prompt, newCount: shape.newCapacity)
      parties.stop()
      promptSeconds.append(result.stepSeconds[0])
      if result.stepSeconds.count > 1 {
        let tokens = result.stepSeconds.dropFirst()
        tokenSeconds.append(tokens.reduce(0, +) / Double(tokens.count))
      }
      last = result
      batch = dealt
      program = bundle.program
      try FileManager.default.removeItem(atPath: correlations)
      if repetition < repetitions - 1 { try FileManager.default.removeItem(atPath: shares) }
    }
    guard let batch, let last, let program else { return }
    let bundleBytes = try (0...1).reduce(0) {
      $0 + (try MappedFile(path: "\(shares)/party\($1).bundle").byteCount)
    }
    let cost = program.correlationCost(of: batch.shape)
    rows = [
      Row(stage: "share", seconds: share, byteCount: bundleBytes, note: "both bundles"),
      Row(
        stage: "deal", seconds: deal,
        byteCount: cost.byteCount(party: 0) + cost.byteCount(party: 1),
        note: "both files of one session, \(cost.keyCount) comparison keys"),
      Row(
        stage: program.kind.isDecoder ? "prompt" : "text", seconds: promptSeconds,
        byteCount: last.counters[0].party0.bytesSent,
        note: "\(promptCount) tokens, \(last.counters[0].party0.rounds) flights; "
          + "bytes of each party"
      ),
    ]
    if let before = last.counters.dropLast().last?.party0, let end = last.counters.last?.party0,
      !tokenSeconds.isEmpty
    {
      rows.append(
        Row(
          stage: "token", seconds: tokenSeconds, byteCount: end.bytesSent - before.bytesSent,
          note: "mean of \(last.stepSeconds.count - 1); the last: \(end.rounds - before.rounds) "
            + "flights, bytes of each party"))
    }
  }

  private static func seconds(_ body: () throws -> Void) rethrows -> Double {
    let started = ContinuousClock.now
    try body()
    return (ContinuousClock.now - started) / .seconds(1)
  }
}

extension Benchmark {
  public var document: TextDocument {
    var table = TextTable([
      (name, .left), ("median", .right), ("fastest", .right), ("slowest", .right),
      ("bytes", .right), ("of what", .prose),
    ])
    for row in rows {
      table.addRow([
        row.stage, Quantity.text(seconds: row.median),
        Quantity.text(seconds: row.seconds.min() ?? 0),
        Quantity.text(seconds: row.seconds.max() ?? 0),
        row.byteCount.map { Quantity.text(byteCount: $0) } ?? "", row.note,
      ])
    }
    return "\(table)\n\nmedians on \(Benchmark.machine)"
  }

  public var json: JSON {
    [
      "model": .string(name),
      "rows": .array(
        rows.map { row in
          [
            "stage": .string(row.stage), "seconds": .array(row.seconds.map(JSON.number)),
            "bytes": row.byteCount.map(JSON.integer) ?? .null, "note": .string(row.note),
          ]
        }),
    ]
  }

  /// Processor and number of cores of this machine.
  public static var machine: String {
    let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let model = text.split(separator: "\n").first { $0.hasPrefix("model name") }
      .flatMap { $0.split(separator: ":").last }
    let name = model.map { $0.trimmingCharacters(in: .whitespaces) } ?? "unknown processor"
    return "\(name), \(ProcessInfo.processInfo.activeProcessorCount) cores"
  }
}
