// What `lodge-model sparsify --heads` tells: one line a layer, and why some stay dense.

public import Bytes
import Models

/// The gates of layers' heads as a table for people and JSON for machines.
public struct HeadReport: Report {
  private let layers: [SparsifiedHeads]
  private let settings: Sparsifier.Settings

  public init(_ layers: [SparsifiedHeads], settings: Sparsifier.Settings) {
    self.layers = layers
    self.settings = settings
  }

  /// What savings were weighed for.
  private var circumstances: String {
    layers.lazy.compactMap(\.saving).first?.circumstances ?? "a session"
  }

  public var document: TextDocument {
    var table = TextTable([
      ("layer", .right), ("heads", .right), ("of", .right), ("open", .right),
      ("mass kept", .right), ("gate: openings", .right), ("time saved", .right), ("", .left),
    ])
    func percent(_ value: Double) -> String {
      value.isFinite ? "\(Quantity.decimal(100 * value, fractionDigits: 2)) %" : "-"
    }
    for layer in layers {
      table.addRow([
        "\(layer.site.layer)", "\(layer.site.headCount)", "\(layer.headWidth)",
        percent(layer.quality.openShare), percent(layer.quality.massKept),
        percent(layer.openingShare),
        layer.saving.map { percent($0.savedSeconds / $0.dense.seconds) } ?? "-",
        layer.isGated ? "gated" : "dense",
      ])
    }
    var lines: [String] = []
    for layer in layers {
      if let reason = layer.reason {
        lines.append("layer \(layer.site.layer) stays dense: \(reason)")
      }
    }
    lines.append(
      """
      open: heads that run, on \(layers.first?.quality.positionCount ?? 0) held-out positions. mass \
      kept: of the norms of what heads add, each position's in equal parts. gate: what it costs of \
      what it saves, at \(Int((layers.first?.keyCount ?? 0).rounded())) keys a position. time saved: of \
      \(circumstances).
      """)
    return "\(table)\n\n\(lines.joined(separator: "\n"))"
  }

  public var json: JSON {
    [
      "format": "lodge-head-sparsity", "version": 1, "mass": .number(settings.mass),
      "seed": .integer(Int(settings.seed)),
      "layers": .array(
        layers.map { layer in
          [
            "layer": .integer(layer.site.layer), "heads": .integer(layer.site.headCount),
            "headWidth": .integer(layer.headWidth), "rank": .integer(layer.gate.rank),
            "openShare": .number(layer.quality.openShare),
            "massKept": .number(layer.quality.massKept),
            "positions": .integer(layer.quality.positionCount),
            "keys": .number(layer.keyCount), "denseOpenings": .number(layer.denseOpenings),
            "gateOpenings": .number(layer.gateOpenings),
            "ofSaved": layer.openingShare.isFinite ? .number(layer.openingShare) : .null,
            "saving": layer.saving?.json ?? .null,
            "reason": layer.reason.map { .string($0) } ?? .null,
          ]
        }),
    ]
  }
}
