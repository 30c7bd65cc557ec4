// Where a model's answers end by its own settings.

public import Bytes

/// The tokens that end an answer.
public enum EndTokens {
  /// `eos_token_id` of `generation_config.json` or `config.json` in `folder`, else the id of
  /// `eos_token` of `tokenizer_config.json`; none where nothing says.
  public static func read(folder: String, codec: TextCodec) throws(InputError) -> Set<Int> {
    guard FilePaths.isFolder(folder) else { return [] }
    for name in ["generation_config.json", "config.json"] {
      let path = "\(folder)/\(name)"
      guard FilePaths.exists(path),
        case .object(let members) = try JSON.read(path, dialect: .python),
        let value = members["eos_token_id"], value != .null
      else { continue }
      return try StopTokens.read(path)
    }
    guard case .exact(let tokenizer) = codec, let token = try token("eos_token", folder: folder),
      let id = tokenizer.id(of: token)
    else { return [] }
    return [id]
  }

  /// A special token of `tokenizer_config.json`: a text, or an object with its `content`.
  static func token(_ key: String, folder: String) throws(InputError) -> String? {
    let path = "\(folder)/tokenizer_config.json"
    guard FilePaths.exists(path), case .object(let members) = try JSON.read(path, dialect: .python)
    else { return nil }
    switch members[key] {
    case .string(let text): return text
    case .object(let object):
      guard case .string(let text)? = object["content"] else { return nil }
      return text
    default: return nil
    }
  }
}
