// Gates for a trained model, from statistics to the file.

import Bytes
import Checkpoints
import Foundation
import Models
import Sparsity
import TestSupport
import Testing

@Suite struct SparsifierTests {
  private static let opt = Repository.fixtures.appending(path: "opt-dickens-5m")

  private static func texts(_ name: String) throws -> [[Int]] {
    try TokenFile.read(opt.appending(path: name).path)
  }

  /// Eight windows train, eight others judge: gates keep the mass with few blocks open, where there
  /// are few to open, and the others say why they do not pay.
  @Test func gatesOfATrainedModelKeepTheMass() throws {
    let loaded = try ModelLoader.load(path: SparsifierTests.opt.path)
    var settings = Sparsifier.Settings()
    settings.rank = 16
    settings.blockWidths = [16]
    let layers = try Sparsifier(FloatInterpreter(loaded), settings: settings).run(
      texts: SparsifierTests.texts("calibration.json"),
      heldOut: SparsifierTests.texts("evaluation.json"), source: "calibration.json")
    #expect(layers.map(\.site.layer) == [0, 1, 2, 3, 4, 5])
    #expect(layers.allSatisfy { $0.site.neuronCount == 1024 && $0.site.matrixCount == 2 })
    for layer in layers {
      #expect(layer.quality.positionCount == 2048)
      #expect(layer.quality.massKept > 0.95, "layer \(layer.site.layer): \(layer.quality)")
      #expect(layer.blocks.order.count.isMultiple(of: 16))
      #expect(Set(layer.blocks.order).count == layer.blocks.order.count)
      // A gate that multiplies more than the limit is not kept; what else is depends on a network.
      #expect(layer.isGated == (layer.cost.shares.products < GateCost.limit))
    }
    // Layer 0 fires at 24 % of its neurons, layers 1 and 2 at 2 % and less. With 1,792 positions to
    // train on, 34 and 22 % of them are computed; with 60 windows 18 and 7 %.
    #expect(abs(layers[0].density - 0.24) < 0.02)
    #expect(layers[1].isGated && layers[1].cost.computedShare < 0.4, "\(layers[1].quality)")
    #expect(layers[2].isGated && layers[2].cost.computedShare < 0.3, "\(layers[2].quality)")
    #expect(layers[2].removedCount > 400)
    // Without a gate nothing that fires is removed.
    for layer in layers where !layer.isGated {
      #expect(layer.removedCount == layer.neverFiringCount)
    }

    let folder = try ScratchFolder()
    let path = folder.file("gates.safetensors")
    try GatesFile.write(layers, to: path)
    let file = try Safetensors(path: path)
    for layer in layers {
      let prefix = "layers.\(layer.site.layer)."
      let names = file.tensors.map(\.name).filter { $0.hasPrefix(prefix) }
      #expect(names.count == (layer.isGated ? 4 : layer.removedCount > 0 ? 1 : 0))
      guard layer.isGated else { continue }
      #expect(try file.floats(prefix + "high") == layer.gate.high)
      #expect(try file.tensor(prefix + "low").shape == [layer.gate.rank, 256])
      #expect(try file.floats(prefix + "bias") == layer.gate.bias)
      #expect(try file.tensor(prefix + "order").shape == [layer.blocks.order.count])
      #expect(try file.tensor(prefix + "order").type == .int32)
    }
  }

  /// What a network makes of it decides, and the reason says so.
  @Test func aGateThatDoesNotPayStaysDense() {
    func saving(
      _ dense: Double, _ gated: Double, gate: Double, bytes: Int = 1_000_000
    ) -> GateSaving {
      GateSaving(
        dense: .init(seconds: dense, byteCount: 90_000_000),
        gated: .init(seconds: gated, byteCount: 60_000_000),
        gate: .init(seconds: gate, byteCount: bytes),
        circumstances: "a session of 64 + 32 tokens at 10.0 ms, 1.00 Gbps")
    }
    #expect(saving(2, 1, gate: 0.1).reason == nil)
    // 0.15 of what would be saved without the gate's own part.
    #expect(saving(2, 1.15, gate: 0.1499).reason == nil)
    let dear = saving(2, 1.2, gate: 0.2).reason ?? ""
    #expect(dear.contains("20 % of the time that it saves (most: 15 %)"), "\(dear)")
    #expect(
      dear.contains("saves 800 ms of 2.00 s, and sends and stores 30.0 MB less"), "\(dear)")
    #expect(dear.hasSuffix("(most: 15 %)") && dear.contains("tokens at 10.0 ms, 1.00 Gbps"))
    // Time alone is not enough.
    #expect(saving(2, 1, gate: 0.1, bytes: 5_290_000).reason == nil)
    let large = saving(2, 1, gate: 0.1, bytes: 5_300_000).reason ?? ""
    #expect(large.contains("15 % of the bytes that it saves (most: 15 %)"), "\(large)")
    let slow = saving(2, 2.5, gate: 0.1).reason ?? ""
    #expect(slow.contains("adds 500 ms of 2.00 s"), "\(slow)")
  }

  @Test func fewTextsAndWideBlocksAreRefused() throws {
    let loaded = try ModelLoader.load(path: SparsifierTests.opt.path)
    let interpreter = try FloatInterpreter(loaded)
    let texts = try SparsifierTests.texts("evaluation.json")
    let short = #expect(throws: InputError.self) {
      try Sparsifier(interpreter, settings: .init()).run(
        texts: Array(texts.prefix(4)), heldOut: [], source: "few.json")
    }
    #expect(short?.cause.contains("too few") == true)
    let folder = try ScratchFolder()
    let narrow = try FloatInterpreter(
      ModelLoader.load(path: TinyCheckpoint.opt().write(to: folder)))
    #expect(throws: Never.self) { try Sparsifier(narrow, settings: .init()) }
    var wide = Sparsifier.Settings()
    wide.blockWidths = [16]
    #expect(throws: InputError.self) { try Sparsifier(narrow, settings: wide) }
  }

  /// GELU never gives 0: every block is active, no gate pays, and neurons that fill no block stay.
  @Test func denseLayersSayWhy() throws {
    let folder = try ScratchFolder()
    let model = try ModelLoader.load(path: TinyCheckpoint.gpt2().write(to: folder))
    var settings = Sparsifier.Settings()
    settings.blockWidths = [5]
    let texts = (0..<12).map { text in (0..<6).map { (text * 7 + $0 * 3) % 11 } }
    let layers = try Sparsifier(FloatInterpreter(model), settings: settings).run(
      texts: texts, heldOut: [], source: "texts")
    #expect(layers.count == 2)
    #expect(layers.allSatisfy { $0.blocks.order.count < $0.site.neuronCount })
    #expect(layers.allSatisfy { !$0.isGated && $0.quality.activeShare == 1 })
    #expect(GatesFile.isEmpty(layers))
  }
}
