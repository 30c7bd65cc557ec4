// Text to tokens by a model's own tokenizer.

public import Bytes
import Validation

/// The tokenizer in a model's folder.
public struct TextTokenizer: Sendable {
  /// What it puts around every text, such as a token for the beginning.
  public struct Frame: Equatable, Sendable {
    public var before: [Int] = []
    public var after: [Int] = []

    public init(before: [Int] = [], after: [Int] = []) {
      self.before = before
      self.after = after
    }
  }

  public let folder: String
  public let frame: Frame
  private let tool: HelperTool

  private static let fileName = "tokenizer.json"

  /// - Parameter start: The token to put before every text, in place of what the tokenizer adds.
  /// - Throws: `InputError` where the folder has no tokenizer.
  public init(folder: String, start: Int? = nil) throws(InputError) {
    let path = "\(folder)/\(TextTokenizer.fileName)"
    guard FilePaths.exists(path) else {
      throw InputError(
        path, "there is no tokenizer",
        hint: "copy the model's \(TextTokenizer.fileName), or name its folder with --tokenizer")
    }
    self.folder = folder
    tool = try HelperTool("tokenize", for: "--text")
    if let start {
      frame = Frame(before: [start])
      return
    }
    let full = try TextTokenizer.run(tool, folder, ["--list", TextTokenizer.probe])[0]
    let body = try TextTokenizer.run(
      tool, folder, ["--list", "--start", "0", TextTokenizer.probe])[0].dropFirst()
    guard
      let place = (0...max(full.count - body.count, 0)).first(where: {
        full.dropFirst($0).starts(with: body)
      })
    else { throw InputError(path, "changes a text where it puts tokens around it") }
    frame = Frame(
      before: Array(full[..<place]), after: Array(full.dropFirst(place + body.count)))
  }

  private static let probe = "a"

  /// The tokens of each of `texts`, none of which is blank, without the frame.
  public func encode(_ texts: [String]) throws(InputError) -> [[Int]] {
    let areLines = texts.allSatisfy { text in
      // Python ends lines at these, too.
      !text.contains { $0.isNewline || "\u{1c}\u{1d}\u{1e}".contains($0) }
    }
    guard !areLines else {
      let lists = try tokens(of: texts.joined(separator: "\n"), ["--list"])
      guard lists.count == texts.count else {
        throw InputError(folder, "tokenised \(lists.count) of \(texts.count) texts")
      }
      return lists
    }
    var lists: [[Int]] = []
    for text in texts { lists += try tokens(of: text, ["--list", "--whole"]) }
    return lists
  }

  private func tokens(of text: String, _ options: [String]) throws(InputError) -> [[Int]] {
    let temporary = try TemporaryFolder(prefix: "lodge-text")
    return try withExtendedLifetime(temporary) { () throws(InputError) in
      let input = "\(temporary.path)/text"
      try AtomicFile.write(Array(text.utf8), to: input)
      return try TextTokenizer.run(tool, folder, options + ["--start", "0"], input: input)
        .map { Array($0.dropFirst()) }
    }
  }

  private static func run(
    _ tool: HelperTool, _ folder: String, _ options: [String], input: String? = nil
  ) throws(InputError) -> [[Int]] {
    let temporary = try TemporaryFolder(prefix: "lodge-tokens")
    return try withExtendedLifetime(temporary) { () throws(InputError) in
      let out = "\(temporary.path)/tokens.json"
      try tool.run(
        ["encode", "--tokenizer", folder, "--out", out] + options, input: input)
      return try TokenFile.read(out)
    }
  }

  /// The public files by which a client turns text into tokens and back, and knows where answers end.
  private static let clientFileNames = [
    fileName, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "tokenizer.model", "spiece.model", "vocab.txt", "vocab.json", "merges.txt",
    "chat_template.jinja", "generation_config.json", "config.json",
  ]

  /// Copies what a client needs of the tokenizer into the folder `path`.
  public func copy(to path: String) throws(InputError) {
    try Folder.make(path)
    for name in TextTokenizer.clientFileNames where FilePaths.exists("\(folder)/\(name)") {
      let bytes = try MappedFile(path: "\(folder)/\(name)").allBytes(atMost: 256 << 20)
      try AtomicFile.write(bytes, to: "\(path)/\(name)")
    }
  }
}
