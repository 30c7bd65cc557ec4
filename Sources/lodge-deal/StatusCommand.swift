// lodge-deal status, and the choice of sessions that --keep makes.

import Arguments
import Bytes
import Correlations
import OnlineRuntime
import Program
import Sharing
import Trust

let ledger0Option = Option("ledger0", .path, help: "party 0's ledger, to know its used sessions")
let ledger1Option = Option("ledger1", .path, help: "party 1's ledger, to know its used sessions")

let statusCommand = Command(
  "status", summary: "shows how many sessions are left",
  details: """
    CORR is a folder that lodge-deal has written, or one party's folder of it, or one of `lodge-model
    convert` with the sessions of all roles or of one. What was used is
    known to the ledgers alone; they can be read while their parties run.
    """,
  example: """
    lodge-deal status correlations --ledger0 party0.ledger --ledger1 party1.ledger
    lodge-deal status correlations/party0 --ledger0 party0.ledger --json
    """,
  positionals: [Positional("CORR", .path, help: "folder with dealt sessions")],
  options: [ledger0Option, ledger1Option, .json]
) { arguments in
  let stocks = try SessionStock.stocks(
    in: BatchFolder(anyOf: arguments.string("CORR")),
    ledgers: ledgers(arguments, in: arguments.string("CORR"))
  ) { arguments.note("does not count \($0)") }
  if arguments.wantsJSON {
    let document: JSON = ["batches": .array(stocks.map(\.json))]
    arguments.console.print(document.indentedText)
  } else {
    arguments.console.show(TextDocument(stocks.map(\.document)))
  }
  let folder = FilePaths.withoutTrailingSlashes(try arguments.string("CORR"))
  guard stocks.allSatisfy({ $0.ready.isEmpty }), FilePaths.isFolder("\(folder)/dealer") else {
    return
  }
  // More of the same size, where the folder has sessions of one.
  let header = stocks.first?.sides.first?.files.values.first?.header
  let size = header.map { header in
    ["--prompt", "\(header.shape.promptCapacity)"]
      + (header.shape.newCapacity > 0 ? ["--new", "\(header.shape.newCapacity)"] : [])
      + (header.keys == .both ? [] : ["--keys", header.keys.rawValue])
  }
  arguments.printNext([
    ShellCommand(
      ["lodge-deal", folder, "--keep", "4"] + (size ?? [])
        + arguments.passedOn(["ledger0", "ledger1"]))
  ])
}

/// The ledgers that are given, or lie in folders of roles below `folder`, each checked to be that of its
/// party.
func ledgers(_ arguments: ParsedArguments, in folder: String) throws(InputError)
  -> [LedgerSnapshot]
{
  var result: [LedgerSnapshot] = []
  for party in 0...1 {
    guard let path = arguments.optionalString("ledger\(party)") ?? ownLedger(party, in: folder)
    else { continue }
    let ledger = try LedgerSnapshot(path: path)
    guard ledger.party == party else {
      throw InputError(path, "is the ledger of party \(ledger.party), not of party \(party)")
    }
    result.append(ledger)
  }
  return result
}

/// The ledger of a role whose folder is the one that is asked about, or lies in it; nil where there is none.
private func ownLedger(_ party: Int, in folder: String) -> String? {
  let folder = FilePaths.withoutTrailingSlashes(folder)
  let roles = party == 0 ? ["party0", "provider"] : ["party1", "user"]
  return roles.flatMap { ["\(folder)/\($0)/\($0).bundle.ledger", "\(folder)/\($0).bundle.ledger"] }
    .first(where: FilePaths.exists)
}

/// Where sessions go: to `--out`, or to the folders of the roles of which the dealer's is one.
func batchFolder(_ arguments: ParsedArguments, _ bundle: DealerBundle) throws -> BatchFolder {
  if let out = arguments.optionalString("out") { return BatchFolder(path: out) }
  guard let folder = try BatchFolder.ofRoles(besideDealer: bundle) else {
    throw UsageError("--out CORR is missing", hint: "see 'lodge-deal --help'")
  }
  return folder
}

/// The public key that the dealer's bundle is signed with, as `--trust` of others takes it; nil where it is
/// not signed.
func ownerKey(_ arguments: ParsedArguments, _ bundle: DealerBundle) throws(InputError) -> String? {
  guard let signer = Manifest.signer(ofBundle: bundle.path) else { return nil }
  guard let sign = arguments.optionalString("sign") else { return signer.text }
  return try PrivateKey(path: sign).publicKey == signer ? "\(sign).pub" : signer.text
}

/// The error about files of other sessions in the places of those that were asked for.
func foreignSessions(_ errors: [Int: InputError]) -> InputError {
  let ordered = errors.sorted { $0.key < $1.key }.map(\.value)
  var error = ordered[0]
  if ordered.count > 1 {
    error.cause += "; so it is with \(ordered.count - 1) more of these sessions"
  }
  error.cause += "; all others are there"
  return error
}

/// Throws for options of --keep without it, and for two ways to say what to deal.
func checkChoice(_ arguments: ParsedArguments) throws(UsageError) {
  if arguments.isGiven("keep"), arguments.isGiven("sessions") {
    throw UsageError("--keep and --sessions exclude each other")
  }
  for party in 0...1 where arguments.isGiven("ledger\(party)") && !arguments.isGiven("keep") {
    throw UsageError("--ledger\(party) is of use with --keep only")
  }
}

/// The sessions that a run of lodge-deal is about: --sessions, or the new ones of --keep.
func requestedSessions(_ arguments: ParsedArguments, _ folder: BatchFolder) throws(InputError)
  -> [Int]
{
  guard let count = arguments.optionalInteger("keep") else {
    let range = try arguments.range("sessions")
    // As many as --keep takes, and no number that a session's header has no room for.
    guard range.count <= 1 << 20, range.upperBound <= Int(UInt32.max) else {
      throw InputError(
        "--sessions", "at most 2^20 sessions at a time, with numbers below 2^32 - 1")
    }
    return Array(range)
  }
  guard let identifier = try folder.identifier() else { return Array(0..<count) }
  let stocks = try SessionStock.stocks(
    in: folder, ledgers: ledgers(arguments, in: arguments.string("DIR"))
  ) {
    arguments.note("does not count \($0)")
  }
  return stocks.first { $0.batch == identifier.hexadecimal }?.sessions(toKeep: count) ?? []
}
