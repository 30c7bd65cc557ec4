// Pearson's and Spearman's correlation of two lists of numbers.

/// Correlations of pairs of numbers.
public enum Correlation {
  /// Pearson's coefficient, or nil where there are fewer than two pairs or one list is constant.
  public static func pearson(_ x: [Double], _ y: [Double]) -> Double? {
    precondition(x.count == y.count, "a correlation is of pairs")
    guard x.count > 1 else { return nil }
    let meanX = x.reduce(0, +) / Double(x.count)
    let meanY = y.reduce(0, +) / Double(y.count)
    var (xy, xx, yy) = (0.0, 0.0, 0.0)
    for (a, b) in zip(x, y) {
      xy += (a - meanX) * (b - meanY)
      xx += (a - meanX) * (a - meanX)
      yy += (b - meanY) * (b - meanY)
    }
    guard xx > 0, yy > 0 else { return nil }
    return xy / (xx * yy).squareRoot()
  }

  /// Spearman's coefficient: Pearson's of the ranks. Nil as `pearson`.
  public static func spearman(_ x: [Double], _ y: [Double]) -> Double? {
    pearson(ranks(x), ranks(y))
  }

  /// The rank of each value from 1 for the smallest; equal values share the mean of their ranks.
  public static func ranks(_ values: [Double]) -> [Double] {
    let order = values.indices.sorted { values[$0] < values[$1] }
    var result = [Double](repeating: 0, count: values.count)
    var start = 0
    while start < order.count {
      var end = start + 1
      while end < order.count, values[order[end]] == values[order[start]] { end += 1 }
      // Ranks start + 1 ... end.
      for index in order[start..<end] { result[index] = Double(start + 1 + end) / 2 }
      start = end
    }
    return result
  }
}
