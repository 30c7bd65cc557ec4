// The printed form of a program, one operation a line.

extension SecureProgram {
  /// One line per operation: `v12 = linear v11, layers.0.attention.wq   # [rows, 256] shared f32`.
  public func lines() -> [String] {
    let rounds = rounds()
    var result: [String] = []
    for node in nodes {
      let written = node.outputs.map { "v\($0)" }.joined(separator: ", ")
      let left = written.isEmpty ? "" : written + " = "
      var notes = node.label
      if let first = node.outputs.first {
        let value = values[first]
        let form: String =
          switch value.form {
          case .shared: "shared"
          case .opened: "opened"
          case .view(let shift): "view>>\(shift)"
          case .revealed: "revealed"
          }
        let ring = value.ringBits == 64 ? "" : " mod 2^\(value.ringBits)"
        notes =
          "round \(rounds[first]) \(value.shape) \(form) f\(value.fractionalBits)\(ring) "
          + " \(node.label)"
      }
      result.append("\(left)\(text(node.operation))  # \(notes)")
    }
    return result
  }

  private func text(_ operation: Operation) -> String {
    let reads = operation.inputs.map { "v\($0)" }.joined(separator: ", ")
    let name = operation.name
    switch operation {
    case .open(_, let opening), .openBlocks(_, let opening):
      let bits = opening == .whole ? "" : " >> \(opening.shift), \(opening.bits) bits"
      return "\(name) \(reads)\(bits)"
    case .output(_, let bits): return "\(name) \(reads)" + (bits < 64 ? ", \(bits) bits" : "")
    case .widen(_, let bits): return "\(name) \(reads), \(bits) bits"
    case .reveal(_, let pool):
      return "\(name) \(reads), pool \(pool.expected) / 256 a row, \(pool.spare) spare"
    case .view(_, let shift): return "\(name) \(reads) >> \(shift)"
    case .linear(_, let weight), .scale(_, let weight), .blockLinear(_, _, let weight):
      return "\(name) \(reads), \(weights[weight].name)"
    case .scores(_, _, let heads, let keyHeads, _), .mix(_, _, let heads, let keyHeads):
      return "\(name) \(reads), heads \(heads)" + (keyHeads == heads ? "" : " on \(keyHeads)")
    case .addDistance(_, let slopes): return "\(name) \(reads), \(slopes.count) slopes"
    case .rotate(_, let rotation):
      return "\(name) \(reads), \(rotation.headCount) heads, \(rotation.turns.count) pairs"
    case .polynomial(_, let coefficients):
      let degrees = coefficients.map { "\($0.count - 1)" }.joined(separator: ", ")
      return "\(name) \(reads), degree \(degrees)"
    case .piecewiseLinear(_, let function):
      return "\(name) \(reads), \(function.knots.count) knots, \(function.comparedBits) bits from "
        + "\(function.droppedBits), shift \(function.shift)"
        + (function.comparison == .bits ? ", by bits" : "")
    case .exponential(_, let function):
      return "\(name) \(reads), \(function.cells.count) cells of "
        + "\(function.cells.bits) bits"
    case .coarseSteps(_, let function):
      return "\(name) \(reads), \(function.bounds.count) steps, \(function.cells.count) cells of "
        + "\(function.cells.bits) bits"
    case .lookup(_, let function):
      return "\(name) \(reads), degree \(function.coefficients.count - 1), "
        + "\(function.coefficients[0].count) of \(function.cells.count) cells of "
        + "\(function.cells.bits) bits" + (function.factor.map { ", times v\($0)" } ?? "")
    case .permuted(_, let function):
      let opening = function.opening
      let factor = function.factor.map { ", times >> \($0.opening.shift), \($0.opening.bits) bits" }
      return "\(name) \(reads), \(function.rule.name), >> \(opening.shift), \(opening.bits) bits"
        + (factor ?? "")
    case .combine(let terms, let constant):
      var parts = terms.map { "\(Int64(bitPattern: $0.coefficient)) v\($0.value)" }
      if constant != 0 { parts.append("\(Int64(bitPattern: constant))") }
      return "\(name) " + parts.joined(separator: " + ")
    case .addWeight(_, let weight, .bias): return "\(name) \(reads), \(weights[weight].name)"
    case .addWeight(_, let weight, .positions(let offset)):
      return "\(name) \(reads), \(weights[weight].name)[position + \(offset)]"
    case .addWeight(_, let weight, .distances):
      return "\(name) \(reads), \(weights[weight].name)[distance]"
    case .sum(_, let runs): return "\(name) \(reads), \(runs) runs"
    case .meanRow(_, let bits): return "\(name) \(reads), \(bits) bits"
    case .input: return name
    case .selectBlocks, .spreadBlocks, .truncate, .multiply, .pairDifference, .pairMerge, .padKeys,
      .padRows,
      .lastRow,
      .firstRow:
      return "\(name) \(reads)"
    }
  }
}
