// `lodge-model inspect`: what it says, and that it reads headers only.

import Bytes
import Foundation
import Glibc
import Models
import TestSupport
import Testing

@Suite struct InspectTests {
  private func json(_ arguments: [String]) throws -> JSON {
    try JSON.parse(Tool.succeed("lodge-model", arguments + ["--json"]), source: "output")
  }

  /// A folder with weights in two formats: one is taken, and every command says so.
  @Test func theChoiceOfAFormatIsTold() throws {
    let folder = try ScratchFolder()
    _ = try TinyCheckpoint.opt().write(to: folder)
    let vectors = Repository.root.appending(path: "Tests/Vectors/checkpoints")
    try FileManager.default.copyItem(
      atPath: vectors.appending(path: "plain.gguf").path, toPath: folder.file("other.gguf"))
    let notice = "\(folder.path): model.safetensors is read; not other.gguf"
    #expect(try Tool.succeed("lodge-model", ["inspect", folder.path]).contains("note  "))
    var inspection = try JSONReader(json(["inspect", folder.path]), source: "output")
    #expect(try inspection.array("notices") == [.string(notice)])

    let results = try ScratchFolder()
    let tokens = try results.write("[1,2,3]".utf8, to: "tokens.json")
    let out = ["--tokens", tokens, "--out", results.file("out")]
    for command in [["logits", folder.path], ["approximate", folder.path]] {
      let outcome = try Tool.run("lodge-model", command + out)
      #expect(outcome.status == 0)
      #expect(outcome.messages.contains("lodge-model: note: \(notice)\n"))
    }
    var report = try JSONReader(json(["approximate", folder.path] + out), source: "output")
    #expect(try report.array("notices") == [.string(notice)])

    // Without a choice there is nothing to say; what Lodge wrote is none.
    try FileManager.default.removeItem(atPath: folder.file("other.gguf"))
    try FileManager.default.moveItem(
      atPath: results.file("out"), toPath: folder.file("model.lodge"))
    var alone = try JSONReader(json(["inspect", folder.path]), source: "output")
    #expect(try alone.array("notices") == [])
    #expect(try !Tool.run("lodge-model", ["logits", folder.path] + out).messages.contains("note:"))
  }

  @Test func familiesAreListed() throws {
    // Lines are broken at words.
    let text = try Tool.succeed("lodge-model", ["inspect", "--families", "--all"])
      .split(whereSeparator: \.isWhitespace).joined(separator: " ")
    for family in FamilyDescription.all {
      #expect(text.contains("\(family.name): \(family.summary)"))
      #expect(text.contains("not read: \(family.notRead)"))
      #expect(family.fields.count > 5)
      for field in family.fields { #expect(text.contains(field.key)) }
    }
    guard case .array(let entries) = try json(["inspect", "--families"]) else {
      Issue.record("expected an array")
      return
    }
    var found: [String: Set<String>] = [:]
    for entry in entries {
      var reader = try JSONReader(entry, source: "output")
      let name = try reader.string("modelType")
      #expect(try !reader.string("summary").isEmpty)
      #expect(try !reader.string("notRead").isEmpty)
      #expect(try !reader.array("outputs").isEmpty)
      _ = try reader.array("ggufArchitectures")
      for field in try reader.array("fields") {
        var member = try JSONReader(field, source: "output")
        found[name, default: []].insert(try member.string("key"))
        #expect(try !member.string("meaning").isEmpty)
        try member.finish()
      }
      try reader.finish()
    }
    #expect(Set(found.keys) == Set(FamilyDescription.all.map(\.name)))
    #expect(
      found["llama"]?.isSuperset(of: ["rope_theta", "rope_scaling.rope_type", "hidden_act"]) == true
    )
    #expect(found["opt"]?.isSuperset(of: ["activation_function", "do_layer_norm_before"]) == true)
    try Tool.fail(
      "lodge-model", ["inspect", "x", "--families"], status: 64,
      saying: ["--families takes no CHECKPOINT"])
  }

  /// Five faults of five kinds: a setting, and tensors that are absent, unknown, of another shape
  /// and of another type.
  @Test func fiveProblemsAreOneError() throws {
    var checkpoint = TinyCheckpoint.opt(layerCount: 1)
    let prefix = "model.decoder.layers.0."
    checkpoint.configuration["activation_function"] = "mish"
    checkpoint.tensors[prefix + "fc1.bias"] = nil
    checkpoint.add(prefix + "fc3.bias", [8])
    checkpoint.add(prefix + "fc2.bias", [2, 4])
    let folder = try ScratchFolder()
    _ = try checkpoint.write(to: folder)
    _ = try folder.write(
      checkpoint.safetensors(integers: prefix + "final_layer_norm.bias"), to: "model.safetensors")
    let tokens = try folder.write("[1,2,3]".utf8, to: "tokens.json")
    let out = ["--tokens", tokens, "--out", folder.file("out")]
    for command in [["inspect"], ["logits"] + out, ["approximate"] + out] {
      try Tool.fail(
        "lodge-model", command + [folder.path],
        saying: [
          "5 problems: ",
          #"config.json activation_function: "mish" is not implemented, only "gelu" or "gelu_new" or"#,
          "\(prefix)fc1.bias is missing",
          "\(prefix)fc3.bias is not a tensor of this family",
          "\(prefix)fc2.bias has shape [2, 4], expected [8]",
          "\(prefix)final_layer_norm.bias is of type I32, which no weight is read from",
        ])
    }
  }

  /// The shortest of several runs, which other work on the machine delays least.
  private func shortestSeconds(_ path: String, count: Int = 7) throws -> Double {
    var shortest = Double.infinity
    for _ in 0..<count {
      let start = ContinuousClock.now
      try Tool.succeed("lodge-model", ["inspect", path])
      let duration = ContinuousClock.now - start
      shortest = min(
        shortest,
        Double(duration.components.attoseconds) * 1e-18
          + Double(duration.components.seconds))
    }
    return shortest
  }

  @Test(
    .needsSharedModels,
    arguments: [
      "opt-dickens-5m", "gpt2-dickens-6m", "gpt2-dickens-6m/tf_model.h5", "minilm-l6-v2",
      "stories260k", "stories260k/pytorch_model.bin", "stories260k/pytorch_model.bf16.bin",
      "stories260k/model.weights.h5", "stories260k/model.weights.gzip.h5",
      "stories260k/model.f32.gguf", "stories260k/model.f16.gguf", "stories260k/model.q8_0.gguf",
    ]) func takesLessThanATenthOfASecond(path: String) throws
  {
    let seconds = try shortestSeconds(
      try #require(Repository.sharedModels).appending(path: path).path)
    print("inspect \(path): \(Int(seconds * 1000)) ms")
    #expect(seconds < 0.1)
  }

  /// A checkpoint of 4.3 GB, whose weights are a hole in the file: as fast as one of 120 KB, and
  /// afterwards next to nothing of it has been read into memory.
  @Test func readsHeadersOnly() throws {
    let small = try ScratchFolder()
    let large = try ScratchFolder()
    var checkpoint = TinyCheckpoint.opt(layerCount: 1, width: 64, innerWidth: 64)
    _ = try checkpoint.write(to: small)
    let name = "model.decoder.embed_tokens.weight"
    let rowCount = 1 << 24
    checkpoint.configuration["vocab_size"] = .integer(rowCount)
    checkpoint.tensors[name] = nil
    var builder = SafetensorsBuilder()
    for (name, tensor) in checkpoint.tensors.sorted(by: { $0.key < $1.key }) {
      builder.add(name, shape: tensor.shape, values: tensor.values)
    }
    let byteCount = rowCount * 64 * 4
    let begin = builder.dataByteCount
    builder.setHeader(
      name,
      [
        "dtype": "F32", "shape": [.integer(rowCount), 64],
        "data_offsets": [.integer(begin), .integer(begin + byteCount)],
      ])
    let path = try large.write(builder.bytes, to: "model.safetensors")
    let wholeByteCount = builder.bytes.count + byteCount
    let hole = try FileHandle(forWritingTo: URL(filePath: path))
    try hole.truncate(atOffset: UInt64(wholeByteCount))
    try hole.close()
    _ = try large.write(JSON.object(checkpoint.configuration).text.utf8, to: "config.json")

    let (smallSeconds, largeSeconds) = try (
      shortestSeconds(small.path), shortestSeconds(large.path)
    )
    #expect(largeSeconds < 2 * smallSeconds + 0.02, "\(largeSeconds) s, \(smallSeconds) s")
    let file = try MappedFile(path: path)
    #expect(file.byteCount == wholeByteCount)
    #expect(try residentByteCount(path) < 16 << 20)
  }

  /// Bytes of a file that the system holds in memory.
  private func residentByteCount(_ path: String) throws -> Int {
    let descriptor = unsafe open(path, O_RDONLY)
    defer { close(descriptor) }
    let byteCount = Int(lseek(descriptor, 0, SEEK_END))
    let pageByteCount = 4096
    let mapping = unsafe mmap(nil, byteCount, PROT_READ, MAP_PRIVATE, descriptor, 0)
    var pages = [UInt8](repeating: 0, count: (byteCount + pageByteCount - 1) / pageByteCount)
    let status = unsafe mincore(mapping, byteCount, &pages)
    try #require(status == 0)
    unsafe munmap(mapping, byteCount)
    return pages.count { $0 & 1 == 1 } * pageByteCount
  }
}
