// `lodge-model sparsify`.

import Arguments
import Bytes
import Checkpoints
import Models
import Sharing
import Sparsity
import Validation

let sparsifyCommand = Command(
  "sparsify",
  summary: "fits gates that skip blocks of feed-forward neurons, or heads, without training",
  details: """
    Clusters neurons that fire together into blocks, removes those that never fire or fill no block,
    and fits to each layer a gate of low rank that reads what the layer's attention reads. Thresholds
    keep a share of the activations' mass on text that the gates have not seen. A layer whose gate
    does not pay stays dense, and loses neurons that never fire alone. Gates that are trained with the
    model are better: tools/finetune --sparsity.

    With --heads gates decide about heads of attention, reading what the feed-forward part of the
    layer before reads; the mass is that of what heads add to a position. Gates that stand beside the
    checkpoint are kept in the file. Without --heads none may stand there.
    """,
  example: """
    lodge-model sparsify opt-125m --tokens calibration.json --out opt-125m/gates.safetensors
    lodge-model sparsify opt-125m --tokens windows.json --mass 0.99 --json --out g.safetensors
    lodge-model sparsify opt-125m --heads --mass 0.9 --tokens windows.json --out heads.safetensors
    """,
  positionals: [
    Positional("CHECKPOINT", .path, help: "folder with config.json and weights, or a tensor file")
  ],
  options: [
    Option(
      "tokens", .path, isRequired: true,
      help: "JSON array of token lists: text as the model will see it, some of it held out"),
    Option("held-out", .path, help: "texts to judge by (default: two of ten of --tokens)"),
    Option(
      "mass", .number(0.5...1), default: "0.98", help: "share of the activations' mass to keep"),
    Option(
      "block-width", .integer(1...64), help: "neurons of a block (default: the best of 8, 16, 32)"),
    .flag("heads", help: "gates of attention heads, beside those that the checkpoint has"),
    Option("rank", .integer(1...1024), default: "32", help: "of the product that computes gates"),
    Option("seed", .integer(0...Int(Int32.max)), default: "1", help: "of the training of gates"),
    adapterOption, outputOption, memoryOption,
    Option("out", .path, isRequired: true, help: "file to write, such as gates.safetensors"),
    Option("report", .path, help: "write one self-contained HTML page"),
    .json,
  ]
) { arguments in
  arguments.printConfiguration()
  let memory = try memoryBudget(arguments)
  let out = try arguments.string("out")
  let page = arguments.optionalString("report")
  for path in [out, page].compactMap({ $0 }) { try AtomicFile.check(path) }
  let pageTool = try page.map { _ throws(InputError) in try ReportTool() }
  let loaded = try loadCheckpoint(
    arguments.string("CHECKPOINT"), arguments, adapter: arguments.optionalString("adapter"))
  func texts(_ path: String) throws -> [[Int]] {
    let (texts, notice) = try loaded.model.withoutPadding(TokenFile.read(path), source: path)
    arguments.note(notice)
    return texts
  }
  var settings = Sparsifier.Settings()
  settings.mass = try arguments.number("mass")
  if let width = arguments.optionalInteger("block-width") { settings.blockWidths = [width] }
  settings.rank = try arguments.integer("rank")
  settings.seed = UInt64(try arguments.integer("seed"))
  let path = try arguments.string("tokens")
  let progress = Progress(
    "observing", total: 0, unit: .items("steps"), console: arguments.console)
  /// What comes next with a file of gates.
  func printNext() throws {
    arguments.printNext([
      ShellCommand(
        [
          "lodge-model", "approximate", try arguments.string("CHECKPOINT"), "--gates", out,
          "--tokens",
        ]
          + [path, "--out", FilePaths.beside(out, "gated.lodge")]
          + arguments.passedOn(["adapter", "output"]))
    ])
  }
  if arguments.flag("heads") {
    if arguments.optionalInteger("block-width") != nil || page != nil {
      throw InputError(
        "--heads", "takes no --block-width and no --report", hint: "leave them out")
    }
    let heads = try HeadSparsifier(
      FloatInterpreter(loaded, memory: memory), weights: loaded, settings: settings
    ).run(
      texts: texts(path), heldOut: arguments.optionalString("held-out").map(texts) ?? [],
      source: path
    ) { progress.reach($0, of: $1) }
    progress.finish()
    let isGated = heads.contains(where: \.isGated)
    if isGated {
      try GatesFile.write(heads, beside: loaded.gates, to: out)
    } else {
      arguments.note("no layer has gates of heads that pay: \(out) is not written")
    }
    arguments.print(HeadReport(heads, settings: settings))
    if isGated { try printNext() }
    return
  }
  // Orders are those of the checkpoint's neurons, and not of those that gates have left.
  if let gates = loaded.gates {
    throw InputError(
      gates.path, "the checkpoint has gates already",
      hint: "move the file away: gates of blocks come first, then those of heads (--heads)")
  }
  let layers = try Sparsifier(
    FloatInterpreter(loaded, memory: memory), settings: settings
  ).run(
    texts: texts(path), heldOut: arguments.optionalString("held-out").map(texts) ?? [],
    source: path
  ) { progress.reach($0, of: $1) }
  progress.finish()
  if GatesFile.isEmpty(layers) {
    arguments.note("no layer has a gate that pays, or a neuron to remove: \(out) is not written")
  } else {
    try GatesFile.write(layers, to: out)
  }
  let report = SparsityReport(layers, settings: settings)
  if let page { try pageTool?.write(report.json, to: page) }
  arguments.print(report)
  guard !GatesFile.isEmpty(layers) else { return }
  try printNext()
}
