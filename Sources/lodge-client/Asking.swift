// One question: a session, its answer as it comes, and what the answer cost.

import Arguments
import Bytes
import Models
import OnlineRuntime
import Program
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

/// Asks question number `index` and prints its answer.
func ask(_ index: Int, of questions: Questions, out: String?, _ arguments: ParsedArguments) throws {
  let (prompt, source) = questions.prompts[index]
  let isJSON = arguments.flag("json")
  let console = arguments.console
  let sampler = try TokenSampler(
    temperature: arguments.number("temperature"), topK: arguments.optionalInteger("top-k"),
    topP: arguments.optionalNumber("top-p"), seed: arguments.optionalInteger("seed"))
  let request = Request(
    prompt: prompt, source: source, stop: questions.stop,
    isForNothing: questions.codec != nil && out == nil && !isJSON)
  let (session, tables) = try whenListening(arguments) {
    try arguments.isGiven("provider")
      ? userSession(request, arguments) : clientSession(request, arguments)
  }
  arguments.onInterruption {
    "the session that had begun is used up: the next question takes another"
  }
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
      prompt: prompt, newCount: newCount, stop: questions.ends,
      sampler: sampler,
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
  arguments.note(session.identity.output.warning(about: result.rows))
  if let out {
    let width = result.rows.first?.count ?? 0
    try NPY.write(
      NPYArray(shape: [result.rows.count, width], values: result.rows.flatMap { $0 }), to: out)
  }
  let summary = GenerationSummary(result)
  guard questions.codec != nil else {
    console.print(isJSON ? summary.json.indentedText : summary.text)
    return
  }
  try show(result, summary, &printer, questions, arguments)
}

/// Prints the answer to a question in text.
private func show(
  _ result: SecureGeneration.Result, _ summary: GenerationSummary, _ printer: inout AnswerPrinter,
  _ questions: Questions, _ arguments: ParsedArguments
) throws {
  let console = arguments.console
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
