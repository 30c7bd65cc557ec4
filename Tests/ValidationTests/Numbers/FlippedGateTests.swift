// Gates whose scores lie so near their threshold that rounding decides about them.

import Bytes
import Foundation
import Models
import TestSupport
import Testing
import Validation

@Suite struct FlippedGateTests {
  private static let text = [9, 2, 7, 3, 10, 4]

  /// A tiny model whose second layer has gates of two heads with `bias`.
  private static func loaded(bias: [Float]) throws -> LoadedModel {
    let folder = try ScratchFolder()
    let checkpoint = try TinyCheckpoint.opt().write(to: folder)
    var builder = SafetensorsBuilder()
    builder.setHeader("__metadata__", ["format": "lodge-gates", "version": "1"])
    for (part, shape) in [("low", [4, 8]), ("high", [2, 4])] {
      builder.add(
        "layers.1.heads.\(part)", shape: shape,
        values: (0..<shape.reduce(1, *)).map { sin(Float(5 * $0 + part.count)) })
    }
    builder.add("layers.1.heads.bias", shape: [2], values: bias)
    _ = try folder.write(builder.bytes, to: "gates.safetensors")
    return try ModelLoader.load(path: checkpoint)
  }

  /// Such a score is no matter of bits, and what is said names its gates.
  @Test func theReasonIsTheGate() throws {
    let plain = try Self.loaded(bias: [0, 0])
    var scores: [Float] = []
    _ = try FloatInterpreter(plain).run(tokens: Self.text) { node, kind, values in
      if kind == .output, plain.model.nodes[node].name == "layers.1.headGate.score" {
        scores = values
      }
    }
    #expect(scores.count == 2 * Self.text.count)
    var faults: [String] = []
    for (index, score) in scores.enumerated() where faults.isEmpty {
      for offset: Float in [1e-6, -1e-6] where faults.isEmpty {
        var bias: [Float] = [0, 0]
        bias[index % 2] = offset - score
        let loaded = try Self.loaded(bias: bias)
        let report = try LittleTextTests.report(
          loaded, loaded, calibration: [Self.text], [Self.text])
        faults = report.faults
        guard !faults.isEmpty else { continue }
        #expect(report.faultHint.contains("fit the gates"))
      }
    }
    // Of two dozen scores at their threshold rounding turns some.
    #expect(faults.count == 1)
    #expect(faults.first?.contains("layers.1.headGate") == true, "\(faults)")
    #expect(faults.first?.contains("too few bits") == false)
  }
}
