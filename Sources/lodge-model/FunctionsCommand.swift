// `lodge-model functions`.

import Approximation
import Arguments
import Bytes
import Models
import Program
import Sharing

let functionsCommand = Command(
  "functions", summary: "writes what a recipe puts in place of each operation, as data",
  details: """
    Graph, places of the weights in the checkpoint, and every coefficient: what tools/finetune trains
    a model with, where replacements such as those of pcft are no approximations.
    """,
  example: """
    lodge-model functions opt-125m --recipe pcft --tokens calibration.json --out pcft.json
    tools/finetune opt-125m --functions pcft.json --tokens train.json --out adapted
    lodge-model approximate adapted --recipe adapted/recipe.json --tokens calibration.json \\
      --out adapted.lodge
    """,
  positionals: [
    Positional("CHECKPOINT", .path, help: "folder with config.json and model.safetensors")
  ],
  options: [
    Option("recipe", .string, isRequired: true, help: "a named recipe, or a JSON file"),
    Option("tokens", .path, help: "JSON array of token lists: text as the model will see it"),
    Option("calibration", .path, help: "file of `lodge-model calibrate`, instead of --tokens"),
    .flag("clamp", help: "clip inputs that leave the range a replacement is made for"),
    outputOption, memoryOption,
    .flag("all", help: "list every operation, and not those of all layers together"),
    Option("out", .path, isRequired: true, help: "JSON file to write"),
  ]
) { arguments in
  guard arguments.isGiven("tokens") != arguments.isGiven("calibration") else {
    throw UsageError("either --tokens or --calibration is needed")
  }
  arguments.printConfiguration()
  let memory = try memoryBudget(arguments)
  let out = try arguments.string("out")
  try AtomicFile.check(out)
  let loaded = try loadCheckpoint(arguments.string("CHECKPOINT"), arguments)
  let weights = try EqualisedWeights(loaded.model, loaded, memory: memory)
  let observed = try calibration(arguments, of: loaded.model, weights, memory: memory)
  var recipe = try Recipe.named(arguments.string("recipe"))
  if arguments.flag("clamp") { recipe.outsideRange = .clamp }
  var export = try FunctionExport(
    loaded, recipe: recipe.resolved(for: loaded.model, calibration: observed))
  try AtomicFile.write(Array((export.json.text + "\n").utf8), to: out, mode: 0o644)
  export.isComplete = arguments.flag("all")
  arguments.print(export)
  arguments.printNext([
    ShellCommand(
      [
        (try? HelperTool("finetune", for: "training").path) ?? "tools/finetune",
        try arguments.string("CHECKPOINT"), "--functions", out, "--tokens",
      ]
        + [arguments.optionalString("tokens") ?? "train.json", "--out"]
        + [FilePaths.beside(out, "adapted")])
  ])
}
