// How llama.cpp's converter rearranged a tensor, and the way back.

/// The order of a GGUF tensor's elements against that of its Hugging Face original.
enum GGUFLayout: Equatable, Sendable {
  case same
  /// Rows of each head were interleaved so that rotary pairs are adjacent.
  case interleavedHeads(headCount: Int)
  /// A Conv1D matrix [in, out] became [out, in].
  case transposed

  /// `values`, row-major of `shape` as the file has it, in the original's order.
  ///
  /// The converter makes row (head, i, half) of row (head, half, i), i < head width / 2.
  func restored(_ values: [Float], shape: [Int]) -> [Float] {
    switch self {
    case .same: return values
    case .interleavedHeads(let headCount):
      guard let rowCount = shape.first, rowCount > 0 else { return values }
      let rowLength = values.count / rowCount
      let headWidth = rowCount / headCount
      var result: [Float] = []
      result.reserveCapacity(values.count)
      for head in 0..<headCount {
        for half in 0..<2 {
          for pair in 0..<headWidth / 2 {
            let row = head * headWidth + 2 * pair + half
            result += values[row * rowLength..<(row + 1) * rowLength]
          }
        }
      }
      return result
    case .transposed:
      guard shape.count == 2 else { return values }
      let (rowCount, columnCount) = (shape[0], shape[1])
      var result = [Float](repeating: 0, count: values.count)
      let block = 32
      for firstRow in stride(from: 0, to: rowCount, by: block) {
        for firstColumn in stride(from: 0, to: columnCount, by: block) {
          for row in firstRow..<min(firstRow + block, rowCount) {
            for column in firstColumn..<min(firstColumn + block, columnCount) {
              result[column * rowCount + row] = values[row * columnCount + column]
            }
          }
        }
      }
      return result
    }
  }
}
