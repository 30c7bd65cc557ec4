// Folders with more than one checkpoint, and adapters beside them: what is read, and what is said.

import Bytes
import Checkpoints
import Foundation
import TestSupport
import Testing

@Suite struct RivalCheckpointTests {
  private let folder: ScratchFolder
  private static let index = "model.safetensors.index.json"

  init() throws {
    folder = try ScratchFolder()
    _ = try folder.write("{}".utf8, to: "config.json")
  }

  private func write(_ name: String, _ tensors: [String: [Int]]) throws {
    var builder = SafetensorsBuilder()
    for (tensor, shape) in tensors.sorted(by: { $0.key < $1.key }) {
      builder.add(tensor, shape: shape, values: Array(repeating: 1, count: shape.reduce(1, *)))
    }
    _ = try folder.write(builder.bytes, to: name)
  }

  /// A single file, and a shard with its index, so many seconds later.
  private func write(
    single: [String: [Int]], shard: [String: [Int]], indexAge seconds: Double = -10
  ) throws {
    try write("model.safetensors", single)
    try write("part.safetensors", shard)
    let map = JSON.object(shard.mapValues { _ in "part.safetensors" }).text
    _ = try folder.write(
      #"{"weight_map":\#(map)}"#.utf8, to: RivalCheckpointTests.index)
    let now = Date()
    for (name, date) in [
      ("model.safetensors", now), (RivalCheckpointTests.index, now.addingTimeInterval(seconds)),
    ] {
      try FileManager.default.setAttributes(
        [.modificationDate: date], ofItemAtPath: folder.file(name))
    }
  }

  private func failure() -> InputError? { inputError { _ = try Checkpoint(path: folder.path) } }

  @Test func theSameModelTwiceIsReadAndSaid() throws {
    try write(single: ["x": [2]], shard: ["x": [2]])
    let checkpoint = try Checkpoint(path: folder.path)
    #expect(checkpoint.source.path == folder.file("model.safetensors"))
    #expect(
      checkpoint.notices
        == ["\(folder.path): model.safetensors is read; not \(RivalCheckpointTests.index)"])
    // Whoever names the file has chosen.
    let chosen = try Checkpoint(path: folder.file(RivalCheckpointTests.index))
    #expect(chosen.notices == [] && chosen.tensors.map(\.name) == ["x"])
  }

  @Test func newerShardsAreRefused() throws {
    try write(single: ["x": [2]], shard: ["x": [2]], indexAge: 1)
    let error = try #require(failure())
    #expect(error.place == "model.safetensors and \(RivalCheckpointTests.index)")
    #expect(error.cause == "are two checkpoints, and the one in shards is the newer")
    #expect(error.hint.contains("give the path of the one to read"))
  }

  @Test func otherTensorsAreRefused() throws {
    try write(single: ["x": [2]], shard: ["x": [2], "y": [1]])
    #expect(
      failure()?.cause == "are two checkpoints: only \(RivalCheckpointTests.index) has y")
    try write(single: ["x": [2], "a": [1]], shard: ["x": [2]])
    #expect(failure()?.cause == "are two checkpoints: only model.safetensors has a")
  }

  @Test func otherShapesAreRefused() throws {
    try write(single: ["x": [2, 3]], shard: ["x": [3, 2]])
    #expect(
      failure()?.cause
        == "are two checkpoints: x is [2, 3] in model.safetensors and [3, 2] in part.safetensors")
  }

  @Test func shardsThatAreGoneDoNotMatter() throws {
    try write(single: ["x": [2]], shard: ["x": [2]])
    try FileManager.default.removeItem(atPath: folder.file("part.safetensors"))
    #expect(try Checkpoint(path: folder.path).tensors.map(\.name) == ["x"])
  }

  @Test func pyTorchsFilesLikewise() throws {
    let archive = PickleBuilder.archive(PickleBuilder.dictionary()).bytes
    for name in ["pytorch_model.bin", "part.bin"] { _ = try folder.write(archive, to: name) }
    _ = try folder.write(
      #"{"weight_map":{"v":"part.bin"}}"#.utf8, to: "pytorch_model.bin.index.json")
    for (name, age) in [("pytorch_model.bin", 10.0), ("pytorch_model.bin.index.json", 0)] {
      try FileManager.default.setAttributes(
        [.modificationDate: Date().addingTimeInterval(age)], ofItemAtPath: folder.file(name))
    }
    #expect(
      failure()?.cause == "are two checkpoints: only pytorch_model.bin.index.json has v")
  }

  @Test func filesOfTrainingAreNoCheckpoints() throws {
    let archive = PickleBuilder.archive(PickleBuilder.dictionary()).bytes
    for name in ["training_args.bin", "optimizer.pt", "rng_state_0.pth", "weights.pt"] {
      _ = try folder.write(archive, to: name)
    }
    let checkpoint = try Checkpoint(path: folder.path)
    #expect(checkpoint.source.path == folder.file("weights.pt") && checkpoint.notices == [])
  }

  @Test func filesThatAreNotReadAreNamed() throws {
    for name in ["model.safetensors", "a.safetensors", "b.safetensors"] {
      try write(name, ["x": [1]])
    }
    #expect(
      try Checkpoint(path: folder.path).notices
        == ["\(folder.path): model.safetensors is read; not a.safetensors, b.safetensors"])
  }

  @Test func shardsNeedTheirIndex() throws {
    for number in 1...2 { try write("m-0000\(number)-of-00002.safetensors", ["x\(number)": [1]]) }
    let error = try #require(failure())
    #expect(
      error.description == "\(folder.path): m-00001-of-00002.safetensors: is shard 1 of 2, and "
        + "there is no index of the shards")
  }

  @Test func adaptersAreNoCheckpoints() throws {
    try write("adapter_model.safetensors", ["base_model.model.x.lora_A.weight": [1]])
    _ = try folder.write(
      #"{"peft_type": "LORA", "base_model_name_or_path": "org/base", "scale": NaN}"#.utf8,
      to: "adapter_config.json")
    for path in [folder.path, folder.file("adapter_model.safetensors")] {
      let error = inputError { _ = try Checkpoint(path: path) }
      #expect(
        error?.description
          == "\(folder.path): holds an adapter (LORA) and no model: its base is \"org/base\"")
      #expect(error?.hint.contains("--adapter \(folder.path)") == true)
    }
    try write("model.safetensors", ["x": [1]])
    for path in [folder.path, folder.file("model.safetensors")] {
      let notices = try Checkpoint(path: path).notices
      #expect(notices.count == 1)
      #expect(notices[0].contains("adapter (LORA) beside the model, which is not applied"))
    }
  }

  /// The parts of one GGUF model, whichever of them is named.
  @Test func splitGGUFIsReadTogether() throws {
    let whole = GGUFBuilder.llama()
    for number in 0..<2 {
      var part = GGUFBuilder()
      part.metadata =
        [
          ("split.no", .uint32(UInt32(number))), ("split.count", .uint32(2)),
          ("split.tensors.count", .uint32(4)),
        ] + (number == 0 ? whole.metadata : [])
      let chosen = number == 0 ? whole.tensors.prefix(2) : whole.tensors.suffix(2)
      for tensor in chosen {
        let shape = tensor.lengths.reversed().map { Int($0) }
        part.add(
          tensor.name, shape: shape, values: (0..<shape.reduce(1, *)).map { Float($0) })
      }
      _ = try folder.write(part.bytes, to: "m-0000\(number + 1)-of-00002.gguf")
    }
    let expected = try folder.write(whole.bytes, to: "whole.data")
    let reference = try Checkpoint(path: expected)
    for path in [folder.path] + (1...2).map({ folder.file("m-0000\($0)-of-00002.gguf") }) {
      // The whole file is no candidate of the folder by its content alone when it is gone.
      if path == folder.path { try FileManager.default.removeItem(atPath: expected) }
      let checkpoint = try Checkpoint(path: path)
      #expect(checkpoint.source.formatName == "GGUF, 2 parts")
      #expect(checkpoint.configuration == reference.configuration)
      #expect(checkpoint.tensors.map(\.name) == reference.tensors.map(\.name))
      for tensor in checkpoint.tensors {
        #expect(try checkpoint.floats(tensor.name) == reference.floats(tensor.name))
      }
      #expect(checkpoint.notices == [])
    }
    try FileManager.default.removeItem(atPath: folder.file("m-00001-of-00002.gguf"))
    let error = try #require(failure())
    #expect(error.cause == "part 1 of 2, m-00001-of-00002.gguf, is missing")
  }
}
