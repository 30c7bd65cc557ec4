// Folders that hold no checkpoint, or more than one, and indices that do not fit their shards.

import Bytes
import TestSupport

extension HostileVector {
  static let folders: [HostileVector] = [
    HostileVector("folder-nothing", files: ["README": Array("no checkpoint\n".utf8)]),
    HostileVector(
      "folder-two-files", files: ["a.safetensors": shard(["x"]), "b.safetensors": shard(["x"])]),
    HostileVector("folder-no-configuration", files: ["model.safetensors": shard(["x"])]),
    HostileVector(
      "folder-configuration-array",
      files: ["model.safetensors": shard(["x"]), "config.json": Array("[]".utf8)]),
    HostileVector("checkpoint-unknown.data", Array("GIF89a".utf8)),
    HostileVector("checkpoint-text.bin", Array("Entry not found\nAsk again".utf8)),
    HostileVector("folder-unknown-format", files: ["model.safetensors": Array("GIF89a".utf8)]),
    HostileVector(
      "folder-adapter",
      files: [
        "adapter_config.json": Array(
          #"{"peft_type":"LORA","base_model_name_or_path":"base"}"#.utf8),
        "adapter_model.safetensors": shard(["x"]),
      ]),
    HostileVector(
      "folder-shards",
      files: [
        "model-00001-of-00002.safetensors": shard(["x"]),
        "model-00002-of-00002.safetensors": shard(["y"]),
      ]),
    split("settings", part(0, of: 2, ["a"]), part(0, of: 2, ["b"])),
    split("tensor-twice", part(0, of: 2, ["a"]), part(1, of: 2, ["a"])),
    split("tensor-count", part(0, of: 2, ["a"], tensorCount: 3), part(1, of: 2, ["b"])),
    split("broken", part(0, of: 2, ["a"]), Array("GGUF".utf8)),
    index("array", "[]"), index("no-map", "{}"),
    index("map-array", #"{"weight_map":[]}"#), index("map-empty", #"{"weight_map":{}}"#),
    index("shard-number", #"{"weight_map":{"x":1}}"#),
    index("shard-path", #"{"weight_map":{"x":"../a.safetensors"}}"#),
    index("shard-folder", #"{"weight_map":{"x":".."}}"#),
    index("shard-empty", #"{"weight_map":{"x":""}}"#),
    index("shard-nul", #"{"weight_map":{"x":"a\u0000"}}"#),
    index("duplicate", #"{"weight_map":{"x":"a","x":"b"}}"#),
    index(
      "shard-missing", #"{"weight_map":{"x":"a.safetensors","y":"b.safetensors"}}"#,
      ["a.safetensors": shard(["x"])]),
    index(
      "shard-format", #"{"weight_map":{"x":"a.gguf"}}"#,
      ["a.gguf": GGUFBuilder.llama().bytes]),
    index(
      "tensor-missing", #"{"weight_map":{"x":"a.safetensors","y":"a.safetensors"}}"#,
      ["a.safetensors": shard(["x"])]),
    index(
      "tensor-twice", #"{"weight_map":{"x":"a.safetensors","y":"b.safetensors"}}"#,
      ["a.safetensors": shard(["x"]), "b.safetensors": shard(["x", "y"])]),
    index(
      "tensor-elsewhere",
      #"{"weight_map":{"x":"b.safetensors","y":"b.safetensors","z":"a.safetensors"}}"#,
      ["a.safetensors": shard(["x", "z"]), "b.safetensors": shard(["y"])]),
    index(
      "formats", #"{"weight_map":{"x":"a.safetensors","w":"b.bin"}}"#,
      [
        "a.safetensors": shard(["x"]),
        "b.bin": PickleBuilder.archive(PickleBuilder.dictionary()).bytes,
      ]),
    index(
      "six-problems",
      #"{"weight_map":{"twice":"a.safetensors","moved":"b.safetensors","#
        + #""absent":"a.safetensors","u":"missing.safetensors","v":"broken.safetensors","#
        + #""w":"other"}}"#,
      [
        "a.safetensors": shard(["twice", "moved"]), "b.safetensors": shard(["twice"]),
        "broken.safetensors": [1, 2, 3], "other": Array("text".utf8),
      ]),
  ]

  private static func split(_ rule: String, _ first: [UInt8], _ second: [UInt8]) -> HostileVector {
    HostileVector(
      "folder-split-\(rule)",
      files: ["a-00001-of-00002.gguf": first, "a-00002-of-00002.gguf": second])
  }

  private static func shard(_ names: [String]) -> [UInt8] {
    var builder = SafetensorsBuilder()
    for name in names { builder.add(name, shape: [1], values: [1]) }
    return builder.bytes
  }

  private static func index(_ rule: String, _ text: String, _ shards: [String: [UInt8]] = [:])
    -> HostileVector
  {
    HostileVector(
      "folder-index-\(rule)",
      files: shards.merging(
        [
          "model.safetensors.index.json": Array(text.utf8), "config.json": Array("{}".utf8),
        ], uniquingKeysWith: { first, _ in first }))
  }
}
