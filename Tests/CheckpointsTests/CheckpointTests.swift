// Opening checkpoints by folder and by file, and what is said where something is missing.

import Bytes
import Checkpoints
import Foundation
import TestSupport
import Testing

@Suite struct CheckpointTests {
  private let folder: ScratchFolder

  init() throws { folder = try ScratchFolder() }

  private func failure(_ path: String) -> String? {
    let error = #expect(throws: InputError.self) { try Checkpoint(path: path) }
    return error?.description
  }

  private func writeTensors() throws -> String {
    var builder = SafetensorsBuilder()
    builder.add("w", shape: [2], values: [1, 2])
    return try folder.write(builder.bytes, to: "model.safetensors")
  }

  @Test func opensFolderAndFile() throws {
    let file = try writeTensors()
    _ = try folder.write(#"{"model_type":"opt"}"#.utf8, to: "config.json")
    for path in [folder.path, folder.path + "/", file] {
      let checkpoint = try Checkpoint(path: path)
      #expect(checkpoint.configuration == ["model_type": "opt"])
      #expect(checkpoint.configurationPath == folder.file("config.json"))
      #expect(checkpoint.tensors.map(\.name) == ["w"])
      #expect(try checkpoint.floats("w") == [1, 2])
    }
  }

  @Test func opensTheFixture() throws {
    let path = Repository.fixtures.appending(path: "opt-dickens-5m").path
    let checkpoint = try Checkpoint(path: path)
    #expect(checkpoint.tensors.reduce(0) { $0 + $1.elementCount } == 5_329_408)
    #expect(checkpoint.tensors.allSatisfy { $0.type == .bfloat16 })
  }

  @Test func namesWhatIsMissing() throws {
    #expect(failure(folder.path)?.hasPrefix("\(folder.path): holds no checkpoint: none of") == true)
    #expect(
      failure(folder.path)?.contains("model.safetensors, model.safetensors.index.json") == true)
    #expect(failure(folder.file("x")) == "\(folder.file("x")): no such file or folder")
    let other = try folder.write([1], to: "model.data")
    #expect(failure(other)?.contains("expected a file of safetensors, PyTorch, HDF5, GGUF") == true)
    _ = try folder.write("{}".utf8, to: "model.safetensors.index.json")
    #expect(failure(folder.path)?.contains("weight_map: missing key") == true)
    _ = try writeTensors()
    #expect(
      failure(folder.path)
        == "\(folder.file("config.json")): is missing beside the weights in model.safetensors")
    _ = try folder.write("[]".utf8, to: "config.json")
    #expect(
      failure(folder.path) == "\(folder.file("config.json")): expected a JSON object of settings")
    _ = try folder.write(#"{"a":1,"a":2}"#.utf8, to: "config.json")
    #expect(failure(folder.path)?.contains("byte 7: duplicate key") == true)
  }

  @Test func contentDecidesTheFormat() throws {
    _ = try folder.write("{}".utf8, to: "config.json")
    _ = try folder.write(
      PickleBuilder.archive(PickleBuilder.dictionary()).bytes, to: "weights.safetensors")
    let checkpoint = try Checkpoint(path: folder.path)
    #expect(checkpoint.source.formatName == "PyTorch")
    #expect(checkpoint.notices == [])
    // Without a content that is known the name decides which reader explains what is wrong.
    _ = try folder.write([1, 2, 3], to: "x.gguf")
    #expect(failure(folder.file("x.gguf"))?.contains("signature needs 4 bytes") == true)
  }

  @Test func theFirstFormatIsTakenAndSaid() throws {
    _ = try folder.write("{}".utf8, to: "config.json")
    _ = try folder.write(GGUFBuilder.llama().bytes, to: "a.gguf")
    #expect(try Checkpoint(path: folder.path).source.formatName == "GGUF")
    _ = try folder.write(
      PickleBuilder.archive(PickleBuilder.dictionary()).bytes, to: "b.bin")
    let second = try Checkpoint(path: folder.path)
    #expect(second.source.formatName == "PyTorch")
    #expect(second.notices == ["\(folder.path): b.bin is read; not a.gguf"])
    _ = try writeTensors()
    #expect(
      try Checkpoint(path: folder.path).notices
        == ["\(folder.path): model.safetensors is read; not b.bin, a.gguf"])
  }

  @Test func severalOfOneFormatNeedAName() throws {
    for name in ["a.gguf", "b.gguf"] {
      _ = try folder.write(GGUFBuilder.llama().bytes, to: name)
    }
    #expect(failure(folder.path)?.hasSuffix("holds 2 GGUF files: a.gguf, b.gguf") == true)
  }
}
