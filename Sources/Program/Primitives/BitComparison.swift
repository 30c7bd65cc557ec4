// Comparison of public numbers with a mask's shared bits: what is dealt, opened, and in which
// round.

/// The circuit for [u < v], u public and v shared, both of `levels` bits (see
/// `formats/program.md`).
///
/// v is cut into blocks of four bits. For each block the dealer gives shares of [block >= k] for
/// every k, from which g = [u's block < v's] and p = [they are equal] follow without a message.
/// Gates join up to four neighbours: g = g_3 + p_3 (g_2 + p_2 (g_1 + p_1 g_0)) and p = p_3 p_2 p_1
/// p_0 modulo
/// 2. The inputs of a gate are opened under masks, and products of masks are dealt: one round a
/// level.
public struct BitComparison: Equatable, Sendable {
  /// Bits of a block, and inputs of a gate.
  static let blockWidth = 4
  static let fanIn = 4

  /// Joins neighbouring items, item 0 being the lowest bits, to one of the next level.
  public struct Gate: Equatable, Sendable {
    /// Items of the level below.
    public let items: Range<Int>
    /// Whether it holds the lowest bits: nothing is below it, so its p is never needed.
    public let isLowest: Bool
    /// Bits that are opened: g of all items but the highest, then p of all items (of all but the
    /// lowest item where `isLowest`). A gate of one item opens nothing.
    public let variables: [(item: Int, isPropagate: Bool)]
    /// Products of variables that g adds up, as sets of variables (bit i is variable i).
    public let generateTerms: [Int]
    /// The product that p is.
    public let propagateTerm: Int?
    /// Products of masks that are dealt: sets of at least two variables, ascending.
    public let products: [Int]
    /// Places of the gate's masks and products among those of a knot.
    public let firstMask: Int
    public let firstProduct: Int

    init(items: Range<Int>, isLowest: Bool, firstMask: Int, firstProduct: Int) {
      self.items = items
      self.isLowest = isLowest
      self.firstMask = firstMask
      self.firstProduct = firstProduct
      guard items.count > 1 else {
        variables = []
        generateTerms = []
        propagateTerm = nil
        products = []
        return
      }
      let propagated = items.dropFirst(isLowest ? 1 : 0)
      variables =
        items.dropLast().map { ($0, false) } + propagated.map { ($0, true) }
      func bit(_ item: Int) -> Int { 1 << (items.count - 1 + item - propagated.lowerBound) }
      generateTerms = items.dropLast().enumerated().map { index, item in
        propagated.filter { $0 > item }.reduce(1 << index) { $0 | bit($1) }
      }
      propagateTerm = isLowest ? nil : propagated.reduce(0) { $0 | bit($1) }
      let terms = generateTerms + [propagateTerm].compactMap { $0 }
      products = (1..<1 << variables.count).filter { set in
        set.nonzeroBitCount > 1 && terms.contains { $0 & set == set }
      }
    }

    public static func == (left: Gate, right: Gate) -> Bool {
      left.items == right.items && left.isLowest == right.isLowest
        && left.firstMask == right.firstMask && left.firstProduct == right.firstProduct
    }
  }

  public let levels: Int
  /// Bits of each block, the lowest first.
  public let blocks: [Range<Int>]
  /// Gates of each level, the lowest first; none where there is one block.
  public let gates: [[Gate]]
  /// Whether the result is opened under a mask bit, to be multiplied: not where it is wanted as a bit.
  public let opensResult: Bool
  /// Whether there is a dealt bit an element that says if it is compared at all.
  public let isNoisy: Bool
  /// Bits that are opened for a knot, one mask bit each; the last is the comparison's result.
  public let maskCount: Int
  /// Products of masks that are dealt for a knot.
  public let productCount: Int

  public init(levels: Int, opensResult: Bool = true, isNoisy: Bool = false) {
    precondition(levels > 0, "a number has bits")
    self.levels = levels
    self.opensResult = opensResult
    self.isNoisy = isNoisy
    blocks = stride(from: 0, to: levels, by: BitComparison.blockWidth).map {
      $0..<min($0 + BitComparison.blockWidth, levels)
    }
    var gates: [[Gate]] = []
    var (masks, products) = (0, 0)
    var itemCount = blocks.count
    while itemCount > 1 {
      var level: [Gate] = []
      for first in stride(from: 0, to: itemCount, by: BitComparison.fanIn) {
        let gate = Gate(
          items: first..<min(first + BitComparison.fanIn, itemCount), isLowest: first == 0,
          firstMask: masks, firstProduct: products)
        masks += gate.variables.count
        products += gate.products.count
        level.append(gate)
      }
      gates.append(level)
      itemCount = level.count
    }
    self.gates = gates
    maskCount = masks + (opensResult ? 1 : 0)
    productCount = products
  }

  /// Bits [block >= k] of all blocks.
  public var thresholdCount: Int { blocks.reduce(0) { $0 + (1 << $1.count) - 1 } }

  /// Where the products of knot 0 begin among the dealt bits of an element.
  public var firstProduct: Int { thresholdCount + (isNoisy ? 2 : 1) }

  /// Dealt bits of an element: thresholds, the mask's top bit, with noise whether it is compared, and the
  /// products of every knot.
  public func planeCount(knots: Int) -> Int { firstProduct + knots * productCount }

  /// Rounds: one a level of gates, and one for the result where that is opened.
  public var roundCount: Int { gates.count + (opensResult ? 1 : 0) }

  /// Bits opened for a knot in round `round`.
  public func openedBitCount(round: Int) -> Int {
    round < gates.count ? gates[round].reduce(0) { $0 + $1.variables.count } : 1
  }
}
