// Recognises checkpoints whose weights other programs packed into few bits, which are not read.

import Bytes
import Checkpoints

/// Which program quantised a checkpoint, by its settings and by names and types of its tensors.
struct Quantisation {
  private var method: String
  /// Packed weights, sorted.
  private var names: [String]
  private var bits: Int?

  /// Settings that GPTQ and AWQ keep in a file of their own.
  private static let settingsFiles = ["quantize_config.json": "GPTQ", "quant_config.json": "AWQ"]

  /// `quant_method` by the name that people know.
  private static let methods = [
    "gptq": "GPTQ", "awq": "AWQ", "bitsandbytes": "bitsandbytes", "fp8": "FP8", "fbgemm_fp8": "FP8",
    "compressed-tensors": "compressed-tensors", "mxfp4": "MXFP4", "hqq": "HQQ", "quanto": "quanto",
    "torchao": "torchao", "aqlm": "AQLM", "eetq": "EETQ",
  ]

  /// - Throws: one `InputError` that names the program and every packed tensor.
  static func check(_ checkpoint: Checkpoint) throws(InputError) {
    guard let found = Quantisation(checkpoint) else { return }
    let bits = found.bits.map { " (\($0) bits)" } ?? ""
    let shown = found.names.prefix(3).joined(separator: ", ")
    var error = InputError(
      checkpoint.source.path,
      "the weights are quantised by \(found.method)\(bits), which is not read"
        + (found.names.isEmpty
          ? "" : ": \(found.names.count) tensors, \(shown)\(found.names.count > 3 ? ", ..." : "")"),
      hint: "take the checkpoint that was quantised, in F32, F16 or BF16, or dequantise this one")
    error.details = found.names
    throw error
  }

  /// nil for a checkpoint that is not quantised, or in a way that is read.
  private init?(_ checkpoint: Checkpoint) {
    guard !checkpoint.source.formatName.hasPrefix("GGUF") else { return nil }
    guard case .object(let settings) = checkpoint.configuration else { return nil }
    let tensors = checkpoint.tensors
    names = tensors.filter(Quantisation.isPacked).map(\.name)
    var stated: [String: JSON] = [:]
    for key in ["quantization", "quantization_config"] {
      if case .object(let members)? = settings[key] { stated.merge(members) { $1 } }
    }
    let folder = FilePaths.folder(of: checkpoint.configurationPath)
    var file: String?
    for (name, method) in Quantisation.settingsFiles.sorted(by: { $0.key < $1.key })
    where FilePaths.exists("\(folder)/\(name)") {
      file = method
      let content = try? JSON.read(
        "\(folder)/\(name)", valueLimit: JSON.maximumUntrustedValueCount, dialect: .python)
      if case .object(let members)? = content { stated.merge(members) { first, _ in first } }
    }
    if case .integer(let bits)? = stated["bits"] ?? stated["w_bit"] { self.bits = bits }
    for (key, bits) in [("load_in_4bit", 4), ("load_in_8bit", 8)] where stated[key] == true {
      self.bits = bits
    }
    var named: String?
    if case .string(let method)? = stated["quant_method"] {
      named = Quantisation.methods[method] ?? method
    } else if stated["load_in_4bit"] != nil || stated["load_in_8bit"] != nil {
      named = "bitsandbytes"
    } else if settings["quantization"] ?? .null != .null {
      named = "MLX"
    }
    // Settings beside weights in float, as in a copy of another's folder, are no sign by themselves.
    let shown = Quantisation.method(of: tensors)
    guard let method = named ?? shown ?? (names.isEmpty ? nil : file) else { return nil }
    self.method = method
  }

  /// Parts that stand beside or in place of a weight, and who writes them.
  private static let marks: [(ending: String, method: String)] = [
    (".g_idx", "GPTQ"), (".qweight", "AWQ or GPTQ"), (".weight_packed", "compressed-tensors"),
    (".quant_state.bitsandbytes__nf4", "bitsandbytes"),
    (".quant_state.bitsandbytes__fp4", "bitsandbytes"), (".absmax", "bitsandbytes"),
    (".SCB", "bitsandbytes"), (".weight_scale_inv", "FP8"), (".W_q", "HQQ"),
  ]

  private static func method(of tensors: [TensorDescription]) -> String? {
    for mark in marks where tensors.contains(where: { $0.name.hasSuffix(mark.ending) }) {
      return mark.method
    }
    if tensors.contains(where: { $0.type.isEightBitFloat }) { return "FP8" }
    if tensors.contains(where: { $0.type == .uint32 && $0.name.hasSuffix(".weight") }) {
      return "MLX"
    }
    return nil
  }

  private static func isPacked(_ tensor: TensorDescription) -> Bool {
    if [".qweight", ".weight_packed", ".W_q"].contains(where: tensor.name.hasSuffix) {
      return true
    }
    guard tensor.name.hasSuffix(".weight") else { return false }
    switch tensor.type {
    case .uint32, .uint8, .int8, .int32: return true
    default: return tensor.type.isEightBitFloat
    }
  }
}
