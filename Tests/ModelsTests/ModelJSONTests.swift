// Stored graphs: every family survives, and graphs that do not fit together are refused.

import Bytes
import Models
import TestSupport
import Testing

@Suite struct ModelJSONTests {
  @Test(arguments: [
    TinyCheckpoint.opt(), TinyCheckpoint.bert(), TinyCheckpoint.gpt2(), TinyCheckpoint.llama(),
  ]) func survives(checkpoint: TinyCheckpoint) throws {
    let folder = try ScratchFolder()
    let model = try ModelLoader.load(path: checkpoint.write(to: folder)).model
    let text = model.json.text
    #expect(try Model(json: JSON.parse(text, source: "m"), source: "m") == model)
  }

  @Test func everyLayoutSurvives() throws {
    for layout in RotaryLayout.allCases {
      let model = Model(
        family: "test", kind: .decoder, vocabularySize: 2, maximumPositions: 2,
        nodes: [
          ModelNode(
            name: "embed",
            operation: .embed(tokens: "t", positions: nil, positionOffset: 0, segments: nil),
            width: 4),
          ModelNode(
            name: "turn",
            operation: .rotary(
              0, headCount: 1, RotaryPositions(base: 50.5, dimensions: 4, layout: layout)),
            width: 4),
        ], weights: [WeightShape(name: "t", shape: [2, 4])],
        contextMarkers: ContextMarkers(startToken: 1, maskTokens: [0]))
      #expect(try Model(json: JSON.parse(model.json.text, source: "m"), source: "m") == model)
    }
  }

  /// Changes one member of one node of a stored LLaMA and returns the error.
  private func failure(_ node: String, _ member: String, _ value: JSON?) throws -> String? {
    let folder = try ScratchFolder()
    let model = try ModelLoader.load(path: TinyCheckpoint.llama().write(to: folder)).model
    guard case .object(var members) = model.json, case .array(var nodes)? = members["nodes"],
      let index = model.nodes.firstIndex(where: { $0.name == node }),
      case .object(var changed) = nodes[index]
    else { return nil }
    changed[member] = value
    nodes[index] = .object(changed)
    members["nodes"] = .array(nodes)
    let json = JSON.object(members)
    let error = #expect(throws: InputError.self) { try Model(json: json, source: "m") }
    return error?.cause
  }

  @Test(
    arguments: [
      ("embed", "positionOffset", JSON.integer(0), "unknown key"),
      ("layers.0.attention", "keyHeadCount", nil, "missing key"),
      (
        "layers.0.attention", "keyHeadCount", 3,
        "layers.0.attention has 3 key heads for 4 query heads"
      ),
      ("layers.0.attention", "keyHeadCount", 1, "reads widths [16, 8, 8], expected [16, 4, 4]"),
      ("layers.0.attention", "headCount", 5, "has 5 heads for a width of 16"),
      ("layers.0.attention", "width", 8, "reads widths [16, 8, 8], expected [8, 4, 4]"),
      ("layers.0.attention.queryRotary", "layout", "thirds", #"unknown layout "thirds""#),
      ("layers.0.attention.queryRotary", "layout", "twoPositions", "without context markers"),
      ("layers.0.attention.queryRotary", "dimensions", 6, "turns 6 elements of heads of 4"),
      ("layers.0.attention.queryRotary", "dimensions", 3, "turns 3 elements of heads of 4"),
      ("layers.0.attention.queryRotary", "dimensions", 0, "0 is outside 2...16777216"),
      ("layers.0.attention.queryRotary", "base", 0, "has the base 0.0"),
      ("layers.0.attention.queryRotary", "inputs", [1, 2], "rotary reads 1 values, not 2"),
      (
        "layers.0.inputLayerNorm", "gamma", "embedTokens",
        "reads embedTokens of shape [11, 16], expected [16]"
      ),
      (
        "layers.0.feedForward.product", "inputs", [0, 1], "writes a width of 12 and reads [16, 16]"
      ),
      ("layers.0.feedForward.activation", "function", "swish", #"unknown activation "swish""#),
      ("layers.0.feedForward.up", "width", 13, "of shape [12, 16], expected [13, 16]"),
    ] as [(String, String, JSON?, String)]) func refusesGraphsThatDoNotFit(
      node: String, member: String, value: JSON?, cause: String
    ) throws
  {
    let found = try #require(try failure(node, member, value))
    #expect(found.contains(cause), "\(found)")
  }
}
