// Sentence embeddings of an encoder's hidden states, and how similar two of them are.

/// How an encoder's last hidden states become one vector; sentence-transformers' `1_Pooling`.
public enum Pooling: String, Sendable, CaseIterable {
  /// Mean over all positions (`pooling_mode_mean_tokens`).
  case mean
  /// The first position, [CLS] (`pooling_mode_cls_token`).
  case first

  /// The embedding of `hidden`, row-major [positions, width].
  public func embedding(_ hidden: [Float], width: Int) -> [Double] {
    precondition(!hidden.isEmpty && hidden.count.isMultiple(of: width), "rows of the width")
    switch self {
    case .first: return hidden[..<width].map(Double.init)
    case .mean:
      var sums = [Double](repeating: 0, count: width)
      for (index, value) in hidden.enumerated() { sums[index % width] += Double(value) }
      let count = Double(hidden.count / width)
      return sums.map { $0 / count }
    }
  }
}

/// Similarity of vectors.
public enum CosineSimilarity {
  /// x y / (|x| |y|); 0 where one of them is zero.
  public static func of(_ x: [Double], _ y: [Double]) -> Double {
    precondition(x.count == y.count, "vectors of one width")
    var (xy, xx, yy) = (0.0, 0.0, 0.0)
    for (a, b) in zip(x, y) {
      xy += a * b
      xx += a * a
      yy += b * b
    }
    return xx > 0 && yy > 0 ? xy / (xx.squareRoot() * yy.squareRoot()) : 0
  }
}
