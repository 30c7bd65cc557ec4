// What is dealt for comparisons by bits.

import Bytes
import Program
import Randomness
import Rings
import Sharing

extension GroupDealing {
  /// Deals the components of a `piecewiseLinear` by bits, in whole tiles of 64 elements.
  func dealBits(_ index: Int, _ x: ValueID, _ function: PiecewiseLinear) throws(InputError) {
    let count = shape.dealtCount(shapeOf(x))
    let components = program.correlationComponents(index)
    let tileWordCount = components.reduce(0) { $0 + $1.words(of: 0..<64).count }
    let chunk = 64 * max(1, plan.elementWordCount / max(tileWordCount, 1))
    try OrderedChunks.run(lanes: sessions.count, chunks: (count + chunk - 1) / chunk) {
      (lane, part) throws(InputError) -> [[UInt64]] in
      let session = sessions[lane]
      let range = part * chunk..<min((part + 1) * chunk, count)
      let mask = masks(of: x, session).words(in: range)
      return shares(
        index, components, bitComponents(components, function, index, mask, session, range),
        session, at: range.lowerBound)
    } store: { (lane, part, shares) throws(InputError) in
      try store(shares, components, sessions[lane], node: index, at: part * chunk)
    }
  }

  /// The arrays of a piecewise linear function by bits at the elements `range`, which begins with a
  /// tile: masked result bits times mask parts, the mask parts of a view, and the tiles of dealt
  /// bits.
  private func bitComponents(
    _ components: [CorrelationComponent], _ function: PiecewiseLinear, _ node: Int,
    _ mask: [UInt64], _ session: DealtSession<Sink>, _ range: Range<Int>
  ) -> [[UInt64]] {
    let circuit = function.circuit
    let knots = function.knots.count
    let maskBits = session.comparisonMask(
      node: node, tiles: BitTiles.tiles(holding: range),
      tileWordCount: knots * circuit.maskCount)
    return components.map { component in
      switch component.meaning {
      case .resultBit(let part):
        var words: [UInt64] = []
        words.reserveCapacity(mask.count * knots)
        for (element, word) in mask.enumerated() {
          let factor = function.maskPart(part, word)
          for knot in 0..<knots {
            let plane =
              (element / 64 * knots + knot) * circuit.maskCount + circuit.maskCount - 1
            words.append(((maskBits[plane] &>> UInt64(element % 64)) & 1) &* factor)
          }
        }
        return words
      case .comparedBits:
        return comparedBits(
          function, circuit, mask: mask, quiet: session.quietBits(node, function, range),
          maskBits: maskBits)
      case .shiftedMask(let shift): return mask.map { $0 &>> UInt64(shift) }
      case .topBit(let bits): return mask.map { $0 &>> UInt64(bits - 1) }
      case .maskProduct, .partProduct, .upperMask, .maskPower, .topBitTimesPower, .cells,
        .windowBit, .quietBit, .permutedMask, .unpermutedMask,
        .permutedFactor, .permutedTopBit:
        return []
      }
    }
  }

  /// Tiles of thresholds, top bits, and products of mask bits; the mask is 0 beyond the last
  /// element.
  private func comparedBits(
    _ function: PiecewiseLinear, _ circuit: BitComparison, mask: [UInt64], quiet: [UInt64]?,
    maskBits: [UInt64]
  ) -> [UInt64] {
    let windows = function.windows(mask, quiet)
    let knots = function.knots.count
    let tileCount = BitTiles.tileCount(elements: mask.count)
    var words: [UInt64] = []
    words.reserveCapacity(tileCount * circuit.planeCount(knots: knots))
    var planes = [UInt64](repeating: 0, count: 64)
    for tile in 0..<tileCount {
      for lane in 0..<64 {
        let element = 64 * tile + lane
        planes[lane] = element < mask.count ? windows[element] : 0
      }
      BitTiles.transpose(&planes)
      for block in circuit.blocks { words += thresholds(planes[block]) }
      words.append(planes[circuit.levels])
      if let quiet {
        let lanes = quiet[(64 * tile)..<min(64 * tile + 64, mask.count)]
        words.append(lanes.reversed().reduce(0) { $0 &<< 1 | $1 })
      }
      for knot in 0..<knots {
        let first = (tile * knots + knot) * circuit.maskCount
        for gate in circuit.gates.joined() {
          for set in gate.products {
            words.append(
              gate.variables.indices.reduce(.max) { product, variable in
                set >> variable & 1 == 0
                  ? product : product & maskBits[first + gate.firstMask + variable]
              })
          }
        }
      }
    }
    return words
  }

  /// [number >= k] for k = 1, 2, ..., from the bits of 64 numbers.
  private func thresholds(_ bits: ArraySlice<UInt64>) -> [UInt64] {
    bits.reduce([]) { lower, bit in
      // With a higher bit: 1...  of the numbers below, then the bit alone, then both.
      lower.map { $0 | bit } + [bit] + lower.map { $0 & bit }
    }
  }
}

extension DealtSession {
  /// Mask bits of comparisons of node `node` in `tiles`, both parties' shares added modulo 2.
  fileprivate func comparisonMask(node: Int, tiles: Range<Int>, tileWordCount: Int) -> [UInt64] {
    let (first, count) = (tiles.lowerBound * tileWordCount, tiles.count * tileWordCount)
    var words = streams[0].comparisonMask(node: node).words(at: first, count: count)
    let other = streams[1].comparisonMask(node: node).words(at: first, count: count)
    for index in words.indices { words[index] ^= other[index] }
    return words
  }
}
