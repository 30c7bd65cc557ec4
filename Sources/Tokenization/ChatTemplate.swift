// Chat templates: how a model was taught to be asked.

public import Bytes

/// One message of a conversation.
public struct ChatMessage: Sendable {
  public var role: String
  public var content: String

  public init(role: String, content: String) {
    self.role = role
    self.content = content
  }
}

/// The chat template of a tokenizer, run as `transformers` runs it.
///
/// The template language is Jinja; a template with what is not done here is refused by name.
public struct ChatTemplate {
  private let statements: [JinjaStatement]
  private let names: [String: JinjaValue]
  private let source: String

  /// The template of `folder`: `chat_template.jinja`, or `chat_template` of
  /// `tokenizer_config.json`, of several the one called `default`.
  ///
  /// - Throws: `InputError` where there is none, or one with what is not done.
  public init(folder: String) throws(InputError) {
    let (text, source) = try ChatTemplate.read(folder)
    try self.init(text, source: source, tokens: ChatTemplate.specialTokens(folder))
  }

  init(_ text: String, source: String, tokens: [String: String]) throws(InputError) {
    self.source = source
    var parser = try JinjaParser(text, refuse: ChatTemplate.refusal(source))
    statements = try parser.template()
    names = tokens.mapValues { JinjaValue.text($0) }
  }

  private static func refusal(_ source: String) -> (String) -> InputError {
    { InputError(source, place: "chat template", $0) }
  }

  /// The text of `messages`, ready for the model's answer; it holds its special tokens already.
  public func text(_ messages: [ChatMessage]) throws(InputError) -> String {
    var names = names
    names["messages"] = .list(
      messages.map { .map([("role", .text($0.role)), ("content", .text($0.content))]) })
    names["add_generation_prompt"] = .bool(true)
    names["tools"] = JinjaValue.none
    names["documents"] = JinjaValue.none
    var interpreter = JinjaInterpreter(names, refuse: ChatTemplate.refusal(source))
    try interpreter.run(statements)
    return interpreter.output
  }

  private static func read(_ folder: String) throws(InputError) -> (text: String, source: String) {
    let file = "\(folder)/chat_template.jinja"
    if FilePaths.exists(file) {
      let bytes = try MappedFile(path: file).allBytes(atMost: 1 << 20)
      guard let text = String(validating: bytes, as: UTF8.self) else {
        throw InputError(file, "is not valid UTF-8")
      }
      return (text, file)
    }
    let path = "\(folder)/tokenizer_config.json"
    if FilePaths.exists(path), case .object(let members) = try JSON.read(path, dialect: .python) {
      switch members["chat_template"] {
      case .string(let text): return (text, path)
      case .array(let templates):
        for template in templates {
          if case .object(let named) = template, named["name"] == "default",
            case .string(let text)? = named["template"]
          {
            return (text, path)
          }
        }
      default: break
      }
    }
    throw InputError(
      folder, "has no chat template", hint: "leave --chat out: the model goes on from the text")
  }

  private static func specialTokens(_ folder: String) throws(InputError) -> [String: String] {
    var tokens: [String: String] = [:]
    for key in [
      "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
    ] {
      tokens[key] = try EndTokens.token(key, folder: folder)
    }
    return tokens
  }
}
