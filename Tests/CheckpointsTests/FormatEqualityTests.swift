// The same tensors in every format are equal bit for bit, whoever wrote them.

import Bytes
import Checkpoints
import Foundation
import TestSupport
import Testing

@Suite struct FormatEqualityTests {
  private static let vectors = Repository.root.appending(path: "Tests/Vectors/checkpoints").path

  private func bits(_ source: any TensorSource, _ name: String) throws -> [UInt32] {
    try source.floats(name).map(\.bitPattern)
  }

  /// Compares every tensor of `source` with that of `reference`; `rename` gives its name there.
  private func expectEqual(
    _ source: any TensorSource, _ reference: any TensorSource,
    rename: (String) -> String = { $0 }
  ) throws {
    #expect(source.tensors.map { rename($0.name) }.sorted() == reference.tensors.map(\.name))
    for tensor in source.tensors {
      let name = rename(tensor.name)
      let expected = try #require(reference.tensors.first { $0.name == name })
      #expect(tensor.shape == expected.shape, "\(name)")
      #expect(try bits(source, tensor.name) == bits(reference, name), "\(source.path): \(name)")
    }
  }

  private func expectEqualFormats(in folder: String) throws {
    for kind in ["plain", "half", "brain", "double"] {
      let reference = try Safetensors(path: "\(folder)/\(kind).safetensors")
      #expect(reference.tensors.count == 4)
      try expectEqual(PyTorchCheckpoint(path: "\(folder)/\(kind).bin"), reference)
      try expectEqual(GGUF(path: "\(folder)/\(kind).gguf"), reference)
      // HDF5 has no BF16.
      let files = ["plain": ["plain.h5", "chunked.h5"], "brain": []][kind] ?? ["\(kind).h5"]
      for file in files {
        try expectEqual(HDF5Checkpoint(path: "\(folder)/\(file)"), reference) {
          String($0.split(separator: "/")[1])
        }
      }
    }
    let plain = try Safetensors(path: "\(folder)/plain.safetensors")
    for name in ["model.safetensors", "pytorch_model.bin"] {
      let index = "\(folder)/sharded/\(name).index.json"
      try expectEqual(ShardedCheckpoint(path: index), plain)
    }
    // BF16 is the upper half of F32; the vector's last number was replaced before.
    let brain = try Safetensors(path: "\(folder)/brain.safetensors")
    for name in ["matrix", "cube", "one"] {
      #expect(try bits(brain, name) == bits(plain, name).map { $0 & 0xffff_0000 })
    }
    try expectEqual(
      GGUF(path: "\(folder)/quantised.gguf"),
      Safetensors(path: "\(folder)/quantised.safetensors"))
    try expectEqualIntegers(in: folder)
  }

  /// Integers are no weights: their types and shapes are read, their elements are not.
  private func expectEqualIntegers(in folder: String) throws {
    let reference = try Safetensors(path: "\(folder)/integers.safetensors")
    #expect(reference.tensors.map(\.type) == [.bool, .int16, .int32, .int64, .int8, .uint8])
    for source in [
      try PyTorchCheckpoint(path: "\(folder)/integers.bin"),
      try GGUF(path: "\(folder)/integers.gguf"),
      try HDF5Checkpoint(path: "\(folder)/integers.h5"),
    ] as [any TensorSource] {
      #expect(source.tensors.count == ["PyTorch": 6, "HDF5": 5, "GGUF": 4][source.formatName])
      for tensor in source.tensors {
        let name =
          source.formatName == "HDF5" ? String(tensor.name.split(separator: "/")[1]) : tensor.name
        let expected = reference.tensors.first { $0.name == name }
        #expect(tensor.type == expected?.type && tensor.shape == expected?.shape, "\(tensor)")
        let error = inputError { _ = try source.floats(tensor.name) }
        #expect(error?.cause.contains("are not read as weights") == true)
      }
    }
  }

  @Test func vectorsAreEqual() throws { try expectEqualFormats(in: FormatEqualityTests.vectors) }

  @Test(.needsPython) func filesOfPythonLibrariesAreEqual() throws {
    let folder = try ScratchFolder()
    let outcome = try PythonTool("development/write-formats").run([folder.path])
    try #require(outcome.status == 0, "\(outcome.errors)")
    try expectEqualFormats(in: folder.path)
  }

  @Test(.needsSharedModels) func storiesAreEqualInEveryFormat() throws {
    let shared = try #require(Repository.sharedModels).appending(path: "stories260k").path
    let reference = try Safetensors(path: "\(shared)/model.safetensors")
    #expect(reference.tensors.count == 47)
    try expectEqual(
      ShardedCheckpoint(path: "\(shared)/sharded/model.safetensors.index.json"), reference)
    try expectEqual(PyTorchCheckpoint(path: "\(shared)/pytorch_model.bin"), reference)

    let gguf = try Checkpoint(path: "\(shared)/model.f32.gguf")
    #expect(gguf.tensors.count == 48)
    #expect(try gguf.floats("lm_head.weight") == reference.floats("model.embed_tokens.weight"))
    for tensor in reference.tensors {
      let found = try #require(gguf.tensors.first { $0.name == tensor.name }, "\(tensor.name)")
      #expect(found.shape == tensor.shape)
      #expect(try bits(gguf.source, tensor.name) == bits(reference, tensor.name), "\(tensor.name)")
    }
  }

  @Test(.needsSharedModels) func roundedStoriesAreWithinTheirRounding() throws {
    let shared = try #require(Repository.sharedModels).appending(path: "stories260k").path
    let reference = try Safetensors(path: "\(shared)/model.safetensors")
    // Half a unit in the last place, relative to a value, or to the largest of a block of 32,
    // whose factor is rounded to F16 as well.
    for (file, relative, isBlockwise) in [
      ("model.f16.gguf", Float(0x1p-11), false), ("pytorch_model.bf16.bin", 0x1p-8, false),
      ("model.q8_0.gguf", 1.125 / 254, true),
    ] {
      let source = try Checkpoint(path: "\(shared)/\(file)").source
      #expect(source.tensors.map(\.name) == reference.tensors.map(\.name))
      for tensor in reference.tensors {
        let expected = try reference.floats(tensor.name)
        let found = try source.floats(tensor.name)
        try #require(found.count == expected.count)
        var worst: Float = 0
        for start in stride(from: 0, to: found.count, by: 4) {
          let block = start / 32 * 32
          let largest = expected[block..<min(block + 32, expected.count)]
            .reduce(0) { max($0, $1.magnitude) }
          for index in start..<start + 4 {
            let scale = isBlockwise ? largest : max(expected[index].magnitude, 0x1p-14)
            if scale == 0 { continue }
            worst = max(worst, (found[index] - expected[index]).magnitude / scale)
          }
        }
        #expect(worst <= relative, "\(file) \(tensor.name)")
      }
    }
  }

  /// Keras keeps [in, heads, head width] kernels: transposed and reshaped they are the same
  /// numbers.
  @Test(.needsSharedModels, arguments: ["model.weights.h5", "model.weights.gzip.h5"])
  func kerasStoriesHoldTheSameNumbers(file: String) throws {
    let shared = try #require(Repository.sharedModels).appending(path: "stories260k").path
    let reference = try Safetensors(path: "\(shared)/model.safetensors")
    let source = try HDF5Checkpoint(path: "\(shared)/\(file)")
    #expect(source.tensors.count == 47)
    #expect(source.tensors.reduce(0) { $0 + $1.elementCount } == 260_032)
    let decoder = "layers/llama_transformer_decoder/"
    let norm = try source.floats("layers/llama_layer_norm/vars/0")
    #expect(try norm == reference.floats("model.norm.weight"))
    let gate = try source.floats(decoder + "_feedforward_gate_dense/vars/0")
    let expected = try reference.floats("model.layers.0.mlp.gate_proj.weight")
    let query = try source.floats(decoder + "_self_attention_layer/_query_dense/vars/0")
    let expectedQuery = try reference.floats("model.layers.0.self_attn.q_proj.weight")
    for (values, original, width) in [(gate, expected, 172), (query, expectedQuery, 64)] {
      #expect(
        (0..<values.count).allSatisfy {
          values[$0].bitPattern == original[$0 % width * 64 + $0 / width].bitPattern
        })
    }
  }

  @Test(.needsSharedModels) func gpt2IsEqualInPyTorchAndHDF5() throws {
    let shared = try #require(Repository.sharedModels).appending(path: "gpt2-dickens-6m").path
    let reference = try PyTorchCheckpoint(path: "\(shared)/pytorch_model.bin")
    let source = try HDF5Checkpoint(path: "\(shared)/tf_model.h5")
    let prefix = "transformer/tfgpt2lm_head_model/transformer/"
    var compared = 0
    for tensor in source.tensors {
      let name = String(tensor.name.dropFirst(prefix.count))
        .replacing("h_._", with: "h.").replacing("/", with: ".")
        .replacing("gamma:0", with: "weight").replacing("beta:0", with: "bias")
        .replacing("embeddings:0", with: "weight").replacing(":0", with: "")
      let found = try bits(source, tensor.name)
      #expect(try found == bits(reference, name), "\(tensor.name)")
      compared += 1
    }
    // The archive also holds one U8 mask a layer.
    #expect(compared == reference.tensors.filter { $0.type == .float16 }.count)
    #expect(reference.tensors.filter { $0.type == .uint8 }.count == 5)
    // A folder with both takes PyTorch, and says so.
    let notices = try Checkpoint(path: shared).notices
    #expect(notices == ["\(shared): pytorch_model.bin is read; not tf_model.h5"])
  }

  @Test(.needsSharedModels) func fixturesOfOtherToolsAreAsTheirReadmeSays() throws {
    let shared = try #require(Repository.sharedModels).appending(path: "format-fixtures").path
    let integers = try PyTorchCheckpoint(path: "\(shared)/test.pt")
    #expect(integers.tensors.map(\.name) == ["test"])
    #expect(integers.tensors.map(\.shape) == [[2, 4]])
    #expect(integers.tensors.map(\.type) == [.int64])
    #expect(
      try PyTorchCheckpoint(path: "\(shared)/test_with_key.pt").tensors.map(\.name) == ["test"])
    let strided = try PyTorchCheckpoint(path: "\(shared)/fortran_tensor_3d.pth")
    #expect(strided.tensors.map(\.shape) == [[2, 3, 4]])
    for name in ["tfe_network_b.pth.tar", "tutorial4_alice_model.pth"] {
      let error = inputError { _ = try PyTorchCheckpoint(path: "\(shared)/\(name)") }
      #expect(error?.cause.contains("PyTorch before 1.6") == true)
      #expect(error?.hint.contains("torch.save") == true)
    }
    let gguf = try GGUF(path: "\(shared)/ggml-vocab-gpt-neox.gguf")
    #expect(gguf.version == 3)
    #expect(gguf.tensors.isEmpty)
    #expect(gguf.metadata.count == 17)
    #expect(gguf.metadata["general.architecture"] == .text("gptneox"))
    #expect(gguf.metadata["tokenizer.ggml.tokens"] == .array(count: 50432))
    #expect(gguf.metadata["tokenizer.ggml.merges"] == .array(count: 50009))
    #expect(gguf.metadata["gptneox.block_count"] == .integer(44))
    #expect(gguf.metadata["gptneox.use_parallel_residual"] == .bool(true))
    let vocabulary = try Checkpoint(path: "\(shared)/ggml-vocab-gpt-neox.gguf")
    guard case .object(let members) = vocabulary.configuration else { return }
    #expect(members["model_type"] == "gpt_neox" && members["hidden_size"] == 6144)
    #expect(members["rotary_pct"] == 0.25 && members["use_parallel_residual"] == true)
    let doubles = try Safetensors(path: "\(shared)/tensor-2d-float64.safetensors")
    #expect(try doubles.floats("embedding") == [1, 2, 3, 24, 25, 26])
  }

  @Test(.needsSharedModels) func metadataGiveTheConfiguration() throws {
    let shared = try #require(Repository.sharedModels).appending(path: "stories260k").path
    let checkpoint = try Checkpoint(path: "\(shared)/model.q8_0.gguf")
    #expect(
      checkpoint.configuration == [
        "model_type": "llama", "hidden_size": 64, "intermediate_size": 172, "hidden_act": "silu",
        "num_hidden_layers": 5, "num_attention_heads": 8, "num_key_value_heads": 4,
        "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "vocab_size": 512, "tie_word_embeddings": true,
      ])
    #expect(checkpoint.configurationPath == "\(shared)/model.q8_0.gguf")
    // Everything that config.json says of these keys, it says alike.
    guard case .object(let original) = try JSON.read("\(shared)/config.json"),
      case .object(let members) = checkpoint.configuration
    else { return }
    for (key, value) in members { #expect(original[key] == value, "\(key)") }
  }
}
