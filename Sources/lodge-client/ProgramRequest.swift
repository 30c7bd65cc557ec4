// What a program asks with --request: a question as JSON.

import Bytes
import Models
import OnlineRuntime
import Program
import Tokenization

/// The question of a program, none of which stands on a command line.
struct ProgramRequest {
  /// What is wanted of each prompt.
  enum Output: String, CaseIterable { case text, embedding }

  enum Prompt {
    case text(String)
    case ids([Int])
  }

  let output: Output
  private(set) var prompts: [Prompt] = []
  /// A conversation, for the model's chat template; goes without prompts.
  private(set) var messages: [ChatMessage] = []
  /// Texts that end an answer.
  private(set) var endings: [String] = []
  /// What is said in place of options of the command line.
  private(set) var newCount: Int?
  private(set) var temperature: Double?
  private(set) var topK: Int?
  private(set) var topP: Double?
  private(set) var seed: Int?

  /// Reads a file, or standard input for "-".
  init(path: String) throws(InputError) {
    let source = path == "-" ? "standard input" : path
    let value =
      path == "-"
      ? try JSON.parse(TextFile.read(path, isWhole: true)[0], source: source)
      : try JSON.read(path, atMost: TextFile.maximumByteCount)
    try self.init(value, source: source)
  }

  /// Reads `{"output": "text", "prompts": [TEXT or IDS, ...], "stop": [TEXT, ...]}`, or in place of
  /// prompts `"messages": [{"role": TEXT, "content": TEXT}, ...]`; with `"new"`, `"temperature"`,
  /// `"topK"`, `"topP"` and `"seed"` as the options are called.
  init(_ value: JSON, source: String) throws(InputError) {
    var reader = try JSONReader(value, source: source)
    let name = try reader.string("output")
    guard let output = Output(rawValue: name) else {
      throw reader.failure("output", "is neither text nor embedding")
    }
    self.output = output
    if reader.contains("messages") {
      for (index, element) in try reader.array("messages").enumerated() {
        var inner = try JSONReader(element, source: source, place: "messages[\(index)]")
        messages.append(
          ChatMessage(role: try inner.string("role"), content: try inner.string("content")))
        try inner.finish()
      }
      guard !messages.isEmpty else { throw reader.failure("messages", "there are none") }
    } else {
      prompts = try reader.array("prompts").map { (element) throws(InputError) in
        switch element {
        case .string(let text): return .text(text)
        case .array(let ids):
          let known = ids.compactMap { if case .integer(let id) = $0 { id } else { nil } }
          guard known.count == ids.count, !ids.isEmpty else { break }
          return .ids(known)
        default: break
        }
        throw reader.failure("prompts", "expected texts, or lists of token ids")
      }
    }
    if reader.contains("stop") {
      endings = try reader.array("stop").map { (element) throws(InputError) in
        guard case .string(let text) = element, !text.isEmpty else {
          throw reader.failure("stop", "expected texts, none of them empty")
        }
        return text
      }
    }
    if reader.contains("new") { newCount = try reader.integer("new", in: 1...1 << 20) }
    if reader.contains("temperature") {
      temperature = try reader.number("temperature", default: 0, in: 0...100)
    }
    if reader.contains("topK") { topK = try reader.integer("topK", in: 1...1 << 24) }
    if reader.contains("topP") { topP = try reader.number("topP", default: 1, in: 0...1) }
    if reader.contains("seed") { seed = try reader.integer("seed") }
    try reader.finish()
  }

  /// Throws where the model does not give what is wanted.
  func check(_ identity: PartyIdentity) throws(InputError) {
    let meaning = identity.output.meaning
    let fits =
      switch output {
      case .text: identity.isDecoder
      case .embedding: meaning == .embedding
      }
    guard fits else {
      throw InputError("this model", "gives \(meaning.rawValue), no \(output.rawValue)")
    }
  }
}
