// Multiplication triples as MP-SPDZ's semi2k parties read them with `-F`.

public import Bytes
import Randomness
import Rings

/// Fresh triples c = a b mod 2^64 for two parties, of numbers and of matrices; nothing else uses them.
///
/// Party 1's a, b, c and party 0's a and b are uniform; c_0 = (a_0 + a_1) (b_0 + b_1) - c_1.
public struct MPSPDZTriples {
  private let tripleCount: Int
  private let matrices: [(shape: MatrixTripleShape, count: Int)]
  private let seed = Seed.random()

  /// - Parameter matrices: how many triples of matrices of each shape; every shape once.
  public init(tripleCount: Int, matrices: [(shape: MatrixTripleShape, count: Int)] = []) {
    precondition(Set(matrices.map(\.shape)).count == matrices.count, "every shape once")
    self.tripleCount = tripleCount
    self.matrices = matrices
  }

  /// Triples of numbers that are made at once.
  private static let batchCount = 1 << 16

  /// Writes into `folder` the files below `partyN/Player-Data/2-DR-64`.
  ///
  /// `progress` is told how many triples are done at a time.
  public func write(
    to folder: ExportFolder, progress: (Int) -> Void = { _ in }
  ) throws(InputError) {
    let matrixFiles = matrices.map { (shape, _) -> ExportFolder.Name in
      { MPSPDZFormat.matrixTriples(shape, ofParty: $0) }
    }
    try folder.write((tripleCount > 0 ? [MPSPDZFormat.triples] : []) + matrixFiles) {
      () throws(InputError) in
      if tripleCount > 0 {
        try folder.writePair(MPSPDZFormat.triples) { (append) throws(InputError) in
          try append([MPSPDZFormat.header, MPSPDZFormat.header])
          var start = 0
          while start < tripleCount {
            let count = min(MPSPDZTriples.batchCount, tripleCount - start)
            try append(numbers(start, count).map(\.littleEndianBytes))
            progress(count)
            start += count
          }
        }
      }
      for (index, (shape, count)) in matrices.enumerated() {
        try folder.writePair(matrixFiles[index]) { (append) throws(InputError) in
          try append([MPSPDZFormat.header, MPSPDZFormat.header])
          for number in 0..<count {
            try append(matrix(shape, kind: index, number).map(\.littleEndianBytes))
            progress(1)
          }
        }
      }
    }
  }

  /// Words of a stream that nothing else reads: `kind` 0 for numbers, 1 + index for matrices.
  private func words(kind: Int, _ number: Int, count: Int) -> [UInt64] {
    let label = StreamLabel(
      session: UInt32(number), party: 2, operation: UInt32(kind), kind: 0, index: 0)
    return RandomStream(seed: seed, label: label).words(at: 0, count: count)
  }

  /// Both parties' triples `start`..<`start + count`, a, b, c one after the other.
  private func numbers(_ start: Int, _ count: Int) -> [[UInt64]] {
    let random = words(kind: 0, start / MPSPDZTriples.batchCount, count: 5 * count)
    var shares = [
      [UInt64](repeating: 0, count: 3 * count), [UInt64](repeating: 0, count: 3 * count),
    ]
    for index in 0..<count {
      let (a, b) = (random[5 * index], random[5 * index + 1])
      let masks = random[(5 * index + 2)..<(5 * index + 5)]
      let whole = [a, b, a &* b]
      for (place, mask) in masks.enumerated() {
        shares[0][3 * index + place] = whole[place] &- mask
        shares[1][3 * index + place] = mask
      }
    }
    return shares
  }

  /// Both parties' triple of matrices `number`: A, B, C one after the other, row-major.
  private func matrix(_ shape: MatrixTripleShape, kind: Int, _ number: Int) -> [[UInt64]] {
    let sizes = (
      a: shape.rowCount * shape.innerCount, b: shape.innerCount * shape.columnCount,
      c: shape.rowCount * shape.columnCount
    )
    let random = words(kind: 1 + kind, number, count: 2 * (sizes.a + sizes.b) + sizes.c)
    var whole = Array(random[..<(sizes.a + sizes.b)])
    let masks = Array(random[(sizes.a + sizes.b)...])
    let a = Array(whole[..<sizes.a])
    let b = Array(whole[sizes.a...])
    whole += RingProduct.product(
      RingOperand(a, rows: shape.rowCount, columns: shape.innerCount),
      RingOperand(b, rows: shape.innerCount, columns: shape.columnCount))
    return [zip(whole, masks).map { $0 &- $1 }, masks]
  }
}
