// Questions, several at once: a session each, its answer as it comes, and what the answer cost.

import Arguments
import Bytes
import Dispatch
import Foundation
import Models
import OnlineRuntime
import Program
import Synchronization
import Tokenization

/// The file that `--out` or `--logits` names, which can be written.
func outputPath(_ arguments: ParsedArguments, _ questions: Questions) throws -> String? {
  let given = ["out", "logits"].compactMap { arguments.optionalString($0) }
  guard given.count <= 1 else { throw UsageError("--out and --logits exclude each other") }
  guard let out = given.first else { return nil }
  guard questions.prompts.count == 1 else {
    throw UsageError("--out and --logits hold the output of one question")
  }
  try AtomicFile.check(out)
  return out
}

/// Asks one question after another, several at once, and prints each answer.
struct Asking: Sendable {
  let questions: Questions
  let out: String?
  let arguments: ParsedArguments
  private let requests: [Request]
  private let counterpart: Counterpart
  /// Sessions that run.
  private let running = SharedCount()

  init(_ questions: Questions, out: String?, _ arguments: ParsedArguments) throws {
    self.questions = questions
    self.out = out
    self.arguments = arguments
    let isForNothing = questions.codec != nil && out == nil && !arguments.flag("json")
    let decoderOptions = ["new", "temperature", "top-k", "top-p", "seed", "stop", "draft"]
      .filter(arguments.isGiven)
    let room = try Room(arguments, newCount: arguments.integer("new"), isConversation: false)
    let drafting = try Drafting(arguments)
    requests = questions.prompts.map { prompt, source in
      Request(
        prompt: prompt, source: source, stop: questions.stop, room: room, drafting: drafting,
        programDigest: questions.programDigest, decoderOptions: decoderOptions,
        isForNothing: isForNothing)
    }
    // Nothing that can be found wrong here may cost a session.
    _ = try TokenSampler(arguments)
    counterpart = try Counterpart(arguments, requests)
  }

  /// Asks all; after a failure no more are asked, and it is thrown when those that run are done.
  func run() throws {
    guard requests.count > 1 else { return try ask(0, console: arguments.console) }
    let order = AnswerOrder(arguments.console)
    let next = SharedCount()
    let failures = Mutex<[Int: any Error]>([:])
    let count = min(requests.count, try arguments.integer("concurrent"))
    let workers = DispatchGroup()
    for _ in 0..<count {
      workers.enter()
      Thread.detachNewThread {
        while failures.withLock({ $0.isEmpty }) {
          let index = next.add(1)
          guard index < requests.count else { break }
          do { try ask(index, console: order.console(of: index)) } catch {
            failures.withLock { $0[index] = error }
          }
          order.finish(index)
        }
        workers.leave()
      }
    }
    workers.wait()
    let failed = failures.withLock { $0 }.sorted { $0.key < $1.key }
    for (index, error) in failed.dropFirst() {
      arguments.note("question \(index + 1) failed as well: \(error)")
    }
    if let (_, error) = failed.first { throw error }
  }

  /// Asks question number `index` and prints its answer.
  private func ask(_ index: Int, console: Console) throws {
    let prompt = requests[index].prompt
    let isJSON = arguments.flag("json")
    let sampler = try TokenSampler(arguments)
    let session = try whenListening(arguments) {
      try counterpart.begin(
        requests[index], isOwnTurn: { running.value > 0 },
        waiting: { if requests.count == 1 { console.report("lodge-client: waiting: \($0)") } })
    }
    arguments.onInterruption {
      "every session that had begun is used up: the next question takes another"
    }
    _ = running.add(1)
    defer { _ = running.add(-1) }
    let tables = counterpart.tables
    let isDecoder = session.identity.isDecoder
    let newCount = isDecoder ? try arguments.integer("new") : 0
    var printer = AnswerPrinter(questions, console: console, isJSON: isJSON)
    // Text that comes is progress enough.
    let progress = Progress(
      "generating", total: max(newCount, 1), unit: .items("tokens"), console: console)
    var received: [Int] = []
    let result: SecureGeneration.Result
    do throws(InputError) {
      result = try SecureGeneration(session: session, tables: tables).run(
        prompt: prompt, newCount: newCount, drafter: requests[index].drafting.drafter(),
        stop: questions.ends, sampler: sampler,
        ends: { token in
          received.append(token)
          let isOver = printer.append(token)
          if !printer.hasPrinted { progress.advance() }
          return isOver
        })
    } catch {
      // What came before stays on a line of its own.
      if printer.hasPrinted {
        console.print("")
      } else if !received.isEmpty {
        let ids = JSON.array(received.map(JSON.integer)).text
        arguments.note("before that came the tokens \(ids)")
      }
      throw error
    }
    progress.finish()
    if let out {
      let width = result.rows.first?.count ?? 0
      try NPY.write(
        NPYArray(shape: [result.rows.count, width], values: result.rows.flatMap { $0 }), to: out)
    }
    let summary = GenerationSummary(result)
    guard questions.codec != nil else {
      console.print(isJSON ? summary.json.indentedText : summary.text)
      arguments.note(result.warning)
      return
    }
    try show(result, summary, &printer, console)
    arguments.note(result.warning)
  }

  /// Prints the answer to a question in text.
  private func show(
    _ result: SecureGeneration.Result, _ summary: GenerationSummary, _ printer: inout AnswerPrinter,
    _ console: Console
  ) throws {
    let classes = ClassNames(folder: questions.folder)
    let isDecoder = result.meaning == .logits
    let text = isDecoder ? try printer.finish(result.newTokens) ?? "" : nil
    if arguments.flag("json") {
      guard case .object(var members) = summary.json else { return }
      if let text { members["text"] = .string(text) }
      if result.meaning == .classes, let scores = result.rows.first {
        members["probabilities"] = .array(classes.probabilities(scores).map(JSON.number))
        members["labels"] = .array(scores.indices.map { .string(classes.name($0)) })
      }
      // One document for one question, one a line for several.
      let document = JSON.object(members)
      console.print(questions.prompts.count == 1 ? document.indentedText : document.text)
      return
    }
    switch result.meaning {
    case .logits: console.print(printer.hasPrinted ? "" : text ?? "")
    case .classes: console.print(classes.text(result.rows.first ?? []))
    case .states, .embedding, .tokenLogits, .tokenClasses: console.print(summary.answer)
    }
    console.report("lodge-client: \(summary.statistics)")
  }
}

extension TokenSampler {
  /// What the options say, each of which a program may give with its question.
  init(_ arguments: ParsedArguments, _ request: ProgramRequest? = nil) throws {
    try self.init(
      temperature: request?.temperature ?? arguments.number("temperature"),
      topK: request?.topK ?? arguments.optionalInteger("top-k"),
      topP: request?.topP ?? arguments.optionalNumber("top-p"),
      seed: request?.seed ?? arguments.optionalInteger("seed"))
  }
}
