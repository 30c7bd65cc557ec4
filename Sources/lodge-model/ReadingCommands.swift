// `lodge-model inspect` and `lodge-model logits`.

import Arguments
import Bytes
import Models

let inspectCommand = Command(
  "inspect", summary: "shows a checkpoint's architecture, tensors and non-linear operations",
  example: "lodge-model inspect opt-125m",
  positionals: [
    Positional("CHECKPOINT", .path, help: "folder with config.json and model.safetensors")
  ],
  options: [.json]
) { arguments in
  let inspection = try ModelInspection(path: arguments.string("CHECKPOINT"))
  arguments.console.print(
    arguments.flag("json") ? inspection.json.indentedText : inspection.table)
}

let logitsCommand = Command(
  "logits", summary: "runs the plaintext model in float and writes its outputs",
  details: "Logits (decoder) or last hidden states (encoder), float32 [positions, width].",
  example: "lodge-model logits opt-125m --tokens prompt.json --out logits.npy",
  positionals: [
    Positional("CHECKPOINT", .path, help: "folder with config.json and model.safetensors")
  ],
  options: [
    Option("tokens", .path, isRequired: true, help: "JSON array of token ids"),
    Option("out", .path, isRequired: true, help: "NPY file to write"),
  ]
) { arguments in
  arguments.printConfiguration()
  let output = try PlaintextReference.output(
    checkpointPath: arguments.string("CHECKPOINT"), tokensPath: arguments.string("tokens"))
  try NPY.write(output.npyArray, to: arguments.string("out"))
  arguments.console.print(
    "\(try arguments.string("out")): float32 [\(output.rowCount), \(output.columnCount)]")
}
