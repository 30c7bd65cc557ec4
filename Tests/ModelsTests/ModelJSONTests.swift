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
        family: "test", kind: .prefixDecoder, vocabularySize: 2, maximumPositions: 2,
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
      guard case .object(let members) = model.json else { return }
      for (member, value, cause) in [
        ("kind", "decoder", "is not for a model of kind decoder"),
        ("contextMarkers", nil, "missing key"),
        ("contextMarkers", ["startToken": 1, "maskTokens": []], "expected tokens other than"),
        ("contextMarkers", ["startToken": 1, "maskTokens": [1]], "expected tokens other than"),
        ("contextMarkers", ["startToken": -1, "maskTokens": [0]], "is outside"),
      ] as [(String, JSON?, String)] {
        var changed = members
        changed[member] = value
        let json = JSON.object(changed)
        let error = #expect(throws: InputError.self) { try Model(json: json, source: "m") }
        #expect(error?.cause.contains(cause) == true, "\(error?.cause ?? "")")
      }
    }
  }

  @Test func settingsOfAllKindsSurvive() throws {
    let rotary = RotaryPositions(frequencies: [1, 0.25], magnitude: 1.25, layout: .pairs)
    let buckets = RelativeBuckets(count: 8, maximumDistance: 16)
    var nodes = [
      ModelNode(
        name: "embed",
        operation: .embed(tokens: "t", positions: nil, positionOffset: 0, segments: nil), width: 8),
      ModelNode(name: "turn", operation: .rotary(0, headCount: 2, rotary), width: 8),
      ModelNode(
        name: "norm",
        operation: .layerNorm(1, Normalisation(gamma: "g", groupCount: 2, epsilon: 0.5)), width: 8),
      ModelNode(
        name: "bare", operation: .rmsNorm(2, Normalisation(gamma: nil, epsilon: 0)), width: 8),
    ]
    for (settings, name) in [
      (AttentionSettings(headCount: 2, keyHeadCount: 2, scale: 1, window: 3, softCap: 5), "cap"),
      (
        AttentionSettings(
          headCount: 2, keyHeadCount: 2, scale: 1, bias: .linear(slopes: [0.5, 0.25])), "slopes"
      ),
      (
        AttentionSettings(
          headCount: 2, keyHeadCount: 2, scale: 1, bias: .relative(table: "b", buckets)), "table"
      ),
    ] {
      nodes.append(
        ModelNode(name: name, operation: .attention(query: 1, key: 1, value: 3, settings), width: 8)
      )
    }
    for operation: ModelOperation in [
      .scale(3, by: 0.5), .softCap(3, cap: 30), .activation(3, .tanh), .pool(3, .mean),
    ] { nodes.append(ModelNode(name: "\(nodes.count)", operation: operation, width: 8)) }
    let model = Model(
      family: "test", kind: .encoder, output: .embedding, vocabularySize: 2, maximumPositions: 2,
      nodes: nodes,
      weights: [
        WeightShape(name: "b", shape: [8, 2]), WeightShape(name: "g", shape: [4]),
        WeightShape(name: "t", shape: [2, 8]),
      ])
    #expect(try Model(json: JSON.parse(model.json.text, source: "m"), source: "m") == model)
  }

  @Test func readsRotaryPositionsOfEarlierFiles() throws {
    let folder = try ScratchFolder()
    let model = try ModelLoader.load(path: TinyCheckpoint.llama().write(to: folder)).model
    guard case .object(var members) = model.json, case .array(let nodes)? = members["nodes"] else {
      return
    }
    members["nodes"] = .array(
      nodes.map { node in
        guard case .object(var members) = node, members.removeValue(forKey: "frequencies") != nil
        else { return node }
        members["base"] = 10000
        members["dimensions"] = 4
        return .object(members)
      })
    #expect(try Model(json: .object(members), source: "m") == model)
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
      (
        "layers.0.attention.queryRotary", "frequencies", [1, 0.5, 0.25],
        "turns 6 elements of heads of 4"
      ),
      ("layers.0.attention.queryRotary", "frequencies", [], "turns 0 elements of heads of 4"),
      ("layers.0.attention.queryRotary", "frequencies", [1, 2], "turns by 2.0 radians a position"),
      ("layers.0.attention.queryRotary", "frequencies", ["1"], "expected a number"),
      ("layers.0.attention.queryRotary", "magnitude", 0, "has the magnitude 0.0"),
      ("layers.0.attention", "window", 0, "0 is outside"),
      ("layers.0.attention", "softCap", -1, "has the cap -1.0"),
      ("layers.0.attention", "slopes", [0.5], "has 1 slopes for 4 heads"),
      ("layers.0.attention", "biasTable", "absent", "missing key"),
      ("layers.0.inputLayerNorm", "groupCount", 3, "has 3 groups for a width of 16"),
      ("layers.0.inputLayerNorm", "epsilon", -1, "has the epsilon -1.0"),
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
