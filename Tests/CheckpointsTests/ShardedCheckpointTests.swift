// Checkpoints in several files: the tensors of all shards as one.

import Bytes
import Checkpoints
import Foundation
import TestSupport
import Testing

@Suite struct ShardedCheckpointTests {
  private let folder: ScratchFolder

  init() throws { folder = try ScratchFolder() }

  private func write(_ shard: String, _ names: [String]) throws {
    var builder = SafetensorsBuilder()
    for (index, name) in names.enumerated() {
      builder.add(name, shape: [1], values: [Float(index)])
    }
    _ = try folder.write(builder.bytes, to: shard)
  }

  private func index(_ map: String) throws -> String {
    try folder.write(
      #"{"metadata":{"total_size":8},"weight_map":\#(map)}"#.utf8,
      to: "model.safetensors.index.json")
  }

  @Test func readsTheShards() throws {
    try write("a.safetensors", ["x", "y", "unlisted"])
    try write("b.safetensors", ["z"])
    _ = try folder.write("{}".utf8, to: "config.json")
    let path = try index(#"{"x":"a.safetensors","y":"a.safetensors","z":"b.safetensors"}"#)
    for opened in [path, folder.path] {
      let checkpoint = try Checkpoint(path: opened)
      #expect(checkpoint.source.path == path)
      #expect(checkpoint.source.formatName == "safetensors, 2 shards")
      #expect(checkpoint.tensors.map(\.name) == ["unlisted", "x", "y", "z"])
      #expect(try checkpoint.floats("y") == [1])
      #expect(try checkpoint.floats("z") == [0])
      #expect(inputError { _ = try checkpoint.floats("w") }?.cause == "there is no such tensor")
      #expect(checkpoint.notices == [])
    }
  }

  @Test func readsPyTorchShards() throws {
    let archive = PickleBuilder.archive(PickleBuilder.dictionary()).bytes
    _ = try folder.write(archive, to: "pytorch_model-00001-of-00001.bin")
    _ = try folder.write("{}".utf8, to: "config.json")
    _ = try folder.write(
      #"{"weight_map":{"w":"pytorch_model-00001-of-00001.bin"}}"#.utf8,
      to: "pytorch_model.bin.index.json")
    let checkpoint = try Checkpoint(path: folder.path)
    #expect(checkpoint.source.formatName == "PyTorch, 1 shard")
    #expect(try checkpoint.floats("w").count == 6)
  }
}
