// How llama.cpp's converter rearranged a tensor, and the way back.

import Bytes

/// The order of a GGUF tensor's elements against that of its Hugging Face original.
enum GGUFLayout: Equatable, Sendable {
  case same
  /// Rows of each head were interleaved so that rotary pairs are adjacent.
  case interleavedHeads(headCount: Int)
  /// A Conv1D matrix [in, out] became [out, in].
  case transposed

  /// Elements `elements` of the original, counted row-major.
  ///
  /// `shape` is that of the file; `read` gives the file's elements by their row-major indices.
  func floats(
    in elements: Range<Int>, shape: [Int], read: (Range<Int>) throws(InputError) -> [Float]
  ) throws(InputError) -> [Float] {
    guard !elements.isEmpty else { return [] }
    switch self {
    case .same: return try read(elements)
    case .interleavedHeads(let headCount):
      let rowLength = shape.dropFirst().reduce(1, *)
      let headWidth = shape[0] / headCount
      let headLength = headWidth * rowLength
      let heads = elements.lowerBound / headLength..<(elements.upperBound - 1) / headLength + 1
      let stored = try read(heads.lowerBound * headLength..<heads.upperBound * headLength)
      let restored = GGUFLayout.separated(
        stored, headCount: heads.count, headWidth: headWidth, rowLength: rowLength)
      let first = elements.lowerBound - heads.lowerBound * headLength
      return restored.count == elements.count
        ? restored : Array(restored[first..<first + elements.count])
    case .transposed:
      // The original's rows are the file's columns.
      let (rowCount, columnCount) = (shape[0], shape[1])
      let rows = elements.lowerBound / rowCount..<(elements.upperBound - 1) / rowCount + 1
      let whole = try TransposedMatrix.columns(
        rows, rowCount: rowCount, columnCount: columnCount, read: read)
      let first = elements.lowerBound - rows.lowerBound * rowCount
      return whole.count == elements.count
        ? whole : Array(whole[first..<first + elements.count])
    }
  }

  /// The converter makes row (head, i, half) of row (head, half, i), i < head width / 2.
  private static func separated(
    _ values: [Float], headCount: Int, headWidth: Int, rowLength: Int
  ) -> [Float] {
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
  }
}
