// The steps of tokenizer.json: normalisers, pre-tokenisers, decoders.

import Bytes
import Foundation

/// Deepest nesting of sequences that is read.
private let deepestSequence = 8

extension TextMembers {
  /// The objects of a sequence at `depth`.
  fileprivate mutating func steps(_ key: String, depth: Int) throws(InputError) -> [TextMembers] {
    guard depth < deepestSequence else { throw refusal(key, "are nested too deeply") }
    return try objects(key)
  }

  /// `{"String": text}` or `{"Regex": pattern}`.
  fileprivate mutating func pattern() throws(InputError) -> Pattern {
    guard var object = try object("pattern") else { throw failure("pattern", "is missing") }
    if let text = try object.optionalText("String") {
      guard !text.isEmpty else { throw object.refusal("String", "is empty") }
      return .literal(Scalars(text))
    }
    return .expression(
      try RegularExpression(
        object.text("Regex"), source: source, place: object.path("Regex")))
  }

  fileprivate mutating func scalar(_ key: String) throws(InputError) -> Unicode.Scalar {
    let scalars = Scalars(try text(key))
    guard scalars.count == 1 else { throw failure(key, "expected one character") }
    return scalars[0]
  }

  fileprivate mutating func behaviour(default fallback: PreTokenizer.Behaviour? = nil)
    throws(InputError) -> PreTokenizer.Behaviour
  {
    guard let name = try optionalText("behavior") else {
      guard let fallback else { throw failure("behavior", "is missing") }
      return fallback
    }
    guard let behaviour = PreTokenizer.Behaviour(rawValue: name) else {
      throw refusal("behavior", "\"\(name)\" is not done")
    }
    return behaviour
  }
}

extension Normalizer {
  init(_ object: TextMembers, depth: Int) throws(InputError) {
    var object = object
    switch try object.text("type") {
    case "Sequence":
      var steps: [Normalizer] = []
      for step in try object.steps("normalizers", depth: depth) {
        steps.append(try Normalizer(step, depth: depth + 1))
      }
      self = .sequence(steps)
    case "NFC": self = .form(.composed)
    case "NFD": self = .form(.decomposed)
    case "NFKC": self = .form(.compatiblyComposed)
    case "NFKD": self = .form(.compatiblyDecomposed)
    case "Lowercase": self = .lowercase
    case "StripAccents": self = .stripAccents
    case "Strip":
      self = .strip(left: try object.bool("strip_left"), right: try object.bool("strip_right"))
    case "BertNormalizer":
      var bert = Bert(
        cleansText: try object.bool("clean_text"),
        setsIdeographsApart: try object.bool("handle_chinese_chars"), stripsAccents: false,
        lowercases: try object.bool("lowercase"))
      bert.stripsAccents = try object.bool("strip_accents", default: bert.lowercases)
      self = .bert(bert)
    case "Replace":
      self = .replace(try object.pattern(), with: Scalars(try object.text("content")))
    case "Prepend": self = .prepend(Scalars(try object.text("prepend")))
    case "Append": self = .append(Scalars(try object.text("append")))
    case "Nmt": self = .nmt
    case "ByteLevel": self = .byteLevel
    case "Precompiled":
      let text = try object.text("precompiled_charsmap")
      guard let data = Data(base64Encoded: text) else {
        throw object.failure("precompiled_charsmap", "is not Base64")
      }
      self = .characterMap(
        try CharacterMap(
          Array(data), source: object.source, place: object.path("precompiled_charsmap")))
    case let type: throw object.refusal("type", "the normalizer \"\(type)\" is not done")
    }
    try object.finish()
  }
}

extension PreTokenizer {
  /// What GPT-2 cuts texts by.
  private static let byteLevelPattern =
    #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

  init(_ object: TextMembers, depth: Int) throws(InputError) {
    var object = object
    switch try object.text("type") {
    case "Sequence":
      var steps: [PreTokenizer] = []
      for step in try object.steps("pretokenizers", depth: depth) {
        steps.append(try PreTokenizer(step, depth: depth + 1))
      }
      self = .sequence(steps)
    case "ByteLevel":
      _ = try object.optional("trim_offsets")
      let addsSpace = try object.bool("add_prefix_space")
      let splits = try object.bool("use_regex", default: true)
      self = .byteLevel(
        addsSpace: addsSpace,
        splits: splits
          ? try RegularExpression(
            PreTokenizer.byteLevelPattern, source: object.source, place: object.place) : nil)
    case "Whitespace": self = .words
    case "WhitespaceSplit": self = .whitespace
    case "BertPreTokenizer": self = .bert
    case "Metaspace": self = try PreTokenizer.metaspace(&object)
    case "Split":
      self = .split(
        try object.pattern(), try object.behaviour(),
        isInverse: try object.bool("invert", default: false))
    case "Digits": self = .digits(oneByOne: try object.bool("individual_digits"))
    case "Punctuation": self = .punctuation(try object.behaviour(default: .isolated))
    case "CharDelimiterSplit": self = .delimiter(try object.scalar("delimiter"))
    case let type: throw object.refusal("type", "the pre-tokenizer \"\(type)\" is not done")
    }
    try object.finish()
  }

  private static func metaspace(_ object: inout TextMembers) throws(InputError) -> PreTokenizer {
    let (replacement, prepending) = try object.metaspaceRules()
    return .metaspace(replacement, prepending, splits: try object.bool("split", default: true))
  }
}

extension TextMembers {
  /// The replacement of spaces, and when it is put before a text.
  fileprivate mutating func metaspaceRules() throws(InputError)
    -> (Unicode.Scalar, PreTokenizer.Prepending)
  {
    _ = try optional("str_rep")
    let replacement = try scalar("replacement")
    let name = try optionalText("prepend_scheme") ?? PreTokenizer.Prepending.always.rawValue
    guard let prepending = PreTokenizer.Prepending(rawValue: name) else {
      throw refusal("prepend_scheme", "\"\(name)\" is not done")
    }
    // Older files have this alone; both must say the same.
    guard try bool("add_prefix_space", default: true) || prepending == .never else {
      throw refusal("add_prefix_space", "contradicts prepend_scheme")
    }
    return (replacement, prepending)
  }
}

extension TokenDecoder {
  init(_ object: TextMembers, depth: Int) throws(InputError) {
    var object = object
    switch try object.text("type") {
    case "Sequence":
      var steps: [TokenDecoder] = []
      for step in try object.steps("decoders", depth: depth) {
        steps.append(try TokenDecoder(step, depth: depth + 1))
      }
      self = .sequence(steps)
    case "ByteLevel":
      for key in ["add_prefix_space", "trim_offsets", "use_regex"] { _ = try object.optional(key) }
      self = .byteLevel
    case "WordPiece":
      self = .wordPiece(
        prefix: try object.text("prefix"), cleansUp: try object.bool("cleanup"))
    case "Metaspace":
      _ = try object.optional("split")
      let (replacement, prepending) = try object.metaspaceRules()
      self = .metaspace(replacement, dropsFirst: prepending != .never)
    case "BPEDecoder": self = .bytePairs(suffix: try object.text("suffix"))
    case "ByteFallback": self = .byteFallback
    case "Fuse": self = .fuse
    case "Strip":
      self = .strip(
        try object.scalar("content"), atStart: try object.integer("start", in: 0...1 << 20),
        atEnd: try object.integer("stop", in: 0...1 << 20))
    case "Replace":
      guard case .literal(let text) = try object.pattern() else {
        throw object.refusal("pattern", "a regular expression is not done in decoders")
      }
      self = .replace(text, with: try object.text("content"))
    case let type: throw object.refusal("type", "the decoder \"\(type)\" is not done")
    }
    try object.finish()
  }
}
