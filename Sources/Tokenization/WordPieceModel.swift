// WordPiece, and whole words: the models of BERT and its kin.

import Bytes

/// The model `WordPiece`: the longest token that a word begins with, then the longest of the rest.
struct WordPieceModel: Sendable {
  var vocabulary: TokenTable
  var unknownID: Int
  var continuingPrefix: [UInt8]
  /// A word of more scalars is unknown as a whole.
  var mostScalars: Int

  func encode(_ piece: Scalars) -> [Int] {
    guard piece.count <= mostScalars else { return [unknownID] }
    let bytes = piece.utf8
    var result: [Int] = []
    var start = 0
    while start < bytes.count {
      let prefix = start == 0 ? [] : continuingPrefix
      var end = min(bytes.count, start + vocabulary.longestByteCount)
      var found: Int?
      while end > start {
        // Only between characters.
        if end == bytes.count || bytes[end] & 0xc0 != 0x80 {
          found = vocabulary.id(of: (prefix + bytes[start..<end])[...])
          if found != nil { break }
        }
        end -= 1
      }
      guard let found else { return [unknownID] }
      result.append(found)
      start = end
    }
    return result
  }
}

/// The model `WordLevel`: every piece is a token or unknown.
struct WordLevelModel: Sendable {
  var vocabulary: TokenTable
  var unknownID: Int

  func encode(_ piece: Scalars) -> [Int] { [vocabulary.id(of: piece.utf8[...]) ?? unknownID] }
}
