// The closed set of primitive secure operations that every interpreter switches over.

public import Rings

/// Index of a value in `SecureProgram.values`.
public typealias ValueID = Int

/// Index of a weight in `SecureProgram.weights`.
public typealias WeightID = Int

/// One primitive operation on ring values modulo 2^64.
///
/// `open` communicates, and so do comparisons by bits and permuted functions; all others are local, with
/// or without correlated randomness. A value is *shared* (x = x_0 + x_1 modulo 2^ringBits), *opened* (X = x +
/// r modulo 2^k is public and r = r_0 + r_1 is dealt) or a *view* of an opened value: shifted right
/// by s bits, it is y = A - t + B h modulo 2^64 with public A, B and dealt t = r >> s, h = r >> (k -
/// 1), and equals floor(x / 2^s) or that plus one for |x| < 2^(k-2).
public enum Operation: Equatable, Sendable {
  /// The client's shares of the input rows.
  case input
  /// Opens a shared value under a fresh mask, whole or only some of its bits: one round.
  case open(ValueID, Opening = .whole)
  /// Opens the number that an opened value, or a view of it with shift 0, stands for modulo 2^bits,
  /// more than were opened, under more bits of the same mask: one round, in which the new ones travel.
  case widen(ValueID, bits: Int)
  /// The view of an opened value shifted right by `shift` bits: at least one where it is opened
  /// whole.
  case view(ValueID, shift: Int)
  /// The shared value of a view.
  case truncate(ValueID)
  /// x W^T for an opened x and a static secret weight.
  case linear(ValueID, weight: WeightID)
  /// Reveals the lowest bit of each element, unmasked: one round. The bits decide about blocks.
  case reveal(ValueID, BlockPool)
  /// Rows of x W^T in the blocks that run, for an opened x and a static secret weight.
  case blockLinear(ValueID, gates: ValueID, weight: WeightID)
  /// The columns of the blocks that run; of scores, those of the heads that run.
  case selectBlocks(ValueID, gates: ValueID)
  /// A value of running blocks as one of all columns, which is zero in the others.
  case spreadBlocks(ValueID)
  /// Opens a shared value of running blocks as one of all columns, which is zero in the others: one
  /// round. Masks of running blocks stay secret; the others' are revealed (see `BlockTree`).
  case openBlocks(ValueID, Opening)
  /// x * w column by column, for an opened x and a static secret vector.
  case scale(ValueID, weight: WeightID)
  /// For each head and row, the products of an opened query row with all opened key rows so far.
  ///
  /// Keys have `keyHeads` heads; query head h reads key head h / (heads / keyHeads). A row sees keys
  /// at distances below `window` only, where it is not nil.
  case scores(query: ValueID, key: ValueID, heads: Int, keyHeads: Int, window: Int? = nil)
  /// For each head and row, the sum of opened value rows weighted by an opened row over the keys.
  ///
  /// Values have `keyHeads` heads, which the heads of the weights share as in `scores`.
  case mix(weights: ValueID, value: ValueID, heads: Int, keyHeads: Int)
  /// Product of two opened values or views; the second may have fewer columns (see `combine`).
  case multiply(ValueID, ValueID)
  /// For each output o, the sum over i of coefficients[o][i] * y^i, y an opened value or view.
  case polynomial(ValueID, coefficients: [[UInt64]])
  /// Piecewise linear functions of an opened value, which may communicate (see `PiecewiseLinear`).
  case piecewiseLinear(ValueID, PiecewiseLinear)
  /// e^(x - top) of an opened value of few bits, from dealt exponentials of its mask.
  case exponential(ValueID, Exponential)
  /// Bits [x > bound] of an opened value of few bits, coarse, from dealt cells of its mask.
  case coarseSteps(ValueID, CoarseSteps)
  /// A polynomial for every cell of an opened value of few bits, from a point key (see `Lookup`).
  case lookup(ValueID, Lookup)
  /// A function of a shared value that party 1 computes on permuted values, and learns these: three
  /// messages (see `PermutedFunction`).
  case permuted(ValueID, PermutedFunction)
  /// Sum of coefficient * value, plus a public constant. The first term gives the shape; another
  /// may have fewer columns, each then serving an equal run of the first's columns.
  case combine([Term], constant: UInt64)
  /// Adds a static secret vector to every row, or row `position + offset` of a static table.
  case addWeight(ValueID, weight: WeightID, rows: WeightRows)
  /// Adds slopes[head] * (key position - query position) to scores; ring elements, one a head.
  case addDistance(ValueID, slopes: [UInt64])
  /// Turns pairs of columns by public angles that depend on the position.
  case rotate(ValueID, Rotation)
  /// Sums each of `runs` equal runs of a row to one column.
  case sum(ValueID, runs: Int)
  /// Differences of neighbouring columns 2j and 2j + 1 of each run of keys.
  case pairDifference(ValueID)
  /// Column 2j + 1 of the first plus column j of the second; a last column without a pair stays.
  case pairMerge(ValueID, ValueID)
  /// Appends zero columns until each run has as many as in the dealt layout.
  case padKeys(ValueID)
  /// Appends zero rows until there are as many as the session has.
  case padRows(ValueID)
  /// The last row of the step.
  case lastRow(ValueID)
  /// The first row of the step (encoders only).
  case firstRow(ValueID)
  /// The sum of the rows of the step times 1 / their number, which is rounded to `fractionalBits`
  /// (encoders only).
  case meanRow(ValueID, fractionalBits: Int)
  /// Reveals a shared value to the client, modulo 2^bits.
  case output(ValueID, bits: Int = 64)
}

/// One term of `Operation.combine`.
public struct Term: Equatable, Sendable {
  public var value: ValueID
  /// Ring element; negative numbers are two's complement.
  public var coefficient: UInt64

  public init(_ value: ValueID, _ coefficient: Int) {
    self.value = value
    self.coefficient = UInt64(bitPattern: Int64(coefficient))
  }

  public init(value: ValueID, coefficient: UInt64) {
    self.value = value
    self.coefficient = coefficient
  }
}

/// Which bits of a shared value x an `open` reveals under a mask: y = floor(x / 2^shift), or that
/// plus one where `shift` is not 0, modulo 2^bits.
///
/// Each party shifts its own share and party 0 adds one: the carry that is lost between the shares
/// is the only error, so that nothing need be opened first to shorten a value.
public struct Opening: Hashable, Sendable {
  public var shift: Int
  /// 2...64; with the shift at most the ring bits of x.
  public var bits: Int

  public init(shift: Int, bits: Int) {
    self.shift = shift
    self.bits = bits
  }

  /// All 64 bits.
  public static let whole = Opening(shift: 0, bits: 64)
  /// The lowest bit, as it is revealed.
  public static let bit = Opening(shift: 0, bits: 1)

  /// Words in which `count` elements travel, without gaps between them.
  public func wordCount(elements count: Int) -> Int { (count * bits + 63) / 64 }

  /// `word` modulo 2^bits.
  @inlinable
  public func reduced(_ word: UInt64) -> UInt64 { word & (UInt64.max &>> UInt64(64 - bits)) }
}

/// Which row of a static table `Operation.addWeight` adds to a row of the value.
public enum WeightRows: Equatable, Sendable {
  /// The weight is a vector, added to every row.
  case bias
  /// Row `position + offset` of the weight.
  case positions(offset: Int)
  /// The value is scores, the weight has a column a head, and the distance of the key chooses its
  /// row.
  case distances(DistanceRows)
}

/// Rows of a table by the distance key position - query position.
public struct DistanceRows: Equatable, Sendable {
  /// Ascending.
  public var borders: [Int]
  /// One more than borders.
  public var rows: [Int]

  public init(borders: [Int], rows: [Int]) {
    self.borders = borders
    self.rows = rows
  }

  /// rows[i], i the number of borders that are at most `distance`.
  public func row(_ distance: Int) -> Int {
    rows[borders.count { $0 <= distance }]
  }
}

/// Piecewise linear functions of x, by one comparison key per element or by dealt bits.
///
/// Output o is slope * y + intercept on each piece, y = x or its view shifted by `shift`. Pieces
/// are separated by `knots`: piece k holds knots[k-1] <= x < knots[k]. Comparisons look at bits
/// droppedBits ..< droppedBits + comparedBits of x - knot, which must lie within `comparedRange`. An
/// x that is less than 2^droppedBits below a knot may count as at or above it.
public struct PiecewiseLinear: Equatable, Sendable {
  public var shift: Int
  public var droppedBits: Int
  public var comparedBits: Int
  /// Ascending; in units of x.
  public var knots: [Int]
  public var outputs: [Output]
  public var comparison: ComparisonProtocol
  /// Bits of the opened value.
  public var openedBits: Int
  /// Whether y is the opened value in the whole ring, by a view of it, and not modulo 2^openedBits.
  public var isLifted: Bool
  /// Of constant pieces: the bits of the ring that the outputs are known in, where that is a smaller one
  /// than y's.
  public var resultBits: Int?
  /// Of outputs that are bits: with this probability, in thousandths, an element counts as at or above all
  /// knots, whatever it is. The dealer draws which.
  public var noise: Int

  /// One function: `knots.count + 1` pieces.
  public struct Output: Equatable, Sendable {
    public var slopes: [Int]
    public var intercepts: [Int]
    public var fractionalBits: Int

    public init(slopes: [Int], intercepts: [Int], fractionalBits: Int) {
      self.slopes = slopes
      self.intercepts = intercepts
      self.fractionalBits = fractionalBits
    }
  }

  public init(
    shift: Int, droppedBits: Int, comparedBits: Int, knots: [Int], outputs: [Output],
    comparison: ComparisonProtocol = .keys, openedBits: Int = 64, isLifted: Bool = false,
    resultBits: Int? = nil, noise: Int = 0
  ) {
    self.shift = shift
    self.droppedBits = droppedBits
    self.comparedBits = comparedBits
    self.knots = knots
    self.outputs = outputs
    self.comparison = comparison
    self.openedBits = openedBits
    self.isLifted = isLifted
    self.resultBits = resultBits
    self.noise = noise
  }

  /// What x - knot may be, -2^top ... 2^top - 2^droppedBits with top = droppedBits + comparedBits - 1.
  ///
  /// Above it a carry out of the dropped bits may turn the sign, and beyond it the window wraps.
  public var comparedRange: ClosedRange<Int> {
    let lowest = Int.min >> (64 - droppedBits - comparedBits)
    return lowest ... -(lowest + 1 << droppedBits)
  }

  /// Whether some argument is within `comparedRange` of every knot; knots must ascend.
  var servesAllKnots: Bool {
    guard let first = knots.first, let last = knots.last else { return true }
    let range = comparedRange
    return UInt(bitPattern: last &- first)
      <= UInt(bitPattern: range.upperBound &- range.lowerBound)
  }

  /// The fewest compared bits with which |x - knot| up to `reach` lies within `comparedRange`, or 64
  /// where it leaves the ring.
  static func comparedBits(reach: Double, droppedBits: Int) -> Int {
    guard reach < 0x1p62, droppedBits < 61 else { return 64 }
    let end = Int(reach.rounded(.up)) + 1 << droppedBits
    return (2...63 - droppedBits).first { end <= 1 << (droppedBits + $0 - 1) } ?? 64
  }

  /// Levels of the comparison: all compared bits but the sign.
  public var levels: Int { comparedBits - 1 }

  /// Whether all slopes are 0: y matters by the piece that it is in, and by nothing else.
  public var hasConstantPieces: Bool { outputs.allSatisfy { $0.slopes.allSatisfy { $0 == 0 } } }

  /// Words of payload: the bit, and unless pieces are constant the bit times the mask (or times both mask
  /// parts of a view).
  public var payload: Int { hasConstantPieces ? 1 : isViewed ? 3 : 2 }

  /// Whether slopes act on a view of the opened value, and not on that itself.
  public var isViewed: Bool { !hasConstantPieces && isWide }

  /// Whether y is in the whole ring.
  private var isWide: Bool { shift > 0 || isLifted }

  /// The outputs are known modulo 2 to this power.
  public var resultRingBits: Int { resultBits ?? argumentRingBits }

  /// y is known modulo 2 to this power.
  var argumentRingBits: Int { isWide ? 64 : openedBits }

  /// Whether outputs are bits: shares of these add up modulo 2, as those of comparisons by bits do.
  public var givesBits: Bool { resultRingBits == 1 }

  /// The comparison key of an element, with words as wide as the result needs them.
  public var keyLayout: ComparisonKeyLayout {
    ComparisonKeyLayout(
      levels: levels, payload: payload, wordByteCount: (resultRingBits + 7) / 8)
  }

  /// The window of compared bits of a ring element, as an integer below 2^comparedBits.
  @inlinable
  public func window(_ word: UInt64) -> UInt64 {
    (word &>> UInt64(droppedBits)) & (UInt64.max &>> UInt64(64 - comparedBits))
  }
}

/// An operation and the values it writes.
public struct ProgramNode: Equatable, Sendable {
  public var operation: Operation
  /// First value written; `open` and most others write one, some several in sequence.
  public var outputs: Range<ValueID>
  /// Where the operation comes from, such as "layers.0.attention.softmax.max".
  public var label: String

  public init(operation: Operation, outputs: Range<ValueID>, label: String) {
    self.operation = operation
    self.outputs = outputs
    self.label = label
  }
}

extension Operation {
  /// The values this operation reads, in order.
  public var inputs: [ValueID] {
    switch self {
    case .input: []
    case .open(let x, _), .widen(let x, _), .view(let x, _), .truncate(let x), .linear(let x, _),
      .scale(let x, _),
      .polynomial(let x, _), .piecewiseLinear(let x, _), .exponential(let x, _),
      .coarseSteps(let x, _), .addWeight(let x, _, _),
      .addDistance(let x, _), .rotate(let x, _), .sum(let x, _), .pairDifference(let x),
      .padKeys(let x), .padRows(let x), .lastRow(let x),
      .firstRow(let x), .meanRow(let x, _), .output(let x, _), .reveal(let x, _),
      .openBlocks(let x, _), .spreadBlocks(let x):
      [x]
    case .scores(let x, let y, _, _, _), .mix(let x, let y, _, _), .multiply(let x, let y),
      .pairMerge(let x, let y):
      [x, y]
    case .blockLinear(let x, let gates, _), .selectBlocks(let x, let gates): [x, gates]
    case .permuted(let x, let function): [x] + (function.factor.map { [$0.value] } ?? [])
    case .lookup(let x, let function): [x] + (function.factor.map { [$0] } ?? [])
    case .combine(let terms, _): terms.map(\.value)
    }
  }

  /// The static weight this operation reads, or nil.
  public var weight: WeightID? {
    switch self {
    case .linear(_, let weight), .scale(_, let weight), .addWeight(_, let weight, _),
      .blockLinear(_, _, let weight):
      weight
    default: nil
    }
  }

  /// Name of the primitive in printed programs and files.
  public var name: String {
    switch self {
    case .input: "input"
    case .open: "open"
    case .widen: "widen"
    case .view: "view"
    case .truncate: "truncate"
    case .linear: "linear"
    case .reveal: "reveal"
    case .blockLinear: "blockLinear"
    case .selectBlocks: "selectBlocks"
    case .spreadBlocks: "spreadBlocks"
    case .openBlocks: "openBlocks"
    case .scale: "scale"
    case .scores: "scores"
    case .mix: "mix"
    case .multiply: "multiply"
    case .polynomial: "polynomial"
    case .piecewiseLinear: "piecewiseLinear"
    case .exponential: "exponential"
    case .coarseSteps: "coarseSteps"
    case .lookup: "lookup"
    case .permuted: "permuted"
    case .combine: "combine"
    case .addWeight: "addWeight"
    case .addDistance: "addDistance"
    case .rotate: "rotate"
    case .sum: "sum"
    case .pairDifference: "pairDifference"
    case .pairMerge: "pairMerge"
    case .padKeys: "padKeys"
    case .padRows: "padRows"
    case .lastRow: "lastRow"
    case .firstRow: "firstRow"
    case .meanRow: "meanRow"
    case .output: "output"
    }
  }
}
