// The score from which on gates are open.

/// Where scores are cut.
package enum ScoreThreshold {
  /// The largest t for which the entries with a score of at least t hold the share `share` of all
  /// `masses`; 0 where there is no mass.
  package static func keeping(_ share: Double, scores: [Float], masses: [Float]) -> Float {
    let wanted = share * masses.reduce(0.0) { $0 + Double($1) }
    guard wanted > 0 else { return 0 }
    let active = scores.indices.filter { masses[$0] > 0 }
      .sorted { scores[$0] > scores[$1] }
    var kept = 0.0
    for index in active {
      kept += Double(masses[index])
      if kept >= wanted * (1 - 1e-9) { return scores[index] }
    }
    return active.last.map { scores[$0] } ?? 0
  }
}
