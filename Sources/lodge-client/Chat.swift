// A conversation of lines: each is a turn, and all turns that fit are of one session.

import Arguments
import Bytes
import Foundation
import Models
import OnlineRuntime
import Tokenization

/// Asks line after line, of a terminal or of standard input, and prints the answers as they come.
struct Chat {
  private let arguments: ParsedArguments
  private let questions: Questions
  private let codec: TextCodec
  private let template: ChatTemplate
  private let counterpart: Counterpart
  private let room: Room
  private let drafting: Drafting
  private let isTerminal = isatty(STDIN_FILENO) == 1
  private var sampler: TokenSampler
  private var conversation: Conversation
  private var messages: [ChatMessage] = []

  /// Whether these arguments begin a conversation rather than ask a question.
  static func isAsked(_ arguments: ParsedArguments) -> Bool {
    guard arguments.flag("chat"), !arguments.isGiven("file"), !arguments.isGiven("tokens") else {
      return false
    }
    let given = arguments.strings("QUESTION")
    return given == ["-"] || (given.isEmpty && isatty(STDIN_FILENO) == 1)
  }

  init(_ arguments: ParsedArguments) throws {
    for name in ["out", "logits", "start"] where arguments.isGiven(name) {
      throw UsageError("--\(name) goes without a conversation")
    }
    self.arguments = arguments
    var questions = Questions()
    let (codec, folder) = try questions.readTokenizer(arguments)
    try questions.addStop(arguments)
    self.questions = questions
    self.codec = codec
    template = try ChatTemplate(folder: folder)
    // Nothing that can be found wrong here may cost a session.
    sampler = try TokenSampler(arguments)
    drafting = try Drafting(arguments)
    room = try Room(arguments, newCount: arguments.integer("new"), isConversation: true)
    counterpart = try Counterpart(arguments, [])
    conversation = Conversation(counterpart)
  }

  /// Asks until the lines end; then the session ends.
  ///
  /// - Throws: On a terminal nothing of a turn, which is told; else what ended the session, or at the
  ///   end that questions were refused.
  mutating func run() throws {
    var lines = LineReader(maximumByteCount: TextFile.maximumByteCount)
    var refusedCount = 0
    while true {
      if isTerminal { arguments.console.ask("> ") }
      guard let line = try lines.next() else { break }
      if line.allSatisfy(\.isWhitespace) { continue }
      do { try turn(line) } catch let error as InputError {
        guard isTerminal || conversation.isOpen else { throw error }
        refusedCount += 1
        arguments.report(error)
      }
    }
    if isTerminal { arguments.console.report("") }
    try conversation.end()
    if !isTerminal, refusedCount > 0 {
      throw InputError(
        "standard input",
        "\(refusedCount) of its questions \(refusedCount == 1 ? "was" : "were") refused")
    }
  }

  private mutating func turn(_ line: String) throws {
    let asked = messages + [ChatMessage(role: "user", content: line)]
    let prompt = try codec.encode([template.text(asked)], addingSpecialTokens: false)[0]
    let request = Request(
      prompt: prompt, source: "the question", stop: questions.stop, room: room, drafting: drafting,
      programDigest: questions.programDigest, decoderOptions: ["chat"])
    let newCount = try arguments.integer("new")
    let console = arguments.console
    let tokens: [Int]
    do {
      tokens = try conversation.prepare(
        request, newCount: newCount, takesAnother: false,
        begin: { [arguments, counterpart] in
          try whenListening(arguments) {
            try counterpart.begin(request) { console.report("lodge-client: waiting: \($0)") }
          }
        }, note: { [arguments] in arguments.note($0) })
    } catch var error as InputError where !messages.isEmpty && !conversation.isOpen {
      // Another session takes all that was said.
      error.hint +=
        "\(error.hint.isEmpty ? "" : "; ")all that was said, \(prompt.count) tokens, is asked again: "
        + "start lodge-client anew to begin with nothing"
      throw error
    }
    arguments.onInterruption { "the session of the conversation is used up" }
    var printer = AnswerPrinter(questions, console: console, isJSON: arguments.flag("json"))
    let result: SecureGeneration.Result
    do throws(InputError) {
      result = try conversation.answer(
        tokens, newCount: newCount, drafter: drafting.drafter(), stop: questions.ends,
        sampler: &sampler, ends: { printer.append($0) })
    } catch {
      if printer.hasPrinted { console.print("") }
      throw error
    }
    let text = try printer.finish(result.newTokens) ?? ""
    messages = asked + [ChatMessage(role: "assistant", content: text)]
    let summary = GenerationSummary(result)
    if arguments.flag("json") {
      guard case .object(var members) = summary.json else { return }
      members["text"] = .string(text)
      members["question"] = .integer(tokens.count)
      members["tokensLeft"] = .integer(conversation.tokensLeft)
      console.print(JSON.object(members).text)
      return
    }
    console.print(printer.hasPrinted ? "" : text)
    arguments.note(result.warning)
    console.report(
      "lodge-client: \(summary.statistics); \(tokens.count) tokens asked, "
        + "room for \(conversation.tokensLeft) more")
  }
}
