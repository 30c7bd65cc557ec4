// SentencePiece's unigram model: of all ways to cut a piece into tokens, the likeliest.

import Bytes

/// The model `Unigram`, as Hugging Face's `tokenizers` runs it.
struct UnigramModel: Sendable {
  var vocabulary: TokenTable
  /// Logarithms of probabilities, by id.
  var scores: [Double]
  var unknownID: Int?
  var fallsBackToBytes: Bool
  private let byteIDs: [Int?]
  /// What an unknown character scores: 10 below the worst token.
  private let unknownScore: Double

  init(vocabulary: TokenTable, scores: [Double], unknownID: Int?, fallsBackToBytes: Bool) {
    self.vocabulary = vocabulary
    self.scores = scores
    self.unknownID = unknownID
    self.fallsBackToBytes = fallsBackToBytes
    byteIDs = vocabulary.byteIDs()
    unknownScore = (scores.min() ?? 0) - 10
  }

  /// The best way to get to a byte: its score, and where its last token begins.
  private struct Best {
    var score = 0.0
    var start: Int?
    var isUnknown = false
  }

  func encode(_ piece: Scalars) throws(InputError) -> [Int] {
    let bytes = piece.utf8
    var best = [Best](repeating: Best(), count: bytes.count + 1)
    var start = 0
    for scalar in piece {
      let characterEnd = start + UTF8.width(scalar)
      let scoreHere = best[start].score
      var hasCharacter = false
      let longest = min(bytes.count, start + vocabulary.longestByteCount)
      var end = characterEnd
      while end <= longest {
        if end == bytes.count || bytes[end] & 0xc0 != 0x80,
          let id = vocabulary.id(of: bytes[start..<end])
        {
          let score = scores[id] + scoreHere
          if best[end].start == nil || score > best[end].score {
            best[end] = Best(score: score, start: start, isUnknown: id == unknownID)
          }
          if end == characterEnd { hasCharacter = true }
        }
        end += 1
      }
      if !hasCharacter {
        guard unknownID != nil else {
          throw InputError("tokenizer", "has no token for unknown characters, and the text has one")
        }
        let score = unknownScore + scoreHere
        if best[characterEnd].start == nil || score > best[characterEnd].score {
          best[characterEnd] = Best(score: score, start: start, isUnknown: true)
        }
      }
      start = characterEnd
    }
    return ids(bytes, best)
  }

  /// Follows the best way back; unknown characters beside each other are one.
  private func ids(_ bytes: [UInt8], _ best: [Best]) -> [Int] {
    var ranges: [(range: Range<Int>, isUnknown: Bool)] = []
    var end = bytes.count
    while end > 0, let start = best[end].start {
      if best[end].isUnknown, let last = ranges.last, last.isUnknown {
        ranges[ranges.count - 1].range = start..<last.range.upperBound
      } else {
        ranges.append((start..<end, best[end].isUnknown))
      }
      end = start
    }
    var result: [Int] = []
    for (range, _) in ranges.reversed() {
      if let id = vocabulary.id(of: bytes[range]) {
        result.append(id)
        continue
      }
      let bytePieces = bytes[range].compactMap { byteIDs[Int($0)] }
      if fallsBackToBytes, bytePieces.count == range.count {
        result += bytePieces
      } else if let unknownID {
        result.append(unknownID)
      }
    }
    return result
  }
}
