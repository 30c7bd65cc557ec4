// Byte-pair encoding: characters of a piece, merged pair by pair in the order of training.

import Bytes

/// The model `BPE`, as Hugging Face's `tokenizers` runs it.
struct BytePairModel: Sendable {
  var vocabulary: TokenTable
  /// Rank and result of a pair of ids, which are the halves of the key.
  var merges: [UInt64: Merge] = [:]
  var unknownToken: String?
  var continuingPrefix: [UInt8] = []
  var endSuffix: [UInt8] = []
  var fusesUnknown = false
  var fallsBackToBytes = false
  var takesWholePieces = false
  private let byteIDs: [Int?]

  struct Merge: Sendable {
    var rank: Int
    var id: Int
  }

  init(vocabulary: TokenTable) {
    self.vocabulary = vocabulary
    byteIDs = vocabulary.byteIDs()
  }

  private static func key(_ left: Int, _ right: Int) -> UInt64 {
    UInt64(left) << 32 | UInt64(right)
  }

  /// Adds the merge of `left` and `right`; false where a part or the result is no token.
  mutating func addMerge(_ left: String, _ right: String, rank: Int) -> Bool {
    guard right.utf8.count >= continuingPrefix.count, let leftID = vocabulary.id(of: left),
      let rightID = vocabulary.id(of: right),
      let id = vocabulary.id(
        of: (Array(left.utf8) + right.utf8.dropFirst(continuingPrefix.count))[...])
    else { return false }
    merges[BytePairModel.key(leftID, rightID)] = Merge(rank: rank, id: id)
    return true
  }

  func encode(_ piece: Scalars) -> [Int] {
    if takesWholePieces, let id = vocabulary.id(of: piece.utf8[...]) { return [id] }
    return merged(symbols(piece))
  }

  /// Ids of the characters by themselves.
  private func symbols(_ piece: Scalars) -> [Int] {
    var result: [Int] = []
    // An unknown character waits for the next, with which it may be one.
    var unknown: Int?
    for (index, scalar) in piece.enumerated() {
      let bytes = Array(UTF8.encode(scalar) ?? .init())
      var text = bytes
      if index > 0, !continuingPrefix.isEmpty { text = continuingPrefix + text }
      if index == piece.count - 1 { text += endSuffix }
      if let id = vocabulary.id(of: text[...]) {
        if let waiting = unknown { result.append(waiting) }
        unknown = nil
        result.append(id)
        continue
      }
      if fallsBackToBytes {
        let ids = text.compactMap { byteIDs[Int($0)] }
        if ids.count == text.count {
          result += ids
          continue
        }
      }
      guard let unknownToken, let id = vocabulary.id(of: unknownToken) else { continue }
      if let waiting = unknown, !fusesUnknown { result.append(waiting) }
      unknown = id
    }
    if let unknown { result.append(unknown) }
    return result
  }

  /// A pair that may be merged, at the symbol where it begins.
  private struct Candidate: Comparable {
    var rank: Int
    var position: Int
    var id: Int

    static func < (left: Candidate, right: Candidate) -> Bool {
      (left.rank, left.position) < (right.rank, right.position)
    }
  }

  /// Merges the pair of the lowest rank, the leftmost of several, until none is left.
  private func merged(_ symbols: [Int]) -> [Int] {
    guard symbols.count > 1 else { return symbols }
    // -1: merged into one before.
    var ids = symbols
    var next = Array(1...symbols.count)
    var previous = Array(-1..<symbols.count - 1)
    var queue = Heap<Candidate>()
    func offer(_ left: Int, _ right: Int) {
      guard let merge = merges[BytePairModel.key(ids[left], ids[right])] else { return }
      queue.insert(Candidate(rank: merge.rank, position: left, id: merge.id))
    }
    for index in 0..<symbols.count - 1 { offer(index, index + 1) }
    while let candidate = queue.popLeast() {
      let left = candidate.position
      guard ids[left] >= 0, case let right = next[left], right < ids.count,
        merges[BytePairModel.key(ids[left], ids[right])]?.id == candidate.id
      else { continue }
      ids[left] = candidate.id
      ids[right] = -1
      next[left] = next[right]
      if next[left] < ids.count { previous[next[left]] = left }
      if previous[left] >= 0 { offer(previous[left], left) }
      if next[left] < ids.count { offer(left, next[left]) }
    }
    return ids.filter { $0 >= 0 }
  }
}

/// A binary heap, the least element first.
struct Heap<Element: Comparable> {
  private var elements: [Element] = []

  mutating func insert(_ element: Element) {
    elements.append(element)
    var index = elements.count - 1
    while index > 0, case let parent = (index - 1) / 2, elements[index] < elements[parent] {
      elements.swapAt(index, parent)
      index = parent
    }
  }

  mutating func popLeast() -> Element? {
    guard let least = elements.first, let last = elements.popLast() else { return nil }
    guard !elements.isEmpty else { return least }
    elements[0] = last
    var index = 0
    while true {
      var child = 2 * index + 1
      guard child < elements.count else { return least }
      if child + 1 < elements.count, elements[child + 1] < elements[child] { child += 1 }
      guard elements[child] < elements[index] else { return least }
      elements.swapAt(index, child)
      index = child
    }
  }
}
