// Suggestions for misspelt names.

/// The candidate nearest to `name` by edit distance, or nil when none is near enough to be meant.
public func nearestName(to name: String, among candidates: [String]) -> String? {
  let limit = max(1, min(3, name.count / 2))
  let ranked = candidates.map { ($0, editDistance(name, $0)) }.min { $0.1 < $1.1 }
  if let ranked, ranked.1 <= limit { return ranked.0 }
  return candidates.filter { !name.isEmpty && $0.hasPrefix(name) }.min()
}

/// Levenshtein distance in characters, O(m n).
private func editDistance(_ first: String, _ second: String) -> Int {
  let target = Array(second)
  var row = Array(0...target.count)
  for (index, character) in first.enumerated() {
    var diagonal = row[0]
    row[0] = index + 1
    for column in target.indices {
      let substitution = diagonal + (character == target[column] ? 0 : 1)
      diagonal = row[column + 1]
      row[column + 1] = min(substitution, row[column] + 1, row[column + 1] + 1)
    }
  }
  return row[target.count]
}
