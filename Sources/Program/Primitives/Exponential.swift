// Functions of opened values of few bits, from what is dealt for every cell of their masks.

/// The residues modulo 2^openedBits in cells of 2^bits, and where an opened value lies among them.
///
/// For a value y under the mask r, X = y + r modulo 2^k, and a top T, u = T - X modulo 2^k is public
/// and T - y = u + r modulo 2^k. With u = c 2^bits + w this distance is w plus c 2^bits + r, and what
/// depends on the second is dealt for every c.
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
/// With u = T - X modulo 2^k = c 2^g + w and the mask r, d = w + b where b = c 2^g + r modulo 2^k in
/// -2^g ..< 2^k - 2^g. Dealt are e^(-b unit) for every c; the parties multiply the word of theirs by
/// the public e^(-w unit). Beyond the range of d the result is that of d + 2^k or d - 2^k.
public struct Exponential: Hashable, Sendable {
  public var cells: MaskCells
  /// T of every run of the columns, or one for all; in units of y, below 2^40 in magnitude.
  public var tops: [Int]
  /// e^(-2^i unit) * 2^62 for i = 0 ..< k.
  public var decays: [UInt64]
  /// Fractional bits of the dealt exponentials.
  public var dealtBits: Int
  /// Fractional bits of the public factor; the result has both together.
  public var factorBits: Int

  public init(
    cells: MaskCells, tops: [Int], decays: [UInt64], dealtBits: Int, factorBits: Int
  ) {
    self.cells = cells
    self.tops = tops
    self.decays = decays
    self.dealtBits = dealtBits
    self.factorBits = factorBits
  }

  public var fractionalBits: Int { dealtBits + factorBits }

  /// e^(-w unit) in `factorBits` bits, rounded, for w within a cell.
  public func factor(_ offset: UInt64) -> UInt64 {
    rounded(decay(offset, bits: 0..<cells.bits))
  }

  /// The product of 2^62 and decays[i] / 2^62 over the `bits` i that are set in `distance`, in
  /// ascending order, each product rounded down.
  private func decay(_ distance: UInt64, bits: Range<Int>) -> UInt64 {
    bits.reduce(1 << 62) { product, bit in
      (distance &>> UInt64(bit)) & 1 == 0 ? product : Exponential.product(product, decays[bit])
    }
  }

  /// Dealt exponentials of opened words times the public factors of their places.
  ///
  /// - Parameters:
  ///   - opened: words under the top `top`.
  ///   - words: what is dealt for them, `cells.count` words an element, from `start` on.
  ///   - results: gets a word an element.
  func append(
    _ opened: ArraySlice<UInt64>, top: Int, words: [UInt64], from start: Int, _ factors: Factors,
    to results: inout [UInt64]
  ) {
    var start = start
    for word in opened {
      let place = cells.place(word, top: top)
      results.append(words[start + place.cell] &* factors[place.offset])
      start += cells.count
    }
  }

  /// The same as `factor` for many places: what their lowest bits give is looked up.
  struct Factors {
    private static let lowBits = 7

    private let function: Exponential
    private var low: [UInt64] = [1 << 62]

    init(_ function: Exponential) {
      self.function = function
      for bit in 0..<min(function.cells.bits, Factors.lowBits) {
        low += low.map { Exponential.product($0, function.decays[bit]) }
      }
    }

    subscript(_ offset: UInt64) -> UInt64 {
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
      return function.rounded(exact)
    }
  }

  /// 2^factorBits / 2^62 of an exact factor, rounded.
  private func rounded(_ exact: UInt64) -> UInt64 {
    (exact &+ (1 &<< UInt64(61 - factorBits))) &>> UInt64(62 - factorBits)
  }

  /// floor(a b / 2^62).
  private static func product(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let wide = a.multipliedFullWidth(by: b)
    return wide.high &<< 2 | wide.low &>> 62
  }

  /// By the upper bits of an exponent what `dealt` multiplies that of its lower bits with.
  public var cellDecays: [UInt64] {
    (0..<cells.count).map { cell in
      decay(UInt64(cell) &<< UInt64(cells.bits), bits: cells.bits..<cells.openedBits)
    }
  }

  /// The dealt exponential of `cell` under the mask r.
  ///
  /// With v = (c + 1) 2^g + r modulo 2^k, v_0 its lower g bits and v_1 the others, the word of cell c
  /// is floor(2^F floor(E(v_0) E(v_1) / 2^62) / q + 1/2), E the product of decays, q that of 2^g: the
  /// exponent is v - 2^g.
  public func dealt(mask: UInt64, cell: Int, cellDecays: [UInt64]) -> UInt64 {
    let mask = cells.reduced(mask)
    return dealt(
      low: decay(mask, bits: 0..<cells.bits), first: Int(mask &>> UInt64(cells.bits)), cell: cell,
      cellDecays: cellDecays)
  }

  /// Appends those of all cells to `words`.
  public func dealt(mask: UInt64, cellDecays: [UInt64], into words: inout [UInt64]) {
    let mask = cells.reduced(mask)
    let low = decay(mask, bits: 0..<cells.bits)
    let first = Int(mask &>> UInt64(cells.bits))
    for cell in 0..<cells.count {
      words.append(dealt(low: low, first: first, cell: cell, cellDecays: cellDecays))
    }
  }

  private func dealt(low: UInt64, first: Int, cell: Int, cellDecays: [UInt64]) -> UInt64 {
    let exact = Exponential.product(low, cellDecays[(first + cell + 1) & (cells.count - 1)])
    // floor((exact 2^F + q / 2) / q), within 128 bits.
    let divisor = decays[cells.bits]
    let wide = exact.multipliedFullWidth(by: 1 &<< UInt64(dealtBits))
    let (sum, carry) = wide.low.addingReportingOverflow(divisor &>> 1)
    return divisor.dividingFullWidth((wide.high &+ (carry ? 1 : 0), sum)).quotient
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
