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
    does not pay over the network that --rtt and --bandwidth state, with all that is dealt, or costs
    15 % of what it saves, stays dense, and loses neurons that never fire alone. Gates that are
    trained with the model are better: tools/finetune --sparsity. Where there is nothing to write the
    status is 2.

    With --heads gates decide about heads of attention, reading what the feed-forward part of the
    layer before reads; the mass is that of what heads add to a position. Gates that stand beside the
    checkpoint are kept in the file. Without --heads none may stand there.

    What is finished is kept in a folder beside --out, of the same name and .unfinished: the
    statistics of every layer, and every gate that was fitted. The same command goes on from there
    after an interruption, writes the same file as if there had been none, and removes the folder.
    With another model, text or setting (--memory too) it refuses the folder: remove it to begin again.
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
    Option(
      "rank", .integer(Model.gateRanks), default: "32", help: "of the product that computes gates"),
    Option("rtt", .duration, default: "10ms", help: "round-trip time between the parties"),
    Option("bandwidth", .bandwidth, default: "1Gbps", help: "bandwidth between the parties"),
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
  func heldOut() throws -> [[Int]] {
    try arguments.optionalString("held-out").map(texts) ?? []
  }
  var settings = Sparsifier.Settings()
  settings.mass = try arguments.number("mass")
  if let width = arguments.optionalInteger("block-width") { settings.blockWidths = [width] }
  settings.rank = try arguments.integer("rank")
  settings.seed = UInt64(try arguments.integer("seed"))
  let path = try arguments.string("tokens")
  let progress = Progress(
    "observing", total: 0, unit: .items("steps"), console: arguments.console)
  /// What an interrupted run of the same command has finished.
  func keptFits(
    _ subject: KeptFits.Subject, _ tokens: (training: [[Int]], judging: [[Int]])
  ) throws(InputError) -> KeptFits {
    let folder = "\(out).unfinished"
    let kept = try KeptFits(
      path: folder, subject, of: loaded.model, weights: loaded, texts: tokens.training,
      heldOut: tokens.judging, settings: settings, memory: memory)
    arguments.note(kept.summary.map { "goes on with \(folder): \($0)" })
    arguments.onInterruption {
      let count = KeptFits.count(in: folder)
      return count == 0
        ? "the same command begins again"
        : "\(Quantity.count(count, "finished part")) kept in \(folder), the same command goes on"
    }
    return kept
  }
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
    let tokens = try (training: texts(path), judging: heldOut())
    let sparsifier = try HeadSparsifier(
      FloatInterpreter(loaded, memory: memory), weights: loaded, settings: settings)
    let kept = try keptFits(.heads, tokens)
    var heads = try sparsifier.run(
      texts: tokens.training, heldOut: tokens.judging, source: path, kept: kept
    ) {
      progress.reach($0, of: $1)
    }
    progress.finish()
    let savings = try weighed(
      arguments, of: heads.indices.filter { heads[$0].isGated },
      name: { "layers.\(heads[$0].site.layer).headGate" },
      texts: tokens.judging.isEmpty ? tokens.training : tokens.judging
    ) { gated, file throws(InputError) in
      if gated.isEmpty, loaded.gates == nil { return false }
      try GatesFile.write(gated.map { heads[$0] }, beside: loaded.gates, to: file)
      return true
    }
    for (index, saving) in savings { heads[index].saving = saving }
    let isGated = heads.contains(where: \.isGated)
    if isGated { try GatesFile.write(heads, beside: loaded.gates, to: out) }
    kept.remove()
    arguments.print(HeadReport(heads, settings: settings))
    guard isGated else { throw nothingPays("no layer has gates of heads that pay", out) }
    try printNext()
    return
  }
  // Orders are those of the checkpoint's neurons, and not of those that gates have left.
  if let gates = loaded.gates {
    throw InputError(
      gates.path, "the checkpoint has gates already",
      hint: "move the file away: gates of blocks come first, then those of heads (--heads)")
  }
  let tokens = try (training: texts(path), judging: heldOut())
  let sparsifier = try Sparsifier(
    FloatInterpreter(loaded, memory: memory), settings: settings)
  let kept = try keptFits(.blocks, tokens)
  var layers = try sparsifier.run(
    texts: tokens.training, heldOut: tokens.judging, source: path, kept: kept
  ) {
    progress.reach($0, of: $1)
  }
  progress.finish()
  let savings = try weighed(
    arguments, of: layers.indices.filter { layers[$0].isGated },
    name: { "layers.\(layers[$0].site.layer).gate" },
    texts: tokens.judging.isEmpty ? tokens.training : tokens.judging
  ) { gated, file throws(InputError) in
    if GatesFile.isEmpty(layers, gated: Set(gated)) { return false }
    try GatesFile.write(layers, gated: Set(gated), to: file)
    return true
  }
  for (index, saving) in savings { layers[index].saving = saving }
  let isEmpty = GatesFile.isEmpty(layers)
  if !isEmpty { try GatesFile.write(layers, to: out) }
  let report = SparsityReport(layers, settings: settings)
  if let page { try pageTool?.write(report.json, to: page) }
  kept.remove()
  arguments.print(report)
  guard !isEmpty else {
    throw nothingPays("no layer has a gate that pays, or a neuron to remove", out)
  }
  try printNext()
}

/// What the gates of each of `layers` save where all of them have gates, by its number among
/// `layers`.
///
/// - Parameters:
///   - name: Of the node that decides in a layer.
///   - texts: What costs are calibrated with.
///   - write: Writes a file with the gates of the layers given, and says whether there is anything to
///     write.
private func weighed(
  _ arguments: ParsedArguments, of layers: [Int], name: (Int) -> String, texts: [[Int]],
  write: (_ gated: [Int], _ file: String) throws(InputError) -> Bool
) throws -> [Int: GateSaving] {
  guard !layers.isEmpty else { return [:] }
  let memory = try memoryBudget(arguments)
  let folder = try TemporaryFolder(prefix: "lodge-sparsify")
  let file = "\(folder.path)/gates.safetensors"
  func loaded(_ gated: [Int]) throws -> LoadedModel {
    let isWritten = try write(gated, file)
    return try ModelLoader.load(
      path: arguments.string("CHECKPOINT"), adapter: arguments.optionalString("adapter"),
      gates: isWritten ? file : nil, output: arguments.output)
  }
  let progress = Progress(
    "weighing", total: 0, unit: .items("steps"), console: arguments.console)
  let candidates = try loaded(layers)
  let plan = try GatePlan(
    candidates.model, weights: EqualisedWeights(candidates.model, candidates, memory: memory),
    texts: .init(texts, source: arguments.string("tokens")),
    network: NetworkProfile(
      "parties", roundTripSeconds: arguments.number("rtt"),
      bitsPerSecond: arguments.number("bandwidth")), memory: memory
  ) { progress.reach($0, of: $1) }
  progress.finish()
  var result: [Int: GateSaving] = [:]
  for layer in layers {
    let dense = try loaded(layers.filter { $0 != layer })
    result[layer] = try plan.saving(gates: name(layer), dense: dense.model)
  }
  return result
}

/// What was asked for is not there: whoever goes on with `out` would take another file for it.
private func nothingPays(_ cause: String, _ out: String) -> CheckFailure {
  CheckFailure(
    ["\(cause): \(out) is not written"],
    hint: "lower --mass, give more text, or convert the model without gates")
}
