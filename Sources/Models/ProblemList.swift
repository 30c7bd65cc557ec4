// Collects everything that is wrong with a checkpoint, so that one error tells all of it.

import Bytes

/// Problems in the order they were found; at most `maximumShownCount` of them are spelled out.
struct ProblemList {
  static let maximumShownCount = 100

  private(set) var problems: [String] = []

  var isEmpty: Bool { problems.isEmpty }

  mutating func add(_ problem: String) { problems.append(problem) }

  /// One error, on one line, or nil where there is no problem.
  func error(source: String) -> InputError? {
    guard let first = problems.first else { return nil }
    guard problems.count > 1 else { return InputError(source, first) }
    let shown = problems.prefix(ProblemList.maximumShownCount).joined(separator: "; ")
    let hidden = problems.count - ProblemList.maximumShownCount
    return InputError(
      source, "\(problems.count) problems: \(shown)" + (hidden > 0 ? "; and \(hidden) more" : ""))
  }
}
