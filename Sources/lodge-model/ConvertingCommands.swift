// `lodge-model recipes`, `lodge-model approximate` and `lodge-model share`.

import Approximation
import Arguments
import Bytes
import Models
import Preparation
import Program
import Sharing
import Validation

let memoryOption = Option(
  "memory", .byteCount, default: "1GiB",
  help: "memory for weights and activations, at least 128MiB")

/// The budget that `--memory` gives.
func memoryBudget(_ arguments: ParsedArguments) throws -> MemoryBudget {
  let byteCount = try arguments.integer("memory")
  guard byteCount >= MemoryBudget.smallestByteCount else {
    throw UsageError("--memory: at least 128MiB are needed")
  }
  return MemoryBudget(byteCount: byteCount)
}

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
  arguments.print(RecipeList())
}

let approximateCommand = Command(
  "approximate", summary: "calibrates a model and replaces its non-linear operations",
  details: "The result holds the plaintext weights: it stays with the owner.",
  example: "lodge-model approximate opt-125m --tokens calibration.json --out opt.lodge",
  positionals: [
    Positional("CHECKPOINT", .path, help: "folder with config.json and weights, or a tensor file")
  ],
  options: [
    adapterOption, gatesOption,
    Option("recipe", .string, default: "accurate", help: "a shipped recipe, or a JSON file"),
    Option("tokens", .path, help: "JSON array of token lists: text as the model will see it"),
    Option("calibration", .path, help: "file of `lodge-model calibrate`, instead of calibrating"),
    outputOption,
    .flag("repair", help: "refit linear layers to what the original computes on --tokens"),
    .flag("clamp", help: "clip inputs that leave the range a replacement is made for"),
    .flag("accept-leakage", help: "allow replacements that show party 1 permuted values"),
    Option("headroom", .number(1...64), help: "factor by which seen ranges are widened"),
    Option("embedding", .choice(["secret", "client"]), help: "who holds the embedding table"),
    Option(
      "compare", .choice(Recipe.Comparison.allCases.map(\.rawValue)),
      help: "by keys, ReLU by shorter lookups, or dealt bits (more flights, far fewer bytes)"),
    Option(
      "noise", .integer(0...Recipe.largestNoise),
      help: "thousandths of closed gates that open by chance (default: the recipe's)"),
    Option("rtt", .duration, default: "10ms", help: "round-trip time that `fitted` weighs"),
    Option("bandwidth", .bandwidth, default: "1Gbps", help: "bandwidth that `fitted` weighs"),
    memoryOption,
    .flag("all", help: "list every operation, and not those of all layers together"),
    Option("out", .path, isRequired: true, help: "file to write, such as model.lodge"),
    .json,
  ]
) { arguments in
  guard arguments.isGiven("tokens") || arguments.isGiven("calibration") else {
    throw UsageError("--tokens or --calibration is needed")
  }
  guard arguments.isGiven("tokens") || !arguments.flag("repair") else {
    throw UsageError("--repair needs --tokens")
  }
  arguments.printConfiguration()
  let memory = try memoryBudget(arguments)
  let out = try arguments.string("out")
  try AtomicFile.check(out)
  let loaded = try loadCheckpoint(
    arguments.string("CHECKPOINT"), arguments, adapter: arguments.optionalString("adapter"),
    gates: arguments.optionalString("gates"))
  var recipe = try Recipe.named(arguments.string("recipe"))
  if let headroom = arguments.optionalNumber("headroom") { recipe.headroom = headroom }
  if let text = arguments.optionalString("embedding"), let choice = Recipe.Embedding(rawValue: text)
  {
    recipe.embedding = choice
  }
  if let text = arguments.optionalString("compare"), let choice = Recipe.Comparison(rawValue: text)
  {
    recipe.comparison = choice
  }
  if let noise = arguments.optionalInteger("noise") { recipe.noise = noise }
  if arguments.flag("clamp") { recipe.outsideRange = .clamp }
  if recipe.noise > 0, loaded.gates == nil {
    arguments.note("there are no gates whose patterns noise could blur")
  }
  try checkLeakage(recipe, isAccepted: arguments.flag("accept-leakage"))
  let texts = try arguments.optionalString("tokens").map { path throws(InputError) in
    let texts = try loaded.model.withoutPadding(TokenFile.read(path), source: path).texts
    return ApproximatedModel.Texts(texts, source: path)
  }
  let weights = try EqualisedWeights(loaded.model, loaded, memory: memory)
  let observed = try calibration(arguments, of: loaded.model, weights, memory: memory)
  let settling = Progress(
    "approximating", total: loaded.model.nodes.count, unit: .items("nodes"),
    console: arguments.console)
  let approximated = try ApproximatedModel(
    loaded.model, weights: weights, recipe: recipe, calibration: observed, texts: texts,
    repairs: arguments.flag("repair"),
    costs: CostWeights(
      roundTripSeconds: arguments.number("rtt"), bitsPerSecond: arguments.number("bandwidth")),
    memory: memory
  ) { settling.reach($0, of: $1) }
  settling.finish()
  let writing = Progress(
    "writing", total: loaded.model.weights.reduce(0) { $0 + $1.elementCount },
    unit: .items("weights"), console: arguments.console)
  try ModelFile.write(
    to: out, model: loaded.model, recipe: approximated.recipe,
    calibration: approximated.calibration, checkpoint: FilePaths.lastComponent(of: loaded.path),
    weights: ReplacedWeights(approximated.weights), memory: memory
  ) { writing.advance(by: $0) }
  writing.finish()
  var report = approximated.report
  report.notices = loaded.notices
  report.isComplete = arguments.flag("all")
  arguments.note(report.warnings)
  arguments.print(report)
  arguments.printNext([
    ShellCommand(["lodge-model", "share", out, "--out", FilePaths.beside(out, "shares")])
  ])
}

/// Refuses a recipe whose replacements tell a party more than it must know, unless that was
/// accepted.
func checkLeakage(_ recipe: Recipe, isAccepted: Bool) throws {
  let classes = recipe.permutedClasses.map(\.rawValue)
  guard !classes.isEmpty, !isAccepted else { return }
  throw InputError(
    "--recipe", place: recipe.name,
    "party 1 learns what \(classes.joined(separator: ", ")) are taken of, but for its order: whoever "
      + "has the model tells tokens by that, and who asks one prompt often recovers weights",
    hint: "give --accept-leakage if that may be, or choose a recipe without \"permuted\"")
}

let shareCommand = Command(
  "share", summary: "splits a converted model into the files of two parties and a dealer",
  details: """
    two-server: party0.bundle and party1.bundle go to the two servers, one each. dealer.bundle holds
    the plaintext weights: the owner deals and keeps it. With --dealer blind it holds masked weights
    instead, and a third party may have it that works with neither server.
    provider-user: the owner keeps provider/, the user gets user/, whose size does not depend on the
    model, and a third party dealer/. No role's folder may be seen by another.

    With --reshuffle a model with gates gets another secret order of blocks: share it again before
    parties have seen enough of the first. Everything secret is new, and must be dealt for anew; what
    takes long, calibration and fits, is in MODEL.

    Keys are those of
    'lodge-party keygen'. Without --sign and the recipients, files are neither signed nor sealed.

    Sealed bundles are made in memory, which takes as much as both together: about one 64-bit copy of
    the weights. With --scratch DIR they take disk space instead, in files without a name.
    """,
  example: """
    lodge-model share opt.lodge --out shares
    lodge-model share gated.lodge --out again --reshuffle
    lodge-model share opt.lodge --out roles --deployment provider-user
    lodge-model share opt.lodge --out shares --sign owner.key \\
      --recipient0 party0.key.pub --recipient1 party1.key.pub
    """,
  positionals: [Positional("MODEL", .path, help: "file written by `lodge-model approximate`")],
  options: [
    Option(
      "deployment", .choice(["two-server", "provider-user"]), default: "two-server",
      help: "who holds what"),
    Option(
      "dealer", .choice(["owner", "blind"]),
      help: "who deals for two servers (default owner)"),
    .flag("reshuffle", help: "another secret order of the blocks of a model with gates"),
    memoryOption,
    Option("out", .path, placeholder: "DIR", isRequired: true, help: "folder to write"),
    Option("sign", .path, placeholder: "KEY", help: "private key to sign the manifest with"),
    Option(
      "recipient0", .string, placeholder: "KEY",
      help: "seal party 0's bundle for this public key (age or SSH): its line, or a file"),
    Option("recipient1", .string, placeholder: "KEY", help: "the same for party 1"),
    Option(
      "scratch", .path, placeholder: "DIR",
      help: "folder for bundles before they are sealed, without a name (default: memory)"),
    .json,
  ]
) { arguments in
  arguments.printConfiguration()
  let memory = try memoryBudget(arguments)
  let delivery = try chosenDelivery(arguments)
  let deployment = try chosenDeployment(arguments)
  let file = try ModelFile(path: arguments.string("MODEL"))
  let folder = try arguments.string("out")
  let progress = Progress(
    "sharing", total: try file.program().weights.reduce(0) { $0 + $1.elementCount },
    unit: .items("weights"), console: arguments.console)
  let result = try ShareWriter.share(
    file, into: folder, deployment: deployment, reshuffles: arguments.flag("reshuffle"),
    memory: memory, delivery: delivery
  ) { progress.advance(by: $0) }
  progress.finish()
  let report = ShareReport(result, folder: folder, delivery: delivery)
  arguments.print(report)
  let isFlat = deployment == .twoServer
  // The owner's private key is nothing for a dealer who is somebody else.
  let session = try CostReport.session(of: result.program, prompt: nil, new: nil)
  let key = arguments.optionalString("sign").map { deployment.dealerKey(owner: $0) }
  arguments.printNext(
    NextSteps.keygen(key, deployment) + [
      ShellCommand(
        ["lodge-deal", isFlat ? folder : RoleFolders(path: folder, deployment: deployment).dealer]
          + ["--sessions", "4", "--prompt", "\(session.promptCapacity)"]
          + (session.newCapacity > 0 ? ["--new", "\(session.newCapacity)"] : [])
          + (isFlat ? ["--out", "\(folder)/correlations"] : [])
          + (key.map { ["--sign", $0] } ?? []) + arguments.passedOn(["recipient0", "recipient1"]))
    ])
}

/// Who signs and seals, as `--sign`, the recipients and `--scratch` say.
func chosenDelivery(_ arguments: ParsedArguments) throws(InputError) -> Delivery {
  try Delivery(
    sign: arguments.optionalString("sign"),
    recipients: ["recipient0", "recipient1"].map { arguments.optionalString($0) },
    scratch: arguments.optionalString("scratch"))
}

/// The deployment that `--deployment` and `--dealer` name.
func chosenDeployment(_ arguments: ParsedArguments) throws -> Deployment {
  let dealer = arguments.optionalString("dealer")
  guard try arguments.string("deployment") == Deployment.providerUser.rawValue else {
    return dealer == "blind" ? .blindDealer : .twoServer
  }
  if dealer == "owner" {
    throw UsageError("--dealer owner: whoever deals for a provider and its users must be blind")
  }
  return .providerUser
}
