// LoRA adapters: merged as peft merges them, and refused by name where that is not done.

import Bytes
import Checkpoints
import Foundation
import Models
import TestSupport
import Testing

@Suite struct AdapterTests {
  private let base: ScratchFolder
  private let adapter: ScratchFolder

  init() throws {
    base = try ScratchFolder()
    adapter = try ScratchFolder()
  }

  /// Settings as peft writes them.
  private static let settings: [String: JSON] = [
    "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": "org/base",
    "r": 2, "lora_alpha": 8, "lora_dropout": 0.1, "bias": "none", "inference_mode": true,
    "target_modules": ["layers.0.self_attn.q_proj"], "init_lora_weights": true, "use_rslora": false,
    "use_dora": false, "rank_pattern": [:], "alpha_pattern": [:], "modules_to_save": .null,
    "layer_replication": .null, "fan_in_fan_out": false, "megatron_core": "megatron.core",
    "loftq_config": [:], "qalora_group_size": 16, "use_qalora": false, "revision": .null,
  ]

  /// A sequence of numbers from -1 to 1.
  private static func values(_ count: Int, seed: Int) -> [Float] {
    (0..<count).map { Float(sin(Double($0 * 7 + seed) * 1.3)) }
  }

  private func write(
    _ tensors: [String: (shape: [Int], values: [Float])], _ changes: [String: JSON] = [:]
  ) throws {
    var builder = SafetensorsBuilder()
    for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
      builder.add("base_model.model." + name, shape: tensor.shape, values: tensor.values)
    }
    _ = try adapter.write(builder.bytes, to: "adapter_model.safetensors")
    let settings = AdapterTests.settings.merging(changes) { $1 }
    _ = try adapter.write(JSON.object(settings).text.utf8, to: "adapter_config.json")
  }

  /// Factors of updates of rank `rank` for modules of so many inputs and outputs.
  private func factors(_ modules: [(name: String, inputs: Int, outputs: Int)], rank: Int = 2)
    -> [String: (shape: [Int], values: [Float])]
  {
    var result: [String: (shape: [Int], values: [Float])] = [:]
    for (index, module) in modules.enumerated() {
      result[module.name + ".lora_A.weight"] = (
        [rank, module.inputs], AdapterTests.values(rank * module.inputs, seed: index)
      )
      result[module.name + ".lora_B.weight"] = (
        [module.outputs, rank], AdapterTests.values(rank * module.outputs, seed: 100 + index)
      )
    }
    return result
  }

  /// W + scale * B A by the definition.
  private func merged(
    _ weight: [Float], _ module: String, _ tensors: [String: (shape: [Int], values: [Float])],
    scale: Double, isTransposed: Bool = false
  ) throws -> [Float] {
    let a = try #require(tensors[module + ".lora_A.weight"])
    let b = try #require(tensors[module + ".lora_B.weight"])
    let (rank, inputs, outputs) = (a.shape[0], a.shape[1], b.shape[0])
    var result = weight
    for output in 0..<outputs {
      for input in 0..<inputs {
        var sum = 0.0
        for index in 0..<rank {
          sum += Double(b.values[output * rank + index]) * Double(a.values[index * inputs + input])
        }
        let place = isTransposed ? input * outputs + output : output * inputs + input
        result[place] += Float(scale * sum)
      }
    }
    return result
  }

  private func load() throws -> LoadedModel {
    try ModelLoader.load(path: base.path, adapter: adapter.path)
  }

  private func refusal() throws -> String {
    let error = #expect(throws: InputError.self) { try load() }
    return error?.description ?? ""
  }

  private static let query = "model.layers.0.self_attn.q_proj"
  private static let down = "model.layers.1.mlp.down_proj"

  @Test(
    arguments: [
      ([:], 4.0, 4.0), (["use_rslora": true], 8 / 2.0.squareRoot(), 8 / 2.0.squareRoot()),
      (["alpha_pattern": ["q_proj": 1]], 0.5, 4),
      (["alpha_pattern": ["layers.1.mlp.down_proj": 3, "x": 9]], 4, 1.5),
      (["alpha_pattern": ["^model.layers.0.self_attn.q_proj": 6]], 3, 4),
      (["alpha_pattern": ["^q_proj": 6]], 4, 4),
      (["r": 7, "rank_pattern": ["q_proj": 2, "down_proj": 2]], 4, 4),
    ] as [([String: JSON], Double, Double)])
  func weightsAreMerged(changes: [String: JSON], queryScale: Double, downScale: Double) throws {
    let checkpoint = TinyCheckpoint.llama()
    _ = try checkpoint.write(to: base)
    let tensors = factors([(AdapterTests.query, 16, 16), (AdapterTests.down, 12, 16)])
    try write(tensors, changes)
    let loaded = try load()
    #expect(loaded.notices == ["the adapter in \(adapter.path) is merged into 2 tensors"])
    for (module, name, scale) in [
      (AdapterTests.query, "layers.0.attention.wq", queryScale),
      (AdapterTests.down, "layers.1.feedForward.wDown", downScale),
    ] {
      let weight = try #require(checkpoint.tensors[module + ".weight"]).values
      let expected = try merged(weight, module, tensors, scale: scale)
      #expect(try largestDifference(loaded.weight(name), expected) < 1e-5, "\(module)")
      #expect(largestDifference(weight, expected) > 0.5)
      // Any part of it is the same part.
      #expect(try loaded.weight(name, in: 21..<70) == Array(loaded.weight(name)[21..<70]))
    }
    // All else is the base's.
    let other = "layers.0.attention.wk"
    #expect(
      try loaded.weight(other)
        == checkpoint.tensors["model.layers.0.self_attn.k_proj.weight"]?.values)
  }

  /// The output is that of a checkpoint whose weights were merged before.
  @Test func outputsAreThoseOfTheMergedModel() throws {
    var checkpoint = TinyCheckpoint.llama()
    _ = try checkpoint.write(to: base)
    let tensors = factors([
      (AdapterTests.query, 16, 16), (AdapterTests.down, 12, 16), ("lm_head", 16, 11),
    ])
    try write(tensors)
    let output = try FloatInterpreter(load()).run(tokens: [1, 2, 3]).values
    for module in [AdapterTests.query, AdapterTests.down, "lm_head"] {
      let weight = try #require(checkpoint.tensors[module + ".weight"]).values
      checkpoint.tensors[module + ".weight"]?.values = try merged(
        weight, module, tensors, scale: 4)
    }
    let other = try ScratchFolder()
    let expected = try FloatInterpreter(
      ModelLoader.load(path: checkpoint.write(to: other))
    ).run(tokens: [1, 2, 3]).values
    #expect(largestDifference(output, expected) < 1e-4)
    let plain = try FloatInterpreter(ModelLoader.load(path: base.path)).run(tokens: [1, 2, 3])
    #expect(largestDifference(output, plain.values) > 0.1)
  }

  /// GPT-2 stores matrices as [inputs, outputs], square ones too, whatever the settings say.
  @Test func transposedMatricesAreMerged() throws {
    let checkpoint = TinyCheckpoint.gpt2()
    _ = try checkpoint.write(to: base)
    let modules = [
      ("transformer.h.0.attn.c_proj", 8, 8), ("transformer.h.1.attn.c_attn", 8, 24),
    ]
    let tensors = factors(modules)
    for isStated in [true, false] {
      try write(tensors, ["fan_in_fan_out": .bool(isStated)])
      let source = try load().checkpoint.source
      for (module, _, _) in modules {
        let weight = try #require(checkpoint.tensors[module + ".weight"]).values
        let expected = try merged(weight, module, tensors, scale: 4, isTransposed: true)
        let found = try source.floats(module + ".weight")
        #expect(largestDifference(found, expected) < 1e-5, "\(module)")
        #expect(try source.floats(module + ".weight", in: 5..<23) == Array(found[5..<23]))
      }
    }
  }

  /// The sum is rounded to the base's type, once, to the nearest with ties to even.
  @Test(arguments: ["BF16", "F16"]) func sumsAreRoundedToTheBase(type: String) throws {
    let checkpoint = TinyCheckpoint.llama()
    _ = try checkpoint.write(to: base)
    let name = AdapterTests.query + ".weight"
    let values = AdapterTests.values(256, seed: 5)
    func bits(_ value: Float) -> UInt16 {
      type == "F16" ? Float16(value).bitPattern : UInt16(value.bitPattern >> 16)
    }
    func value(_ bits: UInt16) -> Float {
      type == "F16"
        ? Float(Float16(bitPattern: bits)) : Float(bitPattern: UInt32(bits) << 16)
    }
    var builder = SafetensorsBuilder()
    for (other, tensor) in checkpoint.tensors.sorted(by: { $0.key < $1.key }) {
      if other == name {
        let bytes = values.flatMap { [UInt8(bits($0) & 255), UInt8(bits($0) >> 8)] }
        builder.add(other, type: type, shape: [16, 16], bytes: bytes)
      } else {
        builder.add(other, shape: tensor.shape, values: tensor.values)
      }
    }
    _ = try base.write(builder.bytes, to: "model.safetensors")
    let tensors = factors([(AdapterTests.query, 16, 16)])
    try write(tensors)
    let loaded = try load()
    let found = try loaded.weight("layers.0.attention.wq")
    let sums = try merged(
      values.map { value(bits($0)) }, AdapterTests.query, tensors, scale: 4)
    var tieCount = 0
    for (found, sum) in zip(found, sums) {
      #expect(found == value(bits(found)), "is a number of the type")
      // Neighbours of the type are 2^-8 or 2^-11 apart.
      let step = abs(sum) * (type == "F16" ? 0x1p-11 : 0x1p-8) + 1e-7
      #expect(abs(found - sum) <= step)
      if found != sum { tieCount += 1 }
    }
    #expect(tieCount > 100)
    #expect(loaded.encoding(of: "layers.0.attention.wq").rawValue == type)
  }

  /// Names of another class of the same model, and of a wrapped checkpoint.
  @Test func prefixesMayDiffer() throws {
    var checkpoint = TinyCheckpoint.llama()
    let tensors = factors([("layers.0.self_attn.q_proj", 16, 16)])
    _ = try checkpoint.write(to: base)
    try write(tensors)
    let expected = try load().weight("layers.0.attention.wq")
    checkpoint.tensors = Dictionary(
      uniqueKeysWithValues: checkpoint.tensors.map { ("module." + $0.key, $0.value) })
    _ = try checkpoint.write(to: base)
    #expect(try load().weight("layers.0.attention.wq") == expected)
    try write(factors([(AdapterTests.query + ".lora_A.default.weight", 1, 1)]))
    #expect(try refusal().contains("is no linear layer"))
  }

  @Test func wholeTensorsAreReplaced() throws {
    let checkpoint = TinyCheckpoint.llama()
    _ = try checkpoint.write(to: base)
    var tensors = factors([(AdapterTests.query, 16, 16)])
    let (head, table) = (AdapterTests.values(176, seed: 3), AdapterTests.values(176, seed: 4))
    tensors["lm_head.weight"] = ([11, 16], head)
    tensors["model.embed_tokens.weight"] = ([11, 16], table)
    try write(tensors, ["modules_to_save": ["lm_head", "embed_tokens"]])
    let loaded = try load()
    #expect(try loaded.weight("lmHead") == head)
    #expect(try loaded.weight("embedTokens") == table)
    #expect(loaded.notices == ["the adapter in \(adapter.path) is merged into 3 tensors"])
    // peft saves the base's output matrix where it has an update, too.
    tensors = factors([("lm_head", 16, 11)])
    tensors["lm_head.base_layer.weight"] = ([11, 16], head)
    try write(tensors)
    let expected = try merged(head, "lm_head", tensors, scale: 4)
    #expect(try largestDifference(load().weight("lmHead"), expected) < 1e-5)
    tensors["model.embed_tokens.weight"] = ([11, 16], table)
    try write(tensors)
    // Of a tied model both would change.
    var tied = checkpoint
    tied.configuration["tie_word_embeddings"] = true
    tied.tensors["lm_head.weight"] = nil
    _ = try tied.write(to: base)
    #expect(try refusal().contains("stands for one of two tied matrices"))
  }

  @Test(
    arguments: [
      (["use_dora": true], "use_dora: true is not implemented"),
      (["bias": "all"], #"bias: "all" is not implemented, only "none" is"#),
      (["lora_bias": true], "lora_bias: true is not implemented"),
      (["peft_type": "PREFIX_TUNING"], #"peft_type: "PREFIX_TUNING" is not implemented"#),
      (["init_lora_weights": "pissa"], #"init_lora_weights: "pissa" is not implemented"#),
      (["layer_replication": [[0, 1]]], "layer_replication: [[0,1]] is not implemented"),
      (["trainable_token_indices": [1]], "trainable_token_indices: [1] is not implemented"),
      (["new_kind_of_2030": true], "new_kind_of_2030: true is not implemented"),
      (["rank_pattern": ["q_.*": 2]], #"rank_pattern: "q_.*" is not the name of a module"#),
      (["r": 0], "r: expected a positive integer"), (["lora_alpha": "x"], "lora_alpha: expected"),
      (["use_rslora": 1], "use_rslora: 1 is not implemented"),
      (["r": 4], "has rank 2, the settings say otherwise"),
    ] as [([String: JSON], String)])
  func settingsAreRefusedByName(changes: [String: JSON], cause: String) throws {
    _ = try TinyCheckpoint.llama().write(to: base)
    try write(factors([(AdapterTests.query, 16, 16)]), changes)
    #expect(try refusal().contains(cause))
  }

  @Test(arguments: [
    ("model.layers.0.self_attn.q_proj.lora_magnitude_vector", "kind of update is not implemented"),
    ("model.embed_tokens.lora_embedding_A", "kind of update is not implemented"),
    ("model.layers.0.self_attn.q_proj.bias", "is no tensor of the model"),
    ("model.layers.9.self_attn.q_proj.lora_A.weight", "has one of lora_A and lora_B only"),
    ("model.norm.weight", "has shape [3], expected [16]"),
  ]) func tensorsAreRefusedByName(name: String, cause: String) throws {
    _ = try TinyCheckpoint.llama().write(to: base)
    var tensors = factors([(AdapterTests.query, 16, 16)])
    tensors[name] = ([3], [1, 2, 3])
    try write(tensors)
    let text = try refusal()
    #expect(text.contains(cause), "\(text)")
    #expect(text.hasPrefix(adapter.file("adapter_model.safetensors")))
  }

  @Test func placesAreChecked() throws {
    _ = try TinyCheckpoint.llama().write(to: base)
    for (modules, cause) in [
      ([(AdapterTests.query, 12, 16)], "the layer has 16 inputs and 16 outputs"),
      ([("model.layers.9.self_attn.q_proj", 16, 16)], "is no linear layer of the model"),
      ([("model.norm", 16, 16)], "is no linear layer of the model"),
      ([("model.embed_tokens", 16, 11)], "updates of a token table are not implemented"),
      ([], "holds no updates"),
    ] {
      try write(factors(modules))
      #expect(try refusal().contains(cause))
    }
    try FileManager.default.removeItem(atPath: adapter.file("adapter_model.safetensors"))
    #expect(try refusal().contains("holds no adapter: none of adapter_model.safetensors"))
    try FileManager.default.removeItem(atPath: adapter.file("adapter_config.json"))
    #expect(try refusal().contains("adapter_config.json"))
    #expect(throws: InputError.self) { try ModelLoader.load(path: base.path, adapter: "/no/x") }
  }

  /// What the settings list and the file lacks stays the base's, which must be told.
  @Test(
    arguments: [
      (["modules_to_save": ["lm_head"]], "lm_head (1 of 1)"),
      (["target_modules": ["q_proj", "o_proj"]], "q_proj (1 of 2), o_proj (2 of 2)"),
      (["target_modules": ["q_proj", "v_proj"], "layers_to_transform": [0]], "v_proj (2 of 2)"),
      (["target_modules": ["query_key_value", "layers.0.self_attn.q_proj"]], nil),
      (["target_modules": ".*q_proj"], nil),
    ] as [([String: JSON], String?)])
  func tellsWhatIsListedAndMissing(changes: [String: JSON], missing: String?) throws {
    _ = try TinyCheckpoint.llama().write(to: base)
    try write(factors([(AdapterTests.query, 16, 16)]), changes)
    let expected = missing.map {
      "adapter_config.json lists modules that the adapter's file holds nothing of: \($0): they stay "
        + "as they are"
    }
    #expect(try load().notices.dropFirst() == [expected].compactMap { $0 }[...])
  }

  /// An adapter that lies beside its model and is merged needs no warning.
  @Test func anAdapterInTheModelsFolder() throws {
    _ = try TinyCheckpoint.llama().write(to: base)
    try write(factors([(AdapterTests.query, 16, 16)]))
    for name in try adapter.names() {
      try FileManager.default.copyItem(atPath: adapter.file(name), toPath: base.file(name))
    }
    #expect(try ModelLoader.load(path: base.path).notices.first?.contains("not applied") == true)
    let loaded = try ModelLoader.load(path: base.path, adapter: base.path + "/")
    #expect(loaded.notices == ["the adapter in \(base.path) is merged into 1 tensor"])
  }
}

/// Adapters that peft wrote (tools/development/write-adapters): every weight is bit for bit what
/// peft merges.
@Suite struct MergedAdapterTests {
  @Test(arguments: ["llama-bfloat16", "llama-float16", "llama-saved", "gpt2-float32"])
  func weightsAreThoseOfPeft(name: String) throws {
    let folder = Repository.root.appending(path: "Tests/Vectors/adapters/\(name)").path
    let adapted = try ModelLoader.load(path: "\(folder)/base", adapter: "\(folder)/adapter")
    let expected = try ModelLoader.load(path: "\(folder)/merged")
    let base = try ModelLoader.load(path: "\(folder)/base")
    #expect(adapted.model == expected.model)
    var changedCount = 0
    for weight in expected.model.weights {
      let found = try adapted.weight(weight.name)
      let difference = try largestDifference(found, expected.weight(weight.name))
      // In single precision the order of a sum is left to the library.
      #expect(name.hasSuffix("float32") ? difference < 1e-6 : difference == 0, "\(weight.name)")
      if try found != base.weight(weight.name) { changedCount += 1 }
    }
    #expect(changedCount >= 3)
  }
}
