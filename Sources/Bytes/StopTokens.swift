// Tokens at which generation ends, as people state them: ids, or a model's own settings.

/// Reads end tokens.
public enum StopTokens {
  /// Names of settings that hold them, in the order of preference, in a model's folder.
  private static let fileNames = ["generation_config.json", "config.json"]
  private static let key = "eos_token_id"

  /// The ids in `text`, such as "2" or "43,47"; or `eos_token_id`, an id or several, of the JSON
  /// file or of the folder that it names.
  /// - Throws: `InputError` for a file without such ids.
  public static func read(_ text: String) throws(InputError) -> Set<Int> {
    let parts = text.split(separator: ",", omittingEmptySubsequences: false)
    let ids = parts.compactMap { Int($0) }
    if ids.count == parts.count {
      guard ids.allSatisfy({ $0 >= 0 }) else {
        throw InputError(text, "a token id is not negative")
      }
      return Set(ids)
    }
    var path = FilePaths.withoutTrailingSlashes(text)
    if FilePaths.isFolder(path) {
      let candidates = fileNames.map { "\(path)/\($0)" }
      path = candidates.first(where: FilePaths.exists) ?? candidates[0]
    }
    let value = try JSON.read(
      path, valueLimit: JSON.maximumUntrustedValueCount, dialect: .python)
    var reader = try JSONReader(value, source: path)
    let found: [JSON]
    switch try reader.value(key) {
    case .array(let elements): found = elements
    case let element: found = [element]
    }
    var result: Set<Int> = []
    for element in found {
      guard case .integer(let id) = element, id >= 0 else {
        throw reader.failure(key, "expected a token id, or several")
      }
      result.insert(id)
    }
    guard !result.isEmpty else { throw reader.failure(key, "holds no token id") }
    return result
  }
}
