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
  let peer = arguments.optionalString("peer")
  if let peer, files.party == 0 {
    let other = roles.folder(ofParty: 1)
    return FilePaths.isFolder(other)
      ? ShellCommand(["lodge-party", other, "--listen", peer, "--peer", listen]) : nil
  }
  let servers =
    peer.map { ["--party0", $0, "--party1", listen] } ?? ["--provider", listen]
  let hasTokenizer = FilePaths.isFolder("\(roles.client)/tokenizer")
  let sessions = (try? provider.availableSessions()) ?? []
  return NextSteps.asking(
    (FilePaths.isFolder(roles.client) ? ["--folder", roles.client] : []) + servers,
    question: hasTokenizer ? ["Your question"] : ["--tokens", "prompt.json"],
    output: provider.identity.output.meaning,
    newCapacity: sessions.map(\.newCapacity).max() ?? 0)
}
