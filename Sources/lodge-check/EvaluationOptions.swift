// Options that `lodge-check validate` and `lodge-check compare` share.

import Arguments
import Bytes
import Models
import Sharing
import Validation

/// What to evaluate on, and the session that costs are of.
let evaluationOptions = [
  Option("tokens", .path, help: "JSON array of token lists to evaluate on"),
  Option("pairs", .path, help: "JSON array of scored pairs of token lists (encoder)"),
  Option(
    "window", .integer(2...1 << 20),
    help: "tokens evaluated at once (default 512, or what the model takes)"),
  Option(
    "stride", .integer(1...1 << 20),
    help: "tokens between windows of a longer text (default half a window)"),
  Option(
    "pooling", .choice(Pooling.allCases.map(\.rawValue)), default: "mean",
    help: "how an encoder's states become one embedding"),
  Option(
    "reference", .path, placeholder: "CHECKPOINT",
    help: "the original of refitted or trained weights (default: MODEL's own weights)"),
  Option(
    "adapter", .path, placeholder: "DIR",
    help: "LoRA adapter of peft to merge into the reference's weights"),
  Option(
    "gates", .path, placeholder: "FILE", help: "gates of the reference's feed-forward layers"),
  Option("prompt", .integer(1...1 << 20), help: "tokens of the prompt, for costs (default 64)"),
  Option("new", .integer(0...1 << 20), help: "new tokens, for costs (default 32)"),
  Option(
    "memory", .byteCount, default: "1GiB",
    help: "memory for weights; larger models are read from the file again and again"),
]

/// Where to write besides standard output.
let reportOptions = [
  Option("report", .path, help: "write one self-contained HTML page"),
  Option("out", .path, help: "write the JSON document to this file as well"), .json,
]

/// Throws unless there is something to evaluate on.
func requireEvaluationSet(_ arguments: ParsedArguments) throws(UsageError) {
  guard arguments.isGiven("tokens") || arguments.isGiven("pairs") else {
    throw UsageError("--tokens FILE or --pairs FILE is needed")
  }
}

/// The checkpoint of `--reference`, with the output of `model`.
func readReference(_ arguments: ParsedArguments, for model: Model) throws -> LoadedModel? {
  guard let path = arguments.optionalString("reference") else {
    guard !arguments.isGiven("adapter") else { throw UsageError("--adapter needs --reference") }
    guard !arguments.isGiven("gates") else { throw UsageError("--gates needs --reference") }
    return nil
  }
  let loaded = try FileKind.expecting(.checkpoint, at: path) { () throws(InputError) in
    try ModelLoader.load(
      path: path, adapter: arguments.optionalString("adapter"),
      gates: arguments.optionalString("gates"), output: model.output)
  }
  arguments.note(loaded.notices)
  return loaded
}

/// The evaluator of the model in `file` as the options say.
func readEvaluator(
  _ arguments: ParsedArguments, _ file: ModelFile, path: String, reference: LoadedModel?
) throws(InputError) -> Evaluator {
  try Evaluator(
    file, path: path, reference: reference,
    pooling: Pooling(rawValue: arguments.string("pooling")) ?? .mean,
    memory: MemoryBudget(byteCount: arguments.integer("memory")))
}

/// The files of `--out` and `--report`, checked before the work begins.
struct ReportOutputs {
  private let json: String?
  private let page: (path: String, tool: ReportTool)?

  init(_ arguments: ParsedArguments) throws(InputError) {
    json = arguments.optionalString("out")
    let path = arguments.optionalString("report")
    for path in [json, path].compactMap({ $0 }) { try AtomicFile.check(path) }
    page = try path.map { path throws(InputError) in (path, try ReportTool()) }
  }

  func write(_ document: JSON) throws(InputError) {
    if let json {
      try AtomicFile.write(Array((document.text + "\n").utf8), to: json)
    }
    if let page { try page.tool.write(document, to: page.path) }
  }
}

/// The texts and pairs of `--tokens` and `--pairs`, cut as `--window` and `--stride` say.
func readEvaluationSet(_ arguments: ParsedArguments, _ file: ModelFile) throws(InputError)
  -> EvaluationSet
{
  let tokens = arguments.optionalString("tokens")
  let pairs = arguments.optionalString("pairs")
  var texts: [[Int]] = []
  var scored: [ScoredPair] = []
  if let tokens { texts = try TokenFile.read(tokens) }
  if let pairs { scored = try PairFile.read(pairs) }
  let (kept, notice) = try file.model.withoutPadding(texts, source: tokens ?? "")
  let (pairTexts, pairNotice) = try file.model.withoutPadding(
    scored.flatMap { [$0.first, $0.second] }, source: pairs ?? "")
  arguments.note([notice, pairNotice].compactMap { $0 })
  texts = kept
  for index in scored.indices {
    (scored[index].first, scored[index].second) = (pairTexts[2 * index], pairTexts[2 * index + 1])
  }
  return try EvaluationSet(
    model: file.model, texts: texts, source: tokens ?? pairs ?? "", pairs: scored,
    pairSource: pairs ?? "", window: arguments.optionalInteger("window"),
    stride: arguments.optionalInteger("stride"))
}
