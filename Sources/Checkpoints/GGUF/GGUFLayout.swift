// How llama.cpp's converter rearranged a tensor, and the way back.

import Bytes

/// The order of a GGUF tensor's elements against that of its Hugging Face original.
enum GGUFLayout: Equatable, Sendable {
  case same
  /// Rows of each head were interleaved so that rotary pairs are adjacent.
  case interleavedHeads(headCount: Int)
  /// A Conv1D matrix [in, out] became [out, in].
  case transposed
  /// Rows of the heads of each group of queries, its key head and its value became rows of all
  /// queries, all key heads, all values.
  case sortedHeads(headCount: Int, keyHeadCount: Int)
  /// One was added to every element.
  case plusOne
  /// A vector became row `index` of a matrix.
  case row(Int)

  /// Elements `elements` of the original, counted row-major.
  ///
  /// `shape` is that of the file; `read` gives the file's elements by their row-major indices.
  func floats(
    in elements: Range<Int>, shape: [Int], read: (Range<Int>) throws(InputError) -> [Float]
  ) throws(InputError) -> [Float] {
    guard !elements.isEmpty else { return [] }
    switch self {
    case .same: return try read(elements)
    case .plusOne: return try read(elements).map { $0 - 1 }
    case .row(let index):
      let first = index * shape[1]
      return try read(elements.lowerBound + first..<elements.upperBound + first)
    case .sortedHeads(let headCount, let keyHeadCount):
      let headLength = shape.reduce(1, *) / (headCount + 2 * keyHeadCount)
      var result: [Float] = []
      for head in elements.lowerBound / headLength...(elements.upperBound - 1) / headLength {
        let stored = GGUFLayout.sortedHead(head, headCount, keyHeadCount) * headLength
        let part = elements.clamped(to: head * headLength..<(head + 1) * headLength)
        let shift = stored - head * headLength
        result += try read(part.lowerBound + shift..<part.upperBound + shift)
      }
      return result
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

  /// Where head `head` of the original, counted over groups of queries, key and value, is in the
  /// file.
  private static func sortedHead(_ head: Int, _ headCount: Int, _ keyHeadCount: Int) -> Int {
    let queries = headCount / keyHeadCount
    let (group, place) = (head / (queries + 2), head % (queries + 2))
    if place < queries { return group * queries + place }
    return headCount + (place == queries ? 0 : keyHeadCount) + group
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
