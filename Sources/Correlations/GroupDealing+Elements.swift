// Correlations of operations on single elements, dealt in chunks that stay in the cache.

import Bytes
import Program
import Randomness
import Rings
import Sharing

extension GroupDealing {
  /// Deals all components of operation `index`, whose arrays are as long as `value`: `make` gives
  /// what their shares add up to at a range of elements.
  func dealElements(
    _ index: Int, like value: ValueID,
    make: (Range<Int>, DealtSession<Sink>) -> [[UInt64]]
  ) throws(InputError) {
    let count = shape.dealtCount(shapeOf(value))
    let components = program.correlationComponents(index)
    let wordCount = components.reduce(0) { $0 + $1.words(of: 0..<1).count }
    let chunk = max(1, plan.elementWordCount / max(wordCount, 1))
    try OrderedChunks.run(lanes: sessions.count, chunks: (count + chunk - 1) / chunk) {
      (lane, part) throws(InputError) -> [[UInt64]] in
      let range = part * chunk..<min((part + 1) * chunk, count)
      return shares(
        index, components, make(range, sessions[lane]), sessions[lane], at: range.lowerBound)
    } store: { (lane, part, shares) throws(InputError) in
      try store(shares, components, sessions[lane], node: index, at: part * chunk)
    }
  }

  /// Deals components and comparison keys of a `piecewiseLinear` by keys.
  func dealKeys(_ index: Int, _ x: ValueID, _ function: PiecewiseLinear)
    throws(InputError)
  {
    let count = shape.dealtCount(shapeOf(x))
    let components = program.correlationComponents(index)
    let chunk = max(1, plan.keyByteCount / function.keyLayout.byteCount)
    try OrderedChunks.run(lanes: sessions.count, chunks: (count + chunk - 1) / chunk) {
      (lane, part) throws(InputError) -> (shares: [[UInt64]], keys: [UInt8]) in
      let session = sessions[lane]
      let range = part * chunk..<min((part + 1) * chunk, count)
      let mask = masks(of: x, session).words(in: range)
      let quiet = session.quietBits(index, function, range)
      return (
        shares(
          index, components, windowComponents(components, function, mask, quiet), session,
          at: range.lowerBound),
        keys(index, function, mask, quiet, session, at: range.lowerBound)
      )
    } store: { (lane, part, dealt) throws(InputError) in
      try store(dealt.shares, components, sessions[lane], node: index, at: part * chunk)
      try sessions[lane].sink.storeKeys(
        dealt.keys, node: index, at: part * chunk * function.keyLayout.byteCount)
    }
  }

  /// The shares that no seed gives of arrays that add up to `sums` from element `offset` on.
  func shares(
    _ index: Int, _ components: [CorrelationComponent], _ sums: [[UInt64]],
    _ session: DealtSession<Sink>, at offset: Int
  ) -> [[UInt64]] {
    var shares = sums
    for (number, component) in components.enumerated() {
      session.hide(
        &shares[number], node: index, component, number: number,
        at: component.words(of: 0..<offset).upperBound)
    }
    return shares
  }

  /// Stores shares that `shares` has made.
  func store(
    _ shares: [[UInt64]], _ components: [CorrelationComponent], _ session: DealtSession<Sink>,
    node: Int, at offset: Int
  ) throws(InputError) {
    for (number, component) in components.enumerated() {
      try session.store(
        shares[number], node: node, component: number,
        at: component.words(of: 0..<offset).upperBound)
    }
  }

  /// Comparison keys for the elements of `mask`, which are elements `offset` and following.
  private func keys(
    _ node: Int, _ function: PiecewiseLinear, _ mask: [UInt64], _ quiet: [UInt64]?,
    _ session: DealtSession<Sink>, at offset: Int
  ) -> [UInt8] {
    let comparison = ComparisonFunction(
      fixedKey: session.comparisonKey, layout: function.keyLayout)
    let low = UInt64.max &>> UInt64(64 - function.levels)
    let windows = function.windows(mask, quiet)
    let alphas = windows.map { $0 & low }
    var betas: [UInt64] = []
    betas.reserveCapacity(mask.count * function.payload)
    for (word, window) in zip(mask, windows) {
      let sign = 1 &- 2 &* (window &>> UInt64(function.levels))
      for part in 0..<function.payload { betas.append(sign &* function.maskPart(part, word)) }
    }
    let (roots0, roots1) = roots(node, session, offset..<offset + mask.count)
    var keys = [UInt8](repeating: 0, count: mask.count * function.keyLayout.byteCount)
    var span = keys.mutableSpan
    comparison.generate(
      alphas: alphas.span, betas: betas.span, roots0: roots0.span, roots1: roots1.span,
      into: &span, parallel: false, arm: arm)
    return keys
  }

  /// Deals an operation's point keys, whose alpha and beta `function` gives for a mask, and for
  /// both parts of that of a factor where there is one.
  func dealPoints(
    _ index: Int, _ x: ValueID, _ layout: PointKeyLayout, factor: ValueID? = nil,
    function: (_ mask: UInt64, _ factor: (t: UInt64, h: UInt64)?) -> (
      alpha: UInt64, beta: [UInt64]
    )
  ) throws(InputError) {
    let count = shape.dealtCount(shapeOf(x))
    let chunk = max(1, plan.keyByteCount / layout.byteCount)
    try OrderedChunks.run(lanes: sessions.count, chunks: (count + chunk - 1) / chunk) {
      (lane, part) throws(InputError) -> [UInt8] in
      let session = sessions[lane]
      let range = part * chunk..<min((part + 1) * chunk, count)
      let parts = factor.map { self.parts(of: $0, session, range) }
      let functions = masks(of: x, session).words(in: range).enumerated().map { element, mask in
        function(mask, parts.map { (t: $0[0][element], h: $0[1][element]) })
      }
      let (alphas, betas) = (functions.map(\.alpha), functions.flatMap(\.beta))
      let (roots0, roots1) = roots(index, session, range)
      var keys = [UInt8](repeating: 0, count: range.count * layout.byteCount)
      var span = keys.mutableSpan
      PointFunction(fixedKey: session.comparisonKey, layout: layout).generate(
        alphas: alphas.span, betas: betas.span, roots0: roots0.span, roots1: roots1.span,
        into: &span, parallel: false, arm: arm)
      return keys
    } store: { (lane, part, keys) throws(InputError) in
      try sessions[lane].sink.storeKeys(
        keys, node: index, at: part * chunk * layout.byteCount)
    }
  }

  /// Both parties' roots of the keys of the elements `range` of node `node`.
  private func roots(_ node: Int, _ session: DealtSession<Sink>, _ range: Range<Int>) -> (
    [UInt64], [UInt64]
  ) {
    let roots = session.streams.map {
      $0.keyRoots(node: node).words(at: 2 * range.lowerBound, count: 2 * range.count)
    }
    return (roots[0], roots[1])
  }

  // MARK: What shares add up to

  func products(
    _ components: [CorrelationComponent], _ left: [[UInt64]], _ right: [[UInt64]]
  ) -> [[UInt64]] {
    components.map { component in
      guard case .partProduct(let i, let j) = component.meaning else { return [] }
      return zip(left[i], right[j]).map { $0 &* $1 }
    }
  }

  func maskComponents(_ components: [CorrelationComponent], _ parts: [[UInt64]]) -> [[UInt64]] {
    components.map { component in
      switch component.meaning {
      case .shiftedMask(let shift): parts[0].map { $0 &>> UInt64(shift) }
      case .topBit(let bits): parts[0].map { $0 &>> UInt64(bits - 1) & 1 }
      case .upperMask(let bits): parts[0].map { $0 &>> UInt64(bits) }
      case .maskPower(let power): parts[0].map { raised($0, to: power) }
      case .topBitTimesPower(let power):
        zip(parts[0], parts[1]).map { $1 &* raised($0, to: power) }
      case .maskProduct, .partProduct, .cells, .windowBit, .quietBit, .resultBit,
        .comparedBits, .permutedMask, .unpermutedMask,
        .permutedFactor, .permutedTopBit:
        []
      }
    }
  }

  private func windowComponents(
    _ components: [CorrelationComponent], _ function: PiecewiseLinear, _ mask: [UInt64],
    _ quiet: [UInt64]?
  ) -> [[UInt64]] {
    let windows = function.windows(mask, quiet)
    return components.map { component in
      switch component.meaning {
      case .windowBit(let part):
        zip(mask, windows).map {
          function.maskPart(part, $0) &* ($1 &>> UInt64(function.levels))
        }
      case .quietBit: quiet ?? []
      case .shiftedMask(let shift): mask.map { $0 &>> UInt64(shift) }
      case .topBit(let bits): mask.map { $0 &>> UInt64(bits - 1) }
      case .maskProduct, .partProduct, .upperMask, .maskPower, .topBitTimesPower, .cells,
        .resultBit, .comparedBits, .permutedMask, .unpermutedMask,
        .permutedFactor, .permutedTopBit:
        []
      }
    }
  }

  private func raised(_ word: UInt64, to power: Int) -> UInt64 {
    (1..<power).reduce(word) { product, _ in product &* word }
  }
}

extension PiecewiseLinear {
  /// The compared windows of masks, 0 where an element is not `quiet`: then nothing is below it.
  func windows(_ mask: [UInt64], _ quiet: [UInt64]?) -> [UInt64] {
    guard let quiet else { return mask.map(window) }
    return zip(mask, quiet).map { window($0) &* $1 }
  }

  /// 1, then the mask parts of the argument: r, or t and h of its view.
  func maskPart(_ part: Int, _ mask: UInt64) -> UInt64 {
    switch part {
    case 0: 1
    case 1: mask &>> UInt64(shift)
    default: mask &>> UInt64(openedBits - 1)
    }
  }
}

extension DealtSession {
  /// Of a function with noise, 1 for the elements of `range` that are compared and 0 for others.
  func quietBits(_ node: Int, _ function: PiecewiseLinear, _ range: Range<Int>) -> [UInt64]? {
    function.noise == 0
      ? nil : noise.quietBits(node: node, thousandths: function.noise, in: [range])
  }
}
