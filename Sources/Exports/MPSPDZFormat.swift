// What MP-SPDZ reads of ring elements: the header of its files, and where they lie.

/// Files of MP-SPDZ's ring protocols over 64 bits (compiled with -R 64).
enum MPSPDZFormat {
  /// Length of what follows, "Z2^64", and 64 as 4 bytes: 17 bytes in all (its Tools/Buffer.h).
  static let header: [UInt8] = [9, 0, 0, 0, 0, 0, 0, 0] + Array("Z2^64".utf8) + [64, 0, 0, 0]

  /// The file that `sint` and `sfix.read_from_file` read.
  static func persistence(ofParty party: Int) -> String {
    "Persistence/Transactions-P\(party).data"
  }

  static func triples(ofParty party: Int) -> String {
    "Player-Data/2-DR-64/Triples-DR-P\(party)"
  }

  /// Triples of matrices A [rows, inner], B [inner, columns], C = A B.
  static func matrixTriples(_ shape: MatrixTripleShape, ofParty party: Int) -> String {
    "Player-Data/2-DR-64/Matrix-\(shape.rowCount)x\(shape.innerCount)x\(shape.columnCount)-P\(party)"
  }
}

/// Sizes of the matrices of a triple.
public struct MatrixTripleShape: Hashable, Sendable {
  public var rowCount: Int
  public var innerCount: Int
  public var columnCount: Int

  public init(rowCount: Int, innerCount: Int, columnCount: Int) {
    self.rowCount = rowCount
    self.innerCount = innerCount
    self.columnCount = columnCount
  }

  /// Of the three matrices.
  public var elementCount: Int {
    rowCount * innerCount + innerCount * columnCount + rowCount * columnCount
  }

  /// Elements of a matrix at most: 512 MiB.
  static let mostElements = 1 << 26

  /// "RxKxC", sizes of at least 1 and matrices of at most 2^26 elements; nil for any other text.
  public init?(_ text: some StringProtocol) {
    let words = text.split(separator: "x", omittingEmptySubsequences: false)
    let sizes = words.compactMap { Int($0) }.filter { (1...Self.mostElements).contains($0) }
    guard words.count == 3, sizes.count == 3 else { return nil }
    let products = [sizes[0] * sizes[1], sizes[1] * sizes[2], sizes[0] * sizes[2]]
    guard products.allSatisfy({ $0 <= Self.mostElements }) else { return nil }
    self.init(rowCount: sizes[0], innerCount: sizes[1], columnCount: sizes[2])
  }
}
