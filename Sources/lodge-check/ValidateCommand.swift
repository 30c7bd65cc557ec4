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
    against the original; a miss exits with status 2, as do values beyond the ring and inputs beyond what the
    conversion has room for, whatever the limits.
    """,
  example: """
    lodge-check validate opt.lodge --tokens eval.json --max-perplexity-increase 0.005
    lodge-check validate minilm.lodge --pairs sts.json --max-spearman-drop 0.003
    """,
  positionals: [Positional("MODEL", .path, help: "file written by `lodge-model approximate`")],
  options: evaluationOptions + [
    Option(
      "secure", .integer(0...1000), default: "0",
      help: "sessions of up to 32 tokens to run in two parties as well"),
    Option("rtt", .duration, default: "10ms", help: "round-trip time between the parties"),
    Option("bandwidth", .bandwidth, default: "1Gbps", help: "bandwidth between the parties"),
    Option("thresholds", .path, help: "JSON file of thresholds; options below replace its limits"),
  ]
    + Criterion.allCases.map {
      Option($0.option, .number($0.allowed), help: $0.help)
    } + reportOptions
) { arguments in
  try requireEvaluationSet(arguments)
  arguments.printConfiguration()
  let path = try arguments.string("MODEL")
  let outputs = try ReportOutputs(arguments)
  let thresholds = try readThresholds(arguments)
  let file = try ModelFile(path: path)
  let set = try readEvaluationSet(arguments, file)
  let evaluator = try readEvaluator(
    arguments, file, path: path, reference: readReference(arguments, for: file.model))
  let session = try CostReport.session(
    of: evaluator.program, prompt: arguments.optionalInteger("prompt"),
    new: arguments.optionalInteger("new"))
  let progress = Progress(
    "validating", total: set.tokenCount, unit: .items("tokens"), console: arguments.console)
  var result = try EvaluationResult(evaluator, set) { progress.advance(by: $0) }
  progress.finish()
  let sessions = min(try arguments.integer("secure"), set.windows.count)
  if sessions > 0 {
    let progress = Progress(
      "two parties", total: sessions, unit: .items("sessions"), console: arguments.console)
    result.add(
      try SecureSample(file, evaluator: evaluator, set: set, sessionCount: sessions) {
        progress.advance(by: $0)
      })
    progress.finish()
  }
  let report = try ValidationReport(
    path: path, file: file, evaluator: evaluator, result: result,
    cost: CostReport(
      program: evaluator.program, session: session,
      network: NetworkProfile(
        "parties", roundTripSeconds: arguments.number("rtt"),
        bitsPerSecond: arguments.number("bandwidth"))),
    thresholds: thresholds)
  try outputs.write(report.json)
  arguments.print(report)
  let faults = report.faults
  if !faults.isEmpty || !report.misses.isEmpty {
    throw CheckFailure(
      (faults + report.misses.map(\.text)).map { "\(path): \($0)" },
      hint: faults.isEmpty ? nil : report.faultHint)
  }
  arguments.printNext([sharing(path)])
}

/// Shares the model at `path`, beside it.
func sharing(_ path: String) -> ShellCommand {
  ShellCommand(["lodge-model", "share", path, "--out", FilePaths.beside(path, "shares")])
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
