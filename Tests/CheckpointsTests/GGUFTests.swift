// The GGUF reader: metadata, names, the order of rows, and one broken rule a test.

import Bytes
import Checkpoints
import Foundation
import TestSupport
import Testing

@Suite struct GGUFTests {
  private let folder: ScratchFolder

  init() throws { folder = try ScratchFolder() }

  private func path(_ builder: GGUFBuilder) throws -> String {
    try folder.write(builder.bytes, to: "m.gguf")
  }

  @Test(arguments: [UInt32(2), 3]) func readsBothVersions(version: UInt32) throws {
    var builder = GGUFBuilder.llama()
    builder.version = version
    builder.metadata.append(("general.alignment", .uint32(64)))
    builder.alignment = 64
    builder.tensors = []
    builder.data = []
    builder.add("b", shape: [2, 3], values: [1, 2, 3, 4, 5, 6])
    builder.add("a", shape: [], values: [7])
    let file = try GGUF(path: path(builder))
    #expect(file.version == Int(version))
    #expect(file.tensors.map(\.name) == ["a", "b"])
    #expect(file.tensors.map(\.shape) == [[], [2, 3]])
    #expect(try file.floats("a") == [7])
    #expect(try file.floats("b") == [1, 2, 3, 4, 5, 6])
    #expect(inputError { _ = try file.floats("c") }?.cause == "there is no such tensor")
  }

  @Test func readsEveryTypeOfValue() throws {
    var builder = GGUFBuilder()
    let eight = [UInt8](repeating: 0xff, count: 8)
    builder.metadata = [
      ("u8", .raw(type: 0, [200])), ("i8", .raw(type: 1, [200])),
      ("u16", .raw(type: 2, [0xff, 0xff])), ("i16", .raw(type: 3, [0xff, 0xff])),
      ("i32", .raw(type: 5, [0xff, 0xff, 0xff, 0xff])), ("f32", .float32(0.1)),
      ("true", .bool(1)), ("text", .text("ä")), ("u64", .raw(type: 10, [7, 0, 0, 0, 0, 0, 0, 0])),
      ("i64", .raw(type: 11, eight)),
      ("f64", .raw(type: 12, ByteWriter.bytes(Double(0.1).bitPattern))),
      (
        "texts",
        .raw(
          type: 9,
          ByteWriter.bytes(UInt32(8)) + ByteWriter.bytes(UInt64(2)) + ByteWriter.bytes(UInt64(0))
            + ByteWriter.bytes(UInt64(1)) + [65])
      ),
      (
        "bytes",
        .raw(type: 9, ByteWriter.bytes(UInt32(0)) + ByteWriter.bytes(UInt64(3)) + [1, 2, 3])
      ),
    ]
    let found = try GGUF(path: path(builder)).metadata
    #expect(
      found == [
        "u8": .integer(200), "i8": .integer(-56), "u16": .integer(65535), "i16": .integer(-1),
        "i32": .integer(-1), "f32": .real(0.1), "true": .bool(true), "text": .text("ä"),
        "u64": .integer(7), "i64": .integer(-1), "f64": .real(0.1), "texts": .array(count: 2),
        "bytes": .array(count: 3),
      ])
  }

  @Test func undoesTheInterleavingOfRotaryRows() throws {
    let checkpoint = try Checkpoint(path: path(.llama()))
    #expect(
      checkpoint.tensors.map(\.name) == [
        "model.embed_tokens.weight", "model.layers.0.self_attn.k_proj.bias",
        "model.layers.0.self_attn.k_proj.weight", "model.layers.0.self_attn.q_proj.weight",
      ])
    func firstOfRows(_ name: String) throws -> [Int] {
      let values = try checkpoint.floats(name)
      return stride(from: 0, to: values.count, by: 8).map { Int(values[$0]) / 8 }
    }
    // Two heads of four rows: first halves (even rows), then second halves (odd rows).
    let query = try firstOfRows("model.layers.0.self_attn.q_proj.weight")
    #expect(query == [0, 2, 1, 3, 4, 6, 5, 7])
    let key = try firstOfRows("model.layers.0.self_attn.k_proj.weight")
    #expect(key == [0, 2, 1, 3])
    #expect(try checkpoint.floats("model.layers.0.self_attn.k_proj.bias") == [0, 2, 1, 3])
    #expect(
      checkpoint.configuration == [
        "model_type": "llama", "hidden_size": 8, "intermediate_size": 6, "hidden_act": "silu",
        "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
        "max_position_embeddings": 16, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
        "vocab_size": 5, "tie_word_embeddings": true,
      ])
  }

  @Test func mapsScalingAndWindow() throws {
    var builder = GGUFBuilder.llama()
    builder.metadata += [
      ("llama.rope.scaling.type", .text("linear")), ("llama.rope.scaling.factor", .float32(4)),
      ("llama.attention.sliding_window", .uint32(8)), ("llama.attention.key_length", .uint32(4)),
      ("llama.rope.dimension_count", .uint32(4)), ("llama.vocab_size", .uint32(5)),
    ]
    guard case .object(let members) = try Checkpoint(path: path(builder)).configuration else {
      Issue.record("no object")
      return
    }
    #expect(members["rope_scaling"] == ["type": "linear", "factor": 4.0])
    #expect(members["sliding_window"] == 8)
    #expect(members["head_dim"] == 4)
  }

  @Test func transposesConv1D() throws {
    var builder = GGUFBuilder()
    builder.metadata = [
      ("general.architecture", .text("gpt2")), ("gpt2.block_count", .uint32(1)),
      ("gpt2.context_length", .uint32(16)), ("gpt2.embedding_length", .uint32(2)),
      ("gpt2.feed_forward_length", .uint32(3)), ("gpt2.attention.head_count", .uint32(1)),
      ("gpt2.attention.layer_norm_epsilon", .float32(1e-5)),
    ]
    builder.add("blk.0.ffn_up.weight", shape: [3, 2], values: [1, 2, 3, 4, 5, 6])
    builder.add("position_embd.weight", shape: [16, 2], values: [Float](repeating: 1, count: 32))
    let checkpoint = try Checkpoint(path: path(builder))
    #expect(
      checkpoint.tensors.map(\.name) == [
        "transformer.h.0.mlp.c_fc.weight", "transformer.wpe.weight",
      ])
    #expect(checkpoint.tensors.map(\.shape) == [[2, 3], [16, 2]])
    #expect(try checkpoint.floats("transformer.h.0.mlp.c_fc.weight") == [1, 3, 5, 2, 4, 6])
  }

  @Test func everyTruncationIsRefused() throws {
    let bytes = GGUFBuilder.llama().bytes
    for count in stride(from: 0, to: bytes.count, by: 3) {
      let path = try folder.write(bytes.prefix(count), to: "cut.gguf")
      #expect(inputError { _ = try GGUF(path: path) } != nil, "\(count)")
    }
  }
}
