// Checkpoints as people have them: every case beside the repository gives its expected result.

import Bytes
import Checkpoints
import Foundation
import Models
import TestSupport
import Testing

@Suite(.needsSharedCases) struct SharedCaseTests {
  /// The output for the folder's own tokens.
  private func run(_ loaded: LoadedModel, folder: String) throws -> FloatMatrix {
    let texts = try TokenFile.read("\(folder)/tokens.json")
    return try FloatInterpreter(loaded).run(tokens: texts[0])
  }

  /// Loads a folder of a case and compares the last row of its output.
  @discardableResult
  private func expectRow(
    _ row: [Double], of path: String, sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> LoadedModel {
    let loaded = try ModelLoader.load(path: path)
    let folder = FilePaths.isFolder(path) ? path : FilePaths.folder(of: path)
    let output = try run(loaded, folder: folder)
    let difference = largestDifference(output.row(output.rowCount - 1), row.map { Float($0) })
    #expect(difference < 1e-4, "\(path)", sourceLocation: sourceLocation)
    return loaded
  }

  private func refusal(_ path: String, sourceLocation: SourceLocation = #_sourceLocation)
    -> String
  {
    let error = #expect(throws: InputError.self, "\(path)", sourceLocation: sourceLocation) {
      try ModelLoader.load(path: path)
    }
    return error.map { "\($0.description) \($0.hint)" } ?? ""
  }

  private func choices(_ output: FloatMatrix) -> [Double] {
    (0..<output.rowCount).map { index in
      let row = Array(output.row(index))
      return Double(row.indices.max { row[$0] < row[$1] } ?? 0)
    }
  }

  @Test func tiedTablesStoredUnderTheOutputsName() throws {
    let made = try SharedCase("02-tied-alias-only-head")
    for family in ["llama", "gpt2"] {
      let row = try made.expectedNumbers(family, "last_row")
      for kind in ["alias", "no-alias"] {
        let loaded = try expectRow(row, of: made.path("\(family)-\(kind)"))
        #expect(loaded.notices == [])
        #expect(loaded.checkpointKey(of: "embedTokens") == "lm_head.weight")
      }
    }
  }

  @Test func adaptersAreSaid() throws {
    let made = try SharedCase("04-adapter-folders")
    for folder in ["adapter-only", "adapter-and-config", "adapter-only/adapter_model.safetensors"] {
      let text = refusal(made.path(folder))
      #expect(text.contains("an adapter (LORA)") && text.contains("\"../base\""), "\(text)")
    }
    for folder in ["base-with-adapter", "merged-with-adapter"] {
      let loaded = try ModelLoader.load(path: made.path(folder))
      #expect(loaded.notices.count == 1 && loaded.notices[0].contains("is not applied"))
    }
    let base = made.path("base-with-adapter")
    let output = try run(ModelLoader.load(path: base), folder: base)
    #expect(try choices(output) == made.expectedNumbers("argmax_base"))
    let merged = try run(
      ModelLoader.load(path: base, adapter: made.path("adapter-only")), folder: base)
    #expect(try choices(merged) == made.expectedNumbers("argmax_merged"))
    // The same as the model that was merged before.
    let before = try run(
      ModelLoader.load(path: made.path("merged-with-adapter")), folder: base)
    #expect(largestDifference(merged.values, before.values) < 1e-4)
  }

  @Test func pointersAndPagesAreSaid() throws {
    let made = try SharedCase("05-lfs-pointer")
    for folder in [
      "safetensors", "pytorch", "gguf", "h5", "shards", "index-is-pointer", "config-is-pointer",
    ] {
      #expect(refusal(made.path(folder)).contains("Git LFS pointer"), "\(folder)")
    }
    #expect(refusal(made.path("page")).contains("web page"))
  }

  @Test func splitFilesAreReadTogether() throws {
    let made = try SharedCase("06-split-gguf")
    let row = try made.expectedNumbers("last_row")
    for path in [
      "whole", "marked-but-whole", "two", "two/tiny-00001-of-00002.gguf",
      "two/tiny-00002-of-00002.gguf",
    ] { try expectRow(row, of: made.path(path)) }
    let text = refusal(made.path("one-part-only"))
    #expect(text.contains("part 2 of 2") && text.contains("tiny-00002-of-00002.gguf"), "\(text)")
  }

  @Test func quantisersAreNamed() throws {
    let made = try SharedCase("08-mlx-quantised")
    for (folder, name) in [
      ("mlx-4bit", "MLX (4 bits)"), ("mlx-4bit-both-keys", "MLX (4 bits)"), ("fp8", "FP8"),
      ("gptq-old", "GPTQ (4 bits)"),
    ] {
      let text = refusal(made.path(folder))
      #expect(text.contains("quantised by \(name)"), "\(text)")
      #expect(text.contains(folder.hasPrefix("mlx") ? "16 tensors" : "14 tensors"), "\(text)")
    }
  }

  @Test func wrappedNamesAreRead() throws {
    let made = try SharedCase("09-wrapped-prefixes")
    for family in ["llama", "gpt2", "bert"] {
      let row = try made.expectedNumbers("\(family)_last_row")
      for prefix in ["_orig_mod", "module", "module-_orig_mod", "model"] {
        let loaded = try expectRow(row, of: made.path("\(family)-\(prefix)"))
        #expect(loaded.notices.count == 1)
        let text = prefix.split(separator: "-").joined(separator: ".")
        #expect(loaded.notices.first?.contains("\"\(text).") == true, "\(loaded.notices)")
      }
    }
  }

  @Test func parametersWithAttributesAreRead() throws {
    let made = try SharedCase("10-parameter-with-state")
    let row = try made.expectedNumbers("last_row")
    for folder in [
      "plain", "protocol4", "parameters", "parameters-with-state", "one-parameter-with-state",
      "tensor-with-attributes",
    ] { try expectRow(row, of: made.path(folder)) }
  }

  @Test func aStaleFileBesideShardsIsRefused() throws {
    let made = try SharedCase("11-single-file-beside-shards")
    let text = refusal(made.path("both"))
    #expect(text.contains("model.safetensors and model.safetensors.index.json"), "\(text)")
    for (file, key) in [
      ("model.safetensors", "argmax_single"), ("model.safetensors.index.json", "argmax_shards"),
    ] {
      let loaded = try ModelLoader.load(path: made.path("both/\(file)"))
      let output = try run(loaded, folder: made.path("both"))
      #expect(try choices(output) == made.expectedNumbers(key))
    }
  }

  @Test func bertOfKerasIsRead() throws {
    let made = try SharedCase("12-bert-in-keras-h5")
    try expectRow(made.expectedNumbers("last_row"), of: made.path("bert"))
  }

  @Test func vocabulariesOfOtherSizesAreSaid() throws {
    let made = try SharedCase("25-padded-vocabulary")
    for (folder, stated) in [("more-rows", 50), ("fewer-rows", 80)] {
      let loaded = try ModelLoader.load(path: made.path(folder))
      #expect(loaded.model.vocabularySize == 64)
      #expect(
        loaded.notices == [
          "config.json vocab_size is \(stated), model.embed_tokens.weight has 64 rows: these are "
            + "the vocabulary"
        ])
    }
  }

  @Test func pythonsLiteralsAreRead() throws {
    let made = try SharedCase("27-config-python-literals")
    let row = try made.expectedNumbers("last_row")
    for folder in ["infinity", "nan", "bom"] { try expectRow(row, of: made.path(folder)) }
  }

  @Test func generationEndsAtTheEndToken() throws {
    let made = try SharedCase("30-stop-at-end")
    let folder = made.path("gpt2")
    let prompt = try JSON.read("\(folder)/prompts.json")
    let scratch = try ScratchFolder()
    let tokens = try scratch.write(prompt.text.utf8, to: "prompt.json")
    let result = try PlaintextReference.continuation(
      checkpointPath: folder, tokensPath: tokens, newCount: 8, stop: StopTokens.read(folder))
    #expect(try result.tokens.map(Double.init) == made.expectedNumbers("tokens"))
    #expect(result.logits.rowCount == 1)
  }

  @Test func trainingCheckpointsAreRead() throws {
    let made = try SharedCase("28-training-checkpoint")
    let row = try made.expectedNumbers("last_row")
    for folder in ["plain-extras", "tensor-beside-model", "optimizer-first"] {
      try expectRow(row, of: made.path(folder))
    }
  }

  @Test func paddedTextsAreCut() throws {
    let made = try SharedCase("15-padded-encoder-text")
    var notices: [String] = []
    let output = try PlaintextReference.output(
      checkpointPath: made.path("bert"), tokensPath: made.path("bert/padded.json"),
      noted: { notices = $0.notices })
    let row = try made.expectedNumbers("last_real_row").map { Float($0) }
    #expect(output.rowCount == 5)
    #expect(largestDifference(output.row(4), row) < 1e-4)
    #expect(notices.contains { $0.contains("padding (token 0): 11 tokens are left out") })
  }

  /// The window is part of the graph: texts of any length are right.
  @Test func windowsShorterThanThePositionsAreRead() throws {
    let made = try SharedCase("13-mistral-window")
    let loaded = try expectRow(
      made.expectedNumbers("last_row"), of: made.path("mistral"))
    #expect(loaded.model.maximumPositions == 128)
    let windows = loaded.model.nodes.compactMap { node -> Int? in
      guard case .attention(_, _, _, let settings) = node.operation else { return nil }
      return settings.window
    }
    #expect(windows == [16, 16])
  }

  @Test func vocabulariesMayHaveHoles() throws {
    let made = try SharedCase("14-vocabulary-with-holes")
    let tokenizer = made.path("tokenizer.json")
    let decoded = try PythonTool("tokenize").run(
      ["decode", "--tokenizer", tokenizer, "--keep-special", made.path("ids.json")])
    #expect(decoded.output == "<s> a b </s>\n")
    let encoded = try PythonTool("tokenize").run(
      ["encode", "--tokenizer", tokenizer, "--start", "20", "a b"])
    #expect(encoded.output == "[20,1,2]\n")
    let refused = try PythonTool("tokenize").run(
      ["encode", "--tokenizer", tokenizer, "--start", "25", "a b"])
    #expect(refused.errors.contains("25 is no id of the tokenizer"))
  }
}
