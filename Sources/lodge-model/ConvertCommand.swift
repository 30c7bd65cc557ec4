// `lodge-model convert`: from a checkpoint and a text to a folder for each role.

import Approximation
import Arguments
import Bytes
import Models
import Preparation
import Program
import Sharing
import Trust
import Validation

let convertCommand = Command(
  "convert", summary: "prepares a model in one step: a folder for each role, and what to run next",
  details: """
    Tokenises the text with the model's own tokenizer, calibrates on most of it and judges by the rest,
    tries the shipped recipes that need neither training nor permutations, the cheapest first, takes
    the first that keeps the limit, and shares the result. OUT has one folder a role, to be handed
    over as it is, and README.txt with the commands that come next.

    A file is one text of a decoder, and one text a line of an encoder; of a folder all files that end
    in .txt are read, and those in its folders.
    """,
  example: """
    lodge-model convert opt-125m --text book.txt --out served
    lodge-model convert opt-125m --text texts --out served --rtt 40ms --max-perplexity-increase 0.01
    lodge-model convert opt-125m --text texts --out served --deployment provider-user
    """,
  positionals: [
    Positional("CHECKPOINT", .path, help: "folder with config.json and weights, or a tensor file")
  ],
  options: [
    Option(
      "text", .path, placeholder: "PATH", isRequired: true,
      help: "plain text as users will send it: a file, or a folder of them"),
    Option("out", .path, placeholder: "OUT", isRequired: true, help: "folder to make"),
    Option(
      "tokenizer", .path, placeholder: "FOLDER",
      help: "folder of the model's tokenizer.json (default: that of CHECKPOINT)"),
    Option(
      "start", .integer(0...Int(Int32.max)), placeholder: "ID",
      help: "token to put before every text (default: what the tokenizer adds)"),
    Option(
      "calibration-tokens", .integer(16...1 << 24), default: "16384",
      help: "most tokens to calibrate on"),
    Option(
      "evaluation-tokens", .integer(16...1 << 24), default: "2048",
      help: "most tokens to judge each recipe by"),
    .flag("all", help: "judge the recipes as well that cost more than the chosen one"),
    Option("recipe", .string, help: "take this recipe, shipped or a JSON file, and try no other"),
    Option("rtt", .duration, default: "10ms", help: "round-trip time between the parties"),
    Option("bandwidth", .bandwidth, default: "1Gbps", help: "bandwidth between the parties"),
    Option(
      "max-perplexity-increase", .number(0...1e9), default: "0.005",
      help: "limit of a decoder: a recipe beyond it is not taken"),
    Option(
      "min-cosine", .number(-1...1), default: "0.999",
      help: "limit of an encoder: smallest cosine with the original's embeddings"),
    Option(
      "min-top1", .number(0...1), default: "0.99",
      help: "limit of an encoder with classes: share of the original's choices"),
    Option(
      "max-mean-logit-error", .number(0...1e9), default: "0.01",
      help: "limit of an encoder with one score: mean error"),
    .flag("accept-leakage", help: "allow a --recipe that shows party 1 permuted values"),
    Option(
      "compare", .choice(Recipe.Comparison.allCases.map(\.rawValue)),
      help: "how values are compared: see approximate"),
    Option(
      "deployment", .choice(["two-server", "provider-user"]), placeholder: "WHO",
      default: "two-server", help: "two-server or provider-user: who holds what"),
    Option(
      "dealer", .choice(["owner", "blind"]), help: "who deals for two servers (default owner)"),
    Option("sign", .path, placeholder: "KEY", help: "private key to sign the manifests with"),
    Option(
      "recipient0", .string, placeholder: "KEY",
      help: "seal party 0's bundle for this public key (age or SSH): its line, or a file"),
    Option("recipient1", .string, placeholder: "KEY", help: "the same for party 1"),
    Option(
      "scratch", .path, placeholder: "DIR",
      help: "folder for bundles before they are sealed, without a name (default: memory)"),
    adapterOption, gatesOption, outputOption, memoryOption, .json,
  ]
) { arguments in
  arguments.printConfiguration()
  let memory = try memoryBudget(arguments)
  let out = FilePaths.withoutTrailingSlashes(try arguments.string("out"))
  guard !FilePaths.exists(out) else {
    throw InputError(out, "is there already", hint: "choose another --out, or remove it")
  }
  let recipes = try arguments.optionalString("recipe").map { name throws(InputError) in
    [try Recipe.named(name)]
  }
  for recipe in recipes ?? [] {
    try checkLeakage(recipe, isAccepted: arguments.flag("accept-leakage"))
  }
  let deployment = try chosenDeployment(arguments)
  let delivery = try chosenDelivery(arguments)
  let source = try TextSource(path: arguments.string("text"))
  if source.skippedCount > 0 {
    arguments.note(
      "\(source.path): "
        + Quantity.count(
          source.skippedCount, "file that is no .txt is left out",
          "files that are no .txt are left out"))
  }
  let checkpoint = try arguments.string("CHECKPOINT")
  let loaded = try loadCheckpoint(
    checkpoint, arguments, adapter: arguments.optionalString("adapter"),
    gates: arguments.optionalString("gates"))
  let model = loaded.model
  guard model.kind != .prefixDecoder else {
    throw InputError(
      checkpoint, "is a prefix decoder, whose texts have a context of their own and cannot be cut",
      hint:
        "put such texts, the mask and the start token in each, into a file as ids, and give that to "
        + ShellCommand([
          "lodge-model", "approximate", checkpoint, "--tokens", "tokens.json", "--out",
          "model.lodge",
        ]).text)
  }
  let tokenizer = try TextTokenizer(
    folder: arguments.optionalString("tokenizer")
      ?? (FilePaths.isFolder(checkpoint) ? checkpoint : FilePaths.folder(of: checkpoint)),
    start: arguments.optionalInteger("start"))
  let texts = try PreparedTexts(
    tokenizer.encode(model.kind.isDecoder ? source.documents : source.lines),
    frame: tokenizer.frame, model: model, source: source.path,
    calibrationLimit: arguments.integer("calibration-tokens"),
    evaluationLimit: arguments.integer("evaluation-tokens"))
  arguments.note(texts.summary)
  let weights = try EqualisedWeights(model, loaded, memory: memory)
  let calibration = try calibrate(
    model, weights, texts: texts.calibration, source: source.path, memory: memory, arguments)
  let criterion = RecipeSelection.criterion(of: model)
  var thresholds = Thresholds()
  thresholds.limits[criterion] = try arguments.number(criterion.option)
  let network = NetworkProfile(
    "parties", roundTripSeconds: try arguments.number("rtt"),
    bitsPerSecond: try arguments.number("bandwidth"))
  let evaluation = try EvaluationSet(
    model: model, texts: texts.evaluation, source: source.path)
  let trials = RecipeTrials(
    model: loaded, weights: weights, calibration: calibration,
    texts: ApproximatedModel.Texts(texts.calibration, source: source.path),
    evaluation: evaluation, deployment: deployment, network: network, thresholds: thresholds,
    memory: memory)
  // Everything appears at once, under its name, or not at all.
  arguments.onInterruption { "nothing of \(out) is kept, the same command begins again" }
  let work = try WorkFolder(for: out)
  let roles = RoleFolders(path: work.path, deployment: deployment)
  try Folder.make(roles.owner)
  var progress: Progress?
  let selected = try trials.select(
    (recipes ?? Recipe.shipped).map { recipe in
      var recipe = recipe
      if let text = arguments.optionalString("compare"),
        let choice = Recipe.Comparison(rawValue: text)
      {
        recipe.comparison = choice
      }
      return recipe
    }, isNamed: recipes != nil, judgesAll: arguments.flag("all"), in: roles.owner
  ) { name in
    progress?.finish()
    let judging = Progress(
      "judging \(name)", total: evaluation.tokenCount, unit: .items("tokens"),
      console: arguments.console)
    progress = judging
    return { judging.advance(by: $0) }
  }
  progress?.finish()
  let selection = selected.selection
  let isJSON = arguments.flag("json")
  guard let modelPath = selected.modelPath else {
    if !isJSON { arguments.console.show(selection.document) }
    throw CheckFailure(
      ["no recipe keeps the limits of \(checkpoint)"] + selection.failures,
      hint: "raise --\(criterion.option), or train the model for a cheaper recipe (tools/finetune)")
  }
  arguments.note(selected.warnings)
  try work.move(modelPath, to: "\(roles.owner)/model.lodge")
  try work.write(texts.calibration, to: "\(roles.owner)/calibration.json")
  try work.write(texts.evaluation, to: "\(roles.owner)/evaluation.json")
  if let validation = selected.validation {
    try work.write(validation, to: "\(roles.owner)/validation.json")
  }
  let file = try ModelFile(path: "\(roles.owner)/model.lodge")
  let sharing = Progress(
    "sharing", total: try file.program().weights.reduce(0) { $0 + $1.elementCount },
    unit: .items("weights"), console: arguments.console)
  let result = try ShareWriter.share(
    file, into: work.path, deployment: deployment, isByRole: true, memory: memory,
    delivery: delivery
  ) { sharing.advance(by: $0) }
  sharing.finish()
  try Folder.make(roles.client)
  try tokenizer.copy(to: "\(roles.client)/tokenizer", programDigest: result.program.digest)
  let session = try CostReport.session(of: result.program, prompt: nil, new: nil)
  let final = RoleFolders(
    path: FilePaths.resolved(FilePaths.folder(of: out)).map {
      "\($0 == "/" ? "" : $0)/\(FilePaths.lastComponent(of: out))"
    } ?? out, deployment: deployment)
  let steps = NextSteps(
    final, session: session, output: result.program.output.meaning,
    keys: NextSteps.Keys(
      ofOwner: arguments.optionalString("sign"), deployment,
      recipients: ["recipient0", "recipient1"].map { arguments.optionalString($0) }))
  let readme = steps.readme(shown: LeakageEntry.sentences(result.program, deployment))
  try AtomicFile.write(Array(readme.utf8), to: "\(work.path)/README.txt")
  try work.finish()
  if isJSON {
    let document: JSON = [
      "folder": .string(final.path), "deployment": .string(deployment.rawValue),
      "recipe": selection.chosen.map { .string($0.recipe) } ?? .null,
      "trials": selection.json, "manifest": result.manifest.json,
      "tokens": .integer(texts.tokenCount),
      "signedBy": delivery.key.map { .string($0.publicKey.fingerprint) } ?? .null,
      "sealed": .bool(!delivery.recipients.isEmpty),
    ]
    arguments.console.print(document.indentedText)
  } else {
    arguments.console.show(
      """
      \(selection.document)

      \(deployment.isDealerBlind ? "" : "The owner deals: the dealer's folder holds plaintext weights. ")\
      Times are of a decoder's last token, or a text, at \(network.text), without what the parties compute.

      \(readme)
      """)
  }
  arguments.printNext(steps.dealing)
}
