// Functions of opened values of few bits, from what is dealt for the cells of their masks.

public import Rings

/// The residues modulo 2^openedBits in cells of 2^bits, and where an opened value lies among them.
///
/// For a value y under the mask r, X = y + r modulo 2^k, and a top T, u = T - X modulo 2^k is public
/// and T - y = u + r modulo 2^k. With u = c 2^bits + w this distance is w plus c 2^bits + r.
public struct MaskCells: Hashable, Sendable {
  /// k.
  public var openedBits: Int
  /// Bits of the place within a cell; fewer than `openedBits`.
  public var bits: Int

  public init(openedBits: Int, bits: Int) {
    self.openedBits = openedBits
    self.bits = bits
  }

  public var count: Int { 1 << (openedBits - bits) }

  private var residues: UInt64 { UInt64.max &>> UInt64(64 - openedBits) }

  /// The cell c and the place w of an opened word under the top T.
  @inlinable
  public func place(_ opened: UInt64, top: Int) -> (cell: Int, offset: UInt64) {
    let u = reduced(UInt64(bitPattern: Int64(top)) &- opened)
    return (Int(u &>> UInt64(bits)), u & (1 &<< UInt64(bits) &- 1))
  }

  /// `word` modulo 2^openedBits.
  @inlinable
  public func reduced(_ word: UInt64) -> UInt64 { word & (UInt64.max &>> UInt64(64 - openedBits)) }

  /// Whether a value lies where distances from `top` are told apart: 0 <= top - y < 2^k - 2^g.
  public func holds(_ value: Int64, top: Int) -> Bool {
    let (distance, isOutside) = Int64(top).subtractingReportingOverflow(value)
    return !isOutside && distance >= 0 && distance < 1 << openedBits - 1 << bits
  }

  /// Tops, one for each run of the elements, repeated for `runLengths` of them in turn.
  func check(tops: [Int], runCount: Int) -> Bool {
    (tops.count == 1 || tops.count == runCount)
      && tops.allSatisfy { $0.magnitude < 1 << 40 }
  }
}

/// e^(-d unit) of the distance d = T - y of an opened value y from its top T, for 0 <= d < 2^k - 2^g
/// with k opened bits in cells of 2^g.
///
/// With the mask r = alpha 2^g + r_0 and u = T - X modulo 2^k = c 2^g + w, both r_0 and w below 2^g, d =
/// v 2^g + w + r_0 - 2^g for v = c + alpha + 1 modulo 2^(k-g). Dealt is a point key for alpha, whose
/// beta is e^((2^g - r_0) unit); the parties multiply its function at the alpha of every v by the public
/// e^(-(v 2^g + w) unit), which is zero from some v on. Beyond the range of d the result is that of d +
/// 2^k or d - 2^k.
public struct Exponential: Hashable, Sendable {
  public var cells: MaskCells
  /// T of every run of the columns, or one for all; in units of y, below 2^40 in magnitude.
  public var tops: [Int]
  /// e^(-2^i unit) * 2^62 for i = 0 ..< k.
  public var decays: [UInt64]
  /// Fractional bits of the dealt exponentials, which are from 1 to e^(2^g unit).
  public var payloadBits: Int
  /// Fractional bits of the public factor; the result has both together.
  public var factorBits: Int

  public init(
    cells: MaskCells, tops: [Int], decays: [UInt64], payloadBits: Int, factorBits: Int
  ) {
    self.cells = cells
    self.tops = tops
    self.decays = decays
    self.payloadBits = payloadBits
    self.factorBits = factorBits
  }

  public var fractionalBits: Int { payloadBits + factorBits }

  public var keyLayout: PointKeyLayout {
    PointKeyLayout(bits: cells.openedBits - cells.bits, payload: 1)
  }

  /// The cells v whose factors are not all zero: the first ones.
  public var pointCount: Int {
    cellDecays.firstIndex { factor(decay: 1 << 62, cellDecay: $0) == 0 } ?? cells.count
  }

  /// Decays of v 2^g for every cell v: the products of those of its bits.
  public var cellDecays: [UInt64] {
    (0..<cells.count).map { cell in
      decay(UInt64(cell) &<< UInt64(cells.bits), bits: cells.bits..<cells.openedBits)
    }
  }

  /// The product of 2^62 and decays[i] / 2^62 over the `bits` i that are set in `distance`, in
  /// ascending order, each product rounded down.
  private func decay(_ distance: UInt64, bits: Range<Int>) -> UInt64 {
    bits.reduce(1 << 62) { product, bit in
      (distance &>> UInt64(bit)) & 1 == 0 ? product : Exponential.product(product, decays[bit])
    }
  }

  /// floor(a b / 2^62).
  private static func product(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let wide = a.multipliedFullWidth(by: b)
    return wide.high &<< 2 | wide.low &>> 62
  }

  /// alpha of a mask's key.
  public func alpha(mask: UInt64) -> UInt64 { cells.reduced(mask) &>> UInt64(cells.bits) }

  /// beta of a mask's key: floor(2^F E(r_0) / q + 1/2), E the product of decays, q that of 2^g.
  public func beta(mask: UInt64) -> UInt64 {
    let exact = decay(mask, bits: 0..<cells.bits)
    // floor((exact 2^F + q / 2) / q), within 128 bits.
    let divisor = decays[cells.bits]
    let wide = exact.multipliedFullWidth(by: 1 &<< UInt64(payloadBits))
    let (sum, carry) = wide.low.addingReportingOverflow(divisor &>> 1)
    return divisor.dividingFullWidth((wide.high &+ (carry ? 1 : 0), sum)).quotient
  }

  /// v for an opened word in cell c and a mask.
  func cell(_ cell: Int, mask: UInt64) -> Int {
    (cell + Int(alpha(mask: mask)) + 1) & (cells.count - 1)
  }

  /// The result for an opened word at `place` under a mask, modulo 2^64.
  public func value(
    place: (cell: Int, offset: UInt64), mask: UInt64, _ factors: Factors
  ) -> UInt64 {
    let cell = cell(place.cell, mask: mask)
    return cell < factors.pointCount
      ? beta(mask: mask) &* factors.factor(offset: place.offset, cell: cell) : 0
  }

  /// 2^G of the product of a place's exact decay and a cell's, rounded.
  fileprivate func factor(decay: UInt64, cellDecay: UInt64) -> UInt64 {
    let exact = Exponential.product(cellDecay, decay)
    return (exact &+ (1 &<< UInt64(61 - factorBits))) &>> UInt64(62 - factorBits)
  }

  /// The public factors of all places; what their lowest bits give is looked up.
  public struct Factors: Sendable {
    private static let lowBits = 7

    private let function: Exponential
    private let cellDecays: [UInt64]
    private var low: [UInt64] = [1 << 62]

    /// Cells whose factors are not all zero.
    public var pointCount: Int { cellDecays.count }

    public init(_ function: Exponential) {
      self.function = function
      cellDecays = Array(function.cellDecays.prefix(function.pointCount))
      for bit in 0..<min(function.cells.bits, Factors.lowBits) {
        low += low.map { Exponential.product($0, function.decays[bit]) }
      }
    }

    func factor(offset: UInt64, cell: Int) -> UInt64 {
      function.factor(decay: exact(offset), cellDecay: cellDecays[cell])
    }

    /// E(w).
    private func exact(_ offset: UInt64) -> UInt64 {
      var exact = low[Int(offset & (1 &<< UInt64(Factors.lowBits) &- 1))]
      var rest = offset &>> UInt64(Factors.lowBits)
      var bit = Factors.lowBits
      while rest > 0 {
        // 2^62 for a bit that is not set changes nothing, and takes no branch.
        let decay = rest & 1 == 0 ? 1 << 62 : function.decays[bit]
        exact = Exponential.product(exact, decay)
        rest &>>= 1
        bit += 1
      }
      return exact
    }

    /// The points at which an element's point function is evaluated: the alpha of v = 0, 1, ... for an
    /// opened word in cell c.
    public func appendPoints(cell: Int, to points: inout [UInt64]) {
      let last = UInt64(function.cells.count - 1)
      for v in cellDecays.indices {
        points.append(UInt64(truncatingIfNeeded: v - 1 - cell) & last)
      }
    }

    /// The share of the result from those of the point function at these points.
    public func result(_ shares: ArraySlice<UInt64>, offset: UInt64) -> UInt64 {
      let exact = exact(offset)
      return zip(shares, cellDecays).reduce(0) { sum, term in
        sum &+ term.0 &* function.factor(decay: exact, cellDecay: term.1)
      }
    }
  }
}

/// Bits [T - y < bounds[i] 2^g], coarse, of an opened value y of k bits in cells of 2^g: certain where
/// the distance from T is below the bound, and possible up to one cell beyond it.
///
/// For 0 <= T - y < 2^k - 2^g. Dealt is for every cell whether the mask lies in it, modulo 2^16: bits
/// of a row can be counted.
public struct CoarseSteps: Hashable, Sendable {
  public var cells: MaskCells
  /// As in `Exponential`.
  public var tops: [Int]
  /// In cells, ascending, from 1 to one less than there are.
  public var bounds: [Int]

  public init(cells: MaskCells, tops: [Int], bounds: [Int]) {
    self.cells = cells
    self.tops = tops
    self.bounds = bounds
  }

  /// Bits of a dealt number and of the results, which four to a word take.
  public static let ringBits = 16

  /// Words of an element.
  public var wordCount: Int { (cells.count + 3) / 4 }

  /// Which of the bounds a distance of the public cell `cell` counts as below, where the mask lies
  /// in `maskCell`: the cell of their sum is the last, which is -1, or below the bound.
  public func isReached(_ bound: Int, cell: Int, maskCell: Int) -> Bool {
    let place = (cell + maskCell) & (cells.count - 1)
    return place < bound || place == cells.count - 1
  }
}
