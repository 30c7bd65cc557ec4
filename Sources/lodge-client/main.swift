// lodge-client: shares a prompt with both parties and puts their answers together.

import Arguments
import Bytes
import OnlineRuntime
import Program
import Sharing

Command(
  "lodge-client", summary: "asks two parties, or a provider: sends shares, reconstructs the answer",
  details: """
    Prints the generated tokens (decoder), or the classes or tokens that an encoder's head scores
    highest; --logits writes all rows of the output: logits, states, or the embedding.

    With --provider this is the user, who is party 1 as well: --bundle is user.bundle, --correlations
    the folder with the user's .corr files, and the ledger notes which of them are used. --folder names
    what `lodge-model convert` wrote for the client or the user, instead of these.
    """,
  example: """
    lodge-client --folder served/user --provider 192.0.2.10:9000 --tokens prompt.json
    lodge-client --party0 127.0.0.1:9000 --party1 127.0.0.1:9001 --tokens prompt.json --new 32
    lodge-client --party0 192.0.2.10:9000 --party1 192.0.2.11:9000 --tokens prompt.json \\
      --identity client.key --party0-key party0.key.pub --party1-key party1.key.pub
    lodge-client --provider 192.0.2.10:9000 --bundle user/user.bundle \\
      --correlations correlations/party1 --tokens prompt.json \\
      --identity user.key --provider-key provider.key.pub
    """,
  options: [
    Option("party0", .string, placeholder: "HOST:PORT", help: "party 0"),
    Option("party1", .string, placeholder: "HOST:PORT", help: "party 1"),
    Option("provider", .string, placeholder: "HOST:PORT", help: "a provider, instead of both"),
    Option(
      "folder", .path, placeholder: "DIR",
      help: "the client's or the user's folder of a conversion, or that of all roles"),
    Option("tokens", .path, isRequired: true, help: "JSON array of token ids"),
    Option("new", .integer(0...1 << 20), default: "32", help: "tokens to generate (decoder)"),
    Option(
      "temperature", .number(0...100), default: "0",
      help: "draw tokens by e^(logit / temperature); 0 takes the likeliest"),
    Option(
      "top-k", .integer(1...1 << 24), placeholder: "N", help: "draw from the N likeliest only"),
    Option(
      "top-p", .number(0...1), placeholder: "P",
      help: "draw from the fewest that have the probability P together"),
    Option("seed", .integer(0...Int.max), help: "make the same choices again"),
    Option(
      "stop", .string, placeholder: "ID",
      help: "end after such a token: ids as 43,47, or the settings (or folder) that name them"),
    Option(
      "bundle", .path, help: "client.bundle, where the client holds the embedding; user.bundle"),
    Option(
      "correlations", .path, placeholder: "DIR", help: "folder with the user's .corr files"),
    Option("ledger", .path, help: "database of the user's sessions (default: BUNDLE.ledger)"),
    Option(
      "scratch", .path, placeholder: "DIR",
      help: "folder for the plaintext of a user's sealed files, without a name (default: memory)"),
    Option(
      "trust", .string, placeholder: "KEY",
      help: "public key of the owner (a line, or a file): refuse a bundle that it did not sign"),
    Option("logits", .path, help: "NPY file for the reconstructed output rows"),
    Option("identity", .path, help: "this client's private key, from 'lodge-party keygen'"),
    Option(
      "party0-key", .string, placeholder: "KEY",
      help: "public key of party 0: its line, or a file with it"),
    Option("party1-key", .string, placeholder: "KEY", help: "public key of party 1"),
    Option("provider-key", .string, placeholder: "KEY", help: "public key of the provider"),
    .flag(
      "insecure-plaintext",
      help: "plain TCP beyond this machine: the network reads the prompt and the answer"),
    Option("timeout", .duration, default: "120s", help: "longest wait for a turn"),
    .json,
  ]
) { arguments in
  try checkAddresses(arguments)
  arguments.printConfiguration()
  let path = try arguments.string("tokens")
  let texts = try TokenFile.read(path)
  guard texts.count == 1, let prompt = texts.first else {
    throw InputError(path, "holds \(texts.count) token lists, one is expected")
  }
  let stop = try arguments.optionalString("stop").map { text throws(InputError) in
    try StopTokens.read(text)
  }
  // Nothing that can be found wrong here may cost a session.
  let logits = arguments.optionalString("logits")
  if let logits { try AtomicFile.check(logits) }
  let sampler = try TokenSampler(
    temperature: arguments.number("temperature"), topK: arguments.optionalInteger("top-k"),
    topP: arguments.optionalNumber("top-p"), seed: arguments.optionalInteger("seed"))
  let console = arguments.console
  let request = Request(prompt: prompt, source: path, stop: stop ?? [])
  let (session, tables) =
    arguments.isGiven("provider")
    ? try userSession(request, arguments) : try clientSession(request, arguments)
  let isDecoder = session.identity.isDecoder
  let newCount = isDecoder ? try arguments.integer("new") : 0
  let progress = Progress(
    "generating", total: max(newCount, 1), unit: .items("tokens"), console: console)
  let result = try SecureGeneration(session: session, tables: tables).run(
    prompt: prompt, newCount: newCount, stop: stop ?? [], sampler: sampler
  ) { _ in progress.advance() }
  progress.finish()
  arguments.note(session.identity.output.warning(about: result.rows))
  if let logits {
    let width = result.rows.first?.count ?? 0
    try NPY.write(
      NPYArray(shape: [result.rows.count, width], values: result.rows.flatMap { $0 }), to: logits)
  }
  let summary = GenerationSummary(result)
  console.print(arguments.flag("json") ? summary.json.indentedText : summary.text)
}.main()
