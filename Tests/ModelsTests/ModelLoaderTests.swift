// Loading: graphs as documented, and everything wrong with a checkpoint told at once.

import Bytes
import Checkpoints
import Models
import TestSupport
import Testing

@Suite struct ModelLoaderTests {
  private let folder: ScratchFolder

  init() throws { folder = try ScratchFolder() }

  private func failure(_ checkpoint: TinyCheckpoint) throws -> String? {
    let path = try checkpoint.write(to: folder)
    let error = #expect(throws: InputError.self) { try ModelLoader.load(path: path) }
    return error.map { $0.place.isEmpty ? $0.cause : "\($0.place): \($0.cause)" }
  }

  @Test func buildsOPTInOrder() throws {
    let loaded = try ModelLoader.load(path: TinyCheckpoint.opt(layerCount: 1).write(to: folder))
    let model = loaded.model
    #expect(model.family == "opt" && model.kind == .decoder)
    #expect(model.vocabularySize == 11 && model.maximumPositions == 6)
    #expect(
      model.nodes.map(\.name) == [
        "embed", "layers.0.inputLayerNorm", "layers.0.attention.query", "layers.0.attention.key",
        "layers.0.attention.value", "layers.0.attention", "layers.0.attention.output",
        "layers.0.attentionResidual", "layers.0.postAttentionLayerNorm", "layers.0.feedForward.up",
        "layers.0.feedForward.activation", "layers.0.feedForward.down",
        "layers.0.feedForwardResidual", "finalLayerNorm", "logits",
      ])
    #expect(
      model.nodes[0].operation
        == .embed(
          tokens: "embedTokens", positions: "embedPositions", positionOffset: 2, segments: nil))
    #expect(
      model.nodes[5].operation
        == .attention(
          query: 2, key: 3, value: 4, AttentionSettings(headCount: 2, keyHeadCount: 2, scale: 0.5)))
    #expect(model.nodes[7].operation == .add(0, 6))
    #expect(model.nodes[12].operation == .add(7, 11))
    #expect(model.nodes[14].operation == .linear(13, weight: "embedTokens", bias: nil))
    #expect(model.nodes.map(\.width) == [8, 8, 8, 8, 8, 8, 8, 8, 8, 12, 12, 8, 8, 8, 11])
    #expect(model.weights.map(\.name) == model.weights.map(\.name).sorted())
    #expect(Set(model.weights.map(\.name)).count == model.weights.count)
    #expect(model.weights.count == 20)
    #expect(
      loaded.checkpointKey(of: "layers.0.attention.wq")
        == "model.decoder.layers.0.self_attn.q_proj.weight")
    #expect(loaded.checkpointKey(of: "nothing") == nil)
    #expect(throws: InputError(loaded.path, place: "nothing", "the model has no such weight")) {
      try loaded.weight("nothing")
    }
  }

  @Test(arguments: ["", "bert."]) func buildsBERTUnderBothPrefixes(prefix: String) throws {
    let checkpoint = TinyCheckpoint.bert(layerCount: 1, prefix: prefix)
    let loaded = try ModelLoader.load(path: checkpoint.write(to: folder))
    let model = loaded.model
    #expect(model.kind == .encoder)
    #expect(
      model.nodes.map(\.name) == [
        "embed", "embedLayerNorm", "layers.0.attention.query", "layers.0.attention.key",
        "layers.0.attention.value", "layers.0.attention", "layers.0.attention.output",
        "layers.0.attentionResidual", "layers.0.attentionLayerNorm", "layers.0.feedForward.up",
        "layers.0.feedForward.activation", "layers.0.feedForward.down",
        "layers.0.feedForwardResidual", "layers.0.feedForwardLayerNorm",
      ])
    #expect(model.nodes[7].operation == .add(1, 6))
    #expect(model.nodes[10].operation == .activation(9, .gelu))
    #expect(model.nodes[12].operation == .add(8, 11))
    #expect(
      loaded.unusedKeys == [prefix + "pooler.dense.bias", prefix + "pooler.dense.weight"])
    let key = try #require(loaded.checkpointKey(of: "layers.0.attention.wo"))
    #expect(key == prefix + "encoder.layer.0.attention.output.dense.weight")
    #expect(try loaded.weight("layers.0.attention.wo") == checkpoint.tensors[key]?.values)
  }

  @Test func acceptsOPTVariantsOfWriting() throws {
    var checkpoint = TinyCheckpoint.opt()
    checkpoint.configuration["activation_function"] = nil
    checkpoint.configuration["do_layer_norm_before"] = nil
    checkpoint.configuration["word_embed_proj_dim"] = nil
    checkpoint.configuration["some_other_library_key"] = ["x": .null]
    checkpoint.configuration["quantization_config"] = .null
    checkpoint.tensors["lm_head.weight"] =
      checkpoint.tensors["model.decoder.embed_tokens.weight"]
    checkpoint.tensors = Dictionary(
      uniqueKeysWithValues: checkpoint.tensors.map {
        ($0.key.replacing("model.decoder.", with: "decoder."), $0.value)
      })
    let loaded = try ModelLoader.load(path: checkpoint.write(to: folder))
    #expect(loaded.unusedKeys == ["lm_head.weight"])
  }

  @Test func fiveProblemsAtOnce() throws {
    let activations =
      ["gelu", "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_accurate"]
      + ["gelu_python", "relu", "silu", "swish", "tanh"]
    var checkpoint = TinyCheckpoint.opt()
    checkpoint.configuration["activation_function"] = "mish"
    checkpoint.configuration["_remove_final_layer_norm"] = true
    let layer = "model.decoder.layers.1."
    checkpoint.tensors[layer + "fc1.bias"] = nil
    checkpoint.add(layer + "fc2.weight", [12, 8])
    checkpoint.add("model.decoder.project_in.weight", [8, 4])
    #expect(
      try failure(checkpoint)
        == #"5 problems: config.json activation_function: "mish" is not implemented, only "#
        + activations.map { #""\#($0)""# }.joined(separator: " or ") + " is; "
        + #"config.json _remove_final_layer_norm: true is not implemented, only false is; "#
        + "\(layer)fc1.bias is missing; \(layer)fc2.weight has shape [12, 8], expected [8, 12]; "
        + "model.decoder.project_in.weight is not a tensor of this family")
  }

  @Test(arguments: [
    ("activation_function", JSON.string("mish"), #""mish" is not implemented"#),
    ("_remove_final_layer_norm", true, "true is not implemented"),
    ("tie_word_embeddings", "no", "expected true or false"),
    ("quantization_config", JSON.object(["bits": 4]), #"{"bits":4} is not implemented"#),
    ("num_attention_heads", 3, "3 heads do not divide the hidden size 8"),
    ("hidden_size", 0, "0 is outside 1...1048576"),
    ("hidden_size", "8", "expected an integer"), ("vocab_size", 11.0, "expected an integer"),
    ("num_hidden_layers", 4097, "4097 is outside 1...4096"),
    ("ffn_dim", .integer(Int.max), "9223372036854775807 is outside"),
  ]) func namesUnsupportedOPTSetting(key: String, value: JSON, cause: String) throws {
    var checkpoint = TinyCheckpoint.opt()
    checkpoint.configuration[key] = value
    #expect(try failure(checkpoint)?.hasPrefix("config.json \(key): \(cause)") == true)
  }

  @Test(arguments: [
    ("hidden_act", JSON.string("mish"), #""mish" is not implemented"#),
    ("position_embedding_type", "relative_key", #""relative_key" is not implemented"#),
    ("is_decoder", true, "true is not implemented"),
    ("add_cross_attention", true, "true is not implemented"),
    ("layer_norm_eps", 0, "0.0 is not positive"), ("layer_norm_eps", "x", "expected a number"),
  ]) func namesUnsupportedBERTSetting(key: String, value: JSON, cause: String) throws {
    var checkpoint = TinyCheckpoint.bert()
    checkpoint.configuration[key] = value
    #expect(try failure(checkpoint)?.hasPrefix("config.json \(key): \(cause)") == true)
  }

  @Test func namesEveryMissingKeyOfTheConfiguration() throws {
    var checkpoint = TinyCheckpoint.opt()
    checkpoint.configuration["vocab_size"] = nil
    checkpoint.configuration["ffn_dim"] = nil
    #expect(
      try failure(checkpoint)
        == "2 problems: config.json ffn_dim: missing key; config.json vocab_size: missing key")
  }

  @Test func namesUnknownFamily() throws {
    var checkpoint = TinyCheckpoint.opt()
    checkpoint.configuration["model_type"] = "rwkv"
    let known = FamilyDescription.all.map { "\"\($0.name)\"" }.joined(separator: ", ")
    #expect(
      try failure(checkpoint) == #"model_type: "rwkv" is not implemented, only "# + "\(known) are")
    checkpoint.configuration["model_type"] = nil
    #expect(try failure(checkpoint) == "model_type: missing key")
  }

  @Test func namesWeightsOfTypesThatAreNotRead() throws {
    let path = try TinyCheckpoint.opt().write(to: folder)
    var builder = SafetensorsBuilder()
    let tiny = TinyCheckpoint.opt()
    for (name, tensor) in tiny.tensors where name != "model.decoder.embed_tokens.weight" {
      builder.add(name, shape: tensor.shape, values: tensor.values)
    }
    builder.add(
      "model.decoder.embed_tokens.weight", type: "I32", shape: [11, 8],
      bytes: [UInt8](repeating: 0, count: 352))
    _ = try folder.write(builder.bytes, to: "model.safetensors")
    #expect(
      throws: InputError(
        folder.file("model.safetensors"),
        "model.decoder.embed_tokens.weight is of type I32, which no weight is read from")
    ) { try ModelLoader.load(path: path) }
  }

  @Test func anotherModelsTensorsGiveOneBoundedLine() throws {
    var checkpoint = TinyCheckpoint.bert(layerCount: 12)
    checkpoint.configuration = TinyCheckpoint.opt(layerCount: 12).configuration
    let cause = try #require(try failure(checkpoint))
    #expect(
      cause == #"395 problems: 196 times "is missing": model.decoder.embed_positions.weight, "#
        + "model.decoder.embed_tokens.weight, model.decoder.final_layer_norm.bias, ...; "
        + #"199 times "is not a tensor of this family": embeddings.LayerNorm.bias, "#
        + "embeddings.LayerNorm.weight, embeddings.position_embeddings.weight, ...")
    #expect(!cause.contains("\n"))
  }

  @Test func nonFiniteWeightsAreNamedWhenRead() throws {
    var checkpoint = TinyCheckpoint.opt()
    let key = "model.decoder.layers.0.fc1.bias"
    checkpoint.tensors[key]?.values[3] = .nan
    let loaded = try ModelLoader.load(path: checkpoint.write(to: folder))
    let place = try loaded.checkpoint.source.tensor(key).byteRange.lowerBound
    #expect(
      throws: InputError(
        loaded.path, place: key, offset: place + 12, "element 3 is not a finite number")
    ) { try FloatInterpreter(loaded) }
  }
}
