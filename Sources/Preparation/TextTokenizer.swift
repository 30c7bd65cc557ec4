// Text to tokens by a model's own tokenizer.

public import Bytes
import Tokenization

/// The tokenizer in a model's folder.
public struct TextTokenizer {
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
  private let start: Int?
  private let codec: TextCodec

  /// - Parameter start: The token to put before every text, in place of what the tokenizer adds.
  /// - Throws: `InputError` where the folder has no tokenizer.
  public init(folder: String, start: Int? = nil) throws(InputError) {
    guard Tokenizer.isIn(folder) else {
      throw InputError(
        "\(folder)/tokenizer.json", "there is no tokenizer",
        hint: "copy the model's tokenizer.json, or name its folder with --tokenizer")
    }
    self.folder = folder
    self.start = start
    codec = try TextCodec(folder)
    let full = try codec.encode([TextTokenizer.probe], start: start)[0]
    let body = try codec.encode([TextTokenizer.probe], addingSpecialTokens: false)[0]
    guard
      let place = (0...max(full.count - body.count, 0)).first(where: {
        full.dropFirst($0).starts(with: body)
      })
    else { throw InputError(folder, "changes a text where it puts tokens around it") }
    frame = Frame(
      before: Array(full[..<place]), after: Array(full.dropFirst(place + body.count)))
  }

  private static let probe = "a"

  /// The tokens of each of `texts`, none of which is blank, without the frame.
  public func encode(_ texts: [String]) throws(InputError) -> [[Int]] {
    try codec.encode(texts, addingSpecialTokens: false)
  }

  /// The public files by which a client turns text into tokens and back, and knows where answers end.
  private static let clientFileNames = [
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "tokenizer.model", "spiece.model", "vocab.txt", "vocab.json", "merges.txt",
    "chat_template.jinja", "generation_config.json", "config.json",
  ]

  /// Copies what a client needs of the tokenizer into the folder `path`, and notes there what the servers
  /// run.
  public func copy(to path: String, programDigest: [UInt8]) throws(InputError) {
    try Folder.make(path)
    for name in TextTokenizer.clientFileNames where FilePaths.exists("\(folder)/\(name)") {
      let bytes = try MappedFile(path: "\(folder)/\(name)").allBytes(atMost: 256 << 20)
      try AtomicFile.write(bytes, to: "\(path)/\(name)")
    }
    try ClientNotes(start: start, programDigest: programDigest).write(to: path)
  }
}
