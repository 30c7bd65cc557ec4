// Gates of a checkpoint: the model that they make, and files that do not fit.

import Bytes
import Foundation
import Models
import TestSupport
import Testing

struct GateFileTests {
  /// Neurons 3 to 8 stay, in three blocks of two; widths 8 and 12.
  private static let order = [8, 3, 5, 6, 4, 7]

  private struct Gates {
    var metadata: JSON = ["format": "lodge-gates", "version": "1"]
    var layer = 1
    var order = GateFileTests.order
    var orderShape: [Int]?
    var low = [4, 8]
    var high: [Int]? = [3, 4]
    var bias: [Int]? = [3]
    var extra: String?

    var bytes: [UInt8] {
      var builder = SafetensorsBuilder()
      builder.setHeader("__metadata__", metadata)
      let name = "layers.\(layer)"
      builder.add(
        "\(name).order", type: "I32", shape: orderShape ?? [order.count],
        bytes: order.flatMap { number in
          (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
        })
      func add(_ part: String, _ shape: [Int]?) {
        guard let shape else { return }
        builder.add(
          "\(name).\(part)", shape: shape,
          values: (0..<shape.reduce(1, *)).map { sin(Float(7 * $0 + part.count)) })
      }
      add("low", low.isEmpty ? nil : low)
      add("high", high)
      add("bias", bias)
      if let extra { add(extra, [1]) }
      return builder.bytes
    }
  }

  private func folder(_ gates: Gates) throws -> ScratchFolder {
    try TinyCheckpoint.opt().folder(gates: gates.bytes)
  }

  /// The outputs are those of weights in which the neurons of closed blocks, and those that left,
  /// are zero.
  @Test func closedBlocksAreZero() throws {
    let folder = try folder(Gates())
    let loaded = try ModelLoader.load(path: folder.path)
    #expect(loaded.notices == ["gates.safetensors gates the feed-forward networks of 1 layer"])
    let gated = try FloatInterpreter(loaded)
    var bits: [Float] = []
    var inner: [Float] = []
    let tokens = [3, 1, 4, 1, 5]
    let output = try gated.run(tokens: tokens) { node, kind, values in
      guard kind == .output else { return }
      if loaded.model.nodes[node].name == "layers.1.gate" { bits = values }
      if loaded.model.nodes[node].name == "layers.1.feedForward.gated" { inner = values }
    }
    #expect(bits.count == 15 && Set(bits) == [0, 1])

    try FileManager.default.removeItem(atPath: folder.file("gates.safetensors"))
    let original = try FloatInterpreter(ModelLoader.load(path: folder.path))
    var active: [Float] = []
    let plain = try original.run(tokens: tokens) { node, kind, values in
      if kind == .output, original.model.nodes[node].name == "layers.1.feedForward.activation" {
        active = values
      }
    }
    for (place, value) in inner.enumerated() {
      let (row, neuron) = (place / 6, place % 6)
      let expected = active[row * 12 + Self.order[neuron]] * bits[row * 3 + neuron / 2]
      #expect(abs(value - expected) < 1e-5)
    }
    #expect(output.values != plain.values)
  }

  /// With every gate open and all neurons there, nothing changes but the order of a sum.
  @Test func openGatesChangeNothing() throws {
    var gates = Gates()
    gates.order = Array((0..<12).reversed())
    gates.low = []
    (gates.high, gates.bias) = (nil, nil)
    let folder = try folder(gates)
    let gated = try FloatInterpreter(ModelLoader.load(path: folder.path)).run(tokens: [3, 1, 4])
    try FileManager.default.removeItem(atPath: folder.file("gates.safetensors"))
    let plain = try FloatInterpreter(ModelLoader.load(path: folder.path)).run(tokens: [3, 1, 4])
    for (left, right) in zip(gated.values, plain.values) { #expect(abs(left - right) < 1e-5) }
  }

  @Test func storedGraphsKeepGates() throws {
    let folder = try folder(Gates())
    let model = try ModelLoader.load(path: folder.path).model
    #expect(try Model(json: model.json, source: "test") == model)
  }

  @Test(arguments: [
    ("format", "is not \"lodge-gates\""), ("version", "is not 1"), ("layer", "no such layer"),
    ("neuron", "neuron 12 of 12"), ("twice", "names a neuron twice"), ("negative", "below 0"),
    ("axes", "expected one axis"), ("inputs", "has 7 inputs"), ("rank", "do not fit together"),
    ("no rank", "layers.1.low: has rank 0, 1 to 1024 are read"),
    ("large rank", "layers.1.low: has rank 5000, 1 to 1024 are read"),
    ("blocks", "are not 4 blocks"),
    ("alone", "stand together"), ("extra", "no tensor of this"),
  ])
  func filesThatDoNotFitAreRefused(change: String, cause: String) throws {
    var gates = Gates()
    switch change {
    case "format": gates.metadata = ["format": "pt", "version": "1"]
    case "version": gates.metadata = ["format": "lodge-gates", "version": "2"]
    case "layer": gates.layer = 2
    case "neuron": gates.order[0] = 12
    case "twice": gates.order[0] = 3
    case "negative": gates.order[0] = -1
    case "axes": gates.orderShape = [2, 3]
    case "inputs": gates.low = [4, 7]
    case "rank": gates.high = [3, 5]
    case "no rank": (gates.low, gates.high) = ([0, 8], [3, 0])
    case "large rank": (gates.low, gates.high) = ([5000, 8], [3, 5000])
    case "blocks": (gates.high, gates.bias) = ([4, 4], [4])
    case "alone": gates.bias = nil
    default: gates.extra = "scale"
    }
    let folder = try folder(gates)
    let error = #expect(throws: InputError.self) { try ModelLoader.load(path: folder.path) }
    #expect(error?.description.contains(cause) == true)
    #expect(error?.source == folder.file("gates.safetensors"))
  }
}

extension TinyCheckpoint {
  /// A folder with the checkpoint and a file of gates.
  func folder(gates: [UInt8]) throws -> ScratchFolder {
    let folder = try ScratchFolder()
    _ = try write(to: folder)
    _ = try folder.write(gates, to: "gates.safetensors")
    return folder
  }
}
