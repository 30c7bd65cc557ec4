// The files of a party: those in its role's folder, or those that are named.

import Arguments
import Bytes
import OnlineRuntime
import Preparation
import Program
import Sharing

/// What a party serves from.
struct ServerFiles {
  var party: Int
  var bundle: String
  var correlations: String
}

/// Throws unless a folder or all files are named.
func checkFiles(_ arguments: ParsedArguments) throws(UsageError) {
  let hint = "see 'lodge-party --help'"
  if arguments.isGiven("FOLDER") {
    guard !arguments.isGiven("bundle") else {
      throw UsageError("FOLDER and --bundle exclude each other", hint: hint)
    }
    return
  }
  for (name, value) in [("party", "N"), ("bundle", "FILE"), ("correlations", "DIR")]
  where !arguments.isGiven(name) {
    throw UsageError("--\(name) \(value) is missing (or give FOLDER)", hint: hint)
  }
}

/// The files that `FOLDER` holds, or the options name.
func serverFiles(_ arguments: ParsedArguments) throws(InputError) -> ServerFiles {
  guard arguments.isGiven("FOLDER") else {
    return ServerFiles(
      party: try arguments.integer("party"), bundle: try arguments.string("bundle"),
      correlations: try arguments.string("correlations"))
  }
  let found = try PartyFiles(
    ofServerIn: FilePaths.withoutTrailingSlashes(arguments.string("FOLDER")),
    party: arguments.optionalInteger("party"))
  let named = arguments.optionalString("correlations")
  if named == nil { try found.checkSessions() }
  return ServerFiles(
    party: found.party, bundle: found.bundle, correlations: named ?? found.correlations)
}

/// What comes after this party has started; nil where its own address is not known yet.
func next(_ arguments: ParsedArguments, _ files: ServerFiles, _ provider: BundleProvider)
  -> ShellCommand?
{
  guard let listen = arguments.optionalString("listen"), !listen.hasSuffix(":0") else { return nil }
  // On the owner's machine, where everything can be tried, the others' folders lie beside.
  let roles = RoleFolders(
    path: FilePaths.folder(of: FilePaths.folder(of: files.bundle)),
    deployment: provider.identity.deployment)
  let insecure = arguments.flag("insecure-plaintext") ? ["--insecure-plaintext"] : []
  let identity = arguments.optionalString("identity")
  let ownKey = identity.map { "\($0).pub" } ?? "PUBLIC-KEY"
  let peerKey = arguments.optionalString("peer-key")
  let clientKeys = arguments.optionalString("client-keys")
  if let peer = arguments.optionalString("peer"), files.party == 0 {
    let other = roles.folder(ofParty: 1)
    guard FilePaths.isFolder(other) else { return nil }
    var keys = identity == nil ? [] : ["--identity", NextSteps.privateKey(of: peerKey)]
    if peerKey != nil { keys += ["--peer-key", ownKey] + arguments.passedOn(["client-keys"]) }
    return ShellCommand(
      ["lodge-party", other, "--listen", peer, "--peer", listen]
        + sessions(ofOther: other, beside: files) + arguments.passedOn(["trust"]) + keys + insecure)
  }
  let isProvider = provider.identity.deployment == .providerUser
  let servers =
    arguments.optionalString("peer").map { ["--party0", $0, "--party1", listen] }
    ?? ["--provider", listen]
  let hasFolder = FilePaths.isFolder(roles.client)
  var options: [String] = []
  if isProvider, hasFolder { options = sessions(ofOther: roles.client, beside: files) }
  if let clientKeys {
    options += ["--identity", NextSteps.privateKey(of: clientKeys)]
    options +=
      isProvider
      ? ["--provider-key", ownKey]
      : ["--party0-key", peerKey ?? "PUBLIC-KEY", "--party1-key", ownKey]
  }
  if isProvider { options += arguments.passedOn(["trust"]) }
  let all = (try? provider.availableSessions()) ?? []
  return NextSteps.asking(
    (hasFolder ? ["--folder", roles.client] : isProvider ? ["--folder", "USER-FOLDER"] : [])
      + servers,
    question: NextSteps.question(hasTokenizer: FilePaths.isFolder("\(roles.client)/tokenizer")),
    output: provider.identity.output.meaning, newCapacity: all.map(\.newCapacity).max() ?? 0,
    options: options + insecure)
}

/// Where the sessions of party 1 are: in `folder`, that of its role, or else beside this party's.
private func sessions(ofOther folder: String, beside files: ServerFiles) -> [String] {
  if FilePaths.isFolder(RoleFolders.correlations(in: folder)) { return [] }
  let own = FilePaths.withoutTrailingSlashes(files.correlations)
  return ["--correlations", FilePaths.beside(own, "party1")]
}
