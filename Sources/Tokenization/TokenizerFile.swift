// tokenizer.json: the file of Hugging Face's `tokenizers`, part by part.

import Bytes

/// Reads `tokenizer.json` of version 1.0.
struct TokenizerFile {
  let path: String
  private var members: TextMembers

  init(_ path: String) throws(InputError) {
    self.path = path
    members = try TextMembers(TextValue.read(path), source: path, place: "")
  }

  mutating func tokenizer() throws(InputError) -> Tokenizer {
    guard try members.optionalText("version") == "1.0" else {
      throw members.failure("version", "expected \"1.0\": the file is no tokenizer.json")
    }
    // They would cut and pad texts.
    _ = try members.optional("truncation")
    _ = try members.optional("padding")
    guard let modelMembers = try members.object("model") else {
      throw members.failure("model", "is missing")
    }
    var reading = ModelReading(modelMembers)
    let model = try reading.model()
    let added = try addedTokens(model.vocabulary)
    var template = Template()
    if let object = try members.object("post_processor") { try template.add(object) }
    let normalizer = try members.object("normalizer").map { (object) throws(InputError) in
      try Normalizer(object, depth: 0)
    }
    let preTokenizer = try members.object("pre_tokenizer").map { (object) throws(InputError) in
      try PreTokenizer(object, depth: 0)
    }
    let decoder = try members.object("decoder").map { (object) throws(InputError) in
      try TokenDecoder(object, depth: 0)
    }
    try members.finish()
    return try Tokenizer(
      model: model, normalizer: normalizer, preTokenizer: preTokenizer, decoder: decoder,
      addedTokens: added, prefix: template.prefix, suffix: template.suffix, path: path)
  }

  /// The added tokens, special ones first, as they are searched.
  private mutating func addedTokens(_ vocabulary: TokenTable) throws(InputError) -> [AddedToken] {
    var tokens: [AddedToken] = []
    var largest: Int?
    for var object in try members.objects("added_tokens") {
      let token = try AddedToken(&object)
      guard !token.content.isEmpty else { throw object.refusal("content", "is empty") }
      if tokens.contains(where: { $0.content.utf8.elementsEqual(token.content.utf8) }) {
        throw object.refusal("content", "\"\(token.content)\" stands there twice")
      }
      // The reference numbers tokens by itself, whatever the file says.
      var id = vocabulary.count
      if let largest, largest >= id { id = largest + 1 }
      id = vocabulary.id(of: token.content) ?? id
      guard id == token.id else {
        throw object.refusal("id", "is \(token.id) where \(id) is next")
      }
      largest = max(largest ?? 0, id)
      tokens.append(token)
    }
    return tokens.filter(\.isSpecial) + tokens.filter { !$0.isSpecial }
  }
}

extension AddedToken {
  fileprivate init(_ object: inout TextMembers) throws(InputError) {
    id = try object.integer("id", in: 0...TokenTable.largestID)
    content = try object.text("content")
    isSingleWord = try object.bool("single_word")
    stripsLeft = try object.bool("lstrip")
    stripsRight = try object.bool("rstrip")
    isNormalized = try object.bool("normalized")
    isSpecial = try object.bool("special")
    try object.finish()
  }
}

/// What post-processors put before and after a text.
private struct Template {
  var prefix: [Int] = []
  var suffix: [Int] = []

  mutating func add(_ object: TextMembers) throws(InputError) {
    var object = object
    switch try object.text("type") {
    case "ByteLevel":
      // It changes where tokens are said to stand, not which they are.
      return
    case "Sequence":
      for processor in try object.objects("processors") {
        guard processor.place.count < 200 else {
          throw object.refusal("processors", "are nested too deeply")
        }
        try add(processor)
      }
    case "BertProcessing", "RobertaProcessing":
      prefix.insert(try pair(&object, "cls"), at: 0)
      suffix.append(try pair(&object, "sep"))
    case "TemplateProcessing": try addTemplate(&object)
    case let type: throw object.refusal("type", "\"\(type)\" is not done")
    }
  }

  /// The id of `[token, id]`.
  private func pair(_ object: inout TextMembers, _ key: String) throws(InputError) -> Int {
    let list = try object.list(key)
    guard list.count == 2, case .integer(let id) = list[1], (0...TokenTable.largestID).contains(id)
    else { throw object.failure(key, "expected a token and its id") }
    return id
  }

  private mutating func addTemplate(_ object: inout TextMembers) throws(InputError) {
    var ids: [String: [Int]] = [:]
    if let tokens = try object.object("special_tokens") {
      for (key, value) in tokens.rest {
        var token = try TextMembers(value, source: tokens.source, place: tokens.path(key))
        var list: [Int] = []
        for element in try token.list("ids") {
          guard case .integer(let id) = element, (0...TokenTable.largestID).contains(id) else {
            throw token.failure("ids", "expected ids")
          }
          list.append(id)
        }
        ids[key] = list
      }
    }
    var before: [Int] = []
    var after: [Int]?
    for var step in try object.objects("single") {
      if let sequence = try step.object("Sequence") {
        var sequence = sequence
        guard try sequence.text("id") == "A", after == nil else {
          throw object.refusal("single", "is not of one text")
        }
        after = []
        continue
      }
      guard var special = try step.object("SpecialToken") else {
        throw object.refusal("single", "holds what is not known")
      }
      let name = try special.text("id")
      guard let found = ids[name] else {
        throw special.failure("id", "\"\(name)\" is not in special_tokens")
      }
      if after == nil { before += found } else { after?.append(contentsOf: found) }
    }
    guard let after else { throw object.refusal("single", "has no place for the text") }
    prefix = before + prefix
    suffix += after
  }
}
