// Suggestions for misspelt names.

import Foundation

/// The candidate nearest to `name` by edit distance, or nil when none is near enough to be meant.
public func nearestName(to name: String, among candidates: [String]) -> String? {
  let limit = max(1, min(3, name.count / 2))
  let ranked = candidates.map { ($0, editDistance(name, $0)) }.min { $0.1 < $1.1 }
  if let ranked, ranked.1 <= limit { return ranked.0 }
  return candidates.filter { !name.isEmpty && $0.hasPrefix(name) }.min()
}

/// A hint with the path that may be meant by `path`, of which some folder or the file is not there;
/// empty where there is none like it.
public func nearestPathHint(to path: String) -> String {
  var missing = FilePaths.withoutTrailingSlashes(path)
  while !FilePaths.exists(FilePaths.folder(of: missing)) { missing = FilePaths.folder(of: missing) }
  let folder = FilePaths.folder(of: missing)
  let name = FilePaths.lastComponent(of: missing)
  guard !name.isEmpty, name.utf8.count <= Int(NAME_MAX), !FilePaths.exists(missing),
    let names = try? FileManager.default.contentsOfDirectory(atPath: folder), names.count <= 10_000,
    // What differs in its number is another of its kind.
    let nearest = nearestName(
      to: name,
      among: names.filter { withoutDigits($0) != withoutDigits(name) && !isBeside(name, $0) }
        .sorted())
  else { return "" }
  let start = "\(missing.dropLast(name.count))\(nearest)"
  let meant = "\(start)\(path.dropFirst(missing.count))"
  if FilePaths.exists(meant) { return "did you mean \(meant)?" }
  // What is to be in that folder may be misspelt as well, or is not there yet.
  let deeper = FilePaths.isFolder(start) ? nearestPathHint(to: meant) : ""
  return deeper.isEmpty ? "did you mean the folder \(start)?" : deeper
}

/// Whether `other` is a file that belongs to the one called `name`, as a signature does, and cannot stand
/// in its place.
private func isBeside(_ name: String, _ other: String) -> Bool {
  other.hasSuffix(".sig") && !name.contains(".sig") || other == "\(name).ledger"
}

private func withoutDigits(_ name: String) -> String {
  name.filter { !($0.isASCII && $0.isNumber) }
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
