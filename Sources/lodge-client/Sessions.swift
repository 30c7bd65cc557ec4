// Where a session comes from: two parties, or a provider.

import Arguments
import Bytes
import Models
import OnlineRuntime
import Program
import Sharing

/// What is asked.
struct Request {
  var prompt: [Int]
  /// Where it is from, for errors.
  var source: String
  var stop: Set<Int>
  /// Whether nothing would be shown of an output that only a file can take.
  var isForNothing = false
  /// What else must hold of the parties before a session is asked for.
  var admits: (PartyIdentity, ClientBundle?) throws(InputError) -> Void = { _, _ in }

  func check(_ identity: PartyIdentity, tables: ClientBundle?) throws(InputError) {
    try admits(identity, tables)
    let meaning = identity.output.meaning
    guard !isForNothing || (meaning != .embedding && meaning != .states) else {
      throw InputError(
        "--out", "is needed: this model gives \(meaning.rawValue), which are numbers",
        hint: "name an NPY file")
    }
    try SecureGeneration.check(
      prompt: prompt, source: source, stop: stop, tables: tables, identity: identity)
  }
}

/// Throws where the options name neither a provider nor both parties.
func checkAddresses(_ arguments: ParsedArguments) throws(UsageError) {
  if arguments.isGiven("provider") { return }
  for name in ["party0", "party1"] where !arguments.isGiven(name) {
    throw UsageError("--\(name) is missing (or give --provider)")
  }
}

/// A session with two parties.
func clientSession(_ request: Request, _ arguments: ParsedArguments) throws
  -> (any SecureSession, ClientBundle?)
{
  for name in ["correlations", "ledger", "scratch", "provider-key"] where arguments.isGiven(name) {
    throw UsageError("--\(name) goes with --provider")
  }
  let addresses = try ["party0", "party1"].map { try Address(arguments.string($0)) }
  var tables: ClientBundle?
  if let bundle = try clientBundle(arguments) {
    let access = try FileAccess(
      trust: arguments.optionalString("trust"), identity: nil, scratch: nil)
    tables = try ClientBundle(path: bundle, access: access)
  }
  let security = try ClientSecurity(
    identity: arguments.optionalString("identity"),
    partyKeys: ["party0-key", "party1-key"].map { arguments.optionalString($0) },
    isInsecure: arguments.flag("insecure-plaintext"))
  let session = try ClientSession.begin(
    party0: addresses[0], party1: addresses[1],
    promptCount: request.prompt.count, newCount: arguments.integer("new"),
    security: security, timeout: .seconds(arguments.number("timeout")),
    admit: { [tables] identity throws(InputError) in
      try request.check(identity, tables: tables)
    }, waiting: { arguments.console.report("waiting: \($0)") })
  return (session, tables)
}

/// A session of a user with a provider.
func userSession(_ request: Request, _ arguments: ParsedArguments) throws
  -> (any SecureSession, ClientBundle?)
{
  for name in ["party0", "party1", "party0-key", "party1-key"] where arguments.isGiven(name) {
    throw UsageError("--\(name) and --provider exclude each other")
  }
  let (bundle, folder) = try userFiles(arguments)
  let identity = arguments.optionalString("identity")
  let security = try ClientSecurity(
    identity: identity, partyKeys: [arguments.optionalString("provider-key")],
    isInsecure: arguments.flag("insecure-plaintext"), keyNames: ["provider-key"])
  let access = try FileAccess(
    trust: arguments.optionalString("trust"), identity: identity,
    scratch: arguments.optionalString("scratch"))
  let console = arguments.console
  let files = try BundleProvider(
    party: 1, bundlePath: bundle, correlationFolder: folder, access: access, isUser: true,
    report: { console.report("lodge-client: \($0)") })
  var tables: ClientBundle?
  if files.identity.takesEmbedding {
    tables = try ClientBundle(
      path: "\(FilePaths.folder(of: bundle))/client.bundle", access: access)
  }
  try request.check(files.identity, tables: tables)
  let ledger = try SessionLedger(
    path: arguments.optionalString("ledger") ?? SessionLedger.defaultPath(bundle: bundle),
    party: 1, guarding: folder)
  let session = try UserSession.begin(
    provider: Address(arguments.string("provider")), files: files, ledger: ledger,
    promptCount: request.prompt.count, newCount: arguments.integer("new"), security: security,
    timeout: .seconds(arguments.number("timeout"))
  ) { console.report("waiting: \($0)") }
  return (session, tables)
}
