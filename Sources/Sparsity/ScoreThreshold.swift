// The score from which on gates are open.

/// Where scores are cut.
package enum ScoreThreshold {
  /// A t for which the entries with a score of at least t hold the share `share` of all `masses`, and
  /// those above any larger score do not; 0 where there is no mass.
  ///
  /// It lies halfway to the next lower score: with a score on it, a token that comes often (what a
  /// first layer reads may depend on nothing else) would open its block in float, and not in fixed
  /// point.
  package static func keeping(_ share: Double, scores: [Float], masses: [Float]) -> Float {
    let wanted = share * masses.reduce(0.0) { $0 + Double($1) }
    guard wanted > 0 else { return 0 }
    let active = scores.indices.filter { masses[$0] > 0 }
      .sorted { scores[$0] > scores[$1] }
    var kept = 0.0
    guard
      let last = active.first(where: {
        kept += Double(masses[$0])
        return kept >= wanted * (1 - 1e-9)
      }) ?? active.last
    else { return 0 }
    let score = scores[last]
    guard let lower = scores.filter({ $0 < score }).max() else { return score }
    return lower + (score - lower) / 2
  }
}
