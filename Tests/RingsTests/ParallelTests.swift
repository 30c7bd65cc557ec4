// Pieces cover every index once, whatever the sizes.

import Rings
import Synchronization
import Testing

@Suite struct ParallelTests {
  @Test(arguments: [0, 1, 6, 7, 8, 1000], [1, 7, 1000])
  func piecesCoverTheRange(count: Int, chunk: Int) {
    let pieces = Mutex<[Range<Int>]>([])
    Parallel.forEachChunk(count: count, chunk: chunk) { range in
      pieces.withLock { $0.append(range) }
    }
    let sorted = pieces.withLock { $0.sorted { $0.lowerBound < $1.lowerBound } }
    #expect(sorted.flatMap { Array($0) } == Array(0..<count))
    #expect(sorted.dropLast().allSatisfy { $0.count == chunk })
  }

  @Test func piecesOfASpanAreWrittenInPlace() {
    var elements = [Int](repeating: -1, count: 1003)
    let input = (0..<1003).map { $0 * $0 }
    let inputSpan = input.span
    var span = elements.mutableSpan
    Parallel.forEachChunk(of: &span, chunk: 10) { range, piece in
      for index in piece.indices { piece[index] = inputSpan[range.lowerBound + index] }
    }
    #expect(elements == input)
  }
}
