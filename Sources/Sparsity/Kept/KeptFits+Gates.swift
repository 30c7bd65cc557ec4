// Fitted gates, as an interrupted run keeps them.

import Bytes
import Containers
import Models

extension KeptFits {
  private static let orderName = "order"
  private static let curveName = "curve"

  /// What a layer's gate over blocks of `width` neurons came to; nil where it is not fitted yet.
  ///
  /// - Parameter rank: What gates have at most.
  func fit(of site: FeedForwardSite, width: Int, _ activity: Activity, rank: Int)
    throws(InputError) -> BlockFit?
  {
    try read(.gate, [site.layer, width]) { (header, reader) throws(InputError) -> BlockFit? in
      try reader.requireExactly(StoredGate.names + [KeptFits.orderName, KeptFits.curveName])
      let order = try reader.read(KeptFits.orderName, as: UInt64.self).map { Int(clamping: $0) }
      let curve = try reader.read(KeptFits.curveName, as: Double.self)
      guard let blocks = NeuronBlocks(order: order, width: width, of: activity), blocks.count > 0,
        let curve = GateCurve(stored: curve),
        let quality = try GateQuality(stored: &header),
        let picture = GatePicture(
          stored: try header.array("picture"), blockCount: blocks.count,
          positionCount: quality.positionCount)
      else { return nil }
      let gate = try StoredGate.read(
        reader, inputCount: site.sourceWidth, blockCount: blocks.count, rank: rank)
      return gate.map {
        BlockFit(blocks: blocks, gate: $0, quality: quality, curve: curve, picture: picture)
      }
    }
  }

  func keep(_ fit: BlockFit, of site: FeedForwardSite) throws(InputError) {
    var header = fit.quality.stored
    header["picture"] = .array(fit.picture.rows.map { .string($0) })
    let curve = fit.curve.stored
    try write(
      .gate, [site.layer, fit.blocks.width], header: header,
      datasets: StoredGate.datasets(fit.gate) + [
        .init(name: KeptFits.orderName, elementType: .u64, shape: [fit.blocks.order.count]),
        .init(name: KeptFits.curveName, elementType: .f64, shape: [curve.count]),
      ]
    ) { (writer) throws(InputError) in
      try StoredGate.write(fit.gate, to: writer)
      try writer.write(KeptFits.orderName, values: fit.blocks.order.map { UInt64($0) })
      try writer.write(KeptFits.curveName, values: curve)
    }
  }

  /// What the gates of a layer's heads came to; nil where they are not fitted yet.
  func heads(of site: HeadSite, rank: Int) throws(InputError) -> (
    gate: LowRankGate, quality: GateQuality
  )? {
    try read(.heads, [site.layer]) {
      (header, reader) throws(InputError) -> (gate: LowRankGate, quality: GateQuality)? in
      try reader.requireExactly(StoredGate.names)
      guard let quality = try GateQuality(stored: &header) else { return nil }
      let gate = try StoredGate.read(
        reader, inputCount: site.sourceWidth, blockCount: site.headCount, rank: rank)
      return gate.map { ($0, quality) }
    }
  }

  func keep(_ heads: SparsifiedHeads) throws(InputError) {
    try write(
      .heads, [heads.site.layer], header: heads.quality.stored,
      datasets: StoredGate.datasets(heads.gate)
    ) { (writer) throws(InputError) in try StoredGate.write(heads.gate, to: writer) }
  }
}

/// A gate as datasets.
private enum StoredGate {
  static let names = ["low", "high", "bias"]

  static func datasets(_ gate: LowRankGate) -> [DatasetDescription] {
    let shapes = [[gate.rank, gate.inputCount], [gate.blockCount, gate.rank], [gate.blockCount]]
    return zip(names, shapes).map { .init(name: $0, elementType: .f32, shape: $1) }
  }

  static func write(_ gate: LowRankGate, to writer: borrowing ContainerWriter) throws(InputError) {
    for (name, values) in zip(names, [gate.low, gate.high, gate.bias]) {
      try writer.write(name, values: values)
    }
  }

  /// nil where a number is not finite.
  static func read(_ reader: ContainerReader, inputCount: Int, blockCount: Int, rank: Int)
    throws(InputError) -> LowRankGate?
  {
    let rank = GateTraining.rank(rank, inputCount: inputCount, blockCount: blockCount)
    let gate = LowRankGate(
      low: try reader.read(names[0], as: Float.self, shape: [rank, inputCount]),
      high: try reader.read(names[1], as: Float.self, shape: [blockCount, rank]),
      bias: try reader.read(names[2], as: Float.self, shape: [blockCount]))
    return [gate.low, gate.high, gate.bias].allSatisfy { $0.allSatisfy(\.isFinite) } ? gate : nil
  }
}
