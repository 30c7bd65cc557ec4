// Where a session comes from: two parties, or a provider.

import Arguments
import Bytes
import Models
import OnlineRuntime
import Program
import Sharing

/// What is asked.
struct Request: Sendable {
  var prompt: [Int]
  /// Where it is from, for errors.
  var source: String
  var stop: Set<Int>
  /// What its session must have room for.
  var room: Room
  var drafting: Drafting
  /// The program that the client's folder is for, where it says so.
  var programDigest: [UInt8]?
  /// Options that an encoder has no use for.
  var decoderOptions: [String] = []
  /// Whether nothing would be shown of an output that only a file can take.
  var isForNothing = false
  func check(_ identity: PartyIdentity, tables: ClientBundle?) throws(InputError) {
    if let programDigest, programDigest != identity.programDigest {
      throw InputError(
        "the client's folder", "is of another conversion than what the servers run",
        hint: "take the client's folder of the conversion whose parties these are")
    }
    if !identity.isDecoder, let option = decoderOptions.first {
      throw InputError("--\(option)", "does nothing: this model generates no tokens")
    }
    try drafting.check(vocabularySize: tables?.vocabularySize ?? identity.inputWidth)
    let meaning = identity.output.meaning
    guard !isForNothing || (meaning != .embedding && meaning != .states) else {
      throw InputError(
        "--out", "is needed: this model gives \(meaning.rawValue), which are numbers",
        hint: "add --out embedding.npy, or --json")
    }
    try SecureGeneration.check(
      prompt: prompt, source: source, stop: stop, isDrafting: room.isDrafting, tables: tables,
      identity: identity)
  }
}

/// Throws where the options name neither a provider nor both parties.
func checkAddresses(_ arguments: ParsedArguments) throws(UsageError) {
  if arguments.isGiven("provider") { return }
  for name in ["party0", "party1"] where !arguments.isGiven(name) {
    throw UsageError("--\(name) is missing (or give --provider)")
  }
}

/// Whom all questions are asked; what that takes is opened once.
struct Counterpart: Sendable {
  private enum Way: Sendable {
    case parties([Address], ClientSecurity)
    case provider(Address, ClientSecurity, BundleProvider, PatientLedger)
  }

  private let way: Way
  /// Where the client holds the embedding.
  let tables: ClientBundle?
  private let timeout: Duration
  /// The longest silence in a session; nil where its kind decides.
  private let silence: Duration?

  /// - Parameter requests: Those to come; a provider's user can tell what is wrong with any before it asks.
  init(_ arguments: ParsedArguments, _ requests: [Request]) throws {
    timeout = .seconds(try arguments.number("timeout"))
    silence = arguments.optionalNumber("silence").map { .seconds($0) }
    if let silence, silence < .seconds(10), !arguments.isGiven("provider") {
      throw UsageError(
        "--silence: at least 10s of two parties, which say every 5 s that they compute")
    }
    (way, tables) =
      arguments.isGiven("provider")
      ? try Counterpart.provider(arguments, requests) : try Counterpart.parties(arguments)
  }

  /// Two parties.
  private static func parties(_ arguments: ParsedArguments) throws -> (Way, ClientBundle?) {
    for name in ["correlations", "ledger", "scratch", "provider-key"]
    where arguments.isGiven(name) {
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
    return (.parties(addresses, security), tables)
  }

  /// A provider, of whom this is a user.
  private static func provider(
    _ arguments: ParsedArguments, _ requests: [Request]
  ) throws -> (Way, ClientBundle?) {
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
    for request in requests { try request.check(files.identity, tables: tables) }
    let ledger = PatientLedger(
      try SessionLedger(
        path: arguments.optionalString("ledger") ?? SessionLedger.defaultPath(bundle: bundle),
        party: 1, guarding: folder))
    let address = try Address(arguments.string("provider"))
    return (.provider(address, security, files, ledger), tables)
  }

  /// A session for `request`.
  ///
  /// - Parameters:
  ///   - admits: What else must hold of the parties before a session is asked for.
  ///   - isOwnTurn: Whether sessions of this client are why there is none yet: that wait has no limit.
  ///   - waiting: Is told about once a second why there is none yet.
  func begin(
    _ request: Request,
    admits: (PartyIdentity) throws(InputError) -> Void = { _ in },
    isOwnTurn: () -> Bool = { false }, waiting: (String) -> Void
  ) throws(InputError) -> any SecureSession {
    var told = ""
    do throws(InputError) {
      return try ask(
        request, admits: admits, isOwnTurn: isOwnTurn,
        waiting: { reason in
          if reason != told { waiting(reason) }
          told = reason
        })
    } catch {
      var error = error
      if request.room.draftCount > 0, error.cause.contains("new tokens") {
        error.hint += "; \(request.room.draftCount) of them are for guesses (--draft-slots)"
      }
      throw error
    }
  }

  private func ask(
    _ request: Request, admits: (PartyIdentity) throws(InputError) -> Void,
    isOwnTurn: () -> Bool, waiting: (String) -> Void
  ) throws(InputError) -> any SecureSession {
    switch way {
    case .parties(let addresses, let security):
      return try ClientSession.begin(
        party0: addresses[0], party1: addresses[1], promptCount: request.prompt.count,
        newCount: request.room.newCapacity, security: security, timeout: timeout,
        silence: silence ?? .seconds(60),
        admit: { identity throws(InputError) in
          try admits(identity)
          try request.check(identity, tables: tables)
        },
        waiting: waiting, isOwnTurn: isOwnTurn)
    case .provider(let address, let security, let files, let ledger):
      try admits(files.identity)
      return try UserSession.begin(
        provider: address, files: files, ledger: ledger, promptCount: request.prompt.count,
        newCount: request.room.newCapacity, security: security, timeout: timeout,
        silence: silence ?? Connection.defaultProgressTimeout, waiting: waiting,
        isOwnTurn: isOwnTurn)
    }
  }
}
