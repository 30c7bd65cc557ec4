// Tokens that no text has, in the first attention, whose scores are those of two tokens and places.

import Bytes
import Models

extension Calibration {
  /// Tokens that are tried, and how many of them the text may have.
  private static let firstTokenCount = (all: 1024, seen: 256)

  /// Widens what is known of the largest scores in the first attention, by head, until softmax has
  /// room for the largest of any two tokens.
  ///
  /// A head of the first layer may look for one kind of token, say bytes of letters that no text
  /// has, and text without them gives nothing near its scores. In later layers values of many tokens
  /// are mixed, and the room beyond what text gave has been enough.
  ///
  /// - Throws: `InputError` where a weight cannot be read.
  mutating func includeFirstAttention(_ interpreter: FloatInterpreter) throws(InputError) {
    let (all, most) = (0..<interpreter.model.vocabularySize, Calibration.firstTokenCount)
    let markers = interpreter.model.contextMarkers
    let tokens = all.filter {
      $0 != markers?.startToken && markers?.maskTokens.contains($0) != true
    }
    let others = EarlyLayers.chosen(
      tokens.filter { !seenTokens.contains($0) }, count: most.all - most.seen)
    let tried =
      others
      + EarlyLayers.chosen(tokens.filter(seenTokens.contains), count: most.all - others.count)
    guard !others.isEmpty,
      let largest = try interpreter.largestFirstScores(of: tried),
      largest.scores.allSatisfy(\.isFinite)
    else { return }
    let name = interpreter.model.nodes[largest.node].name
    guard let seen = rowMaxima[name], seen.count == largest.scores.count else { return }
    let widened = zip(seen, largest.scores).map { seen, score in
      // Half of the spread is left beyond what was seen: of two thirds of the way that is the rest.
      let reach = seen.lowerBound + (score - seen.lowerBound) * 2 / 3
      return seen.lowerBound...max(seen.upperBound, reach)
    }
    guard widened != seen, let top = largest.scores.max() else { return }
    include(rowMaxima: widened, node: name)
    include(vocabulary: top...top, node: name, quantity: .scores)
  }
}
