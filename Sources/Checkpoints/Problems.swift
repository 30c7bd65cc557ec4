// Collects what is wrong with a file, so that one error tells all of it.

import Bytes

/// Problems in the order they were found; at most `maximumShownCount` are spelled out.
struct Problems {
  static let maximumShownCount = 100

  private var shown: [String] = []
  private var count = 0

  mutating func add(_ problem: String) {
    count += 1
    if count <= Problems.maximumShownCount { shown.append(problem) }
  }

  /// Throws one error, on one line, where there is a problem.
  func check(source: String, hint: String = "") throws(InputError) {
    guard let first = shown.first else { return }
    guard count > 1 else { throw InputError(source, first, hint: hint) }
    let hidden = count - shown.count
    throw InputError(
      source,
      "\(count) problems: \(shown.joined(separator: "; "))"
        + (hidden > 0 ? "; and \(hidden) more" : ""), hint: hint)
  }
}
