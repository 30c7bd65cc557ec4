// Token files: a JSON array of token ids, or an array of such arrays.

/// Reads token ids as tokenizers write them.
public enum TokenFile {
  /// Longest file that is read; ids take two to eight bytes each.
  public static let maximumByteCount = 256 << 20

  /// The token lists of the file at `path`; a plain array of ids is one list.
  /// - Throws: `InputError` for anything but ids in 0..<2^31, for no list and for an empty list.
  public static func read(_ path: String) throws(InputError) -> [[Int]] {
    let value = try JSON.read(path, atMost: maximumByteCount)
    guard case .array(let elements) = value else {
      throw InputError(path, "expected a JSON array of token ids, or an array of such arrays")
    }
    guard let first = elements.first else { throw InputError(path, "holds no tokens") }
    guard case .array = first else { return [try ids(elements, path: path, place: "")] }
    var lists: [[Int]] = []
    for (index, element) in elements.enumerated() {
      guard case .array(let list) = element else {
        throw InputError(path, place: "[\(index)]", "expected an array of token ids")
      }
      guard !list.isEmpty else { throw InputError(path, place: "[\(index)]", "holds no tokens") }
      lists.append(try ids(list, path: path, place: "[\(index)]"))
    }
    return lists
  }

  private static func ids(_ elements: [JSON], path: String, place: String) throws(InputError)
    -> [Int]
  {
    var result: [Int] = []
    result.reserveCapacity(elements.count)
    for (index, element) in elements.enumerated() {
      guard case .integer(let id) = element, (0...Int(Int32.max)).contains(id) else {
        throw InputError(
          path, place: "\(place)[\(index)]", "expected a token id, an integer from 0 to 2147483647")
      }
      result.append(id)
    }
    return result
  }
}

extension JSON {
  /// Reads the file at `path`, refused where it is longer than `limit` bytes, as one JSON value.
  public static func read(
    _ path: String, atMost limit: Int = 16 << 20, valueLimit: Int = .max,
    dialect: Dialect = .strict
  ) throws(InputError) -> JSON {
    try parse(
      MappedFile(path: path).allBytes(atMost: limit), source: path, valueLimit: valueLimit,
      dialect: dialect)
  }
}
