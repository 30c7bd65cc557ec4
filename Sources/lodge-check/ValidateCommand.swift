// `lodge-check validate`.

import Arguments
import Bytes
import Sharing
import Validation

let validateCommand = Command(
  "validate", summary: "measures what a conversion left of a model's accuracy",
  details: """
    Runs the texts through the original model in float, the graph with its replacements in float, and
    the secure program in exact fixed point, and compares them. Thresholds are about fixed point
    against the original; a miss exits with status 2.
    """,
  example: """
    lodge-check validate opt.lodge --tokens eval.json --max-perplexity-increase 0.005
    lodge-check validate minilm.lodge --pairs sts.json --max-spearman-drop 0.003
    """,
  positionals: [Positional("MODEL", .path, help: "file written by `lodge-model approximate`")],
  options: [
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
    Option("prompt", .integer(1...1 << 20), help: "tokens of the prompt, for costs (default 64)"),
    Option("new", .integer(0...1 << 20), help: "new tokens, for costs (default 32)"),
    Option("rtt", .duration, default: "10ms", help: "round-trip time between the parties"),
    Option("bandwidth", .bandwidth, default: "1Gbps", help: "bandwidth between the parties"),
    Option("thresholds", .path, help: "JSON file of thresholds; options below replace its limits"),
  ]
    + Criterion.allCases.map {
      Option($0.option, .number($0.allowed), help: $0.help)
    } + [
      Option("out", .path, help: "write the JSON document to this file as well"), .json,
    ]
) { arguments in
  guard arguments.isGiven("tokens") || arguments.isGiven("pairs") else {
    throw UsageError("--tokens FILE or --pairs FILE is needed")
  }
  arguments.printConfiguration()
  let path = try arguments.string("MODEL")
  let out = arguments.optionalString("out")
  if let out { try AtomicFile.check(out) }
  let thresholds = try readThresholds(arguments)
  let file = try ModelFile(path: path)
  let set = try readEvaluationSet(arguments, file)
  let evaluator = try Evaluator(
    file, path: path,
    pooling: Pooling(rawValue: arguments.string("pooling")) ?? .mean)
  let session = try CostReport.session(
    of: evaluator.program, prompt: arguments.optionalInteger("prompt"),
    new: arguments.optionalInteger("new"))
  let progress = Progress(
    "validating", total: set.tokenCount, unit: .items("tokens"), console: arguments.console)
  let result = try EvaluationResult(evaluator, set) { progress.advance(by: $0) }
  progress.finish()
  let report = try ValidationReport(
    path: path, file: file, evaluator: evaluator, result: result,
    cost: CostReport(
      program: evaluator.program, session: session,
      roundTripSeconds: arguments.number("rtt"),
      bitsPerSecond: arguments.number("bandwidth")),
    thresholds: thresholds)
  if let out {
    try AtomicFile.write(Array((report.json.text + "\n").utf8), to: out, mode: 0o644)
  }
  arguments.console.print(arguments.flag("json") ? report.json.indentedText : report.text)
  if !report.misses.isEmpty {
    throw CheckFailure(report.misses.map { "\(path): \($0.text)" })
  }
}

private func readThresholds(_ arguments: ParsedArguments) throws(InputError) -> Thresholds {
  var thresholds = Thresholds()
  if let path = arguments.optionalString("thresholds") { thresholds = try Thresholds(path: path) }
  for criterion in Criterion.allCases {
    if let limit = arguments.optionalNumber(criterion.option) {
      thresholds.limits[criterion] = limit
    }
  }
  return thresholds
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
  return try EvaluationSet(
    model: file.model, texts: texts, source: tokens ?? pairs ?? "", pairs: scored,
    pairSource: pairs ?? "", window: arguments.optionalInteger("window"),
    stride: arguments.optionalInteger("stride"))
}
