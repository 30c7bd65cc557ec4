// Quantised checkpoints are refused in one sentence that names the program; others are not.

import Bytes
import Checkpoints
import Models
import TestSupport
import Testing

@Suite struct QuantisationTests {
  private let folder: ScratchFolder

  init() throws { folder = try ScratchFolder() }

  /// A tiny LLaMA whose projections have other types or companions.
  private func write(
    type: String, ending: String, companions: [(ending: String, type: String)] = [],
    settings: [String: JSON] = [:], files: [String: String] = [:]
  ) throws {
    let checkpoint = TinyCheckpoint.llama(layerCount: 1)
    let configuration = checkpoint.configuration.merging(settings) { $1 }
    _ = try folder.write(JSON.object(configuration).text.utf8, to: "config.json")
    var builder = SafetensorsBuilder()
    for (name, tensor) in checkpoint.tensors.sorted(by: { $0.key < $1.key }) {
      guard name.hasSuffix("_proj.weight") else {
        builder.add(name, shape: tensor.shape, values: tensor.values)
        continue
      }
      let stem = name.dropLast(".weight".count)
      for (ending, type) in [(ending, type)] + companions {
        builder.add(stem + ending, type: type, shape: [4], bytes: bytes(type))
      }
    }
    _ = try folder.write(builder.bytes, to: "model.safetensors")
    for (name, text) in files { _ = try folder.write(text.utf8, to: name) }
  }

  /// Four elements.
  private func bytes(_ type: String) -> [UInt8] {
    let bits = ["F32": 32, "I32": 32, "U32": 32, "F16": 16, "F4": 4, "F6_E2M3": 6, "I8": 8]
    return [UInt8](repeating: 0, count: 4 * (bits[type] ?? 8) / 8)
  }

  private func refusal() throws -> InputError {
    try #require(
      #expect(throws: InputError.self) { try ModelLoader.load(path: folder.path) })
  }

  @Test func everyProgramIsNamed() throws {
    let gptq: [(String, String)] = [(".qzeros", "I32"), (".scales", "F16"), (".g_idx", "I32")]
    try write(type: "I32", ending: ".qweight", companions: gptq)
    let error = try refusal()
    #expect(
      error.description
        == "\(folder.file("model.safetensors")): the weights are quantised by GPTQ, which is not "
        + "read: 7 tensors, model.layers.0.mlp.down_proj.qweight, "
        + "model.layers.0.mlp.gate_proj.qweight, model.layers.0.mlp.up_proj.qweight, ...")
    #expect(error.details.count == 7)
    #expect(error.hint.contains("F32, F16 or BF16"))

    for (method, name) in [("awq", "AWQ"), ("gptq", "GPTQ"), ("new", "new")] {
      try write(
        type: "I32", ending: ".qweight", companions: [(".scales", "F16")],
        settings: ["quantization_config": ["quant_method": .string(method), "bits": 4]])
      #expect(try refusal().cause.hasPrefix("the weights are quantised by \(name) (4 bits), "))
    }
    try write(
      type: "U8", ending: ".weight", companions: [(".weight.absmax", "F32")],
      settings: ["quantization_config": ["load_in_4bit": true]])
    #expect(try refusal().cause.contains("bitsandbytes (4 bits)"))
    try write(type: "I8", ending: ".weight", companions: [(".SCB", "F32")])
    #expect(try refusal().cause.contains("bitsandbytes, which is not read: 7 tensors"))
    try write(type: "F8_E5M2", ending: ".weight")
    #expect(try refusal().cause.contains("FP8, which is not read: 7 tensors"))
    try write(
      type: "U32", ending: ".weight", companions: [(".scales", "F16"), (".biases", "F16")],
      settings: ["quantization": ["group_size": 64, "bits": 8]])
    #expect(try refusal().cause.contains("MLX (8 bits), which is not read: 7 tensors"))
    try write(type: "I32", ending: ".weight_packed", companions: [(".weight_scale", "F16")])
    #expect(try refusal().cause.contains("compressed-tensors"))
  }

  /// Settings in a file of their own count where the weights are packed.
  @Test func settingsBesideTheWeightsAreRead() throws {
    try write(
      type: "I32", ending: ".qweight",
      files: ["quantize_config.json": "\u{feff}{\"bits\": 3, \"damp\": NaN}"])
    #expect(try refusal().cause.contains("(3 bits)"))
    let path = try TinyCheckpoint.llama().write(to: folder)
    #expect(try ModelLoader.load(path: path).notices == [])
  }

  /// Types that are described only are listed with the rest, whatever stands there.
  @Test(arguments: ["F4", "F6_E2M3", "U8"]) func typesThatAreNotReadAreListed(type: String) throws {
    try write(type: type, ending: ".codes")
    let source = try Safetensors(path: folder.file("model.safetensors"))
    #expect(source.tensors.count { $0.type.rawValue == type } == 7)
    let text = try refusal().description
    #expect(text.contains("14 problems: 7 times \"is missing\""), "\(text)")
  }
}
