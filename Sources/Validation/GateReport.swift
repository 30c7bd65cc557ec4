// What gates save: for each gated layer its blocks, its pool, and the costs beside those without
// gates.

public import Approximation
public import Bytes
import Models
import OnlineRuntime
public import Program

/// Gated layers of a program beside the same layers without gates.
public struct GateReport {
  /// One layer's feed-forward network, what decides about its blocks included.
  struct Costs {
    /// Bytes that a party sends for the token, and of correlations of a session, both files
    /// together.
    var sentByteCount: Int
    var correlationByteCount: Int
    var keyByteCount: Int
    var productCount: Int
  }

  struct Row {
    var name: String
    var columns: BlockColumns
    /// Blocks a row that ran in the calibration.
    var running: Double
    /// Blocks dealt for the session, and how likely a session needs more.
    var poolBlockCount: Int
    var exhaustion: Double
    var gated: Costs
    /// Of `gated` what decides about the blocks.
    var gate: Costs
    var dense: Costs
  }

  let rows: [Row]
  /// Thousandths of closed gates that the dealer opens.
  let noise: Int
  let gated: Costs
  let dense: Costs

  /// - Parameter dense: The same model without gates; see `Model.ungated`.
  public init(
    _ program: SecureProgram, dense: SecureProgram, calibration: Calibration,
    session: SessionShape, token: SessionStep
  ) {
    func costs(_ program: SecureProgram, _ isCounted: (Substring) -> Bool) -> Costs {
      let step = program.cost(of: token) { isCounted(Substring($0.label)) }
      let dealt = program.correlationCost(of: session) { isCounted(Substring($0.label)) }
      return Costs(
        sentByteCount: step.byteCount(party: 0, frameByteCount: 0),
        correlationByteCount: dealt.byteCount(party: 0) + dealt.byteCount(party: 1),
        keyByteCount: dealt.storedKeyByteCount[0] + dealt.storedKeyByteCount[1],
        productCount: step.productCount)
    }
    var rows: [Row] = []
    for node in program.nodes {
      guard case .reveal = node.operation,
        let columns = program.blockColumns(gates: node.outputs.lowerBound)
      else { continue }
      let layer = node.label.split(separator: ".").prefix(2).joined(separator: ".")
      let isOfHeads = program.skipsHeads(gates: node.outputs.lowerBound)
      func isGate(_ label: Substring) -> Bool {
        label.hasPrefix(isOfHeads ? "\(layer).headGate" : "\(layer).gate")
      }
      func isCounted(_ label: Substring) -> Bool {
        label.hasPrefix(isOfHeads ? "\(layer).attention." : "\(layer).feedForward.")
          || isGate(label)
      }
      let shape = program.values[node.outputs.lowerBound].shape
      let rowCount = session.dealtRowCount(shape.rows)
      let pool = columns.pool.capacity(rowCount: rowCount, blockCount: columns.count)
      let load = calibration.blocks[node.label]?.load(
        noise: program.noise(of: node), blockCount: columns.count)
      rows.append(
        Row(
          name: isOfHeads ? "\(layer) heads" : layer, columns: columns,
          running: load?.mean ?? Double(columns.count),
          poolBlockCount: pool,
          exhaustion: pool == rowCount * columns.count
            ? 0 : load?.exhaustion(capacity: pool, rowCount: rowCount) ?? 0,
          gated: costs(program, isCounted), gate: costs(program, isGate),
          dense: costs(dense, isCounted)))
    }
    self.rows = rows
    noise = program.noise
    gated = costs(program) { _ in true }
    self.dense = costs(dense) { _ in true }
  }

  /// The probability that a session needs more than one of its pools holds.
  var exhaustion: Double { 1 - rows.reduce(1) { $0 * (1 - $1.exhaustion) } }

  /// What `noise` thousandths do; nil for none.
  static func noiseText(_ noise: Int) -> String? {
    guard noise > 0 else { return nil }
    return "Noise: \(Figure.percent(Double(noise) / 1000)) of the closed gates open by chance, and "
      + "what they guard is computed and counts."
  }

  private static func share(_ part: Int, _ whole: Int) -> String {
    whole == 0 ? "-" : Quantity.decimal(Double(part) / Double(whole), fractionDigits: 2)
  }

  private static func probability(_ value: Double) -> String {
    value < 1e-6 ? "< 1e-6" : Quantity.decimal(value, fractionDigits: 6)
  }

  var document: TextDocument {
    var table = TextTable([
      ("gated layer", .left), ("blocks", .right), ("run", .right), ("pool", .right),
      ("used up", .right), ("sent", .right), ("of dense", .right), ("gate's", .right),
      ("dealt", .right), ("of dense", .right), ("keys of dense", .right),
      ("products of dense", .right),
    ])
    func cells(_ costs: Costs, _ gate: Costs?, _ dense: Costs) -> [String] {
      [
        Quantity.text(byteCount: costs.sentByteCount),
        Self.share(costs.sentByteCount, dense.sentByteCount),
        gate.map { Self.share($0.sentByteCount, dense.sentByteCount - costs.sentByteCount) } ?? "",
        Quantity.text(byteCount: costs.correlationByteCount),
        Self.share(costs.correlationByteCount, dense.correlationByteCount),
        Self.share(costs.keyByteCount, dense.keyByteCount),
        Self.share(costs.productCount, dense.productCount),
      ]
    }
    for row in rows {
      let share = 100 * row.running / Double(row.columns.count)
      table.addRow(
        [
          row.name, "\(row.columns.count) x \(row.columns.width)",
          "\(Quantity.decimal(share, fractionDigits: 1)) %",
          "\(row.poolBlockCount)", Self.probability(row.exhaustion),
        ] + cells(row.gated, row.gate, row.dense))
    }
    table.addRule()
    table.addRow(
      ["whole model", "", "", "", Self.probability(exhaustion)] + cells(gated, nil, dense))
    return """
      \(table)
      Sent by a party for a token, dealt for a session, both files together; of dense: beside the same \
      model without gates. Gate's: what decides, over what is saved. A session that needs more blocks \
      than its pool holds ends with an error.\
      \(Self.noiseText(noise).map { "\n\($0)" } ?? "")
      """
  }

  public var json: JSON {
    func object(_ costs: Costs) -> JSON {
      [
        "sentBytes": .integer(costs.sentByteCount),
        "correlationBytes": .integer(costs.correlationByteCount),
        "keyBytes": .integer(costs.keyByteCount), "products": .integer(costs.productCount),
      ]
    }
    var members: [String: JSON] = [
      "layers": .array(
        rows.map { row in
          [
            "layer": .string(row.name), "blocks": .integer(row.columns.count),
            "blockWidth": .integer(row.columns.width),
            "density": .number(row.running / Double(row.columns.count)),
            "poolBlocks": .integer(row.poolBlockCount),
            "exhaustionProbability": .number(row.exhaustion), "gated": object(row.gated),
            "gate": object(row.gate), "dense": object(row.dense),
          ]
        }),
      "exhaustionProbability": .number(exhaustion), "gated": object(gated),
      "dense": object(dense),
    ]
    if noise > 0 { members["noise"] = .integer(noise) }
    return .object(members)
  }
}
