// What `lodge-model calibrate` tells: how the inputs of non-linear operations are distributed.

public import Approximation
public import Bytes
import Foundation
public import Models
import Sharing

/// A calibration as a table for people and JSON for machines.
public struct CalibrationReport: Report {
  /// One observed quantity.
  private struct Row {
    var node: String
    /// How many nodes it is of.
    var count = 1
    /// What it is to the operation that needs it, such as "input" or "scores".
    var role: String
    var range: ClosedRange<Double>
    var histogram: Histogram

    func quantile(_ share: Double) -> Double { histogram.quantile(share, within: range) }

    /// Bits between the largest value with `fractionalBits` and 2^62, where the ring's room ends.
    func headroomBits(fractionalBits: Int) -> Double {
      let bound = max(abs(range.lowerBound), abs(range.upperBound), 0x1p-20)
      return 62 - Double(fractionalBits) - log2(bound)
    }
  }

  /// Fractional bits of the residual stream and of products, whose headroom is told.
  private static let productBits = 32

  private let model: Model
  private let calibration: Calibration
  private let rows: [Row]
  private let isComplete: Bool

  /// - Parameter isComplete: whether each node is listed, with its output, and not only what
  ///   non-linear operations read and write, layers together.
  public init(model: Model, calibration: Calibration, isComplete: Bool) {
    self.model = model
    self.isComplete = isComplete
    self.calibration = calibration
    var rows: [Row] = []
    func add(_ node: String, _ quantity: ObservedQuantity, _ role: String) {
      guard let range = calibration.ranges[node]?[quantity],
        let histogram = calibration.histograms[node]?[quantity]
      else { return }
      rows.append(Row(node: node, role: role, range: range, histogram: histogram))
    }
    for node in model.nodes {
      switch node.operation {
      case .layerNorm: add(node.name, .variance, "variance")
      case .rmsNorm: add(node.name, .variance, "mean square")
      case .attention:
        add(node.name, .uncappedScores, "scores before the cap")
        add(node.name, .scores, "scores")
        add(node.name, .centredScores, "scores - max")
        add(node.name, .denominator, "sums of exp")
      case .activation(let input, _):
        if !isComplete { add(model.nodes[input].name, .output, "input") }
        add(node.name, .output, "active")
      case .add: if !isComplete { add(node.name, .output, "residual") }
      case .embed, .linear, .rotary, .multiply, .scale, .softCap, .pool, .gates, .gated: break
      }
      if isComplete { add(node.name, .output, "output") }
    }
    self.rows = rows
  }

  /// The rows of nodes that differ in their layer alone, together.
  private var layersTogether: [Row] {
    rows.grouped { [namePattern($0.node), $0.role] }.map { group in
      var sum = group.elements[0]
      guard group.elements.count > 1 else { return sum }
      sum.node = group.key[0]
      sum.count = group.elements.count
      for row in group.elements.dropFirst() {
        sum.range =
          min(
            sum.range.lowerBound, row.range.lowerBound)...max(
            sum.range.upperBound, row.range.upperBound)
        sum.histogram.merge(row.histogram)
      }
      return sum
    }
  }

  public var document: TextDocument {
    var table = TextTable([
      ("node", .name), ("nodes", .right), ("values", .left), ("minimum", .right), ("1 %", .right),
      ("median", .right), ("99 %", .right), ("maximum", .right), ("non-zero", .right),
      ("headroom", .right),
    ])
    func number(_ value: Double) -> String { Quantity.decimal(value, fractionDigits: 4) }
    for row in isComplete ? rows : layersTogether {
      let count = Double(row.histogram.count)
      let density = count > 0 ? 1 - Double(row.histogram.zeroCount) / count : 0
      table.addRow([
        row.node, "\(row.count)", row.role, number(row.range.lowerBound),
        number(row.quantile(0.01)),
        number(row.quantile(0.5)), number(row.quantile(0.99)), number(row.range.upperBound),
        "\(Quantity.decimal(100 * density, fractionDigits: 1)) %",
        "\(Quantity.decimal(row.headroomBits(fractionalBits: Self.productBits), fractionDigits: 1)) bits",
      ])
    }
    let more = isComplete ? "" : "\n--all lists every node, and what it gives."
    return """
      \(table)

      \(Quantity.count(calibration.textCount, "text")), \
      \(Quantity.count(calibration.tokenCount, "token")). Headroom: bits left below 2^62 \
      for the largest value with \(Self.productBits) fractional bits.\(more)
      """
  }

  public var json: JSON {
    let entries = rows.map { row -> JSON in
      [
        "node": .string(row.node), "values": .string(row.role),
        "minimum": .number(row.range.lowerBound), "maximum": .number(row.range.upperBound),
        "quantiles": .array(
          CalibrationFile.quantileShares.map {
            .array([.number($0), .number(row.quantile($0))])
          }),
        "count": .integer(Int(clamping: row.histogram.count)),
        "zeroCount": .integer(Int(clamping: row.histogram.zeroCount)),
        "headroomBits": .number(row.headroomBits(fractionalBits: Self.productBits)),
      ]
    }
    return [
      "textCount": .integer(calibration.textCount), "tokenCount": .integer(calibration.tokenCount),
      "values": .array(entries),
    ]
  }
}
