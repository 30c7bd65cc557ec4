// Where query, key and value stand in one matrix, and gate and up in another.

/// The order of the rows of a matrix for query, key and value together.
struct FusedProjection {
  private let ranges: [[Range<Int>]]
  private let rowCount: Int

  /// All queries, then all keys, then all values.
  static func blocks(_ sizes: TransformerSizes) -> FusedProjection {
    let query = sizes.headCount * sizes.headWidth
    let key = sizes.keyHeadCount * sizes.headWidth
    return FusedProjection(
      ranges: [[0..<query], [query..<query + key], [query + key..<query + 2 * key]],
      rowCount: query + 2 * key)
  }

  /// For each key head the query heads that read it, then the key head, then its value; with as
  /// many key heads as query heads, for each head query, key and value.
  static func groups(_ sizes: TransformerSizes) -> FusedProjection {
    let (width, queries) = (sizes.headWidth, sizes.headCount / sizes.keyHeadCount)
    let group = (queries + 2) * width
    func rows(_ first: Int, _ count: Int) -> [Range<Int>] {
      (0..<sizes.keyHeadCount).map {
        $0 * group + first * width..<$0 * group + (first + count) * width
      }
    }
    return FusedProjection(
      ranges: [rows(0, queries), rows(queries, 1), rows(queries + 1, 1)],
      rowCount: sizes.keyHeadCount * group)
  }

  /// The linear layer `key` taken apart.
  func parts(_ key: String, bias: Bool = true) -> (
    query: LinearDescription, key: LinearDescription, value: LinearDescription
  ) {
    func part(_ index: Int) -> LinearDescription {
      LinearDescription(
        key, bias: bias, stored: .init(outputRanges: ranges[index], storedOutputs: rowCount))
    }
    return (part(0), part(1), part(2))
  }

  /// The two halves of the linear layer `key`, of `innerWidth` rows each.
  static func halves(_ key: String, bias: Bool, innerWidth: Int) -> (
    first: LinearDescription, second: LinearDescription
  ) {
    func part(_ index: Int) -> LinearDescription {
      LinearDescription(
        key, bias: bias,
        stored: .init(
          outputRanges: [index * innerWidth..<(index + 1) * innerWidth],
          storedOutputs: 2 * innerWidth))
    }
    return (part(0), part(1))
  }
}
