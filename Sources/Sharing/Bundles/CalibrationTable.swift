// Histograms of a calibration as datasets of a container, and the ranges beside them in its header.

import Approximation
import Bytes
import Containers
import Models

/// The part that calibration files and model.lodge have in common.
struct CalibrationTable {
  private static let countsName = "calibration/counts"
  private static let zerosName = "calibration/zeros"
  private static let edgesName = "calibration/edges"

  private struct Row {
    var node: String
    var quantity: ObservedQuantity
    var histogram: Histogram
  }

  private let calibration: Calibration
  private let rows: [Row]

  init(_ calibration: Calibration) {
    self.calibration = calibration
    rows = calibration.histograms.sorted { $0.key < $1.key }.flatMap { node, quantities in
      ObservedQuantity.allCases.compactMap { quantity in
        quantities[quantity].map { Row(node: node, quantity: quantity, histogram: $0) }
      }
    }
  }

  var rowCount: Int { rows.count }

  /// Row-major [rowCount, shares.count].
  func quantiles(_ shares: [Double]) -> [Double] {
    rows.flatMap { row in
      let range = calibration.ranges[row.node]?[row.quantity] ?? 0...0
      return shares.map { row.histogram.quantile($0, within: range) }
    }
  }

  /// Members of the header.
  var members: [String: JSON] {
    [
      "calibration": calibration.json,
      "histograms": .array(
        rows.map { ["node": .string($0.node), "quantity": .string($0.quantity.rawValue)] }),
    ]
  }

  var datasets: [DatasetDescription] {
    [
      DatasetDescription(
        name: CalibrationTable.countsName, elementType: .u64,
        shape: [rows.count, Histogram.binCount], storage: .zstd),
      DatasetDescription(
        name: CalibrationTable.zerosName, elementType: .u64, shape: [rows.count]),
      DatasetDescription(
        name: CalibrationTable.edgesName, elementType: .f64, shape: [Histogram.binCount + 1]),
    ]
  }

  func write(to writer: borrowing ContainerWriter) throws(InputError) {
    try writer.write(CalibrationTable.countsName, values: rows.flatMap(\.histogram.counts))
    try writer.write(CalibrationTable.zerosName, values: rows.map(\.histogram.zeroCount))
    try writer.write(CalibrationTable.edgesName, values: Histogram.edges)
  }

  /// The calibration in `reader`, whose header is `header`.
  static func read(_ header: inout JSONReader, _ reader: ContainerReader) throws(InputError)
    -> Calibration
  {
    var calibration = try Calibration(json: header.value("calibration"), source: reader.path)
    let names = try header.array("histograms")
    let counts = try reader.read(
      countsName, as: UInt64.self, shape: [names.count, Histogram.binCount])
    let zeros = try reader.read(zerosName, as: UInt64.self, shape: [names.count])
    guard
      try reader.read(edgesName, as: Double.self, shape: [Histogram.binCount + 1])
        == Histogram.edges
    else { throw InputError(reader.path, place: edgesName, "are not the borders of this format") }
    for (index, name) in names.enumerated() {
      let place = "\(header.path("histograms"))[\(index)]"
      var entry = try JSONReader(name, source: reader.path, place: place)
      let node = try entry.string("node")
      let text = try entry.string("quantity")
      try entry.finish()
      guard let quantity = ObservedQuantity(rawValue: text),
        calibration.ranges[node]?[quantity] != nil,
        calibration.histograms[node]?[quantity] == nil
      else { throw InputError(reader.path, place: place, "is not an observed quantity, once") }
      let row = Array(counts[index * Histogram.binCount..<(index + 1) * Histogram.binCount])
      guard let histogram = Histogram(counts: row, zeroCount: zeros[index]) else {
        throw InputError(
          reader.path, place: countsName, "row \(index) is not a histogram with its zeros")
      }
      calibration.include(histogram, node: node, quantity: quantity)
    }
    return calibration
  }
}
