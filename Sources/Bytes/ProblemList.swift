// Collects everything that is wrong with a file, so that one error tells all of it.

/// Problems in the order they were found; many are told by their causes, a few of each by name.
public struct ProblemList: Equatable, Sendable {
  /// Problems, or causes of problems, that one error spells out.
  public static let shownCount = 10
  /// Places that are named for one cause.
  private static let namedCount = 3

  private struct Problem: Equatable, Sendable {
    /// Where it is, such as the name of a tensor; empty where the cause says so.
    var subject: String
    var cause: String
  }

  private var problems: [Problem] = []

  public init() {}

  public var isEmpty: Bool { problems.isEmpty }

  public mutating func add(_ problem: String) { add("", problem) }

  /// - Parameter cause: What is said after `subject`, such as " is missing" or ": is no tensor".
  public mutating func add(_ subject: String, _ cause: String) {
    problems.append(Problem(subject: subject, cause: cause))
  }

  /// One error, on one line, with every problem in its `details`; nil where there is none.
  public func error(source: String, hint: String = "") -> InputError? {
    guard let first = problems.first else { return nil }
    let texts = problems.map { $0.subject + $0.cause }
    guard texts.count > 1 else {
      return InputError(source, first.subject + first.cause, hint: hint)
    }
    var error = InputError(source, "\(texts.count) problems: \(summary(texts))", hint: hint)
    error.details = texts
    return error
  }

  /// Throws the error, where there is a problem.
  public func check(source: String, hint: String = "") throws(InputError) {
    if let error = error(source: source, hint: hint) { throw error }
  }

  private func summary(_ texts: [String]) -> String {
    guard texts.count > ProblemList.shownCount else { return texts.joined(separator: "; ") }
    var order: [String] = []
    var groups: [String: [Int]] = [:]
    for (index, problem) in problems.enumerated() {
      let key = problem.subject.isEmpty ? problem.cause : ProblemList.pattern(problem.cause)
      if groups[key] == nil { order.append(key) }
      groups[key, default: []].append(index)
    }
    let shown = order.prefix(ProblemList.shownCount).map { key in
      let members = groups[key] ?? []
      guard let first = members.first, members.count > 1 else {
        return members.first.map { texts[$0] } ?? ""
      }
      let names = members.prefix(ProblemList.namedCount).map { problems[$0].subject }
      let cause = problems[first].cause.drop { $0 == ":" || $0 == " " }
      return "\(members.count) times \"\(cause)\": \(names.joined(separator: ", "))"
        + (members.count > names.count ? ", ..." : "")
    }
    let hidden = order.dropFirst(ProblemList.shownCount).reduce(0) {
      $0 + (groups[$1]?.count ?? 0)
    }
    return shown.joined(separator: "; ") + (hidden > 0 ? "; and \(hidden) more" : "")
  }

  /// `cause` with every number replaced, as layers and shapes differ in them.
  private static func pattern(_ cause: String) -> String {
    var result = ""
    var isInNumber = false
    for character in cause {
      if character.isASCII, character.isNumber {
        if !isInNumber { result.append("#") }
        isInNumber = true
      } else {
        result.append(character)
        isInNumber = false
      }
    }
    return result
  }
}
