// What an observer of the float interpreter is shown of a node.

/// The quantity that the values passed to an observer are.
public enum Observation: String, Sendable, CaseIterable {
  /// Every node: what it writes, row-major [positions, width].
  case output
  /// layerNorm: variance of each row of its input, rmsNorm: mean of the squares; without epsilon,
  /// [positions].
  case variance
  /// attention: scaled scores of the allowed pairs only, by head, query position, key position;
  /// soft-capped and biased where they are.
  case scores
  /// attention with a soft cap: the same before it.
  case uncappedScores
  /// attention: the same less the largest score of their head and query position.
  case centredScores
  /// attention: the largest score of each head and query position, by head.
  case rowMaxima
  /// attention: sums of exp(centred score), one for each head and query position; not where a
  /// function table replaces the softmax.
  case denominator
}
