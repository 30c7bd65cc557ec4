// `lodge-check compare`.

import Arguments
import Bytes
import Program
import Sharing
import Validation

let compareCommand = Command(
  "compare", summary: "puts conversions of one model side by side",
  details: """
    Accuracy in exact fixed point, flights, bytes, network time of a token (of a text for an encoder),
    correlations, and what is leaked. Network times are for a LAN (0.1 ms, 10 Gbit/s), a region
    (10 ms, 1 Gbit/s) and a WAN (80 ms, 100 Mbit/s).
    """,
  example: "lodge-check compare accurate.lodge bolt.lodge --tokens eval.json --report recipes.html",
  positionals: [
    Positional("MODEL", .path, isRepeated: true, help: "files written by `lodge-model approximate`")
  ],
  options: evaluationOptions + [
    Option(
      "deployment", .choice(["two-server", "provider-user"]), placeholder: "WHO",
      default: "two-server", help: "who the parties are: two-server or provider-user")
  ] + reportOptions
) { arguments in
  try requireEvaluationSet(arguments)
  arguments.printConfiguration()
  let outputs = try ReportOutputs(arguments)
  let files = try arguments.strings("MODEL").map { path in (path, try ModelFile(path: path)) }
  guard let first = files.first?.1 else { throw UsageError("MODEL is missing") }
  for (path, file) in files { try RecipeComparison.check(file, path: path, against: first) }
  let set = try readEvaluationSet(arguments, first)
  let deployment = Deployment(rawValue: try arguments.string("deployment")) ?? .twoServer
  for (_, file) in files { try ShareWriter.check(file.program(), deployment) }
  var comparison = RecipeComparison(
    deployment: deployment,
    session: try CostReport.session(
      of: first.program(), prompt: arguments.optionalInteger("prompt"),
      new: arguments.optionalInteger("new")))
  let reference = try readReference(arguments, for: first.model)
  let progress = Progress(
    "comparing", total: set.tokenCount * files.count, unit: .items("tokens"),
    console: arguments.console)
  for (path, file) in files {
    let evaluator = try readEvaluator(arguments, file, path: path, reference: reference)
    let result = try EvaluationResult(evaluator, set) { progress.advance(by: $0) }
    comparison.add(path: path, file: file, evaluator: evaluator, result: result)
  }
  progress.finish()
  try outputs.write(comparison.json)
  arguments.print(comparison)
  // Which of them is the user's choice.
  arguments.printNext(files.map { sharing($0.0) })
}
