// Loading GPT-2: parts of fused matrices, name tables, and every setting that is not implemented.

import Bytes
import Models
import TestSupport
import Testing

@Suite struct GPT2LoaderTests {
  private let folder: ScratchFolder

  init() throws { folder = try ScratchFolder() }

  @Test func buildsInOrder() throws {
    let loaded = try ModelLoader.load(path: TinyCheckpoint.gpt2(layerCount: 1).write(to: folder))
    let model = loaded.model
    #expect(model.family == "gpt2" && model.kind == .decoder)
    #expect(model.vocabularySize == 11 && model.maximumPositions == 6)
    #expect(
      model.nodes.map(\.name) == [
        "embed", "layers.0.inputLayerNorm", "layers.0.attention.query", "layers.0.attention.key",
        "layers.0.attention.value", "layers.0.attention", "layers.0.attention.output",
        "layers.0.attentionResidual", "layers.0.postAttentionLayerNorm", "layers.0.feedForward.up",
        "layers.0.feedForward.activation", "layers.0.feedForward.down",
        "layers.0.feedForwardResidual", "finalLayerNorm", "logits",
      ])
    #expect(model.nodes[10].operation == .activation(9, .geluTanh))
    #expect(model.nodes[14].operation == .linear(13, weight: "embedTokens", bias: nil))
    #expect(
      model.weights.first { $0.name == "layers.0.feedForward.wUp" }?.shape == [32, 8])
  }

  /// Query, key and value are the thirds of the columns; all matrices are transposed.
  @Test func takesMatricesApart() throws {
    let checkpoint = TinyCheckpoint.gpt2(layerCount: 1)
    let loaded = try ModelLoader.load(path: checkpoint.write(to: folder))
    let key = "transformer.h.0.attn.c_attn"
    let fused = try #require(checkpoint.tensors[key + ".weight"]).values
    let bias = try #require(checkpoint.tensors[key + ".bias"]).values
    for (index, part) in ["q", "k", "v"].enumerated() {
      let weight = try loaded.weight("layers.0.attention.w\(part)")
      #expect(loaded.checkpointKey(of: "layers.0.attention.w\(part)") == key + ".weight")
      #expect(weight.count == 64)
      for output in 0..<8 {
        for input in 0..<8 {
          #expect(weight[output * 8 + input] == fused[input * 24 + index * 8 + output])
        }
      }
      #expect(
        try loaded.weight("layers.0.attention.b\(part)") == Array(bias[index * 8..<index * 8 + 8]))
    }
    let down = try #require(checkpoint.tensors["transformer.h.0.mlp.c_proj.weight"]).values
    let weight = try loaded.weight("layers.0.feedForward.wDown")
    #expect(weight[3 * 32 + 17] == down[17 * 8 + 3])
  }

  @Test func acceptsVariantsOfWriting() throws {
    var checkpoint = TinyCheckpoint.gpt2(prefix: "")
    for key in ["n_inner", "activation_function", "layer_norm_epsilon"] {
      checkpoint.configuration[key] = nil
    }
    checkpoint.configuration["n_inner"] = .null
    checkpoint.configuration["attn_pdrop"] = 0.1
    checkpoint.add("h.0.attn.bias", [1, 1, 6, 6])
    checkpoint.add("h.1.attn.masked_bias", [])
    checkpoint.tensors["lm_head.weight"] = checkpoint.tensors["wte.weight"]
    let loaded = try ModelLoader.load(path: checkpoint.write(to: folder))
    #expect(loaded.unusedKeys == ["h.0.attn.bias", "h.1.attn.masked_bias", "lm_head.weight"])
  }

  @Test func anOutputMatrixOfItsOwn() throws {
    var checkpoint = TinyCheckpoint.gpt2()
    checkpoint.configuration["tie_word_embeddings"] = false
    checkpoint.add("lm_head.weight", [11, 8])
    let loaded = try ModelLoader.load(path: checkpoint.write(to: folder))
    #expect(loaded.unusedKeys == [])
    #expect(try loaded.weight("lmHead") == checkpoint.tensors["lm_head.weight"]?.values)
  }

  @Test(arguments: [("gelu", Activation.gelu), ("gelu_pytorch_tanh", .geluTanh), ("relu", .relu)])
  func readsActivation(name: String, activation: Activation) throws {
    var checkpoint = TinyCheckpoint.gpt2(layerCount: 1)
    checkpoint.configuration["activation_function"] = .string(name)
    let loaded = try ModelLoader.load(path: checkpoint.write(to: folder))
    #expect(loaded.model.nodes[10].operation == .activation(9, activation))
  }

  @Test(arguments: [
    ("activation_function", JSON.string("mish"), #""mish" is not implemented, only "gelu" or "#),
    ("scale_attn_weights", false, "false is not implemented, only true is"),
    ("add_cross_attention", true, "true is not implemented"),
    ("quantization_config", JSON.object(["bits": 4]), #"{"bits":4} is not implemented"#),
    ("tie_word_embeddings", "no", "expected true or false"),
    ("layer_norm_epsilon", 0, "0.0 is not positive"),
    ("n_head", 3, "3 heads do not divide the hidden size 8"),
    ("n_inner", 0, "0 is outside 1...1048576"),
    ("n_positions", .null, "expected an integer"),
  ]) func namesUnsupportedSetting(key: String, value: JSON, cause: String) throws {
    var checkpoint = TinyCheckpoint.gpt2()
    checkpoint.configuration[key] = value
    let path = try checkpoint.write(to: folder)
    let error = #expect(throws: InputError.self) { try ModelLoader.load(path: path) }
    #expect(error?.cause.hasPrefix("config.json \(key): \(cause)") == true)
  }

  /// One tensor that three weights are parts of is named once.
  @Test func fiveProblemsAtOnce() throws {
    var checkpoint = TinyCheckpoint.gpt2(layerCount: 1)
    checkpoint.configuration["scale_attn_weights"] = false
    let layer = "transformer.h.0."
    checkpoint.tensors[layer + "attn.c_attn.weight"] = nil
    checkpoint.add(layer + "attn.c_attn.bias", [8])
    checkpoint.add(layer + "mlp.c_fc.weight", [32, 8])
    checkpoint.add(layer + "crossattention.c_attn.weight", [8, 16])
    let path = try checkpoint.write(to: folder)
    let error = #expect(throws: InputError.self) { try ModelLoader.load(path: path) }
    #expect(
      error?.cause
        == "5 problems: config.json scale_attn_weights: false is not implemented, only true is; "
        + "\(layer)attn.c_attn.bias has shape [8], expected [24]; "
        + "\(layer)attn.c_attn.weight is missing; "
        + "\(layer)mlp.c_fc.weight has shape [32, 8], expected [8, 32]; "
        + "\(layer)crossattention.c_attn.weight is not a tensor of this family")
  }
}
