// Checkpoints that say something else than their settings: what is taken for the model, and what is
// said of it.

import Bytes
import Checkpoints
import Models
import TestSupport
import Testing

@Suite struct CheckpointVariantTests {
  private let folder: ScratchFolder
  private static let decoders: [@Sendable () -> TinyCheckpoint] = [
    { TinyCheckpoint.opt() }, { TinyCheckpoint.gpt2() }, { TinyCheckpoint.llama() },
  ]

  init() throws { folder = try ScratchFolder() }

  /// The token table of a decoder.
  private func tableName(_ checkpoint: TinyCheckpoint) throws -> String {
    let names = ["model.decoder.embed_tokens", "transformer.wte", "model.embed_tokens"]
    return try #require(
      names.map { $0 + ".weight" }.first { checkpoint.tensors[$0] != nil })
  }

  private func load(_ checkpoint: TinyCheckpoint) throws -> LoadedModel {
    try ModelLoader.load(path: checkpoint.write(to: folder))
  }

  private func output(_ loaded: LoadedModel) throws -> [Float] {
    try FloatInterpreter(loaded).run(tokens: [1, 5, 2, 10]).values
  }

  private func failure(_ checkpoint: TinyCheckpoint) throws -> String {
    let error = #expect(throws: InputError.self) { try load(checkpoint) }
    return error?.description ?? ""
  }

  @Test(arguments: 0..<3) func anOutputMatrixOfItsOwnIsUsedAndSaid(family: Int) throws {
    var checkpoint = CheckpointVariantTests.decoders[family]()
    let table = try tableName(checkpoint)
    let shape = try #require(checkpoint.tensors[table]).shape
    // The default and the setting that ties.
    for tie in family == 2 ? [true] : [nil, true] as [JSON?] {
      checkpoint.configuration["tie_word_embeddings"] = tie
      checkpoint.tensors["lm_head.weight"] = checkpoint.tensors[table]
      let tied = try load(checkpoint)
      #expect(tied.notices == [])
      #expect(tied.unusedKeys == ["lm_head.weight"])

      checkpoint.add("lm_head.weight", shape)
      let own = try load(checkpoint)
      #expect(
        own.notices == [
          "lm_head.weight differs from \(table), which config.json says it is tied to: it is used"
        ])
      #expect(own.unusedKeys == [])
      #expect(own.checkpointKey(of: "lmHead") == "lm_head.weight")
      #expect(try largestDifference(output(own), output(tied)) > 0.1)

      var untied = checkpoint
      untied.configuration["tie_word_embeddings"] = false
      #expect(try output(own) == output(load(untied)))
    }
    // One element that differs is a difference, wherever it is.
    checkpoint.tensors["lm_head.weight"] = checkpoint.tensors[table]
    let last = shape.reduce(1, *) - 1
    checkpoint.tensors["lm_head.weight"]?.values[last] += 1
    #expect(try load(checkpoint).notices.count == 1)
  }

  @Test(arguments: 0..<3, [true, false])
  func aTiedTableUnderTheOutputsName(family: Int, hasAlias: Bool) throws {
    var checkpoint = CheckpointVariantTests.decoders[family]()
    checkpoint.configuration["tie_word_embeddings"] = true
    checkpoint.tensors["lm_head.weight"] = nil
    let expected = try output(load(checkpoint))
    let table = try tableName(checkpoint)
    var builder = SafetensorsBuilder()
    for (name, tensor) in checkpoint.tensors.sorted(by: { $0.key < $1.key }) {
      builder.add(
        name == table ? "lm_head.weight" : name, shape: tensor.shape, values: tensor.values)
    }
    builder.setHeader(
      "__metadata__", hasAlias ? ["format": "pt", table: "lm_head.weight"] : .null)
    _ = try folder.write(builder.bytes, to: "model.safetensors")
    let loaded = try ModelLoader.load(path: folder.path)
    #expect(try output(loaded) == expected)
    #expect(loaded.notices == [] && loaded.unusedKeys == [])

    // Without the tie there are two matrices, and one of them is not there.
    checkpoint.configuration["tie_word_embeddings"] = false
    _ = try folder.write(JSON.object(checkpoint.configuration).text.utf8, to: "config.json")
    if !hasAlias {
      #expect(throws: InputError(loaded.path, "\(table) is missing")) {
        try ModelLoader.load(path: folder.path)
      }
    }
  }

  @Test(
    arguments: 0..<4,
    ["module.", "_orig_mod.", "module._orig_mod.", "model.", "my_wrapper.net.", "a.b.c.d."])
  func commonPrefixesAreLeftOut(family: Int, prefix: String) throws {
    var checkpoint =
      family == 3 ? TinyCheckpoint.bert() : CheckpointVariantTests.decoders[family]()
    let expected = try output(load(checkpoint))
    checkpoint.tensors = Dictionary(
      uniqueKeysWithValues: checkpoint.tensors.map { (prefix + $0.key, $0.value) })
    let loaded = try load(checkpoint)
    #expect(try output(loaded) == expected)
    #expect(loaded.notices.count == 1)
    #expect(loaded.notices[0].contains("names such as \"\(prefix)"))
    // The names of the file stay what they are where a weight is told.
    #expect(loaded.checkpointKey(of: "layers.0.attention.wo")?.hasPrefix(prefix) == true)
    #expect(
      loaded.checkpointKey(of: "layers.0.attention.wo").map(checkpoint.tensors.keys.contains)
        == true)
  }

  /// Wrappers of single layers, as activation checkpointing, FSDP and torch.compile put them.
  @Test(arguments: ["_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module."])
  func wrappersInsideOfNamesAreLeftOut(wrapper: String) throws {
    var checkpoint = TinyCheckpoint.llama()
    let expected = try output(load(checkpoint))
    checkpoint.tensors = Dictionary(
      uniqueKeysWithValues: checkpoint.tensors.map {
        ($0.key.replacing("layers.1.", with: "layers.1.\(wrapper)"), $0.value)
      })
    let loaded = try load(checkpoint)
    #expect(try output(loaded) == expected)
    #expect(loaded.notices.count == 1 && loaded.notices[0].contains(wrapper))
  }

  /// A prefix does not hide what is missing, or what does not belong there.
  @Test func prefixesLeaveOtherProblems() throws {
    var checkpoint = TinyCheckpoint.llama()
    checkpoint.tensors = Dictionary(
      uniqueKeysWithValues: checkpoint.tensors.map { ("module." + $0.key, $0.value) })
    checkpoint.tensors["module.model.norm.weight"] = nil
    checkpoint.add("loss.weight", [3])
    let text = try failure(checkpoint)
    #expect(text.contains("2 problems: model.norm.weight is missing; loss.weight is not a tensor"))
    // Both spellings at once are two tensors.
    checkpoint = TinyCheckpoint.bert(layerCount: 1)
    checkpoint.add("embeddings.LayerNorm.gamma", [8])
    #expect(try failure(checkpoint).contains("embeddings.LayerNorm.gamma is not a tensor"))
  }

  @Test func oldNamesOfLayerNormAreRead() throws {
    var checkpoint = TinyCheckpoint.bert(prefix: "bert.")
    let expected = try output(load(checkpoint))
    checkpoint.tensors = Dictionary(
      uniqueKeysWithValues: checkpoint.tensors.map {
        (
          $0.key.replacing("LayerNorm.weight", with: "LayerNorm.gamma")
            .replacing("LayerNorm.bias", with: "LayerNorm.beta"), $0.value
        )
      })
    let loaded = try load(checkpoint)
    #expect(try output(loaded) == expected)
    #expect(loaded.notices == [])
    #expect(
      loaded.checkpointKey(of: "embedLayerNorm.beta") == "bert.embeddings.LayerNorm.beta")
  }

  @Test func headsOfTasksAreSaid() throws {
    var checkpoint = TinyCheckpoint.bert(prefix: "bert.")
    let expected = try output(load(checkpoint))
    for name in [
      "classifier.weight", "cls.predictions.bias", "generator_lm_head.bias", "qa_outputs.bias",
    ] {
      checkpoint.add(name, [2])
    }
    let loaded = try load(checkpoint)
    #expect(try output(loaded) == expected)
    #expect(
      loaded.notices == [
        "4 tensors of a task head are not used (classifier.weight, cls.predictions.bias, "
          + "generator_lm_head.bias, ...): the output is the last hidden state"
      ])
    #expect(loaded.unusedKeys.contains("qa_outputs.bias"))
    // A decoder's output is what its own matrix makes: another head is another model.
    var decoder = TinyCheckpoint.llama()
    decoder.add("score.weight", [2, 16])
    #expect(try failure(decoder).contains("score.weight is not a tensor of this family"))
  }

  /// Code beside a checkpoint may compute something else than its family does.
  @Test func codeOfTheModelsOwnIsSaid() throws {
    var checkpoint = TinyCheckpoint.llama()
    checkpoint.configuration["auto_map"] = ["AutoModelForCausalLM": "modeling.MyModel"]
    #expect(
      try load(checkpoint).notices == [
        "config.json auto_map names code of the model's own, which is not run: it is read as any "
          + "llama"
      ])
    checkpoint.configuration["auto_map"] = [:]
    #expect(try load(checkpoint).notices == [])
  }

  @Test(arguments: [9, 15]) func theTableTellsTheVocabulary(stated: Int) throws {
    for make in CheckpointVariantTests.decoders + [{ TinyCheckpoint.bert() }] {
      var checkpoint = make()
      let expected = try output(load(checkpoint))
      checkpoint.configuration["vocab_size"] = .integer(stated)
      let loaded = try load(checkpoint)
      #expect(loaded.model.vocabularySize == 11)
      #expect(try output(loaded) == expected)
      #expect(loaded.notices.count == 1)
      #expect(loaded.notices[0].hasPrefix("config.json vocab_size is \(stated), "))
      #expect(loaded.notices[0].hasSuffix(" has 11 rows: these are the vocabulary"))
    }
  }

  @Test func anOutputMatrixOfOtherRowsIsRefused() throws {
    var checkpoint = TinyCheckpoint.llama()
    checkpoint.add("lm_head.weight", [9, 16])
    #expect(
      try failure(checkpoint).hasSuffix("lm_head.weight has shape [9, 16], expected [11, 16]"))
    checkpoint.configuration["vocab_size"] = 9
    #expect(
      try failure(checkpoint).hasSuffix(
        "model.embed_tokens.weight has shape [11, 16], lm_head.weight [9, 16], and config.json "
          + "vocab_size is 9"))
    // A table of another width is no vocabulary.
    checkpoint = TinyCheckpoint.llama()
    checkpoint.add("model.embed_tokens.weight", [12, 8])
    #expect(try failure(checkpoint).contains("has shape [12, 8], expected [11, 16]"))
  }
}
