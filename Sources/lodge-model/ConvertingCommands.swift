// `lodge-model recipes`, `lodge-model approximate` and `lodge-model share`.

import Approximation
import Arguments
import Bytes
import Models
import Program
import Sharing
import Validation

let recipesCommand = Command(
  "recipes", summary: "lists the shipped recipes and replacements, or prints a recipe",
  details: "A printed recipe is a start for one's own, to be given to `approximate --recipe`.",
  example: """
    lodge-model recipes
    lodge-model recipes puma > mine.json
    """,
  positionals: [
    Positional("RECIPE", .string, isRequired: false, help: "a shipped recipe, or a JSON file")
  ],
  options: [.json]
) { arguments in
  if arguments.isGiven("RECIPE") {
    let recipe = try Recipe.named(arguments.string("RECIPE"))
    arguments.console.print(recipe.json.indentedText)
    return
  }
  arguments.console.print(
    arguments.flag("json") ? RecipeList.json.indentedText : RecipeList.text)
}

let approximateCommand = Command(
  "approximate", summary: "calibrates a model and replaces its non-linear operations",
  details: "The result holds the plaintext weights: it stays with the owner.",
  example: "lodge-model approximate opt-125m --tokens calibration.json --out opt.lodge",
  positionals: [
    Positional("CHECKPOINT", .path, help: "folder with config.json and model.safetensors")
  ],
  options: [
    Option("recipe", .string, default: "accurate", help: "a shipped recipe, or a JSON file"),
    Option(
      "tokens", .path, isRequired: true,
      help: "JSON array of token lists: text as the model will see it"),
    .flag("clamp", help: "clip inputs that leave the range a replacement is made for"),
    Option("headroom", .number(1...64), help: "factor by which seen ranges are widened"),
    Option("embedding", .choice(["secret", "client"]), help: "who holds the embedding table"),
    Option("rtt", .duration, default: "10ms", help: "round-trip time that `fitted` weighs"),
    Option("bandwidth", .bandwidth, default: "1Gbps", help: "bandwidth that `fitted` weighs"),
    Option("out", .path, isRequired: true, help: "file to write, such as model.lodge"),
    .json,
  ]
) { arguments in
  arguments.printConfiguration()
  let out = try arguments.string("out")
  try AtomicFile.check(out)
  let loaded = try ModelLoader.load(path: arguments.string("CHECKPOINT"))
  var recipe = try Recipe.named(arguments.string("recipe"))
  if let headroom = arguments.optionalNumber("headroom") { recipe.headroom = headroom }
  if let text = arguments.optionalString("embedding"), let choice = Recipe.Embedding(rawValue: text)
  {
    recipe.embedding = choice
  }
  if arguments.flag("clamp") { recipe.outsideRange = .clamp }
  let path = try arguments.string("tokens")
  let texts = try TokenFile.read(path)
  let progress = Progress(
    "calibrating", total: texts.count * ApproximatedModel.passCount(recipe, loaded.model),
    unit: .items("texts"), console: arguments.console)
  let approximated = try ApproximatedModel(
    FloatInterpreter(loaded), recipe: recipe, texts: texts, source: path,
    weights: CostWeights(
      roundTripSeconds: arguments.number("rtt"), bitsPerSecond: arguments.number("bandwidth"))
  ) { _ in progress.advance() }
  progress.finish()
  try ModelFile.write(
    to: out, model: loaded.model, recipe: approximated.recipe,
    calibration: approximated.calibration, checkpoint: FilePaths.lastComponent(of: loaded.path)
  ) { name throws(InputError) in try loaded.weight(name) }
  let report = approximated.report
  arguments.console.print(arguments.flag("json") ? report.json.indentedText : report.text)
}

let shareCommand = Command(
  "share", summary: "splits a converted model into the files of two parties and a dealer",
  details: """
    party0.bundle and party1.bundle go to the two servers, one each. dealer.bundle holds the
    plaintext weights: the owner is the dealer in this deployment, and keeps it.
    """,
  example: "lodge-model share opt.lodge --deployment two-server --out shares",
  positionals: [Positional("MODEL", .path, help: "file written by `lodge-model approximate`")],
  options: [
    Option(
      "deployment", .choice(["two-server"]), default: "two-server", help: "who holds what"),
    Option("out", .path, placeholder: "DIR", isRequired: true, help: "folder to write"),
    .json,
  ]
) { arguments in
  arguments.printConfiguration()
  let file = try ModelFile(path: arguments.string("MODEL"))
  let folder = try arguments.string("out")
  let progress = Progress(
    "sharing", total: try file.program().weights.count, unit: .items("weights"),
    console: arguments.console)
  let result = try ShareWriter.share(file, into: folder) { _, _ in progress.advance() }
  progress.finish()
  let report = try ShareReport(result, folder: folder)
  arguments.console.print(arguments.flag("json") ? report.json.indentedText : report.text)
}
