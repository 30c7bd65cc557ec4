// Pooling and unit length as sentence-transformers' files state them, and what of it is refused.

import Bytes
import Foundation
import Models
import TestSupport
import Testing

@Suite struct SentenceModulesTests {
  private let scratch: ScratchFolder

  init() throws { scratch = try ScratchFolder() }

  private static let modules: JSON = [
    ["idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"],
    ["idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"],
  ]

  private func load(
    _ modules: JSON = modules, pooling: JSON, output: ModelOutput? = .embedding
  ) throws -> LoadedModel {
    _ = try TinyCheckpoint.bert(layerCount: 1).write(to: scratch)
    _ = try scratch.write(modules.text.utf8, to: "modules.json")
    try FileManager.default.createDirectory(
      atPath: scratch.file("1_Pooling"), withIntermediateDirectories: true)
    _ = try scratch.write(pooling.text.utf8, to: "1_Pooling/config.json")
    return try ModelLoader.load(path: scratch.path, output: output)
  }

  private func failure(_ modules: JSON = modules, pooling: JSON = [:]) throws -> String {
    let error = #expect(throws: InputError.self) { try load(modules, pooling: pooling) }
    return try #require(error?.description).replacing(scratch.path + "/", with: "")
  }

  /// The mean is the mode where the file says nothing of it.
  @Test(
    arguments: [
      (.object([:]), RowPooling.mean), (["pooling_mode_mean_tokens": true], .mean),
      (["pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false], .first),
      (["pooling_mode": "cls"], .first), (["pooling_mode": "mean", "include_prompt": true], .mean),
      (["word_embedding_dimension": 8], .mean),
    ] as [(JSON, RowPooling)])
  func poolsAsStated(pooling: JSON, mode: RowPooling) throws {
    let model = try load(pooling: pooling).model
    #expect(model.output == .embedding)
    #expect(
      model.nodes.last?.operation == .pool(model.nodes.count - 2, mode)
        && model.nodes.last?.width == 8)
  }

  @Test(
    arguments: [
      (["pooling_mode_max_tokens": true], "mean and max is not implemented, only mean and cls are"),
      (["pooling_mode": "lasttoken"], "lasttoken is not implemented"),
      (["pooling_mode_mean_tokens": false], "none is not implemented"),
      (["include_prompt": false], "include_prompt: false is not implemented"),
      (["embedding_dimension": 16], "pools states of 16 elements, those of the model have 8"),
    ] as [(JSON, String)])
  func refusesOtherPooling(pooling: JSON, cause: String) throws {
    let failure = try failure(pooling: pooling)
    #expect(failure.hasPrefix("1_Pooling/config.json"), "\(failure)")
    #expect(failure.contains(cause), "\(failure)")
  }

  @Test(arguments: ["Dense", "LayerNorm", "WeightedLayerPooling"])
  func refusesOtherModules(name: String) throws {
    guard case .array(var modules) = SentenceModulesTests.modules else { return }
    let type = "sentence_transformers.models.\(name)"
    modules.append(["path": .string("2_\(name)"), "type": .string(type)])
    let failure = try failure(.array(modules))
    #expect(
      failure.contains("modules.json: [2].type: \"\(type)\" is not implemented"), "\(failure)")
  }

  /// Dropout is for training only.
  @Test func dropoutChangesNothing() throws {
    guard case .array(var modules) = SentenceModulesTests.modules else { return }
    modules += [
      ["path": "2_Dropout", "type": "sentence_transformers.models.Dropout"],
      ["path": "3_Normalize", "type": "sentence_transformers.models.Normalize"],
    ]
    let model = try load(.array(modules), pooling: [:]).model
    #expect(model.nodes.suffix(3).map(\.name) == ["pool", "embeddingNorm", "embedding"])
  }

  /// As older versions of the library write it.
  @Test func theModelMayHaveAFolderOfItsOwn() throws {
    guard case .array(var modules) = SentenceModulesTests.modules else { return }
    modules[0] = ["path": "0_Transformer", "type": "sentence_transformers.models.Transformer"]
    let inner = scratch.file("0_Transformer")
    for folder in [inner, scratch.file("1_Pooling")] {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }
    let other = try ScratchFolder()
    _ = try TinyCheckpoint.bert(layerCount: 1).write(to: other)
    for name in try other.names() {
      try FileManager.default.copyItem(atPath: other.file(name), toPath: inner + "/" + name)
    }
    _ = try scratch.write(JSON.array(modules).text.utf8, to: "modules.json")
    _ = try scratch.write(
      #"{"pooling_mode_cls_token":true,"pooling_mode_mean_tokens":false}"#.utf8,
      to: "1_Pooling/config.json")
    for path in [scratch.path, inner] {
      let model = try ModelLoader.load(path: path, output: .embedding).model
      #expect(model.nodes.last?.operation == .pool(model.nodes.count - 2, .first))
      #expect(try ModelLoader.load(path: path).notices.count == 1)
    }
  }

  @Test func refusesPathsElsewhere() throws {
    let modules: JSON = [
      ["path": "", "type": "Transformer"], ["path": "../other", "type": "Pooling"],
    ]
    let failure = try failure(modules)
    #expect(failure.contains(#""../other" is no folder beside modules.json"#), "\(failure)")
  }

  /// What was read before the embeddings is read in the same way, with a note.
  @Test func statesStayTheOutputUnlessTheyAreNotAskedFor() throws {
    let plain = try load(pooling: [:], output: nil)
    #expect(plain.model.output == .states)
    #expect(
      plain.notices == [
        "modules.json makes one vector of a text, \"--output embedding\" does so: "
          + "the output is the last hidden state"
      ])
    let asked = try load(pooling: [:], output: .states)
    #expect(asked.model == plain.model && asked.notices.isEmpty)
  }

  @Test func needsTheFiles() throws {
    let path = try TinyCheckpoint.bert().write(to: scratch)
    let error = #expect(throws: InputError.self) {
      try ModelLoader.load(path: path, output: .embedding)
    }
    #expect(error?.source == scratch.file("modules.json"))
  }
}
