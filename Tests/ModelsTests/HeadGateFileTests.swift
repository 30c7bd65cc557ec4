// Gates of heads in a checkpoint: the model that they make, and files that do not fit.

import Bytes
import Foundation
import Models
import TestSupport
import Testing

struct HeadGateFileTests {
  /// Two layers of width 8 with two heads.
  private struct Gates {
    var layer = 1
    var low = [4, 8]
    var high = [2, 4]
    var bias: [Int]? = [2]
    var extra: String?
    var type = "F32"

    var bytes: [UInt8] {
      var builder = SafetensorsBuilder()
      builder.setHeader("__metadata__", ["format": "lodge-gates", "version": "1"])
      func add(_ name: String, _ shape: [Int]?) {
        guard let shape else { return }
        builder.add(
          name, shape: shape,
          values: (0..<shape.reduce(1, *)).map { sin(Float(5 * $0 + shape.count)) })
      }
      let name = "layers.\(layer).heads"
      add("\(name).low", low)
      add("\(name).high", high)
      if type == "F32" {
        add("\(name).bias", bias)
      } else {
        builder.add("\(name).bias", type: type, shape: [2], bytes: [UInt8](repeating: 0, count: 8))
      }
      if let extra { add(extra, [1]) }
      return builder.bytes
    }
  }

  private func folder(_ gates: Gates) throws -> ScratchFolder {
    try TinyCheckpoint.opt().folder(gates: gates.bytes)
  }

  /// The output projection reads zero of heads that do not run, and what attention gives of the
  /// others; the bits follow from what the layer before reads.
  @Test func skippedHeadsGiveZero() throws {
    let folder = try folder(Gates())
    let loaded = try ModelLoader.load(path: folder.path)
    #expect(loaded.notices == ["gates.safetensors gates the heads of 1 layer"])
    let interpreter = try FloatInterpreter(loaded)
    var values: [String: [Float]] = [:]
    let output = try interpreter.run(tokens: [3, 1, 4, 1, 5]) { node, kind, words in
      if kind == .output { values[loaded.model.nodes[node].name] = words }
    }
    let bits = try #require(values["layers.1.headGate"])
    #expect(bits.count == 10 && Set(bits) == [0, 1])
    let (whole, gated) = (
      try #require(values["layers.1.attention"]), try #require(values["layers.1.attention.gated"])
    )
    for (place, value) in gated.enumerated() { #expect(value == whole[place] * bits[place / 4]) }
    // high (low x) + bias of what the first layer's feed-forward part reads.
    let up = try #require(
      loaded.model.nodes.first { $0.name == "layers.0.feedForward.up" }?.operation.inputs.first)
    let source = try #require(values[loaded.model.nodes[up].name])
    func weight(_ count: Int, _ axes: Int) -> [Float] {
      (0..<count).map { sin(Float(5 * $0 + axes)) }
    }
    let (low, high, bias) = (weight(32, 2), weight(8, 2), weight(2, 1))
    for row in 0..<5 {
      let inner = (0..<4).map { rank in
        (0..<8).reduce(Float(0)) { $0 + low[rank * 8 + $1] * source[row * 8 + $1] }
      }
      for head in 0..<2 {
        let score = (0..<4).reduce(bias[head]) { $0 + high[head * 4 + $1] * inner[$1] }
        #expect(abs(score) > 1e-4 && bits[row * 2 + head] == (score >= 0 ? 1 : 0))
      }
    }
    let ungated = try FloatInterpreter(loaded.model.ungated, weights: loaded)
    #expect(try ungated.run(tokens: [3, 1, 4, 1, 5]).values != output.values)
  }

  @Test func storedGraphsKeepGates() throws {
    let folder = try folder(Gates())
    let model = try ModelLoader.load(path: folder.path).model
    #expect(try Model(json: model.json, source: "test") == model)
  }

  @Test func withoutGatesTheModelIsTheOriginal() throws {
    let folder = try folder(Gates())
    let gated = try ModelLoader.load(path: folder.path).model
    try FileManager.default.removeItem(atPath: folder.file("gates.safetensors"))
    #expect(try gated.ungated == ModelLoader.load(path: folder.path).model)
  }

  @Test(arguments: [
    ("no rank", "layers.1.heads.low: has rank 0, 1 to 1024 are read"),
    ("large rank", "layers.1.heads.low: has rank 5000, 1 to 1024 are read"),
    ("layer", "no such layer"),
    ("first", "no feed-forward network stands before"),
    ("heads", "has 3 heads of 2"), ("inputs", "has 7 inputs"), ("rank", "do not fit together"),
    ("alone", "stand together"), ("extra", "no tensor of this"), ("type", "is of type I32"),
  ])
  func filesThatDoNotFitAreRefused(change: String, cause: String) throws {
    var gates = Gates()
    switch change {
    case "layer": gates.layer = 2
    case "first": gates.layer = 0
    case "heads": (gates.high, gates.bias) = ([3, 4], [3])
    case "inputs": gates.low = [4, 7]
    case "rank": gates.high = [2, 5]
    case "large rank": (gates.low, gates.high) = ([5000, 8], [2, 5000])
    case "no rank": (gates.low, gates.high) = ([0, 8], [2, 0])
    case "alone": gates.bias = nil
    case "type": gates.type = "I32"
    default: gates.extra = "layers.1.heads.scale"
    }
    let folder = try folder(gates)
    let error = #expect(throws: InputError.self) { try ModelLoader.load(path: folder.path) }
    #expect(
      error?.description.contains(cause) == true, "\(error.map(String.init(describing:)) ?? "")")
    #expect(error?.source == folder.file("gates.safetensors"))
  }

  /// Attentions whose heads are not skipped say why.
  @Test func whatIsNotSkippedSaysWhy() {
    func reason(_ change: (inout GraphKind) -> Void) -> String? {
      TinyGraph(GraphKind("kind", change)).model.reasonAgainstHeadGates(layer: 1)
    }
    #expect(reason { _ in } == "no feed-forward network stands before, which tells what heads run")
    #expect(
      reason {
        $0.isGated = true
        $0.windows = [3, 3]
      } == "its attention has a window, a cap or a bias of scores")
    #expect(
      reason {
        $0.isGated = true
        $0.softCap = 3
      } == "its attention has a window, a cap or a bias of scores")
    #expect(reason { $0.isGated = true } == nil)
    #expect(reason { $0.kind = .encoder } == "heads of encoders are not skipped, only of decoders")
  }
}
