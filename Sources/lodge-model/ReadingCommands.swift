// `lodge-model inspect` and `lodge-model logits`.

import Arguments
import Bytes
import Models
import Sharing

let adapterOption = Option(
  "adapter", .path, placeholder: "DIR",
  help: "LoRA adapter of peft to merge into the weights (folder with adapter_config.json)")

let gatesOption = Option(
  "gates", .path, placeholder: "FILE",
  help: "gates of `sparsify`; default: gates.safetensors beside config.json, if there")

let outputOption = Option(
  "output", .choice(ModelOutput.ofEncoders.map(\.rawValue)), placeholder: "OUTPUT",
  help: "of an encoder, not config.json's: "
    + ModelOutput.ofEncoders.map(\.rawValue).joined(separator: ", "))

extension ParsedArguments {
  /// The output that `--output` names, or nil.
  var output: ModelOutput? { optionalString("output").flatMap { ModelOutput(rawValue: $0) } }
}

/// The checkpoint at `path`; what the user should know about it is printed.
func loadCheckpoint(
  _ path: String, _ arguments: ParsedArguments, adapter: String? = nil, gates: String? = nil
) throws(InputError) -> LoadedModel {
  let loaded = try FileKind.expecting(.checkpoint, at: path) { () throws(InputError) in
    try ModelLoader.load(path: path, adapter: adapter, gates: gates, output: arguments.output)
  }
  arguments.note(loaded.notices)
  return loaded
}

let inspectCommand = Command(
  "inspect", summary: "shows a checkpoint's architecture, tensors and non-linear operations",
  example: """
    lodge-model inspect opt-125m
    lodge-model inspect --families
    """,
  positionals: [
    Positional(
      "CHECKPOINT", .path, isRequired: false,
      help: "folder with config.json and weights, or a tensor file")
  ],
  options: [
    .flag("families", help: "list the model families that are read"),
    .flag("all", help: "list every tensor, or every setting of the families"),
    adapterOption, gatesOption, outputOption, .json,
  ]
) { arguments in
  if arguments.flag("families") {
    guard !arguments.isGiven("CHECKPOINT") else {
      throw UsageError("--families takes no CHECKPOINT")
    }
    arguments.print(FamilyList(isComplete: arguments.flag("all")))
    return
  }
  guard arguments.isGiven("CHECKPOINT") else {
    throw UsageError("CHECKPOINT is missing")
  }
  let path = try arguments.string("CHECKPOINT")
  var inspection = ModelInspection(
    try FileKind.expecting(.checkpoint, at: path) { () throws(InputError) in
      try ModelLoader.load(
        path: path, adapter: arguments.optionalString("adapter"),
        gates: arguments.optionalString("gates"), output: arguments.output)
    })
  inspection.isComplete = arguments.flag("all")
  arguments.print(inspection)
  let options = arguments.passedOn(["adapter", "gates", "output"])
  arguments.printNext([
    inspection.kind == .prefixDecoder
      ? ShellCommand(
        ["lodge-model", "approximate", path, "--tokens", "tokens.json", "--out", "model.lodge"]
          + options)
      : ShellCommand(
        ["lodge-model", "convert", path, "--text", "text.txt", "--out", "served"] + options)
  ])
}

let logitsCommand = Command(
  "logits", summary: "runs the plaintext model in float and writes its outputs",
  details: """
    Float32 [rows, width]: logits of every position (decoder), or what an encoder gives, which is
    states or scores of every position, or one row of classes or of an embedding. With --new, the
    text is continued greedily, and only the logits that each new token was chosen from are written:
    the rows that `lodge-client --logits` writes.
    """,
  example: """
    lodge-model logits opt-125m --tokens prompt.json --out logits.npy
    lodge-model logits opt-125m --tokens prompt.json --new 32 --out new.npy --tokens-out new.json
    """,
  positionals: [
    Positional("CHECKPOINT", .path, help: "folder with config.json and weights, or a tensor file")
  ],
  options: [
    adapterOption, gatesOption,
    Option("tokens", .path, isRequired: true, help: "JSON array of token ids"),
    Option("out", .path, isRequired: true, help: "NPY file to write"),
    outputOption,
    Option("new", .integer(1...1 << 20), help: "tokens to continue the text by (decoder)"),
    Option(
      "stop", .string, placeholder: "ID",
      help: "end after such a token: ids as 43,47, or the settings (or folder) that name them"),
    Option("tokens-out", .path, help: "JSON file for the new tokens (with --new)"),
  ]
) { arguments in
  let tokensOut = arguments.optionalString("tokens-out")
  if tokensOut != nil, arguments.optionalInteger("new") == nil {
    throw UsageError("--tokens-out needs --new")
  }
  if arguments.isGiven("stop"), arguments.optionalInteger("new") == nil {
    throw UsageError("--stop needs --new")
  }
  arguments.printConfiguration()
  let checkpoint = try arguments.string("CHECKPOINT")
  let tokens = try arguments.string("tokens")
  let out = try arguments.string("out")
  for path in [out, tokensOut].compactMap({ $0 }) { try AtomicFile.check(path) }
  var kind = ModelOutput.logits
  func note(_ loaded: LoadedModel) {
    arguments.note(loaded.notices)
    kind = loaded.model.output
  }
  let output: FloatMatrix
  if let newCount = arguments.optionalInteger("new") {
    let stop = try arguments.optionalString("stop").map { text throws(InputError) in
      try StopTokens.read(text)
    }
    let progress = Progress(
      "continuing", total: newCount, unit: .items("tokens"), console: arguments.console)
    let result = try FileKind.expecting(.checkpoint, at: checkpoint) { () throws(InputError) in
      try PlaintextReference.continuation(
        checkpointPath: checkpoint, adapterPath: arguments.optionalString("adapter"),
        gatesPath: arguments.optionalString("gates"), tokensPath: tokens, newCount: newCount,
        stop: stop ?? [], noted: note
      ) { _ in progress.advance() }
    }
    progress.finish()
    output = result.logits
    let text = JSON.array(result.tokens.map(JSON.integer)).text
    if let tokensOut {
      try AtomicFile.write(Array((text + "\n").utf8), to: tokensOut)
    }
    arguments.console.print(text)
  } else {
    output = try FileKind.expecting(.checkpoint, at: checkpoint) { () throws(InputError) in
      try PlaintextReference.output(
        checkpointPath: checkpoint, adapterPath: arguments.optionalString("adapter"),
        gatesPath: arguments.optionalString("gates"), tokensPath: tokens, output: arguments.output,
        noted: note)
    }
  }
  try NPY.write(output.npyArray, to: out)
  arguments.console.print(
    "\(out): float32 [\(output.rowCount), \(output.columnCount)], \(kind.title)")
}
