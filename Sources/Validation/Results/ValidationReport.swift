// What `lodge-check validate` tells: an evaluation with the conversion that it is of.

public import Bytes
import Models
import Program
public import Sharing

/// An evaluation of a converted model, as tables for people and JSON for machines.
public struct ValidationReport: Report {
  let path: String
  let file: ModelFile
  let evaluator: Evaluator
  let result: EvaluationResult
  let cost: CostReport
  let thresholds: Thresholds
  public let misses: [Thresholds.Miss]

  /// Why the answers cannot be trusted whatever the limits are; empty where they can.
  public var faults: [String] {
    var faults: [String] = []
    if let tightest, tightest.headroom < 0 {
      faults.append(
        "\(tightest.label) leaves the ring: \(-tightest.headroom) bits more than 2^62")
    }
    let overflows = zip(evaluator.functions, result.functions).filter { $1.overflowCount > 0 }
    for (function, statistics) in overflows.prefix(ValidationReport.toldFaultCount) {
      let range = function.ringRange ?? function.validRange
      let seen = statistics.inputs.seen ?? range
      faults.append(
        "\(function.node): \(Quantity.grouped(statistics.overflowCount)) inputs of "
          + "\(function.original) lie outside \(ValidationReport.text(range)), which the "
          + "conversion has room for; they reach from \(ValidationReport.text(seen))")
    }
    let rest = overflows.count - ValidationReport.toldFaultCount
    if rest > 0 { faults.append("\(rest) more nodes have inputs outside of their ranges") }
    // What follows from an overflow is no fault of its own.
    if faults.isEmpty, let node = roundedNode {
      let cause =
        flippedGates(before: node).map {
          "fixed point decides otherwise than float at \(evaluator.model.nodes[$0].name), of which "
            + "scores lie nearer to their threshold than they are rounded"
        } ?? "some tensor before it has too few bits"
      faults.append(
        "\(evaluator.model.nodes[node].name): fixed point changes it by "
          + "\(Figure.percent(result.ringErrors[node].value)), replacements by "
          + "\(Figure.percent(result.approximatedErrors[node].value)): \(cause)")
    }
    return faults
  }

  /// The first gates before `node` that fixed point alone opens or closes otherwise than the
  /// original.
  private func flippedGates(before node: Int) -> Int? {
    evaluator.model.nodes.indices.prefix(node).first { index in
      guard case .gates = evaluator.model.nodes[index].operation else { return false }
      return result.ringErrors[index].value > result.approximatedErrors[index].value
    }
  }

  /// What to do about `faults`.
  public var faultHint: String {
    guard let node = roundedNode, result.headroom >= 0,
      result.functions.allSatisfy({ $0.overflowCount == 0 })
    else { return "convert with more text of this kind (--tokens), or with a larger --headroom" }
    return flippedGates(before: node) != nil
      ? "judge by more text, and by --max-perplexity-increase, or fit the gates to other text"
      : "see what `lodge-model approximate` says of its tensors, and take a recipe with more "
        + "fractional bits"
  }

  /// Relative error of the residual stream by which fixed point alone is at fault: ordinary models
  /// stay below a tenth of it.
  static let largestRoundingError = 0x1p-6

  /// The first node of the residual stream, or of what reads it or comes last, that fixed point
  /// changes too much and replacements do not.
  private var roundedNode: Int? {
    // What the dealer opens by chance is not in float, and no rounding.
    guard evaluator.program.noise == 0 else { return nil }
    let nodes = evaluator.model.nodes
    return nodes.indices.first { index in
      switch nodes[index].operation {
      case .add, .layerNorm, .rmsNorm: break
      default: guard index == nodes.count - 1 else { return false }
      }
      let error = result.ringErrors[index].value
      return result.ringErrors[index].isRelative
        && !(error <= ValidationReport.largestRoundingError)
        && !(error <= ErrorGrowth.factor * result.approximatedErrors[index].value)
    }
  }

  /// Nodes with faults that are told one by one.
  private static let toldFaultCount = 8

  private static func text(_ range: ClosedRange<Double>) -> String {
    "\(Figure.text(range.lowerBound)) to \(Figure.text(range.upperBound))"
  }

  /// - Throws: `InputError` for a threshold on a figure that this evaluation does not have.
  public init(
    path: String, file: ModelFile, evaluator: Evaluator, result: EvaluationResult,
    cost: CostReport, thresholds: Thresholds
  ) throws(InputError) {
    self.path = path
    self.file = file
    self.evaluator = evaluator
    self.result = result
    self.cost = cost
    self.thresholds = thresholds
    misses = try thresholds.misses(of: result)
  }

  /// The nodes that each node of the model reads.
  private var inputs: [[Int]] { evaluator.model.nodes.map(\.operation.inputs) }

  /// Where the error against the original first grows, in float and in the ring.
  var growths: [(stage: Stage, growth: ErrorGrowth?)] {
    [
      (.approximated, result.approximatedErrors), (.ring, result.ringErrors),
    ].map { stage, errors in
      (stage, EvaluationResult.firstGrowth(errors.map(\.value), inputs: inputs))
    }
  }

  /// Widths of ring values by part of the model, all layers together: "layers.*.attention.mix".
  var parts: [(name: String, widths: BitWidthHistogram)] {
    var order: [String] = []
    var widths: [String: BitWidthHistogram] = [:]
    for node in evaluator.program.nodes {
      let name = namePattern(node.label)
      for value in node.outputs where result.widths[value].counts.contains(where: { $0 > 0 }) {
        if widths[name] == nil { order.append(name) }
        widths[name, default: BitWidthHistogram()].add(result.widths[value])
      }
    }
    return order.map { ($0, widths[$0] ?? BitWidthHistogram()) }
  }

  /// Widths by layer as they are, for the one that comes nearest to the limit.
  var tightest: (label: String, headroom: Int)? {
    evaluator.program.nodes.flatMap { node in
      node.outputs.map { (label: node.label, headroom: result.widths[$0].headroom) }
    }.min { $0.headroom < $1.headroom }
  }

  /// Replacements of one function together: the statistics of all its nodes added up.
  var classes: [(function: ReplacedFunction, nodeCount: Int, statistics: ClassStatistics)] {
    var result: [(function: ReplacedFunction, nodeCount: Int, statistics: ClassStatistics)] = []
    for (function, statistics) in zip(evaluator.functions, self.result.functions) {
      if let index = result.firstIndex(where: {
        $0.function.original == function.original && $0.function.replacement == function.replacement
      }) {
        result[index].nodeCount += 1
        result[index].statistics.add(statistics)
      } else {
        result.append((function, 1, ClassStatistics(statistics)))
      }
    }
    return result
  }
}

/// Statistics of a function over several nodes, whose histograms need not fit together.
struct ClassStatistics: Sendable {
  private(set) var count: Int
  private(set) var outsideCount: Int
  private(set) var maximumError: Double
  private var errorSum: Double
  private(set) var seen: ClosedRange<Double>?

  var meanError: Double { errorSum / Double(max(count, 1)) }
  var outsideShare: Double { Double(outsideCount) / Double(max(count, 1)) }

  init(_ statistics: FunctionStatistics) {
    count = statistics.count
    outsideCount = statistics.outsideCount
    maximumError = statistics.maximumError
    errorSum = statistics.meanError * Double(statistics.count)
    seen = statistics.inputs.seen
  }

  mutating func add(_ other: FunctionStatistics) {
    count += other.count
    outsideCount += other.outsideCount
    maximumError = max(maximumError, other.maximumError)
    errorSum += other.meanError * Double(other.count)
    if let theirs = other.inputs.seen {
      let ours = seen ?? theirs
      seen =
        min(ours.lowerBound, theirs.lowerBound)...max(ours.upperBound, theirs.upperBound)
    }
  }
}
