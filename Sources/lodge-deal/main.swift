// lodge-deal: makes the correlated randomness of sessions.

import Arguments
import Bytes
import Correlations
import Models
import OnlineRuntime
import Preparation
import Program
import Sharing
import Trust

let memoryOption = Option(
  "memory", .byteCount, default: "2GiB",
  help: "memory for what is dealt at once, at least 128MiB")

Command(
  "lodge-deal", summary: "makes correlated randomness: one file a party and session",
  details: """
    Run by the dealer: the owner, or whoever has the folder of a blind dealer. OUT/party0 and
    OUT/party1 go to the two servers, one each, or to the provider and the user; OUT/dealer.batch
    holds the seed of the whole batch and stays with the dealer. A session that is there already is
    kept when all its digests are right and replaced by the same bytes when not, so an interrupted
    run can be repeated. With --keep, sessions that are there for both parties and that no given
    ledger has used count as stock; new ones get numbers that were never used. A folder called
    "status" is written ./status.

    Sessions are dealt together, as many as --memory allows; the files do not depend on it. They are
    dealt on all processors that this process may use.

    DIR is also a role's folder of `lodge-model convert`: then --out may be left out, and sessions go
    into the folders of both parties where these lie beside it, and into its own otherwise.

    With --sign or recipients every session file gets a manifest beside it, which names the session
    and is signed. Sealed files are made in memory, which takes as much as both files of a session.
    """,
  example: """
    lodge-deal served --sessions 4 --prompt 64 --new 32
    lodge-deal shares --sessions 4 --prompt 64 --new 32 --out correlations
    lodge-deal shares --sessions 4 --prompt 64 --new 32 --out correlations \\
      --sign owner.key --recipient0 party0.key.pub --recipient1 party1.key.pub
    lodge-deal shares --keep 20 --ledger0 party0.ledger --prompt 64 --out correlations
    lodge-deal status correlations --ledger0 party0.ledger --ledger1 party1.ledger
    """,
  positionals: [
    Positional(
      "DIR", .path, help: "folder of `lodge-model share`, or of `convert`, or its dealer's")
  ],
  options: [
    Option("sessions", .integerRange, default: "0..<1", help: "numbers of the sessions to deal"),
    Option("keep", .integer(1...1 << 20), help: "deal what is missing to a stock of N instead"),
    ledger0Option, ledger1Option,
    Option("prompt", .integer(1...1 << 20), default: "64", help: "most tokens of the prompt"),
    Option(
      "new", .integer(0...1 << 20), help: "most new tokens (default 32; none for an encoder)"),
    Option("out", .path, placeholder: "CORR", help: "folder of the batch"),
    Option(
      "keys", .choice(KeyCopies.allCases.map(\.rawValue)), default: "both",
      help:
        "files with each key: both, or one, whose party passes it on first"
    ),
    Option(
      "user", .string, placeholder: "KEY",
      help: "public key of the user to whom alone a provider serves them"),
    Option("sign", .path, placeholder: "KEY", help: "private key to sign manifests with"),
    Option(
      "recipient0", .string, placeholder: "KEY",
      help: "seal party 0's files for this public key (age or SSH): its line, or a file"),
    Option("recipient1", .string, placeholder: "KEY", help: "the same for party 1"),
    Option(
      "scratch", .path, placeholder: "DIR",
      help: "folder for files before they are sealed, without a name (default: memory)"),
    memoryOption,
    .json,
  ],
  subcommands: [statusCommand, exportCommand]
) { arguments in
  try checkChoice(arguments)
  let memory = MemoryBudget(byteCount: try arguments.integer("memory"))
  guard memory.byteCount >= MemoryBudget.smallestByteCount else {
    throw UsageError("--memory: at least 128MiB are needed")
  }
  arguments.printConfiguration()
  let delivery = try Delivery(
    sign: arguments.optionalString("sign"),
    recipients: ["recipient0", "recipient1"].map { arguments.optionalString($0) },
    scratch: arguments.optionalString("scratch"))
  let folder = try arguments.string("DIR")
  let bundle = try DealerBundle.open(in: folder)
  let shape = try SessionShape.requested(
    program: bundle.program, prompt: arguments.integer("prompt"),
    new: arguments.optionalInteger("new"))
  let user = try arguments.optionalString("user").map { (text) throws(InputError) in
    try PublicKey(textOrPath: text).bytes
  }
  let keys = KeyCopies(rawValue: try arguments.string("keys")) ?? .both
  let isForUser = bundle.conversion.deployment == .providerUser
  if keys == .once, isForUser {
    throw InputError(
      "--keys once", "is of use between two servers: a provider has all keys, and its user none",
      hint: "leave it out")
  }
  if user != nil, !isForUser {
    throw InputError("--user", "is of use where a provider serves users, and these are two servers")
  }
  if user == nil, isForUser {
    arguments.note(
      "the sessions name no user: the provider serves them to any (--user KEY names one)")
  }
  let output = try batchFolder(arguments, bundle)
  let requested = try requestedSessions(arguments, output)
  // What is another batch's is not this one's to replace; the rest is dealt, and repaired, all the same.
  let foreign = try output.foreign(among: requested, delivery: delivery)
  let sessions = requested.filter { foreign[$0] == nil }
  let missing = try output.missing(of: sessions, delivery: delivery)
  arguments.onInterruption {
    let rest = (try? output.missing(of: sessions, delivery: delivery).count) ?? sessions.count
    return "\(sessions.count - rest) of \(sessions.count) sessions are finished and kept, the same "
      + "command deals the rest"
  }
  try DiskSpace.check(
    byteCount: bundle.program.sessionByteCount(
      shape, deployment: bundle.conversion.deployment, keys: keys), times: missing.count,
    of: "the files of \(Quantity.count(missing.count, "session"))",
    at: output.path)
  let batch = try Batch(
    folder: output.path, partyFolders: output.partyFolders, conversion: bundle.conversion,
    shape: shape, user: user, keys: keys)
  let cost = bundle.program.correlationCost(
    of: shape, deployment: bundle.conversion.deployment, keys: keys)
  let progress = Progress(
    "dealing", total: sessions.count * bundle.program.nodes.count, unit: .items("operations"),
    console: arguments.console)
  let dealt = try batch.deal(
    sessions: sessions, program: bundle.program, weights: bundle, delivery: delivery,
    memory: memory, report: { arguments.note("deals session \($0) again: \($1)") }
  ) { progress.advance(by: $0) }
  progress.finish()
  // What is in headers besides is most of a file that holds seeds alone.
  let bytes = (0...1).map { party in
    let path = batch.path(party: party, session: dealt.first ?? sessions.first ?? 0)
    return [path, path + AgeTool.suffix].compactMap { try? FilePaths.byteCount(of: $0) }.first
      ?? cost.byteCount(party: party)
  }
  if arguments.flag("json") {
    arguments.console.print(
      JSON.object([
        "batch": .string(batch.seeds.identifier.hexadecimal),
        "dealt": .array(dealt.map(JSON.integer)),
        "kept": .array(sessions.filter { !dealt.contains($0) }.map(JSON.integer)),
        "party0BytesPerSession": .integer(bytes[0]), "party1BytesPerSession": .integer(bytes[1]),
      ]).indentedText)
  } else {
    arguments.console.print(
      """
      Batch \(batch.seeds.identifier.hexadecimal): \(Quantity.count(dealt.count, "session")) dealt, \
      \(sessions.count - dealt.count) kept; each \(Quantity.text(byteCount: bytes[0])) for party \
      0 and \(Quantity.text(byteCount: bytes[1])) for party 1.
      """)
    if keys == .once {
      let passed = cost.passedKeyByteCount.map { Quantity.text(byteCount: $0) }
      arguments.console.print(
        "Before the first step of a session party 0 sends \(passed[0]) of keys, and party 1 "
          + "\(passed[1]).")
    }
  }
  // Numbers that were used are not dealt again, which "kept" would hide.
  if !arguments.isGiven("keep") {
    let stocks = try SessionStock.stocks(in: output, ledgers: ledgers(arguments, in: folder)) { _ in
    }
    let identifier = batch.seeds.identifier.hexadecimal
    let used = Set(
      stocks.filter { $0.batch == identifier }.flatMap(\.sides).flatMap(\.states.keys))
    let usedCount = sessions.count(where: used.contains)
    if usedCount > 0, foreign.isEmpty {
      arguments.note(
        sessions.count == 1
          ? "this session is used already"
          : "\(usedCount) of these \(sessions.count) sessions \(usedCount == 1 ? "is" : "are") used "
            + "already")
      arguments.printNext([
        ShellCommand(
          ["lodge-deal", folder, "--keep", "\(sessions.count)", "--prompt"]
            + ["\(shape.promptCapacity)"]
            + (shape.newCapacity > 0 ? ["--new", "\(shape.newCapacity)"] : [])
            + arguments.passedOn(["keys", "sign", "recipient0", "recipient1", "user", "out"]))
      ])
      return
    }
  }
  arguments.printNext(
    NextSteps.afterDealing(
      bundle.conversion.deployment, folder: FilePaths.folder(of: bundle.path), into: output,
      session: shape, output: bundle.program.output.meaning,
      keys: NextSteps.Keys(
        owner: try ownerKey(arguments, bundle), dealer: arguments.optionalString("sign"),
        recipients: ["recipient0", "recipient1"].map { arguments.optionalString($0) },
        user: arguments.optionalString("user"))))
  if !foreign.isEmpty { throw foreignSessions(foreign) }
}.main()
