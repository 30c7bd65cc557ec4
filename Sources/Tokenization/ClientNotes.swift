// What a conversion notes for its clients beside the tokenizer.

public import Bytes

/// `lodge.json` beside a tokenizer: `{"program": HEX, "start": ID}`, either of which may be absent.
public struct ClientNotes: Equatable, Sendable {
  static let fileName = "lodge.json"

  /// The token that the conversion's texts began with, where the tokenizer adds none.
  public var start: Int?
  /// SHA-256 of the program that the servers of this conversion run.
  public var programDigest: [UInt8]?

  public init(start: Int? = nil, programDigest: [UInt8]? = nil) {
    self.start = start
    self.programDigest = programDigest
  }

  public func write(to folder: String) throws(InputError) {
    var members: [String: JSON] = [:]
    if let start { members["start"] = .integer(start) }
    if let programDigest { members["program"] = .string(programDigest.hexadecimal) }
    let text = JSON.object(members).indentedText + "\n"
    try AtomicFile.write(Array(text.utf8), to: "\(folder)/\(ClientNotes.fileName)")
  }

  /// The notes in `folder`; none where there is no such file.
  public init(folder: String) throws(InputError) {
    let path = "\(folder)/\(ClientNotes.fileName)"
    guard FilePaths.exists(path) else { return }
    var reader = try JSONReader(JSON.read(path), source: path)
    if reader.contains("start") {
      let start = try reader.integer("start")
      guard start >= 0 else { throw reader.failure("start", "is no token") }
      self.start = start
    }
    if reader.contains("program") {
      programDigest = [UInt8](hexadecimal: try reader.string("program"))
      guard programDigest?.count == 32 else { throw reader.failure("program", "is no digest") }
    }
    try reader.finish()
  }
}
