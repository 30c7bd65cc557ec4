// What an evaluation found, over all its windows.

public import Bytes
import Dispatch
public import Models
import Program
import Synchronization

/// The stages of a converted model compared on an evaluation set.
public struct EvaluationResult: Sendable {
  public let kind: ModelKind
  public let set: EvaluationSet
  /// Stages that ran, in order.
  public private(set) var stages: [Stage] = [.original, .approximated, .ring]
  /// Logits against the original's, of a decoder.
  public private(set) var logits: [Stage: LogitMetrics] = [:]
  /// Hidden states and embeddings against the original's, of an encoder.
  public private(set) var embeddings: [Stage: EmbeddingMetrics] = [:]
  /// Cosine of every pair of the set, by stage.
  public private(set) var similarities: [Stage: [Double]] = [:]
  /// Time in each stage, summed over windows that were evaluated at once.
  public private(set) var seconds: [Stage: Double] = [:]
  public private(set) var wallSeconds = 0.0
  /// Stage `ring` against stage `approximated`: the output's elements.
  public private(set) var ringAgainstApproximated = ElementError()
  /// Against the original, by node of the model.
  public private(set) var approximatedErrors: [RelativeError]
  public private(set) var ringErrors: [RelativeError]
  /// By value of the program; empty for opened values, which are shared ones under masks.
  public private(set) var widths: [BitWidthHistogram]
  /// In the order of the evaluator's functions.
  public private(set) var functions: [FunctionStatistics] = []
  var points: [WindowResult.Point] = []
  /// Two parties on a sample, where they ran.
  public private(set) var secure: SecureSample?

  private init(_ evaluator: Evaluator, _ set: EvaluationSet) {
    kind = evaluator.model.kind
    self.set = set
    let errors = [RelativeError](repeating: RelativeError(), count: evaluator.model.nodes.count)
    approximatedErrors = errors
    ringErrors = errors
    widths = [BitWidthHistogram](
      repeating: BitWidthHistogram(), count: evaluator.program.values.count)
  }

  /// Evaluates all windows of `set`.
  ///
  /// As many windows as there are cores are evaluated at once, and added up in their order: the
  /// result does not depend on the number of cores. `progress` is told tokens that are done.
  public init(
    _ evaluator: Evaluator, _ set: EvaluationSet, observesNodes: Bool = true,
    progress: @escaping @Sendable (Int) -> Void = { _ in }
  ) throws(InputError) {
    self.init(evaluator, set)
    let clock = ContinuousClock()
    let started = clock.now
    var vectors: [Stage: [[Double]]] = [:]
    let batch = EvaluationResult.concurrentWindows
    for start in stride(from: 0, to: set.windows.count, by: batch) {
      let numbers = start..<min(start + batch, set.windows.count)
      let results = EvaluationResult.concurrently(numbers) { number throws(InputError) in
        let result = try evaluator.evaluate(
          set.windows[number], session: number, observesNodes: observesNodes)
        progress(set.windows[number].tokens.count)
        return result
      }
      for result in results {
        let window = try result.get()
        add(window)
        // Only pairs need the vectors again.
        if !set.pairs.isEmpty {
          for (stage, vector) in window.vectors { vectors[stage, default: []].append(vector) }
        }
      }
    }
    for (stage, vectors) in vectors {
      similarities[stage] = set.pairs.map {
        CosineSimilarity.of(vectors[$0.first], vectors[$0.second])
      }
    }
    wallSeconds = (clock.now - started) / .seconds(1)
  }

  /// Windows in flight: memory grows with them.
  static let concurrentWindows = 2

  private static func concurrently(
    _ numbers: Range<Int>,
    _ body: @escaping @Sendable (Int) throws(InputError) -> WindowResult
  ) -> [Result<WindowResult, InputError>] {
    let results = Mutex<[Int: Result<WindowResult, InputError>]>([:])
    DispatchQueue.concurrentPerform(iterations: numbers.count) { index in
      let number = numbers.lowerBound + index
      let result = Result { () throws(InputError) in try body(number) }
      results.withLock { $0[number] = result }
    }
    return results.withLock { results in numbers.compactMap { results[$0] } }
  }

  /// Adds what two parties gave on a sample.
  public mutating func add(_ sample: SecureSample) {
    stages.append(.secure)
    seconds[.secure] = sample.seconds
    switch kind {
    case .decoder, .prefixDecoder: logits[.secure] = sample.logits
    case .encoder: embeddings[.secure] = sample.embeddings
    }
    secure = sample
  }

  private mutating func add(_ window: WindowResult) {
    for (stage, metrics) in window.logits { logits[stage, default: LogitMetrics()].add(metrics) }
    for (stage, metrics) in window.embeddings {
      embeddings[stage, default: EmbeddingMetrics()].add(metrics)
    }
    for (stage, time) in window.seconds { seconds[stage, default: 0] += time }
    ringAgainstApproximated.add(window.ringAgainstApproximated)
    for index in ringErrors.indices {
      approximatedErrors[index].add(window.approximatedErrors[index])
      ringErrors[index].add(window.ringErrors[index])
    }
    for index in widths.indices { widths[index].add(window.widths[index]) }
    if functions.isEmpty {
      functions = window.functions
    } else {
      for index in functions.indices { functions[index].add(window.functions[index]) }
    }
    points += window.points
  }

  /// Spearman's correlation of the pairs' cosines with their scores; nil without pairs.
  public func spearman(_ stage: Stage) -> Double? {
    similarities[stage].flatMap { Correlation.spearman($0, set.pairs.map(\.score)) }
  }

  /// Pearson's correlation of the same.
  public func pearson(_ stage: Stage) -> Double? {
    similarities[stage].flatMap { Correlation.pearson($0, set.pairs.map(\.score)) }
  }
}
