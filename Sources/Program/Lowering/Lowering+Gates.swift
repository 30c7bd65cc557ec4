// Gates: bits that are revealed in a secret order of blocks, and the layers whose blocks they switch.

import Approximation
import Bytes
import Models

extension Model {
  /// Of the nodes whose values are gated before anything else reads them, the node of the gates.
  var gatedNodes: [Int: Int] {
    var result: [Int: Int] = [:]
    for node in nodes {
      guard case .gated(let value, let gates) = node.operation else { continue }
      var open = [value]
      while let index = open.popLast() {
        result[index] = gates
        switch nodes[index].operation {
        case .activation(let input, _): open.append(input)
        case .multiply(let left, let right): open += [left, right]
        default: break
        }
      }
    }
    return result
  }

  /// Of attentions of which heads are skipped, and of the linear layers that their queries come from,
  /// the node of the gates.
  var headGates: (attentions: [Int: Int], queries: [Int: Int]) {
    var result: (attentions: [Int: Int], queries: [Int: Int]) = ([:], [:])
    for node in nodes {
      guard case .gated(let value, let gates) = node.operation,
        case .attention(var query, _, _, _) = nodes[value].operation
      else { continue }
      result.attentions[value] = gates
      while case .rotary(let input, _, _) = nodes[query].operation { query = input }
      result.queries[query] = gates
    }
    return result
  }
}

extension Lowering {
  /// Bits of a score that are compared, the sign among them: a block whose score is rounded to the
  /// other side of 0 changes the output as much as any other error.
  private static let scoreBits = 20

  /// The bits of the scores `value`, revealed: 1 where a score is at least 0.
  mutating func reveal(_ index: Int, _ value: FixedValue) throws(InputError) -> FixedValue {
    let bits = min(value.bits, Lowering.scoreBits - 2 - magnitudeBits(value.bound))
    let opened = try builder.openNarrow(
      value, bits: bits, ringBits: bits + magnitudeBits(value.bound) + 2)
    let openedBits = builder.program.values[opened.id].ringBits
    let function = PiecewiseLinear(
      shift: 0, droppedBits: 0, comparedBits: bits + magnitudeBits(value.bound) + 2, knots: [0],
      outputs: [.init(slopes: [0, 0], intercepts: [0, 1], fractionalBits: 0)],
      openedBits: openedBits, resultBits: 1, noise: recipe.noise)
    let share = try builder.emit(.piecewiseLinear(opened.id, function), bits: [0])[0]
    let count = model.nodes[index].width
    let pool = calibration.blockPool(
      model.nodes[index].name, blockCount: count, noise: recipe.noise)
    let revealed = try builder.emit(.reveal(share, pool), bits: [0])[0]
    gateBits[index] = revealed
    return FixedValue(id: revealed, bits: 0, bound: 1)
  }

  /// Whether linear node `index` gives scores of gates, of which only signs are read.
  private func givesScores(_ index: Int) -> Bool {
    guard case .linear = model.nodes[index].operation else { return false }
    let consumers = consumers(of: index)
    return !consumers.isEmpty
      && consumers.allSatisfy {
        if case .gates = model.nodes[$0].operation { true } else { false }
      }
  }

  /// Whether linear node `index` makes the few columns that scores of gates come from.
  func isGateProjection(_ index: Int) -> Bool {
    let consumers = consumers(of: index)
    return !consumers.isEmpty && consumers.allSatisfy(givesScores)
  }

  /// The input `value` of a linear node that gives scores up to `bound`, opened with at most `bits`
  /// fractional bits and no more ring than scores need, and the fractional bits of the weight; nil for
  /// other nodes, and where values are opened whole.
  mutating func openForScores(
    _ index: Int, _ value: FixedValue, bits: Int, _ precision: WeightPrecision, bound: Double
  ) throws(InputError) -> (opened: MaskedValue, weightBits: Int)? {
    guard givesScores(index) else { return nil }
    let kept = min(value.bits, bits)
    let ringBits = kept + precision.sufficient + magnitudeBits(bound) + 2
    guard builder.canOpen(value, bits: kept, ringBits: ringBits + ProgramBuilder.spareBits) else {
      return nil
    }
    return (
      try builder.openNarrow(value, bits: kept, ringBits: ringBits), precision.sufficient
    )
  }

  /// `value`, of all heads, in those that `gates` lets run.
  mutating func selected(_ value: FixedValue, _ gates: ValueID) throws(InputError) -> FixedValue {
    guard builder.shape(value.id).columns.runningBlocks == nil else { return value }
    return try builder.emit(
      .selectBlocks(value.id, gates: gates), bits: value.bits, bound: value.bound)
  }

  /// The revealed bits that decide about the blocks of linear node `index`, if any do.
  func gateBits(of index: Int) -> ValueID? { gates[index].flatMap { gateBits[$0] } }

  /// Whose blocks the rows and the columns of the weight of linear node `index` are.
  func blockOrders(of index: Int) -> (rows: BlockOrder?, columns: BlockOrder?) {
    func order(_ node: Int?) -> BlockOrder? {
      // Heads have the model's numbers: constants of the program belong to them.
      guard let node, !headGates.attentions.values.contains(node) else { return nil }
      return BlockOrder(gates: model.nodes[node].name, count: model.nodes[node].width)
    }
    guard case .linear(let input, _, _) = model.nodes[index].operation else { return (nil, nil) }
    var columns: Int?
    if case .gated(_, let gates) = model.nodes[input].operation { columns = gates }
    let rows = consumers(of: index).first {
      if case .gates = model.nodes[$0].operation { return true }
      return false
    }
    return (order(rows ?? gates[index]), order(columns))
  }
}

extension Calibration {
  /// Standard deviations of a session's running blocks that its pool holds beyond the mean.
  private static let poolDeviations = 5.0

  /// The pool of the gates `node`, of which `noise` thousandths open by chance: all blocks where nothing
  /// was observed.
  func blockPool(_ node: String, blockCount: Int, noise: Int = 0) -> BlockPool {
    guard let seen = blocks[node], seen.rowCount > 0 else {
      return BlockPool(expected: 256 * blockCount, spare: 0)
    }
    let load = seen.load(noise: noise, blockCount: blockCount)
    // A session of one row must hold the fullest row that was seen.
    let spare = max(Calibration.poolDeviations * load.deviation, load.largest - load.mean)
    return BlockPool(
      expected: Int((256 * load.mean).rounded(.up)), spare: Int((256 * spare).rounded(.up)))
  }
}
