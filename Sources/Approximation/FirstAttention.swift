// Any two tokens in the first attention, whose scores are those of tokens and places alone.

import Bytes
import Models

extension Calibration {
  /// Tokens that are tried with each other.
  private static let pairTokenCount = 1024

  /// Computes the largest scores of any two tokens in the first attention.
  ///
  /// A head of the first layer may look for one kind of token, say bytes of letters that no text
  /// has, and text without them gives nothing near its scores. In later layers values of many tokens
  /// are mixed, and the room beyond what text gave has been enough.
  ///
  /// - Throws: `InputError` where a weight cannot be read, and for scores that are not finite.
  mutating func includeFirstAttention(_ interpreter: FloatInterpreter, source: String)
    throws(InputError)
  {
    let model = interpreter.model
    let markers = model.contextMarkers
    let tokens = (0..<model.vocabularySize).filter {
      $0 != markers?.startToken && markers?.maskTokens.contains($0) != true
    }
    let tried = EarlyLayers.chosen(tokens, count: Calibration.pairTokenCount)
    guard let node = model.firstAttention,
      case let scores = try interpreter.largestFirstScores(of: tried), !scores.isEmpty
    else { return }
    let name = model.nodes[node].name
    guard scores.allSatisfy(\.isFinite) else {
      throw InputError(source, place: name, "scores of two tokens are not finite")
    }
    include(pairScores: scores, node: name)
  }
}
