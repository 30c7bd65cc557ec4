// What a program asks with --request: questions as JSON, answered by a JSON object a line.

import Arguments
import Bytes
import Foundation
import Models
import OnlineRuntime
import Program
import Sharing
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

  /// Reads `{"output": "text", "prompts": [TEXT or IDS, ...], "stop": [TEXT, ...]}`, or in place of
  /// prompts `"messages": [{"role": TEXT, "content": TEXT}, ...]`.
  ///
  /// - Parameter path: A file, or "-" for standard input.
  init(path: String) throws(InputError) {
    let source = path == "-" ? "standard input" : path
    let value =
      path == "-"
      ? try JSON.parse(TextFile.read(path, isWhole: true)[0], source: source)
      : try JSON.read(path, atMost: TextFile.maximumByteCount)
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

extension Questions {
  /// What a program asks, as ids.
  init(_ request: ProgramRequest, _ arguments: ParsedArguments) throws {
    let (codec, folder) = try readTokenizer(arguments)
    if case .helper = codec, !request.endings.isEmpty {
      throw InputError(
        "stop", "a text is looked for only where lodge-client tokenises by itself")
    }
    endings = request.endings
    if !request.messages.isEmpty {
      let text: String
      do throws(InputError) {
        text = try ChatTemplate(folder: folder).text(request.messages)
      } catch {
        var error = error
        error.hint = "give prompts instead of messages: the model goes on from the text"
        throw error
      }
      prompts = try codec.encode([text], addingSpecialTokens: false).map { ($0, "the messages") }
    }
    let texts = request.prompts.compactMap { if case .text(let text) = $0 { text } else { nil } }
    let start = try arguments.optionalInteger("start") ?? ClientNotes(folder: folder).start
    var lists = texts.isEmpty ? [][...] : try codec.encode(texts, start: start)[...]
    for (index, prompt) in request.prompts.enumerated() {
      switch prompt {
      case .ids(let ids): prompts.append((ids, "prompt \(index)"))
      case .text: prompts.append((lists.removeFirst(), "prompt \(index)"))
      }
    }
  }
}

/// Answers the questions of `--request`; what went wrong is an event as well.
func answerRequest(_ arguments: ParsedArguments) throws {
  for name in ["QUESTION", "file", "tokens", "chat", "stop", "out", "logits", "json"]
  where arguments.isGiven(name) {
    throw UsageError("--request goes without \(name == "QUESTION" ? name : "--\(name)")")
  }
  // Who has left wants no more tokens.
  _ = signal(SIGPIPE, SIG_DFL)
  let events = EventPrinter(arguments.console)
  do {
    let sampler = try TokenSampler(
      temperature: arguments.number("temperature"), topK: arguments.optionalInteger("top-k"),
      topP: arguments.optionalNumber("top-p"), seed: arguments.optionalInteger("seed"))
    let request = try ProgramRequest(path: arguments.string("request"))
    let questions = try Questions(request, arguments)
    let counts = questions.prompts.map(\.ids.count)
    for (index, count) in counts.enumerated() { events.question(index, tokenCount: count) }
    // The longest first: where no session is long enough for it, none is spent on the others.
    let order = counts.indices.sorted { (counts[$1], $0) < (counts[$0], $1) }
    for index in order {
      try answer(index, of: questions, request, sampler, events, arguments)
    }
  } catch let error as InputError {
    events.failure(error)
    throw error
  }
}

/// Asks question number `index` and prints its answer as it comes.
private func answer(
  _ index: Int, of questions: Questions, _ request: ProgramRequest, _ sampler: TokenSampler,
  _ events: EventPrinter, _ arguments: ParsedArguments
) throws {
  let (prompt, source) = questions.prompts[index]
  let counterpart = try Counterpart(arguments, [])
  let asked = Request(
    prompt: prompt, source: source, stop: [], programDigest: questions.programDigest)
  func admit(_ identity: PartyIdentity) throws(InputError) {
    events.stage = .request
    try request.check(identity)
    for (prompt, source) in questions.prompts {
      try SecureGeneration.check(
        prompt: prompt, source: source, tables: counterpart.tables, identity: identity)
    }
    events.stage = .session
  }
  events.stage = .session
  let session = try counterpart.begin(asked, admits: admit) {
    arguments.console.report("waiting: \($0)")
  }
  events.session(index, session.key)
  var text = AnswerText(questions)
  let result = try SecureGeneration(session: session, tables: counterpart.tables).run(
    prompt: prompt, newCount: arguments.integer("new"), newCapacity: counterpart.newCapacity,
    drafter: Drafting.drafter(arguments), stop: questions.ownStop, sampler: sampler,
    ends: { token in
      events.token(index, token, text: text.append(token))
      return text.isOver
    })
  switch request.output {
  case .text:
    let rest = try text.finish(result.newTokens)
    events.answer(index, text: rest, isStopped: text.isOver)
  case .embedding: try events.embedding(index, result.rows.first ?? [])
  }
}
