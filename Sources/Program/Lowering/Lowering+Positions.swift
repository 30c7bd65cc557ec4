// Scores of attention beyond q k^T: windows, soft caps, and biases by position.

import Approximation
import Bytes
import Foundation
import Models

extension Lowering {
  /// The window of an attention node, or nil where every text fits into it.
  func window(_ settings: AttentionSettings) -> Int? {
    settings.window.flatMap { $0 < model.maximumPositions ? $0 : nil }
  }

  /// The scores of node `index`, soft-capped and biased, and the range that they lie in: what was
  /// seen, with headroom, and what public slopes add in the longest text. Few bits are read of those that
  /// are `isShortened`.
  mutating func scores(
    _ index: Int, query: FixedValue, key: FixedValue, _ settings: AttentionSettings,
    isShortened: Bool, reach: Double, gates: ValueID? = nil
  ) throws(InputError) -> (value: FixedValue, range: ClosedRange<Double>) {
    let name = model.nodes[index].name
    builder.label = "\(name).scores"
    var seen = try calibration.bound(name, .scores) * recipe.headroom
    if let pair = pairScores(name, settings)?.max(), pair > seen { seen = 1.25 * pair }
    var range = -seen...seen
    if case .linear(let slopes)? = settings.bias {
      let reach = slopeRange(slopes, keyCount: model.maximumKeyCount(settings))
      range = reach.lowerBound - seen...reach.upperBound + seen
    }
    let bound = max(-range.lowerBound, range.upperBound)
    let uncapped =
      settings.softCap == nil
      ? bound : try calibration.bound(name, .uncappedScores) * recipe.headroom
    // Small queries and keys must leave room for what is added to their product.
    let most = ringBits(max(bound, uncapped)) - activationBits(key)
    // Exponentials and permuted functions are taken of scores of few bits.
    let less = isShortened ? 1 : 0
    var queryBits = min(
      query.bits,
      (settings.bias == nil ? activationBits(query) : min(activationBits(query), max(most, bits)))
        - less)
    var keyBits = min(activationBits(key) - less, key.bits)
    // Products of shortened operands must be known up to the largest difference of scores; of small
    // ones no more bits matter than those of scores.
    let largest = max(bound, uncapped, reach)
    let room = 58 - max(magnitudeBits(largest), 0)
    let excess = queryBits + keyBits - room
    if isShortened || largest > max(bound, uncapped), excess > 0 {
      queryBits = max(queryBits - excess / 2, min(queryBits, bits - less))
      keyBits = max(keyBits - (excess - excess / 2), min(keyBits, bits - less))
    }
    if largest > max(bound, uncapped) {
      // Of small scores the queries may have far more bits than keys.
      queryBits = max(min(queryBits, room - keyBits), min(queryBits, bits - less))
    }
    let needed = queryBits + keyBits + max(magnitudeBits(largest), 0) + 4
    let openedQuery = try openShort(
      gates.map { (gates) throws(InputError) in try selected(query, gates) } ?? query,
      bits: queryBits, ringBits: needed)
    let openedKey = try openShort(key, bits: keyBits, ringBits: needed)
    var scores = try builder.emit(
      .scores(
        query: openedQuery.id, key: openedKey.id, heads: settings.headCount,
        keyHeads: settings.keyHeadCount, window: window(settings)),
      bits: openedQuery.bits + openedKey.bits, bound: uncapped)
    if let cap = settings.softCap {
      builder.label = "\(name).softCap"
      scores = try softCapped(scores, recipe.softCap(cap, at: model.nodes[index]))
    }
    if let bias = settings.bias {
      builder.label = "\(name).bias"
      scores = try builder.emit(
        biasing(scores, bias, name: name, settings), bits: scores.bits, bound: bound)
    }
    if let gates { scores = try selected(scores, gates) }
    return (scores, range)
  }

  /// `value` with at most `bits` fractional bits opened modulo 2^`ringBits`: at once where it is
  /// known so far above the bits that are dropped, else in two rounds.
  mutating func openShort(_ value: FixedValue, bits: Int, ringBits: Int) throws(InputError)
    -> MaskedValue
  {
    guard builder.opensBits else {
      let shortened = try builder.rescale(value, to: min(bits, value.bits))
      return try builder.amongAllColumns { (builder) throws(InputError) in
        try builder.open(shortened)
      }
    }
    let shift = value.bits - bits
    if shift > 0, shift < ProgramBuilder.leastShift,
      builder.canOpen(value, bits: value.bits, ringBits: ringBits + shift)
    {
      return try builder.amongAllColumns { (builder) throws(InputError) in
        try builder.openNarrow(value, bits: value.bits, ringBits: ringBits + shift)
      }
    }
    if builder.shape(value.id).columns.runningBlocks == nil {
      return try builder.openWide(value, bits: bits, ringBits: ringBits)
    }
    let shortened =
      builder.canOpen(value, bits: bits, ringBits: ringBits)
      ? value : try builder.rescale(value, to: min(bits, value.bits))
    return try builder.amongAllColumns { (builder) throws(InputError) in
      try builder.openNarrow(shortened, bits: bits, ringBits: ringBits)
    }
  }

  /// What slopes add to scores of up to `keyCount` keys.
  private func slopeRange(_ slopes: [Double], keyCount: Int) -> ClosedRange<Double> {
    let reach = Double(keyCount - 1)
    let (low, high) = (min(slopes.min() ?? 0, 0) * reach, max(slopes.max() ?? 0, 0) * reach)
    // Keys lie before the query, in an encoder and in a context on both sides.
    return model.kind == .decoder
      ? -high...(-low) : min(low, -high)...max(high, -low)
  }

  /// The operation that adds a bias to `scores`.
  private mutating func biasing(
    _ scores: FixedValue, _ bias: PositionBias, name: String, _ settings: AttentionSettings
  ) throws(InputError) -> Operation {
    switch bias {
    case .linear(let slopes):
      let scale = pow(2, Double(scores.bits))
      guard slopes.allSatisfy({ abs($0 * scale) < 0x1p62 }) else {
        throw InputError("lowering", place: builder.label, "slopes do not fit the ring")
      }
      return .addDistance(
        scores.id, slopes: slopes.map { UInt64(bitPattern: Int64(($0 * scale).rounded())) })
    case .relative(let table, let buckets):
      let weight = builder.weight(
        ProgramWeight(
          name: builder.label, rowCount: buckets.count, columnCount: settings.headCount,
          fractionalBits: scores.bits, source: WeightFormula(tensor: table)))
      return .addWeight(
        scores.id, weight: weight,
        rows: .distances(DistanceRows(buckets, below: model.maximumPositions)))
    }
  }

  /// cap * tanh(x / cap) by lines, only those that x can reach.
  mutating func softCapped(_ x: FixedValue, _ function: PiecewisePolynomial) throws(InputError)
    -> FixedValue
  {
    let domain = -x.bound...x.bound
    let function = function.restricted(to: domain)
    let parts = try pieces(x, function, on: domain, lineBits: 2 * bits)
    let bound = function.bound(on: domain) * 1.01
    var sum = parts.lines
    for piece in parts.curved {
      let value = try polynomial(piece, resultBits: 2 * bits)
      if let lines = sum { sum = try builder.add(lines, value, bound: bound) } else { sum = value }
    }
    return sum ?? x
  }
}

extension DistanceRows {
  /// The buckets of all distances between fewer than `count` positions.
  init(_ buckets: RelativeBuckets, below count: Int) {
    var (borders, rows): ([Int], [Int]) = ([], [buckets.bucket(1 - count)])
    for distance in 2 - count..<max(count, 2 - count) {
      let row = buckets.bucket(distance)
      if row != rows[rows.count - 1] {
        borders.append(distance)
        rows.append(row)
      }
    }
    self.init(borders: borders, rows: rows)
  }
}
