// What `lodge-model sparsify` tells: one line a layer, and why some stay dense.

public import Bytes

/// The layers' gates as a table for people and JSON for machines.
public struct SparsityReport: Report {
  private let layers: [SparsifiedLayer]
  private let settings: Sparsifier.Settings

  public init(_ layers: [SparsifiedLayer], settings: Sparsifier.Settings) {
    self.layers = layers
    self.settings = settings
  }

  /// What savings were weighed for.
  private var circumstances: String {
    layers.lazy.compactMap(\.saving).first?.circumstances ?? "a session"
  }

  public var document: TextDocument {
    var table = TextTable([
      ("layer", .right), ("fire", .right), ("never", .right), ("always", .right),
      ("kept", .right), ("blocks", .right), ("of", .right), ("active", .right), ("open", .right),
      ("computed", .right), ("recall", .right), ("mass kept", .right),
      ("gate: products", .right), ("comparisons", .right), ("openings", .right),
      ("time saved", .right), ("", .left),
    ])
    func percent(_ value: Double) -> String {
      "\(Quantity.decimal(100 * value, fractionDigits: 2)) %"
    }
    func share(_ value: Double) -> String {
      value.isFinite ? "\(Quantity.decimal(100 * value, fractionDigits: 1)) %" : "-"
    }
    for layer in layers {
      let (quality, cost) = (layer.quality, layer.cost)
      table.addRow([
        "\(layer.site.layer)", percent(layer.density), "\(layer.neverFiringCount)",
        "\(layer.alwaysFiringCount)", "\(layer.kept.count)", "\(layer.blocks.count)",
        "\(layer.blocks.width)", percent(quality.activeShare), percent(quality.openShare),
        percent(cost.computedShare),
        percent(quality.recall), percent(quality.massKept), share(cost.shares.products),
        share(cost.shares.comparisons), share(cost.shares.openings),
        layer.saving.map { share($0.savedSeconds / $0.dense.seconds) } ?? "-",
        layer.reason == nil ? "gated" : "dense",
      ])
    }
    var lines: [String] = []
    for layer in layers {
      guard let reason = layer.reason else { continue }
      let removed =
        layer.removedCount > 0
        ? "; \(Quantity.count(layer.removedCount, "neuron is", "neurons are")) removed" : ""
      lines.append("layer \(layer.site.layer) stays dense: \(reason)\(removed)")
    }
    lines.append(
      """
      fire, never, always: neurons on the training text. active, open: blocks in which some neuron \
      fires, and open gates, on \(layers.first?.quality.positionCount ?? 0) held-out positions. \
      computed: of all neurons. gate: what it costs of what it saves. time saved: of \
      \(circumstances).
      """)
    return "\(table)\n\n\(lines.joined(separator: "\n"))"
  }

  public var json: JSON {
    [
      "format": "lodge-sparsity", "version": 1, "mass": .number(settings.mass),
      "seed": .integer(Int(settings.seed)),
      "layers": .array(layers.map(SparsityReport.json)),
    ]
  }

  private static func json(_ layer: SparsifiedLayer) -> JSON {
    let (quality, cost) = (layer.quality, layer.cost)
    func share(_ value: Double) -> JSON { value.isFinite ? .number(value) : .null }
    return [
      "layer": .integer(layer.site.layer), "neurons": .integer(layer.site.neuronCount),
      "density": .number(layer.density), "neverFiring": .integer(layer.neverFiringCount),
      "alwaysFiring": .integer(layer.alwaysFiringCount),
      "kept": .integer(layer.kept.count), "blocks": .integer(layer.blocks.count),
      "blockWidth": .integer(layer.blocks.width),
      "rank": .integer(layer.gate.rank), "activeShare": .number(quality.activeShare),
      "openShare": .number(quality.openShare), "computedShare": .number(cost.computedShare),
      "recall": .number(quality.recall), "massKept": .number(quality.massKept),
      "massRemoved": .number(quality.massRemoved),
      "positions": .integer(quality.positionCount),
      "cost": [
        "gateProducts": .integer(cost.gateProducts), "denseProducts": .integer(cost.denseProducts),
        "gateComparisons": .integer(cost.gateComparisons),
        "denseComparisons": .integer(cost.denseComparisons),
        "gateOpenings": .integer(cost.gateOpenings), "denseOpenings": .integer(cost.denseOpenings),
        "ofSaved": [
          "products": share(cost.shares.products), "comparisons": share(cost.shares.comparisons),
          "openings": share(cost.shares.openings),
        ],
      ],
      "saving": layer.saving?.json ?? .null, "reason": layer.reason.map { .string($0) } ?? .null,
      "curve": [
        "openShare": .array(layer.curve.points.map { .number($0.openShare) }),
        "recall": .array(layer.curve.points.map { .number($0.recall) }),
        "massKept": .array(layer.curve.points.map { .number($0.massKept) }),
      ],
      "picture": .array(layer.picture.rows.map { .string($0) }),
    ]
  }
}
