// What is told of a gate, in the form in which an interrupted run keeps it.

import Bytes

/// Sums that are added in another order may exceed the whole by their rounding.
private let shares = 0...(1 + 1e-9)

extension GateQuality {
  var stored: [String: JSON] {
    [
      "activeShare": .number(activeShare), "openShare": .number(openShare),
      "recall": .number(recall), "massKept": .number(massKept),
      "massRemoved": .number(massRemoved), "positionCount": .integer(positionCount),
    ]
  }

  /// nil for what is no share of a whole.
  init?(stored: inout JSONReader) throws(InputError) {
    activeShare = try stored.number("activeShare")
    openShare = try stored.number("openShare")
    recall = try stored.number("recall")
    massKept = try stored.number("massKept")
    massRemoved = try stored.number("massRemoved")
    positionCount = try stored.integer("positionCount", in: 1...Int(Int32.max))
    guard [activeShare, openShare, recall, massKept, massRemoved].allSatisfy(shares.contains)
    else { return nil }
  }
}

extension GateCurve {
  /// Three numbers a point.
  var stored: [Double] { points.flatMap { [$0.openShare, $0.recall, $0.massKept] } }

  /// nil for numbers that are no curve.
  init?(stored: [Double]) {
    guard stored.count.isMultiple(of: 3), stored.allSatisfy(shares.contains) else { return nil }
    self.init(
      points: stride(from: 0, to: stored.count, by: 3).map {
        Point(openShare: stored[$0], recall: stored[$0 + 1], massKept: stored[$0 + 2])
      })
  }
}

extension GatePicture {
  /// nil for rows that are none of a gate with so many blocks.
  init?(stored: [JSON], blockCount: Int, positionCount: Int) {
    let cells = Set(Cell.allCases.map(\.rawValue))
    let rows = stored.compactMap { row -> String? in
      guard case .string(let text) = row, text.allSatisfy(cells.contains),
        text.count == min(blockCount, GatePicture.blockCount)
      else { return nil }
      return text
    }
    guard rows.count == stored.count,
      rows.count == min(positionCount, GatePicture.positionCount)
    else { return nil }
    self.init(rows: rows)
  }
}

extension NeuronBlocks {
  /// nil for an order that is none of the neurons which fire.
  init?(order: [Int], width: Int, of activity: Activity) {
    let firing = activity.counts.count { $0 > 0 }
    guard order.count == firing / width * width, Set(order).count == order.count,
      order.allSatisfy({ activity.counts.indices.contains($0) && activity.counts[$0] > 0 })
    else { return nil }
    self.init(order: order, width: width)
  }
}
