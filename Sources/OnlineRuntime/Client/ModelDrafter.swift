// Guesses of a plaintext model that the client holds.

public import Bytes
import Foundation
public import Models

/// Proposes what a model would say, greedily, for as long as it is sure.
///
/// A guess whose probability in that model is below `leastProbability` ends the proposal: a wrong one
/// costs a row of the session.
public struct ModelDrafter: Drafter {
  /// What `leastProbability` is unless it is said.
  public static let usualProbability = 0.1

  private var text: GrowingText
  private let leastProbability: Double

  /// - Parameter interpreter: Of a decoder with the vocabulary of the model whose tokens are guessed.
  public init(_ interpreter: FloatInterpreter, leastProbability: Double = usualProbability) {
    text = GrowingText(interpreter)
    self.leastProbability = leastProbability
  }

  /// Throws where the tokens of `model` cannot be those of a model with `vocabularySize` of them.
  public static func check(_ model: Model, vocabularySize: Int, source: String) throws(InputError) {
    guard model.kind == .decoder, model.output == .logits else {
      throw InputError(source, "does not say what comes next", hint: "give a decoder to --draft")
    }
    guard model.vocabularySize == vocabularySize else {
      throw InputError(
        source,
        "has a vocabulary of \(model.vocabularySize), the parties' model one of \(vocabularySize)",
        hint: "guesses need a model with the same tokenizer")
    }
  }

  /// Guesses end as well where that model has no more positions, or cannot be read any more.
  public mutating func draft(after said: [Int], most: Int) -> [Int] {
    var drafted: [Int] = []
    while drafted.count < most, let logits = try? text.lastRow(of: said + drafted) {
      guard let token = logits.indices.max(by: { logits[$0] < logits[$1] }) else { break }
      let sum = logits.reduce(0.0) { $0 + exp(Double($1) - Double(logits[token])) }
      guard 1 / sum >= leastProbability else { break }
      drafted.append(token)
    }
    return drafted
  }
}
