// Comparison keys in arrays, for callers that keep words in arrays.

extension ComparisonFunction {
  /// Keys for `alphas` with `payload` words of `betas` each, under both parties' roots.
  public func generated(alphas: [UInt64], betas: [UInt64], roots0: [UInt64], roots1: [UInt64])
    -> [UInt8]
  {
    var keys = [UInt8](repeating: 0, count: alphas.count * keyByteCount)
    var span = keys.mutableSpan
    generate(
      alphas: alphas.span, betas: betas.span, roots0: roots0.span, roots1: roots1.span,
      into: &span)
    return keys
  }

  /// Shares of the keys `keyRange` at `pointsPerKey` public points each, `payload` words a point.
  ///
  /// `keys` and `roots` start at key 0; `points` hold those of `keyRange` only.
  public func evaluated(
    party: Int, keys: RawSpan, keyRange: Range<Int>, roots: [UInt64], pointsPerKey: Int,
    points: [UInt64], parallel: Bool = true
  ) -> [UInt64] {
    var shares = [UInt64](repeating: 0, count: points.count * payload)
    var span = shares.mutableSpan
    let bytes = keyRange.lowerBound * keyByteCount..<keyRange.upperBound * keyByteCount
    evaluate(
      party: party, keys: keys.extracting(bytes),
      roots: roots.span.extracting(2 * keyRange.lowerBound..<2 * keyRange.upperBound),
      pointsPerKey: pointsPerKey, points: points.span, into: &span,
      parallel: parallel)
    return shares
  }
}
