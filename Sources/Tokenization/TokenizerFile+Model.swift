// The model of tokenizer.json: its vocabulary, and what it takes besides.

import Bytes

struct ModelReading {
  private var members: TextMembers

  init(_ members: TextMembers) { self.members = members }

  mutating func model() throws(InputError) -> Tokenizer.Model {
    let type = try members.optionalText("type")
    switch type {
    case "BPE": return .bytePairs(try bytePairs())
    case "WordPiece": return .wordPieces(try wordPieces())
    case "WordLevel":
      let table = try vocabulary()
      let model = WordLevelModel(vocabulary: table, unknownID: try unknownID(table))
      try members.finish()
      return .words(model)
    case "Unigram": return .unigram(try unigram())
    // Old files leave the type out: which it is would be a guess.
    case nil: throw members.refusal("type", "is missing")
    case let type?: throw members.refusal("type", "\"\(type)\" is not done")
    }
  }

  private mutating func vocabulary() throws(InputError) -> TokenTable {
    guard let vocabulary = try members.object("vocab") else {
      throw members.failure("vocab", "is missing")
    }
    var table = TokenTable(capacity: vocabulary.rest.count)
    for (token, value) in vocabulary.rest {
      guard case .integer(let id) = value, (0...TokenTable.largestID).contains(id) else {
        throw vocabulary.failure(token, "expected an id up to \(TokenTable.largestID)")
      }
      guard table.add(token, id: id) else {
        throw vocabulary.failure(token, "token or id \(id) stands there twice")
      }
    }
    return table
  }

  private mutating func unknownID(_ table: TokenTable) throws(InputError) -> Int {
    let token = try members.text("unk_token")
    guard let id = table.id(of: token) else {
      throw members.refusal("unk_token", "\"\(token)\" is not in the vocabulary")
    }
    return id
  }

  private mutating func bytePairs() throws(InputError) -> BytePairModel {
    switch try members.optional("dropout") {
    case nil, .integer(0): break
    case .number(let rate) where rate == 0: break
    default: throw members.refusal("dropout", "makes tokens random")
    }
    var model = BytePairModel(vocabulary: try vocabulary())
    model.unknownToken = try members.optionalText("unk_token")
    if let token = model.unknownToken, model.vocabulary.id(of: token) == nil {
      throw members.refusal("unk_token", "\"\(token)\" is not in the vocabulary")
    }
    model.continuingPrefix = Array(
      (try members.optionalText("continuing_subword_prefix") ?? "").utf8)
    model.endSuffix = Array((try members.optionalText("end_of_word_suffix") ?? "").utf8)
    model.fusesUnknown = try members.bool("fuse_unk", default: false)
    model.fallsBackToBytes = try members.bool("byte_fallback", default: false)
    model.takesWholePieces = try members.bool("ignore_merges", default: false)
    for (rank, merge) in try members.list("merges").enumerated() {
      let (left, right) = try halves(merge, rank)
      guard model.addMerge(left, right, rank: rank) else {
        throw InputError(
          members.source, place: "\(members.path("merges"))[\(rank)]",
          "\"\(left)\" and \"\(right)\" do not make a token of the vocabulary")
      }
    }
    try members.finish()
    return model
  }

  /// Both parts of a merge: "a b", or a list of both.
  private func halves(_ merge: TextValue, _ rank: Int) throws(InputError) -> (String, String) {
    switch merge {
    case .text(let text):
      let space = UInt8(ascii: " ")
      let parts = text.utf8.split(separator: space, omittingEmptySubsequences: false)
      if parts.count == 2 {
        return (
          String(decoding: parts[0], as: UTF8.self), String(decoding: parts[1], as: UTF8.self)
        )
      }
    case .list(let list):
      if list.count == 2, case .text(let left) = list[0], case .text(let right) = list[1] {
        return (left, right)
      }
    default: break
    }
    throw members.failure("merges[\(rank)]", "expected two parts")
  }

  private mutating func wordPieces() throws(InputError) -> WordPieceModel {
    let table = try vocabulary()
    let model = WordPieceModel(
      vocabulary: table, unknownID: try unknownID(table),
      continuingPrefix: Array(try members.text("continuing_subword_prefix").utf8),
      mostScalars: try members.integer("max_input_chars_per_word", in: 0...Int.max))
    try members.finish()
    return model
  }

  private mutating func unigram() throws(InputError) -> UnigramModel {
    let list = try members.list("vocab")
    var table = TokenTable(capacity: list.count)
    var scores: [Double] = []
    for (id, element) in list.enumerated() {
      let place = "vocab[\(id)]"
      guard case .list(let pair) = element, pair.count == 2, case .text(let token) = pair[0] else {
        throw members.failure(place, "expected a token and its score")
      }
      switch pair[1] {
      case .integer(let score): scores.append(Double(score))
      case .number(let score): scores.append(score)
      default: throw members.failure(place, "expected a score")
      }
      // A trainer may write one twice: the reference takes the last.
      _ = table.add(token, id: id, replacing: true)
    }
    var unknownID: Int?
    if let value = try members.optional("unk_id") {
      guard case .integer(let id) = value, scores.indices.contains(id) else {
        throw members.failure("unk_id", "expected the id of a token")
      }
      unknownID = id
    }
    let fallsBack = try members.bool("byte_fallback", default: false)
    try members.finish()
    return UnigramModel(
      vocabulary: table, scores: scores, unknownID: unknownID, fallsBackToBytes: fallsBack)
  }
}
