// What is printed of an answer: text as it comes, classes by name, or ids.

import Arguments
import Bytes
import Foundation
import Models
import OnlineRuntime
import Tokenization

/// The text of one answer, as its tokens come.
struct AnswerText {
  private let questions: Questions
  /// Nil where text is decoded in one piece at the end.
  private var stream: AnswerStream?
  /// Whether an end token or a text that ends answers has come.
  private(set) var isOver = false

  init(_ questions: Questions) {
    self.questions = questions
    if case .exact(let tokenizer) = questions.codec {
      stream = AnswerStream(tokenizer, endings: questions.endings)
    }
  }

  /// What `token` lets be shown.
  mutating func append(_ token: Int) -> String {
    // What ends an answer is no part of it.
    if questions.ends.contains(token) {
      isOver = true
      return ""
    }
    guard stream != nil else { return "" }
    defer { isOver = stream?.isOver ?? false }
    return stream?.append(token) ?? ""
  }

  /// What is left to be shown of the answer `tokens`, all of which were appended.
  mutating func finish(_ tokens: [Int]) throws(InputError) -> String {
    if stream != nil {
      defer { isOver = isOver || stream?.isOver ?? false }
      return stream?.finish() ?? ""
    }
    let shown = isOver ? tokens.dropLast() : tokens[...]
    guard let codec = questions.codec, !shown.isEmpty else { return "" }
    return try codec.decode([Array(shown)], source: "the answer")[0]
  }
}

/// Prints one answer as its tokens come.
struct AnswerPrinter {
  private let questions: Questions
  private let console: Console
  /// Whether text is printed as it comes.
  private let streams: Bool
  private var answer: AnswerText
  private var text = ""
  private(set) var hasPrinted = false

  init(_ questions: Questions, console: Console, isJSON: Bool) {
    self.questions = questions
    self.console = console
    answer = AnswerText(questions)
    streams = !isJSON
  }

  /// Takes a token; true where it ends the answer.
  mutating func append(_ token: Int) -> Bool {
    write(answer.append(token))
    return answer.isOver
  }

  private mutating func write(_ piece: String) {
    text += piece
    guard streams, !piece.isEmpty else { return }
    hasPrinted = true
    console.write(piece)
  }

  /// The whole text of a decoder's answer; nil where ids were asked for.
  mutating func finish(_ tokens: [Int]) throws(InputError) -> String? {
    guard questions.codec != nil else { return nil }
    write(try answer.finish(tokens))
    return text
  }
}

/// Names of classes, and whether several may hold, as `config.json` says.
struct ClassNames {
  private var names: [Int: String] = [:]
  private var areIndependent = false
  private var isRegression = false

  init(folder: String?) {
    guard let folder,
      case .object(let members)? = try? JSON.read("\(folder)/config.json", dialect: .python)
    else { return }
    if case .object(let labels)? = members["id2label"] {
      for (key, value) in labels {
        if let id = Int(key), case .string(let name) = value { names[id] = name }
      }
    }
    areIndependent = members["problem_type"] == "multi_label_classification"
    isRegression = members["problem_type"] == "regression"
  }

  func name(_ id: Int) -> String { names[id] ?? "class \(id)" }

  /// Each class with its probability, the likeliest first; the value of a regression.
  func text(_ scores: [Float]) -> String {
    guard scores.count > 1, !isRegression else {
      return scores.map { Quantity.decimal(Double($0), fractionDigits: 4) }
        .joined(separator: " ")
    }
    return probabilities(scores).enumerated().sorted {
      ($1.element, $0.offset) < ($0.element, $1.offset)
    }
    .map { "\(name($0.offset)) \(Quantity.decimal($0.element, fractionDigits: 4))" }
    .joined(separator: "\n")
  }

  /// e^(score - largest) / sum of these; or each by itself, 1 / (1 + e^-score).
  func probabilities(_ scores: [Float]) -> [Double] {
    if areIndependent { return scores.map { 1 / (1 + exp(-Double($0))) } }
    let largest = Double(scores.max() ?? 0)
    let powers = scores.map { exp(Double($0) - largest) }
    let sum = powers.reduce(0, +)
    return powers.map { $0 / sum }
  }
}
