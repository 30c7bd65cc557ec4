// `lodge-model calibrate`.

import Approximation
import Arguments
import Bytes
import Models
import Sharing
import Validation

let calibrateCommand = Command(
  "calibrate", summary: "runs a model on real text and records how its values are distributed",
  details: """
    Ranges, histograms and quantiles of every tensor, from which approximations and scales are chosen.
    With --merge the arguments are calibrations of one model on several texts, which are added.
    """,
  example: """
    lodge-model calibrate opt-125m --tokens calibration.json --out opt.h5
    lodge-model calibrate --merge a.h5 b.h5 --out both.h5
    """,
  positionals: [
    Positional(
      "CHECKPOINT", .path, isRepeated: true,
      help: "folder with config.json and weights, or a tensor file; with --merge, calibrations")
  ],
  options: [
    Option("tokens", .path, help: "JSON array of token lists: text as the model will see it"),
    adapterOption, gatesOption,
    .flag("merge", help: "add calibrations of the same model"),
    outputOption, memoryOption,
    .flag("all", help: "list every node, with what it gives"),
    Option("out", .path, isRequired: true, help: "file to write"),
    .json,
  ]
) { arguments in
  let paths = arguments.strings("CHECKPOINT")
  let tokens = arguments.optionalString("tokens")
  guard arguments.flag("merge") == (tokens == nil) else {
    throw UsageError(
      tokens == nil ? "--tokens is missing" : "--merge takes calibrations and no --tokens")
  }
  guard tokens == nil || paths.count == 1 else {
    throw UsageError("one CHECKPOINT is calibrated at a time")
  }
  arguments.printConfiguration()
  let memory = try memoryBudget(arguments)
  let out = try arguments.string("out")
  try AtomicFile.check(out)
  let calibration: CalibrationFile
  if let tokens {
    let loaded = try loadCheckpoint(
      paths[0], arguments, adapter: arguments.optionalString("adapter"),
      gates: arguments.optionalString("gates"))
    let weights = try EqualisedWeights(loaded.model, loaded, memory: memory)
    calibration = try CalibrationFile(
      model: loaded.model, weights: weights, checkpoint: FilePaths.lastComponent(of: loaded.path),
      calibration: calibrate(
        loaded.model, weights, texts: TokenFile.read(tokens), source: tokens, memory: memory,
        arguments))
  } else {
    var sum = try CalibrationFile(path: paths[0])
    for path in paths.dropFirst() { try sum.merge(CalibrationFile(path: path)) }
    calibration = sum
  }
  try calibration.write(to: out)
  let report = CalibrationReport(
    model: calibration.model, calibration: calibration.calibration,
    isComplete: arguments.flag("all"))
  arguments.print(report)
  guard tokens != nil else { return }
  arguments.printNext([
    ShellCommand(
      ["lodge-model", "approximate", paths[0], "--calibration", out, "--out"]
        + [FilePaths.beside(out, "model.lodge")]
        + arguments.passedOn(["adapter", "gates", "output"]))
  ])
}

/// Runs `texts` with progress.
func calibrate(
  _ model: Model, _ weights: EqualisedWeights, texts: [[Int]], source: String,
  memory: MemoryBudget, _ arguments: ParsedArguments
) throws -> Calibration {
  let (texts, notice) = try model.withoutPadding(texts, source: source)
  arguments.note(notice)
  let progress = Progress(
    "calibrating", total: model.nodes.count, unit: .items("nodes"),
    console: arguments.console)
  let calibration = try Calibration.observe(
    try FloatInterpreter(model, weights: weights, memory: memory), texts: texts, source: source
  ) { progress.reach($0, of: $1) }
  progress.finish()
  arguments.note(calibration.textNotices(for: model))
  return calibration
}

/// The calibration that `--calibration` names, which must be of this model, or that of `--tokens`.
func calibration(
  _ arguments: ParsedArguments, of model: Model, _ weights: EqualisedWeights, memory: MemoryBudget
) throws -> Calibration {
  if let path = arguments.optionalString("calibration") {
    let file = try CalibrationFile(path: path)
    try file.check(model, weights: weights, path: path)
    arguments.note(file.calibration.textNotices(for: model))
    return file.calibration
  }
  let path = try arguments.string("tokens")
  return try calibrate(
    model, weights, texts: TokenFile.read(path), source: path, memory: memory, arguments)
}
