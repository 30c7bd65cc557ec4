// Which correlated randomness each operation needs; dealer, party and cost all read it here.

import Rings

/// One array of correlated randomness of an operation, as additive shares modulo 2^(8
/// wordByteCount).
///
/// One party derives its share from its seed, the other's share is stored: which, `holder` says.
public struct CorrelationComponent: Hashable, Sendable {
  /// What the shares add up to.
  public enum Meaning: Hashable, Sendable {
    /// r >> shift, r the mask of the opened value.
    case shiftedMask(shift: Int)
    /// Bit bits - 1 of r, the top bit of a mask of so many bits.
    case topBit(of: Int)
    /// r >> bits, what a mask has above so many bits.
    case upperMask(above: Int)
    /// The product of the operation's static weight or opened operands, applied to the masks.
    case maskProduct
    /// Product of mask part `left` of the first operand and `right` of the second.
    case partProduct(left: Int, right: Int)
    /// The mask part 0 (r, or t of a view) to this power.
    case maskPower(Int)
    /// h times t to this power, (t, h) the mask parts of a view.
    case topBitTimesPower(Int)
    /// The top bit of the compared window of r, times mask part `part - 1` (0: the bit alone).
    case windowBit(part: Int)
    /// 1, or 0 where noise lets the element count as at or above all knots.
    case quietBit
    /// For every knot, the mask bit of the comparison's result times mask part `part - 1` (0: the
    /// bit alone).
    case resultBit(part: Int)
    /// For every cell, whether the mask lies in it (see `CoarseSteps`).
    case cells
    /// The bits that comparisons by bits take (see `BitComparison`), added modulo 2.
    case comparedBits
    /// The mask of the operand of a permuted function, in permuted order.
    case permutedMask
    /// The mask of its result, which is in permuted order, in the order of the elements.
    case unpermutedMask
    /// What takes the mask off a factor of its results and adds the pads, in permuted order.
    case permutedFactor
    /// The top bit of that mask, in permuted order.
    case permutedTopBit
  }

  /// How the words of an element lie.
  public enum Layout: Hashable, Sendable {
    /// Words one after the other, one element after the other.
    case words(perElement: Int)
    /// As `words`, each of four numbers that add up modulo 2^16 by themselves.
    case lanes(perElement: Int)
    /// `BitTiles`: 64 elements in `planeCount` words.
    case tiles(planeCount: Int)
  }

  public var meaning: Meaning
  public var shape: ValueShape
  public var layout = Layout.words(perElement: 1)
  /// Bits of the sum of the shares that the operation reads, 1...64.
  public var readBits = 64

  /// Bytes of a word, of which the higher ones are never read.
  public var wordByteCount: Int { (readBits + 7) / 8 }

  /// Words of the array in a session.
  public func wordCount(_ session: SessionShape) -> Int {
    let count = session.dealtCount(shape)
    return switch layout {
    case .words(let perElement), .lanes(let perElement): count * perElement
    case .tiles(let planeCount): BitTiles.tileCount(elements: count) * planeCount
    }
  }

  /// Words of the elements in `range`; of tiles, all that hold any of them.
  public func words(of range: Range<Int>) -> Range<Int> {
    switch layout {
    case .words(let perElement), .lanes(let perElement):
      range.lowerBound * perElement..<range.upperBound * perElement
    case .tiles(let planeCount):
      BitTiles.tiles(holding: range).lowerBound * planeCount..<BitTiles.tiles(holding: range)
        .upperBound * planeCount
    }
  }
}

extension SecureProgram {
  /// Number of mask parts of an opened value (r) or a view (t, h).
  public func maskPartCount(_ value: ValueID) -> Int {
    if case .view = values[value].form { return 2 }
    return 1
  }

  /// The arrays of correlated words that node `index` consumes, in order.
  public func correlationComponents(_ index: Int) -> [CorrelationComponent] {
    let node = nodes[index]
    let resultBits = node.outputs.first.map { values[$0].ringBits } ?? 64
    func array(
      _ meaning: CorrelationComponent.Meaning, like value: ValueID, factorBits: Int = 0
    ) -> CorrelationComponent {
      CorrelationComponent(
        meaning: meaning, shape: values[value].shape, readBits: max(resultBits - factorBits, 1))
    }
    func all(_ meanings: [CorrelationComponent.Meaning], like value: ValueID)
      -> [CorrelationComponent]
    {
      meanings.map { array($0, like: value) }
    }
    switch node.operation {
    case .view(let x, let shift):
      let bits = values[x].ringBits
      return [
        array(.shiftedMask(shift: shift), like: x),
        array(.topBit(of: bits), like: x, factorBits: bits - shift),
      ]
    case .widen(let x, _):
      // A view has what is needed.
      guard values[x].form == .opened else { return [] }
      let bits = values[x].ringBits
      return [CorrelationComponent.Meaning.upperMask(above: bits), .topBit(of: bits)].map {
        array($0, like: x, factorBits: bits)
      }
    case .linear, .scale, .scores, .mix:
      return all([.maskProduct], like: node.outputs.lowerBound)
    case .blockLinear(let x, _, let weight):
      return [
        CorrelationComponent(
          meaning: .maskProduct,
          shape: .fixed(weights[weight].outputCount, rows: values[x].shape.rows),
          readBits: resultBits)
      ]
    case .multiply(let x, let y):
      return (0..<maskPartCount(x)).flatMap { left in
        (0..<maskPartCount(y)).map { right in
          array(
            .partProduct(left: left, right: right), like: x,
            factorBits: factorBits(x, part: left) + factorBits(y, part: right))
        }
      }
    case .polynomial(let x, let coefficients):
      let degree = (coefficients.map(\.count).max() ?? 1) - 1
      let meanings = (2..<degree + 1).map { CorrelationComponent.Meaning.maskPower($0) }
      guard maskPartCount(x) == 2 else { return all(meanings, like: x) }
      return all(meanings, like: x)
        + (1..<degree).map {
          array(.topBitTimesPower($0), like: x, factorBits: factorBits(x, part: 1))
        }
    case .piecewiseLinear(let x, let function):
      // What h is multiplied by: a multiple of 2^(openedBits - shift).
      let lifted = function.isViewed ? function.openedBits - function.shift : 0
      let parts =
        function.isViewed
        ? [
          array(.shiftedMask(shift: function.shift), like: x),
          array(.topBit(of: function.openedBits), like: x, factorBits: lifted),
        ] : []
      switch function.comparison {
      case .keys:
        let quiet: [CorrelationComponent.Meaning] = function.noise > 0 ? [.quietBit] : []
        return (0..<function.payload).map {
          array(.windowBit(part: $0), like: x, factorBits: $0 == 2 ? lifted : 0)
        } + all(quiet, like: x) + parts
      case .bits:
        let shape = values[x].shape
        let knots = function.knots.count
        let results = (0..<function.resultArrayCount).map {
          CorrelationComponent(
            meaning: .resultBit(part: $0), shape: shape, layout: .words(perElement: knots),
            readBits: max(resultBits - ($0 == 2 ? lifted : 0), 1))
        }
        let bits = CorrelationComponent(
          meaning: .comparedBits, shape: shape,
          layout: .tiles(planeCount: function.circuit.planeCount(knots: knots)))
        return results + parts + [bits]
      }
    case .coarseSteps(let x, let function):
      return [
        CorrelationComponent(
          meaning: .cells, shape: values[x].shape,
          layout: .lanes(perElement: function.wordCount))
      ]
    case .permuted(let x, let function):
      let masks = [
        CorrelationComponent(
          meaning: .permutedMask, shape: values[x].shape, readBits: function.opening.bits),
        array(.unpermutedMask, like: x),
      ]
      guard function.factor != nil else { return masks }
      return masks + [
        array(.permutedFactor, like: x),
        CorrelationComponent(meaning: .permutedTopBit, shape: values[x].shape, readBits: 1),
      ]
    case .input, .open, .reveal, .openBlocks, .selectBlocks, .spreadBlocks, .truncate, .exponential,
      .lookup,
      .combine,
      .addWeight, .addDistance, .rotate, .sum,
      .pairDifference, .pairMerge, .padKeys, .padRows, .lastRow, .firstRow, .meanRow, .output:
      return []
    }
  }

  /// Factors that mask part `part` of an opened value or view is multiplied by are multiples of 2^this:
  /// h of a view has B, see `MaskedForm`.
  private func factorBits(_ value: ValueID, part: Int) -> Int {
    guard part == 1, case .view(let x, let shift) = nodes[nodeIndex(writing: value)].operation
    else { return 0 }
    return values[x].ringBits - shift
  }

  /// The party whose file stores component `component` of node `index`: party 0 whatever belongs to
  /// its permutations, and all of a provider's and user's, who should store no more than seeds; else
  /// they take turns, so that no file carries more than about half.
  public func holder(
    node index: Int, component: Int, in deployment: Deployment = .twoServer
  ) -> Int {
    if case .permuted = nodes[index].operation { return 0 }
    return deployment == .providerUser ? 0 : (index + component) % 2
  }
}
