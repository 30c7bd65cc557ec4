// One row for every replaced operation: ranges, errors and costs.

public import Approximation
public import Bytes
import Foundation
public import Models
import OnlineRuntime
public import Program

/// What a recipe, settled for a model, does to each non-linear operation.
public struct ReplacementReport: Report, Sendable {
  /// One node.
  public struct Row: Sendable {
    public var node: String
    public var operationClass: OperationClass
    public var choice: ReplacementChoice
    public var form: ReplacementForm
    public var needsTraining: Bool
    /// Inputs on the calibration text: of an activation, variances, or scaled scores.
    public var seen: ClosedRange<Double>
    /// Inputs that the replacement is made for.
    public var valid: ClosedRange<Double>
    public var error: ReplacementError
    /// Of the last token of the reference session, or of its text.
    public var cost: StepCost
    /// Dealt for the reference session, in both files, by each of its tokens.
    public var dealtByteCount: Int
  }

  public let rows: [Row]
  /// Whether every operation is listed, and not those of all layers together.
  public var isComplete = false
  let session: SessionShape

  /// - Throws: `InputError` where the recipe is not resolved.
  public init(
    model: Model, recipe: Recipe, calibration: Calibration, densities: (any DensitySource)? = nil,
    program: SecureProgram
  ) throws(InputError) {
    session = SessionShape.reference(for: model)
    let step = session.lastStep
    var rows: [Row] = []
    for (index, node) in model.nodes.enumerated() {
      guard let choice = recipe.choice(for: node), let site = model.site(of: index),
        let form = try recipe.form(of: index, in: model)
      else { continue }
      let statistics = try recipe.statistics(
        of: index, in: model, densities: densities ?? calibration)
      let labels = site.operationClass == .softmax ? "\(node.name).softmax" : node.name
      func belongs(_ node: ProgramNode) -> Bool {
        node.label == labels || node.label.hasPrefix("\(labels).")
      }
      let dealt = program.correlationCost(of: session, where: belongs)
      rows.append(
        Row(
          node: node.name, operationClass: site.operationClass, choice: choice, form: form,
          needsTraining: choice.replacement.needsTraining(for: site.operationClass),
          seen: statistics.inputs.range,
          valid: choice.replacement.validRange(for: site.operationClass),
          error: ReplacementError(
            form, at: statistics, tableTolerance: recipe.tableTolerance),
          cost: program.cost(of: step, where: belongs),
          dealtByteCount: (dealt.byteCount(party: 0) + dealt.byteCount(party: 1))
            / session.rowCapacity))
    }
    self.rows = rows
  }

  static func byteCount(_ cost: StepCost) -> Int {
    cost.byteCount(frameByteCount: Connection.frameHeaderByteCount)
  }

  /// Rows of one operation in several layers, with one replacement.
  private var groups: [[Row]] {
    guard !isComplete else { return rows.map { [$0] } }
    return rows.grouped { [namePattern($0.node), $0.choice.name] }.map(\.elements)
  }

  private static func cells(_ rows: [Row]) -> [String] {
    let first = rows[0]
    func hull(_ ranges: [ClosedRange<Double>]) -> ClosedRange<Double> {
      ranges.dropFirst().reduce(ranges[0]) {
        min($0.lowerBound, $1.lowerBound)...max($0.upperBound, $1.upperBound)
      }
    }
    let valid = rows.map(\.valid)
    let mean = rows.reduce(0) { $0 + $1.error.mean } / Double(rows.count)
    return [
      rows.count == 1 ? first.node : namePattern(first.node), first.operationClass.rawValue,
      first.choice.name + (first.needsTraining ? " (trained)" : ""),
      text(hull(rows.map(\.seen))),
      valid.allSatisfy { $0 == valid[0] } ? text(valid[0]) : "by layer",
      text(rows.map(\.error.maximum).max() ?? 0), text(mean),
      String(rows.reduce(0) { $0 + $1.cost.roundCount }),
      Quantity.text(byteCount: rows.reduce(0) { $0 + byteCount($1.cost) }),
      Quantity.text(byteCount: rows.reduce(0) { $0 + $1.dealtByteCount }),
    ]
  }

  public var document: TextDocument {
    var table = TextTable([
      ("operation", .name), ("class", .left), ("replacement", .left), ("seen", .right),
      ("valid", .right), ("max error", .right), ("mean error", .right), ("flights", .right),
      ("bytes", .right), ("dealt", .right),
    ])
    for rows in groups { table.addRow(Self.cells(rows)) }
    var notes: [String] = []
    for row in rows where !row.choice.note.isEmpty {
      let note = "\(row.operationClass.rawValue): \(row.choice.note)."
      if !notes.contains(note) { notes.append(note) }
    }
    let size =
      session.kind.isDecoder
      ? "of one token after \(session.rowCapacity - 1)" : "of a text of \(session.promptCapacity)"
    return """
      \(table)

      Errors are those on the calibration text: of values (activations), of attention weights and \
      their sum in a row (softmax), relative (normalisations). Flights and bytes are those \(size) \
      between two servers; flights may be shared with other operations. Dealt are bytes of \
      correlations a token, in both files together.\(notes.map { "\n\($0)" }.joined())
      """
  }

  /// "-3.2 ... 4.1", with an empty end for infinity.
  static func text(_ range: ClosedRange<Double>) -> String {
    func end(_ value: Double) -> String { value.isFinite ? text(value) : "" }
    if !range.lowerBound.isFinite && !range.upperBound.isFinite { return "all" }
    return "\(end(range.lowerBound)) ... \(end(range.upperBound))"
  }

  /// Three significant digits.
  static func text(_ value: Double) -> String { String(format: "%.3g", value) }

  public var json: JSON {
    func number(_ value: Double) -> JSON { value.isFinite ? .number(value) : .null }
    return .array(
      rows.map { row in
        [
          "operation": .string(row.node), "class": .string(row.operationClass.rawValue),
          "replacement": row.choice.json, "source": .string(row.choice.source),
          "form": row.form.json, "needsTraining": .bool(row.needsTraining),
          "seen": [number(row.seen.lowerBound), number(row.seen.upperBound)],
          "valid": [number(row.valid.lowerBound), number(row.valid.upperBound)],
          "maximumError": .number(row.error.maximum), "meanError": .number(row.error.mean),
          "rounds": .integer(row.cost.roundCount), "bytes": .integer(Self.byteCount(row.cost)),
          "comparisons": .integer(row.cost.comparisonCount),
          "bitComparisons": .integer(row.cost.bitComparisonCount),
          "dealtBytesPerToken": .integer(row.dealtByteCount),
        ]
      })
  }
}
