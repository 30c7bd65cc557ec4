// adapter_config.json of peft: what a LoRA adapter does to the weights of a model.

import Bytes
import Checkpoints

/// How the rank-r updates of linear layers are scaled; all else that would change the model and is
/// not implemented is a fault (formulas: Hu et al. 2021, LoRA; Kalajdzievski 2023, rsLoRA).
struct AdapterSettings {
  /// alpha / r, or alpha / sqrt(r).
  private let isRankStabilised: Bool
  private let rank: Int
  private let alpha: Double
  /// By the ends of module names, in the file's order of preference.
  private let rankPatterns: [(key: String, value: Double)]
  private let alphaPatterns: [(key: String, value: Double)]

  /// Ends of the names of modules that are updated; empty where they are stated in another way.
  let targets: [String]
  /// The same of modules that are saved whole.
  let savedModules: [String]
  /// Whether only some of the modules with these names are updated.
  let restrictsTargets: Bool

  /// Keys whose values change nothing where an adapter is merged.
  private static let harmless: Set<String> = [
    "base_model_name_or_path", "revision", "task_type", "inference_mode", "auto_mapping",
    "peft_version", "lora_dropout", "target_modules", "exclude_modules", "layers_to_transform",
    "layers_pattern", "fan_in_fan_out", "loftq_config", "eva_config", "corda_config",
    "lora_ga_config", "qalora_group_size", "runtime_config", "megatron_core", "modules_to_save",
    "peft_type", "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "bias",
    "init_lora_weights",
  ]

  /// - Throws: one `InputError` with every setting that is not implemented.
  init(folder: String) throws(InputError) {
    let path = "\(folder)/\(AdapterFiles.configurationFileName)"
    let value = try JSON.read(
      path, valueLimit: JSON.maximumUntrustedValueCount, dialect: .python)
    guard case .object(let members) = value else {
      throw InputError(path, "expected a JSON object of settings")
    }
    var problems = ProblemList()
    func require(_ key: String, _ values: [JSON], fallback: JSON) {
      let value = members[key] ?? fallback
      if !values.contains(value) {
        let expected = values.map(\.text).joined(separator: " or ")
        problems.add("\(key): \(value.text) is not implemented, only \(expected) is")
      }
    }
    require("peft_type", ["LORA"], fallback: .null)
    require("bias", ["none"], fallback: "none")
    // Other ways to begin take something out of the weights of the base.
    require(
      "init_lora_weights", [true, false, .null, "gaussian", "eva", "orthogonal"], fallback: true)
    for (key, value) in members.sorted(by: { $0.key < $1.key })
    where !AdapterSettings.harmless.contains(key) {
      // Kinds of adapters are switched on by keys of their own.
      let isOff: [JSON] = [.null, false, .object([:]), .array([])]
      guard isOff.contains(value) else {
        problems.add("\(key): \(value.text.prefix(60)) is not implemented")
        continue
      }
    }
    rank = AdapterSettings.positive(members["r"]).flatMap { Int(exactly: $0) } ?? 0
    alpha = AdapterSettings.number(members["lora_alpha"]) ?? .nan
    if rank < 1 { problems.add("r: expected a positive integer") }
    if !alpha.isFinite { problems.add("lora_alpha: expected a number") }
    isRankStabilised = members["use_rslora"] == true
    require("use_rslora", [true, false, .null], fallback: false)
    rankPatterns = AdapterSettings.patterns("rank_pattern", members, &problems)
    alphaPatterns = AdapterSettings.patterns("alpha_pattern", members, &problems)
    targets = AdapterSettings.texts(members["target_modules"])
    savedModules = AdapterSettings.texts(members["modules_to_save"])
    restrictsTargets = ["layers_to_transform", "exclude_modules"].contains {
      members[$0] ?? .null != .null
    }
    try problems.check(source: path)
  }

  private static func texts(_ value: JSON?) -> [String] {
    guard case .array(let elements)? = value else { return [] }
    return elements.compactMap { if case .string(let text) = $0 { text } else { nil } }
  }

  private static func number(_ value: JSON?) -> Double? {
    switch value {
    case .integer(let integer): Double(integer)
    case .number(let number): number
    default: nil
    }
  }

  private static func positive(_ value: JSON?) -> Double? {
    number(value).flatMap { $0 > 0 ? $0 : nil }
  }

  /// Keys are regular expressions; of these only names, with "^" before them or not, are read.
  private static func patterns(
    _ key: String, _ members: [String: JSON], _ problems: inout ProblemList
  ) -> [(key: String, value: Double)] {
    guard let value = members[key], value != .null else { return [] }
    guard case .object(let entries) = value else {
      problems.add("\(key): expected an object of modules and numbers")
      return []
    }
    var result: [(key: String, value: Double)] = []
    for (pattern, value) in entries.sorted(by: { $0.key < $1.key }) {
      let name = pattern.hasPrefix("^") ? pattern.dropFirst() : pattern[...]
      let isName = name.allSatisfy {
        $0.isASCII && ($0.isLetter || $0.isNumber || "._".contains($0))
      }
      guard isName, !name.isEmpty, let number = number(value) else {
        problems.add("\(key): \"\(pattern)\" is not the name of a module with a number")
        continue
      }
      result.append((pattern, number))
    }
    return result
  }

  /// The first of `patterns` that stands for `module`.
  private static func value(_ patterns: [(key: String, value: Double)], for module: String)
    -> Double?
  {
    patterns.first { pattern in
      pattern.key.hasPrefix("^")
        ? module == pattern.key.dropFirst()
        : module == pattern.key || module.hasSuffix("." + pattern.key)
    }?.value
  }

  /// What B A is multiplied by for `module`, whose A has `rank` rows; nil where the settings say
  /// another rank.
  func scale(of module: String, rank: Int) -> Float? {
    let stated = AdapterSettings.value(rankPatterns, for: module) ?? Double(self.rank)
    guard stated == Double(rank) else { return nil }
    let alpha = AdapterSettings.value(alphaPatterns, for: module) ?? alpha
    return Float(alpha / (isRankStabilised ? Double(rank).squareRoot() : Double(rank)))
  }
}
