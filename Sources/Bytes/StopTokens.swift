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
    let path = FilePaths.withoutTrailingSlashes(text)
    guard FilePaths.isFolder(path) else { return try tokens(in: settings(path), path) }
    let candidates = fileNames.map { "\(path)/\($0)" }
    let present = candidates.filter(FilePaths.exists)
    // A file that says nothing of them leaves it to the next.
    for candidate in present.dropLast() {
      let value = try settings(candidate)
      guard case .object(let members) = value, members[key] ?? .null == .null else {
        return try tokens(in: value, candidate)
      }
    }
    let last = present.last ?? candidates[0]
    return try tokens(in: settings(last), last)
  }

  private static func settings(_ path: String) throws(InputError) -> JSON {
    try JSON.read(path, valueLimit: JSON.maximumUntrustedValueCount, dialect: .python)
  }

  /// Throws where `stop`, given as `--stop`, has tokens but none in a vocabulary of so many: a model's
  /// settings may name some that it does not have.
  public static func check(_ stop: Set<Int>, vocabularySize: Int) throws(InputError) {
    guard let token = stop.min(), token >= vocabularySize else { return }
    throw InputError("--stop", "token \(token) is outside the vocabulary of \(vocabularySize)")
  }

  private static func tokens(in value: JSON, _ path: String) throws(InputError) -> Set<Int> {
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
