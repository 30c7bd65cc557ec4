// Checkpoints in several files: what the index says must be so, and all faults come at once.

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
      #expect(checkpoint.notice == nil)
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

  @Test func tellsEveryFaultInOneError() throws {
    try write("a.safetensors", ["twice", "moved"])
    try write("b.safetensors", ["twice"])
    _ = try folder.write([1, 2, 3], to: "broken.safetensors")
    _ = try folder.write("text".utf8, to: "other")
    let path = try index(
      #"{"twice":"a.safetensors","moved":"b.safetensors","absent":"a.safetensors","#
        + #""u":"missing.safetensors","v":"broken.safetensors","w":"other"}"#)
    let error = inputError { _ = try ShardedCheckpoint(path: path) }
    #expect(
      error?.cause
        == "6 problems: broken.safetensors: too short for a safetensors file: 3 bytes, its header "
        + "length alone takes 8; missing.safetensors: the shard is missing; "
        + "other: is neither a safetensors nor a PyTorch file; "
        + "twice is in both a.safetensors and b.safetensors; "
        + "absent is missing from a.safetensors; "
        + "moved is in a.safetensors, the index says b.safetensors")
  }

  @Test(arguments: [
    ("[]", "weight_map|expected a JSON object"), ("{}", "weight_map|names no tensor"),
    (#"{"x":1}"#, "weight_map.x|expected the name of a file"),
    (#"{"x":"../a"}"#, "weight_map.x|\"../a\" is not the name"),
    (#"{"x":""}"#, "weight_map.x|\"\" is not the name"),
    (#"{"x":".."}"#, "weight_map.x|\"..\" is not the name"),
    (#"{"x":"a","x":"b"}"#, "duplicate key"),
  ]) func refusesIndices(map: String, expected: String) throws {
    let path = try index(map)
    let error = inputError { _ = try ShardedCheckpoint(path: path) }
    let found = error.map { "\($0.place)|\($0.cause)" } ?? ""
    #expect(found.contains(expected), "\(found)")
  }

  @Test func shardsOfDifferentFormatsAreRefused() throws {
    try write("a.safetensors", ["x"])
    _ = try folder.write(
      PickleBuilder.archive(PickleBuilder.dictionary()).bytes, to: "b.safetensors")
    let path = try index(#"{"x":"a.safetensors","w":"b.safetensors"}"#)
    #expect(
      inputError { _ = try ShardedCheckpoint(path: path) }?.cause
        == "the shards are of different formats: PyTorch, safetensors")
  }
}
