// What is asked: texts by the model's own tokenizer, or token ids.

import Arguments
import Bytes
import Tokenization

/// Prompts as ids, and what reads answers back.
struct Questions: Sendable {
  /// Each prompt's ids, and where it is from, for errors.
  var prompts: [(ids: [Int], source: String)] = []
  /// Nil where ids were given, and ids are printed.
  var codec: TextCodec?
  /// The folder of the tokenizer, which says what classes are called and where answers end.
  var folder: String?
  /// Tokens that `--stop` names, which the vocabulary must have.
  var stop: Set<Int> = []
  /// Tokens that end answers by the model's own settings.
  var ownStop: Set<Int> = []
  /// The program that the folder is for, where it says so.
  var programDigest: [UInt8]?
  /// Texts that end an answer.
  var endings: [String] = []
  /// All tokens that end an answer.
  var ends: Set<Int> { stop.union(ownStop) }

  init(_ arguments: ParsedArguments) throws {
    let texts = try Questions.texts(arguments)
    if let texts {
      let (codec, folder) = try readTokenizer(arguments)
      let lists: [[Int]]
      if arguments.flag("chat") {
        let template = try ChatTemplate(folder: folder)
        lists = try codec.encode(
          texts.map { text throws(InputError) in
            try template.text([ChatMessage(role: "user", content: text)])
          }, addingSpecialTokens: false)
      } else {
        let start = try arguments.optionalInteger("start") ?? ClientNotes(folder: folder).start
        lists = try codec.encode(texts, start: start)
      }
      for (index, ids) in lists.enumerated() {
        prompts.append((ids, texts.count == 1 ? "the question" : "question \(index + 1)"))
      }
    } else {
      for name in ["chat", "tokenizer", "start"] where arguments.isGiven(name) {
        throw UsageError("--\(name) goes with a question in text")
      }
      let path = try arguments.string("tokens")
      let lists = try TokenFile.read(path)
      guard lists.count == 1 else {
        throw InputError(path, "holds \(lists.count) token lists, one is expected")
      }
      prompts = [(lists[0], path)]
    }
    try addStop(arguments)
  }

  /// Nothing yet.
  init() {}

  /// Reads the tokenizer, and what its folder says of the model.
  mutating func readTokenizer(
    _ arguments: ParsedArguments
  ) throws -> (codec: TextCodec, folder: String) {
    let path = try Questions.tokenizer(arguments)
    let folder = FilePaths.isFolder(path) ? path : FilePaths.folder(of: path)
    let codec = try TextCodec(path)
    self.folder = folder
    self.codec = codec
    ownStop = try EndTokens.read(folder: folder, codec: codec)
    programDigest = try ClientNotes(folder: folder).programDigest
    return (codec, folder)
  }

  /// The texts that are asked; nil where ids are.
  private static func texts(_ arguments: ParsedArguments) throws -> [String]? {
    let given = arguments.strings("QUESTION")
    let ways = [!given.isEmpty, arguments.isGiven("file"), arguments.isGiven("tokens")]
    guard ways.contains(true) else {
      throw UsageError(
        "QUESTION is missing (or give --file, --tokens or --request)",
        hint: arguments.flag("chat")
          ? "'--chat -' takes the questions of a conversation from standard input, one a line"
          : "see 'lodge-client --help'")
    }
    guard ways.count(where: { $0 }) == 1 else {
      throw UsageError("QUESTION, --file and --tokens exclude each other")
    }
    if arguments.isGiven("tokens") { return nil }
    if let path = arguments.optionalString("file") {
      return try TextFile.read(path, isWhole: true)
    }
    guard given.count(where: { $0 == "-" }) <= 1 else {
      throw UsageError("standard input is read once")
    }
    return try given.map { text throws(InputError) in
      guard text.contains(where: { !$0.isWhitespace }) else {
        throw InputError("QUESTION", "is empty")
      }
      return text == "-" ? try TextFile.read("-", isWhole: true)[0] : text
    }
  }

  /// Where the tokenizer is: `--tokenizer`, or beside the bundle, or in the folder of the role.
  private static func tokenizer(_ arguments: ParsedArguments) throws -> String {
    if let given = arguments.optionalString("tokenizer") { return given }
    let candidates = try roleFolders(arguments).flatMap { ["\($0)/tokenizer", $0] }
    if let found = candidates.first(where: Tokenizer.isIn) { return found }
    throw InputError(
      "--tokenizer",
      candidates.isEmpty
        ? "is needed for a question in text" : "is needed: there is none in \(candidates[0])",
      hint: "name the folder with the model's tokenizer.json")
  }

  /// What `--stop` says: ids or settings, else a text.
  mutating func addStop(_ arguments: ParsedArguments) throws {
    guard let text = arguments.optionalString("stop") else { return }
    guard !text.isEmpty else { throw InputError("--stop", "is empty") }
    let isIDs = text.split(separator: ",", omittingEmptySubsequences: false)
      .allSatisfy { Int($0) != nil }
    // "." is a folder, and the commonest text that ends an answer.
    let isSettings =
      FilePaths.isFolder(text)
      ? ["generation_config.json", "config.json"].contains { FilePaths.exists("\(text)/\($0)") }
      : FilePaths.exists(text)
    if codec == nil || isIDs || isSettings {
      stop = try StopTokens.read(text)
      return
    }
    guard case .exact = codec else {
      throw InputError(
        "--stop", "a text is looked for only where lodge-client tokenises by itself",
        hint: "give token ids")
    }
    endings = [text]
  }
}
