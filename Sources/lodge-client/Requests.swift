// Answers to programs: questions as JSON, answered by a JSON object a line.

import Arguments
import Bytes
import Foundation
import Models
import OnlineRuntime
import Program
import Sharing
import Tokenization

extension Questions {
  /// What a program asks, as ids; nothing of an earlier request stays.
  mutating func ask(_ request: ProgramRequest, _ codec: TextCodec, _ arguments: ParsedArguments)
    throws
  {
    let folder = folder ?? ""
    prompts = []
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
func answerRequests(_ arguments: ParsedArguments) throws {
  for name in ["QUESTION", "file", "tokens", "chat", "stop", "out", "logits", "json"]
  where arguments.isGiven(name) {
    throw UsageError("--request goes without \(name == "QUESTION" ? name : "--\(name)")")
  }
  let path = try arguments.string("request")
  let isConversation = arguments.flag("lines")
  guard !isConversation || path == "-" else {
    throw UsageError("--lines goes with --request -")
  }
  // Who has left wants no more tokens.
  _ = signal(SIGPIPE, SIG_DFL)
  let events = EventPrinter(arguments.console)
  do {
    var answers = try ProgramAnswers(arguments, events)
    guard isConversation else { return try answers.answer(ProgramRequest(path: path)) }
    var lines = LineReader(maximumByteCount: TextFile.maximumByteCount)
    while let line = try lines.next() {
      events.stage = .request
      do {
        try answers.answer(
          ProgramRequest(JSON.parse(Array(line.utf8), source: "the request"), source: "the request")
        )
      } catch let error as InputError { events.failure(error) }
    }
    try answers.end()
  } catch let error as InputError {
    events.failure(error)
    throw error
  }
}

/// What is opened once for all requests, and the session of the last conversation.
private struct ProgramAnswers {
  private let arguments: ParsedArguments
  private let events: EventPrinter
  private let codec: TextCodec
  private let drafting: Drafting
  private let isConversation: Bool
  private var questions = Questions()
  private var counterpart: Counterpart?
  private var conversation: Conversation?

  init(_ arguments: ParsedArguments, _ events: EventPrinter) throws {
    self.arguments = arguments
    self.events = events
    isConversation = arguments.flag("lines")
    // What is wrong with the options is found before anything is asked.
    _ = try TokenSampler(arguments)
    drafting = try Drafting(arguments)
    _ = try Room(arguments, newCount: 1, isConversation: isConversation)
    codec = try questions.readTokenizer(arguments).codec
  }

  /// Ends the session of the last conversation, where there is one.
  mutating func end() throws(InputError) { try conversation?.end() }

  mutating func answer(_ request: ProgramRequest) throws {
    _ = try TokenSampler(arguments, request)
    try questions.ask(request, codec, arguments)
    let counts = questions.prompts.map(\.ids.count)
    for (index, count) in counts.enumerated() { events.question(index, tokenCount: count) }
    // The longest first: where no session is long enough for it, none is spent on the others.
    let order = counts.indices.sorted { (counts[$1], $0) < (counts[$0], $1) }
    for index in order { try answer(index, of: request) }
  }

  /// Asks question number `index` and prints its answer as it comes.
  private mutating func answer(_ index: Int, of request: ProgramRequest) throws {
    let counterpart = try counterpart ?? Counterpart(arguments, [])
    self.counterpart = counterpart
    let goesOn = isConversation && !request.messages.isEmpty
    let newCount = try request.newCount ?? arguments.integer("new")
    let (prompt, source) = questions.prompts[index]
    let asked = Request(
      prompt: prompt, source: source, stop: [],
      room: try Room(arguments, newCount: newCount, isConversation: goesOn), drafting: drafting,
      programDigest: questions.programDigest)
    events.stage = .session
    var conversation = (goesOn ? self.conversation : nil) ?? Conversation(counterpart)
    self.conversation = goesOn ? nil : self.conversation
    let tokens = try conversation.prepare(
      asked, newCount: newCount, takesAnother: true,
      begin: {
        try whenListening(arguments) {
          try counterpart.begin(
            asked,
            admits: { identity throws(InputError) in try admit(request, identity, counterpart) },
            waiting: { arguments.console.report("waiting: \($0)") })
        }
      }, note: { arguments.note($0) })
    if let key = conversation.key {
      events.session(index, key, keptCount: prompt.count - tokens.count)
    }
    var text = AnswerText(questions)
    var sampler = try TokenSampler(arguments, request)
    let result = try conversation.answer(
      tokens, newCount: newCount, drafter: drafting.drafter(), stop: questions.ownStop,
      sampler: &sampler,
      ends: { token in
        events.token(index, token, text: text.append(token))
        return text.isOver
      })
    if goesOn { self.conversation = conversation } else { try conversation.end() }
    switch request.output {
    case .text:
      if let warning = result.warning { events.warning(index, warning) }
      let rest = try text.finish(result.newTokens)
      events.answer(index, text: rest, isStopped: text.isOver)
    case .embedding:
      // Nobody would look at it.
      if let warning = result.warning { throw InputError("the embedding", warning) }
      try events.embedding(index, result.rows.first ?? [])
    }
  }

  /// Throws where the model does not give what is wanted of all prompts.
  private func admit(
    _ request: ProgramRequest, _ identity: PartyIdentity, _ counterpart: Counterpart
  ) throws(InputError) {
    events.stage = .request
    try request.check(identity)
    for (prompt, source) in questions.prompts {
      try SecureGeneration.check(
        prompt: prompt, source: source, tables: counterpart.tables, identity: identity)
    }
    events.stage = .session
  }
}
