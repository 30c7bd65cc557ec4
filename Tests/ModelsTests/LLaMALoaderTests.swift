// Loading LLaMA and Mistral: the graph, and every setting that is not implemented.

import Bytes
import Models
import TestSupport
import Testing

@Suite struct LLaMALoaderTests {
  private let folder: ScratchFolder

  init() throws { folder = try ScratchFolder() }

  private func load(_ change: (inout TinyCheckpoint) -> Void = { _ in }) throws -> LoadedModel {
    var checkpoint = TinyCheckpoint.llama(layerCount: 1)
    change(&checkpoint)
    return try ModelLoader.load(path: checkpoint.write(to: folder))
  }

  @Test func buildsInOrder() throws {
    let model = try load().model
    #expect(model.family == "llama" && model.kind == .decoder)
    #expect(
      model.nodes.map(\.name) == [
        "embed", "layers.0.inputLayerNorm", "layers.0.attention.query", "layers.0.attention.key",
        "layers.0.attention.value", "layers.0.attention.queryRotary",
        "layers.0.attention.keyRotary", "layers.0.attention", "layers.0.attention.output",
        "layers.0.attentionResidual", "layers.0.postAttentionLayerNorm",
        "layers.0.feedForward.gate", "layers.0.feedForward.activation", "layers.0.feedForward.up",
        "layers.0.feedForward.product", "layers.0.feedForward.down",
        "layers.0.feedForwardResidual", "finalLayerNorm", "logits",
      ])
    #expect(
      model.nodes.map(\.width) == [
        16, 16, 16, 8, 8, 16, 8, 16, 16, 16, 16, 12, 12, 12, 12, 16, 16, 16, 11,
      ])
    #expect(
      model.nodes[0].operation
        == .embed(tokens: "embedTokens", positions: nil, positionOffset: 0, segments: nil))
    #expect(
      model.nodes[6].operation
        == .rotary(3, headCount: 2, RotaryPositions(base: 10000, dimensions: 4, layout: .halves)))
    #expect(
      model.nodes[7].operation
        == .attention(
          query: 5, key: 6, value: 4, AttentionSettings(headCount: 4, keyHeadCount: 2, scale: 0.5)))
    #expect(model.nodes[14].operation == .multiply(12, 13))
    #expect(model.nodes[18].operation == .linear(17, weight: "lmHead", bias: nil))
    #expect(
      model.nonLinearOperations.map(\.kind) == ["rmsNorm", "softmax", "silu", "multiply"])
  }

  @Test func acceptsVariantsOfWriting() throws {
    let loaded = try load {
      $0.configuration["tie_word_embeddings"] = true
      $0.tensors["lm_head.weight"] = $0.tensors["model.embed_tokens.weight"]
      $0.configuration["rope_scaling"] = .null
      $0.configuration["rope_theta"] = 500000
      $0.configuration["sliding_window"] = 6
      $0.configuration["partial_rotary_factor"] = 1.0
      $0.configuration["head_dim"] = .null
      $0.configuration["pretraining_tp"] = 1
      $0.add("model.layers.0.self_attn.rotary_emb.inv_freq", [2])
    }
    #expect(
      loaded.unusedKeys
        == ["lm_head.weight", "model.layers.0.self_attn.rotary_emb.inv_freq"])
    #expect(
      loaded.model.nodes[5].operation
        == .rotary(2, headCount: 4, RotaryPositions(base: 500000, dimensions: 4, layout: .halves)))
    #expect(loaded.model.nodes[18].operation == .linear(17, weight: "embedTokens", bias: nil))
  }

  /// Files of newer libraries keep what turns the positions together.
  @Test func readsRotaryParameters() throws {
    let loaded = try load {
      $0.configuration["rope_theta"] = nil
      $0.configuration["rope_parameters"] = ["rope_theta": 20000.0, "rope_type": "default"]
    }
    #expect(
      loaded.model.nodes[5].operation
        == .rotary(2, headCount: 4, RotaryPositions(base: 20000, dimensions: 4, layout: .halves)))
  }

  @Test func headsWiderThanTheirShare() throws {
    let loaded = try load {
      $0.configuration["head_dim"] = 6
      let key = "model.layers.0.self_attn."
      $0.add(key + "q_proj.weight", [24, 16])
      $0.add(key + "k_proj.weight", [12, 16])
      $0.add(key + "v_proj.weight", [12, 16])
      $0.add(key + "o_proj.weight", [16, 24])
    }
    #expect(loaded.model.nodes[7].width == 24)
    let output = try FloatInterpreter(loaded).run(tokens: [1, 2, 3])
    #expect(output.columnCount == 11)
  }

  @Test func readsMistral() throws {
    let loaded = try load {
      $0.configuration["model_type"] = "mistral"
      $0.configuration["sliding_window"] = .null
    }
    #expect(loaded.model.family == "mistral")
    /// The window of the attention of a Mistral with the window `value`.
    func window(_ value: JSON?) throws -> Int? {
      let loaded = try load {
        $0.configuration["model_type"] = "mistral"
        $0.configuration["sliding_window"] = value
      }
      guard case .attention(_, _, _, let settings) = loaded.model.nodes[7].operation else {
        return 0
      }
      return settings.window
    }
    #expect(try window(.null) == nil)
    #expect(try window(5) == 5)
    // No text is longer than six; and the library's own default is 4096.
    #expect(try window(6) == nil)
    #expect(try window(nil) == nil)
  }

  @Test(
    arguments: [
      ("hidden_act", JSON.string("mish"), #""mish" is not implemented, only "gelu" or "#),
      ("rope_scaling", ["rope_type": "llama3", "factor": 8.0], ".low_freq_factor: missing key"),
      ("rope_scaling", ["type": "linear"], ".factor: missing key"),
      ("rope_scaling", ["type": "linear", "factor": 0.5], ".factor: 0.5 is below 1"),
      ("rope_scaling", ["factor": 2.0], ".rope_type: missing key"),
      (
        "rope_scaling", ["type": "linear", "rope_type": "yarn", "factor": 2.0],
        ": type and rope_type differ"
      ),
      (
        "rope_scaling", ["type": "dynamic", "factor": 2.0],
        #".type: "dynamic" is not implemented: its base grows with the text"#
      ),
      (
        "rope_scaling", ["rope_type": "longrope"],
        #".rope_type: "longrope" is not implemented: its frequencies change"#
      ),
      (
        "rope_parameters", ["rope_type": "proportional", "rope_theta": 1.0],
        #".rope_type: "proportional" is not implemented, only "default" or "linear" or "#
      ),
      ("rope_parameters", ["rope_type": "default"], ".rope_theta: missing key"),
      ("sliding_window", 5, "5 is not implemented for texts of up to max_position_embeddings = 6"),
      ("layer_types", ["sliding_attention"], #""sliding_attention" is not implemented"#),
      ("attention_bias", 1, "expected true or false"),
      ("partial_rotary_factor", 0.5, "0.5 is not implemented, only 1 or 1.0 is"),
      ("quantization_config", JSON.object(["bits": 4]), #"{"bits":4} is not implemented"#),
      ("tie_word_embeddings", 1, "expected true or false"),
      ("num_attention_heads", 3, "3 heads do not divide the hidden size 16"),
      ("num_key_value_heads", 3, "3 key heads do not divide 4 query heads"),
      ("head_dim", 3, "heads of 3 elements cannot be turned by pairs"),
      ("head_dim", 1_048_576, "4 heads of 1048576 elements are too wide"),
      ("rope_theta", -1, "-1.0 is not positive"), ("rms_norm_eps", "x", "expected a number"),
    ] as [(String, JSON, String)]) func namesUnsupportedSetting(
      key: String, value: JSON, cause: String
    ) throws
  {
    let error = #expect(throws: InputError.self) {
      try load { $0.configuration[key] = value }
    }
    #expect(error?.cause.contains("config.json \(key)") == true)
    #expect(error?.cause.contains(cause) == true)
  }

  @Test func fiveProblemsAtOnce() throws {
    let layer = "model.layers.0."
    let error = #expect(throws: InputError.self) {
      try load {
        $0.configuration["partial_rotary_factor"] = 0.5
        $0.configuration["rope_scaling"] = ["type": "dynamic", "factor": 2.0]
        $0.tensors[layer + "mlp.up_proj.weight"] = nil
        $0.add(layer + "self_attn.k_proj.weight", [16, 16])
        $0.add(layer + "self_attn.q_proj.bias", [16])
      }
    }
    #expect(
      error?.cause
        == "5 problems: config.json partial_rotary_factor: 0.5 is not implemented, only 1 or 1.0 is; "
        + #"config.json rope_scaling.type: "dynamic" is not implemented: "#
        + "its base grows with the text, so that earlier keys would have to be turned anew; "
        + "\(layer)mlp.up_proj.weight is missing; "
        + "\(layer)self_attn.k_proj.weight has shape [16, 16], expected [8, 16]; "
        + "\(layer)self_attn.q_proj.bias is not a tensor of this family")
  }

  @Test func listsTheSettingsThatAreRead() throws {
    let families = FamilyDescription.all
    #expect(
      families.map(\.name) == [
        "opt", "gpt2", "bert", "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2",
        "gemma3_text", "gemma3", "phi3", "olmo2", "stablelm", "starcoder2", "gpt_neox", "gptj",
        "falcon", "bloom", "roberta", "xlm-roberta", "distilbert", "electra", "mpnet",
        "modernbert", "t5", "chatglm",
      ])
    for family in families { #expect(family.fields.count >= 9, "\(family.name)") }
    let llama = try #require(families.first { $0.name == "llama" })
    #expect(
      llama.fields.contains {
        $0.key == "rope_scaling.rope_type"
          && $0.meaning == #"only "default" or "linear" or "llama3" or "yarn""#
      })
    #expect(
      llama.fields.contains {
        $0.key == "num_key_value_heads" && $0.meaning == "integer, else num_attention_heads"
      })
    #expect(FamilyList(isComplete: true).text.contains("sliding_window  "))
    guard case .array(let entries) = FamilyList(isComplete: false).json else {
      Issue.record("expected an array")
      return
    }
    #expect(entries.count == families.count)
  }
}
