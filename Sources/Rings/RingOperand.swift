// A factor of a ring product: words in memory, or blocks that are made when they are needed.

/// A part of a matrix.
public struct RingBlock: Equatable, Sendable {
  public var rows: Range<Int>
  public var columns: Range<Int>

  public init(rows: Range<Int>, columns: Range<Int>) {
    self.rows = rows
    self.columns = columns
  }
}

/// A matrix of ring elements as a factor of `RingProduct`.
public struct RingOperand<Element: RingElement>: Sendable {
  /// Writes a block row-major without gaps; called from several threads at once.
  public typealias Producer = @Sendable (RingBlock, inout MutableSpan<Element>) -> Void

  /// Where the elements are.
  enum Source {
    case words([Element], offset: Int)
    case produced(Producer)
  }

  public private(set) var rowCount: Int
  public private(set) var columnCount: Int
  /// Every element is an integer of so many bits, sign-extended: 8, 16, 24, 32, or all of the ring.
  public let bits: Int
  let source: Source
  /// Element (i, j) is number i rowStride + j columnStride of the words; one of the two is 1. Of
  /// what is produced, the other is 0.
  private(set) var rowStride: Int
  private(set) var columnStride: Int

  /// The row-major matrix in `words` whose row i starts at element `offset` + i `stride`.
  ///
  /// `bits` promises that every element is a signed integer of 8, 16, 24 or 32 bits, for which some
  /// arms have less to multiply. It is not checked; a broken promise gives a wrong product.
  public init(
    _ words: [Element], offset: Int = 0, rows: Int, columns: Int, stride: Int? = nil,
    bits: Int = Element.bitWidth
  ) {
    let stride = stride ?? columns
    precondition(rows >= 0 && columns >= 0 && offset >= 0, "a shape is not negative")
    precondition(rows <= 1 || stride >= columns, "rows must not overlap")
    precondition(
      rows == 0 || columns == 0 || offset + (rows - 1) * stride + columns <= words.count,
      "the matrix is larger than its words")
    self.init(
      rows: rows, columns: columns, bits: bits, source: .words(words, offset: offset),
      rowStride: stride)
  }

  /// A matrix that `produce` makes block by block, in the cache, right before it is multiplied.
  ///
  /// Every block is asked for once, if the other factor is in memory. See `init(_:offset:rows:
  /// columns:stride:bits:)` for `bits`.
  public init(
    rows: Int, columns: Int, bits: Int = Element.bitWidth, produce: @escaping Producer
  ) {
    precondition(rows >= 0 && columns >= 0, "a shape is not negative")
    self.init(
      rows: rows, columns: columns, bits: bits, source: .produced(produce), rowStride: 0)
  }

  private init(rows: Int, columns: Int, bits: Int, source: Source, rowStride: Int) {
    precondition(
      [8, 16, 24, 32, Element.bitWidth].contains(bits) && bits <= Element.bitWidth,
      "8, 16, 24, 32 or all bits")
    rowCount = rows
    columnCount = columns
    self.bits = bits
    self.source = source
    self.rowStride = rowStride
    columnStride = 1
  }

  /// The same elements with rows and columns exchanged; what is produced is produced as before.
  public var transposed: RingOperand {
    var result = self
    swap(&result.rowCount, &result.columnCount)
    swap(&result.rowStride, &result.columnStride)
    return result
  }

  var isProduced: Bool {
    if case .produced = source { return true }
    return false
  }
}
