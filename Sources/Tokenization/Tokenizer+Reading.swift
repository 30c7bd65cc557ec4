// Reading tokenizers: which files of a folder make one.

public import Bytes

extension Tokenizer {
  /// Files that a folder may hold a tokenizer in, the first that is there is taken.
  public static let fileNames = ["tokenizer.json", "vocab.txt"]

  /// Whether `folder` holds a file that `init(folder:)` may read.
  public static func isIn(_ folder: String) -> Bool {
    fileNames.contains { FilePaths.exists("\(folder)/\($0)") }
  }

  /// Reads the tokenizer of `folder`, which may be the file itself.
  ///
  /// - Throws: `InputError` where there is none, where it is wrong, and where it is of a kind that is
  ///   not done exactly, which `refuses` tells.
  public init(folder: String) throws(InputError) {
    let folder = FilePaths.withoutTrailingSlashes(folder)
    guard FilePaths.isFolder(folder) else {
      self = try Tokenizer.read(folder)
      return
    }
    let paths = Tokenizer.fileNames.map { "\(folder)/\($0)" }
    if let path = paths.first(where: FilePaths.exists) {
      self = try Tokenizer.read(path)
      return
    }
    for name in ["tokenizer.model", "spiece.model", "vocab.json", "sentencepiece.bpe.model"]
    where FilePaths.exists("\(folder)/\(name)") {
      throw InputError(
        folder, "holds \(name), but no tokenizer.json",
        hint: "transformers writes one: AutoTokenizer.from_pretrained(...).save_pretrained(...)")
    }
    throw InputError(folder, "holds no tokenizer.json and no vocab.txt")
  }

  private static func read(_ path: String) throws(InputError) -> Tokenizer {
    if path.hasSuffix(".txt") { return try bert(vocabulary: path) }
    var file = try TokenizerFile(path)
    return try file.tokenizer()
  }

  /// BERT's tokenizer from its list of words, one a line, and `tokenizer_config.json` beside it.
  private static func bert(vocabulary path: String) throws(InputError) -> Tokenizer {
    let bytes = try MappedFile(path: path).allBytes(atMost: TextValue.maximumByteCount)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw InputError(path, "is not valid UTF-8")
    }
    var lines = text.split(omittingEmptySubsequences: false) { $0 == "\n" || $0 == "\r\n" }
    if lines.last?.isEmpty == true { lines.removeLast() }
    var table = TokenTable(capacity: lines.count)
    for (id, line) in lines.enumerated() {
      guard table.add(String(line), id: id) else {
        throw InputError(path, place: "line \(id + 1)", "\"\(line)\" stands there twice")
      }
    }
    func id(_ token: String) throws(InputError) -> Int {
      guard let id = table.id(of: token) else {
        throw InputError(path, "lacks \(token): it is not a vocabulary of BERT")
      }
      return id
    }
    let settings = try BertSettings(beside: path)
    var added: [AddedToken] = []
    for content in ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] {
      added.append(
        AddedToken(
          id: try id(content), content: content, isSingleWord: false, stripsLeft: false,
          stripsRight: false, isNormalized: false, isSpecial: true))
    }
    return try Tokenizer(
      model: .wordPieces(
        WordPieceModel(
          vocabulary: table, unknownID: id("[UNK]"), continuingPrefix: Array("##".utf8),
          mostScalars: 100)),
      normalizer: .bert(settings.normalizer), preTokenizer: .bert,
      decoder: .wordPiece(prefix: "##", cleansUp: true), addedTokens: added,
      prefix: [id("[CLS]")], suffix: [id("[SEP]")], path: path)
  }
}

/// What `tokenizer_config.json` says of BERT's texts, with the defaults of `transformers`.
private struct BertSettings {
  var normalizer: Normalizer.Bert

  init(beside vocabulary: String) throws(InputError) {
    normalizer = Normalizer.Bert(
      cleansText: true, setsIdeographsApart: true, stripsAccents: true, lowercases: true)
    let path = "\(FilePaths.folder(of: vocabulary))/tokenizer_config.json"
    guard FilePaths.exists(path) else { return }
    var members = try TextMembers(TextValue.read(path), source: path, place: "")
    normalizer.lowercases = try members.bool("do_lower_case", default: true)
    normalizer.setsIdeographsApart = try members.bool("tokenize_chinese_chars", default: true)
    normalizer.stripsAccents = try members.bool(
      "strip_accents", default: normalizer.lowercases)
  }
}
