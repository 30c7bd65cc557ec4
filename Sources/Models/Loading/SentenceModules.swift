// How a sentence-transformers folder makes one vector of the token states: modules.json.

import Bytes
import Checkpoints

/// Pooling and normalisation behind an encoder, as the files beside config.json state them.
struct SentenceModules {
  static let fileName = SentenceFolder.modulesFileName

  private let pooling: RowPooling
  /// Whether the vector is divided by its Euclidean length.
  private let hasUnitLength: Bool
  /// Width of the states that are pooled, where it is stated.
  private let width: Int?
  private let poolingPath: String

  var head: HeadDescription {
    HeadDescription(output: .embedding, pooling: pooling, hasUnitLength: hasUnitLength)
  }

  /// What to say where `checkpoint` states how to make one vector of a text, and it is not made.
  static func notice(for checkpoint: Checkpoint) -> String? {
    let owner: String
    if FilePaths.exists(place(checkpoint.configurationPath).path) {
      owner = fileName
    } else if pooling(of: checkpoint.configuration) != nil {
      owner = "\(modeKey) of the metadata"
    } else {
      return nil
    }
    return "\(owner) makes one vector of a text, \"--output embedding\" does so: the output is "
      + ModelOutput.states.title
  }

  /// The path of modules.json, and the folder beside it that holds config.json, empty for none: it
  /// may stand one folder above.
  private static func place(_ configurationPath: String) -> (path: String, transformer: String) {
    let folder = FilePaths.folder(of: configurationPath)
    let path = "\(folder)/\(fileName)"
    let name = FilePaths.lastComponent(of: folder)
    let outer = FilePaths.folder(of: folder)
    guard !FilePaths.exists(path), outer != folder,
      SentenceFolder.transformerName(in: outer) == name
    else { return (path, "") }
    return ("\(outer)/\(fileName)", name)
  }

  /// The pooling that the metadata of a GGUF file state, which know of no normalisation.
  private static func pooling(of configuration: JSON) -> RowPooling? {
    guard case .object(let members) = configuration, case .string(let mode)? = members[modeKey]
    else { return nil }
    return known[mode]
  }

  /// What the files beside the configuration say, or else what GGUF metadata do.
  /// - Throws: as `init(beside:)` does.
  init(_ checkpoint: Checkpoint) throws(InputError) {
    let (path, _) = SentenceModules.place(checkpoint.configurationPath)
    guard !FilePaths.exists(path),
      let pooling = SentenceModules.pooling(of: checkpoint.configuration)
    else {
      try self.init(beside: checkpoint.configurationPath)
      return
    }
    self.init(
      pooling: pooling, hasUnitLength: false, width: nil, poolingPath: checkpoint.configurationPath)
  }

  private init(pooling: RowPooling, hasUnitLength: Bool, width: Int?, poolingPath: String) {
    self.pooling = pooling
    self.hasUnitLength = hasUnitLength
    self.width = width
    self.poolingPath = poolingPath
  }

  /// - Throws: `InputError` where a file is absent or malformed, or names a module or a setting that
  ///   is not implemented.
  private init(beside configurationPath: String) throws(InputError) {
    let (path, transformer) = SentenceModules.place(configurationPath)
    guard FilePaths.exists(path) else {
      throw InputError(
        path,
        "is missing: the output \"embedding\" is what a sentence-transformers folder states")
    }
    let value = try JSON.read(path, valueLimit: JSON.maximumUntrustedValueCount)
    guard case .array(let modules) = value else { throw InputError(path, "expected a JSON array") }
    let base = FilePaths.folder(of: path)
    var poolingPath: String?
    var hasUnitLength = false
    for (index, module) in modules.enumerated() {
      var reader = try JSONReader(module, source: path, place: "[\(index)]")
      let type = try reader.string("type")
      let folder = try reader.string("path")
      guard !folder.contains("/"), folder != ".." else {
        throw reader.failure(
          "path", "\(JSON.string(folder).text) is no folder beside \(SentenceModules.fileName)")
      }
      switch type.split(separator: ".").last ?? "" {
      case "Transformer" where index == 0 && folder == transformer: break
      // Changes nothing outside training.
      case "Dropout" where index > 0: break
      case "Pooling" where poolingPath == nil && index > 0:
        poolingPath = "\(base)/\(folder)/\(Checkpoint.configurationFileName)"
      case "Normalize" where poolingPath != nil: hasUnitLength = true
      default:
        throw reader.failure(
          "type",
          "\(JSON.string(type).text) is not implemented here, only a Transformer, a Pooling and "
            + "perhaps a Normalize are")
      }
    }
    guard let poolingPath else { throw InputError(path, "has no Pooling after the Transformer") }
    let (pooling, width) = try SentenceModules.pooling(poolingPath)
    self.init(
      pooling: pooling, hasUnitLength: hasUnitLength, width: width, poolingPath: poolingPath)
  }

  /// Throws where what is pooled is not as wide as the files say.
  func check(_ model: Model) throws(InputError) {
    guard let width, let output = model.nodes.last?.width, width != output else { return }
    throw InputError(
      poolingPath, "pools states of \(width) elements, those of the model have \(output)")
  }

  private static func pooling(_ path: String) throws(InputError) -> (mode: RowPooling, width: Int?)
  {
    var reader = try JSONReader(
      JSON.read(path, valueLimit: JSON.maximumUntrustedValueCount), source: path)
    let includesPrompt =
      reader.contains("include_prompt") ? try reader.bool("include_prompt") : true
    guard includesPrompt else {
      throw reader.failure("include_prompt", "false is not implemented, only true is")
    }
    var modes: [String] = []
    if let mode = try reader.optionalString(modeKey) {
      modes = [mode]
    } else {
      for (key, name) in keys
      where try reader.contains(key) ? reader.bool(key) : name == "mean" {
        modes.append(name)
      }
    }
    guard modes.count == 1, let mode = known[modes[0]] else {
      throw reader.failure(
        modeKey,
        (modes.isEmpty ? "none" : modes.joined(separator: " and "))
          + " is not implemented, only mean and cls are")
    }
    let widthKey =
      reader.contains("word_embedding_dimension")
      ? "word_embedding_dimension" : "embedding_dimension"
    let width = reader.contains(widthKey) ? try reader.integer(widthKey) : nil
    return (mode, width)
  }

  private static let modeKey = "pooling_mode"
  private static let known: [String: RowPooling] = ["mean": .mean, "cls": .first]
  /// What the keys of true or false stand for.
  private static let keys: KeyValuePairs<String, String> = [
    "pooling_mode_cls_token": "cls", "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max", "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len",
    "pooling_mode_weightedmean_tokens": "weightedmean", "pooling_mode_lasttoken": "lasttoken",
  ]
}
