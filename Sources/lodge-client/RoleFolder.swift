// The files of a client or a user: those in its role's folder, or those that are named.

import Arguments
import Bytes
import Program
import Sharing

/// The bundle of a client of two parties; nil where the model has none.
func clientBundle(_ arguments: ParsedArguments) throws -> String? {
  if let bundle = arguments.optionalString("bundle") { return bundle }
  guard let folder = try roleFolder(arguments) else { return nil }
  if let user = try? PartyFiles(ofUserIn: folder) {
    throw InputError(
      folder, "holds a user's files",
      hint: "ask its provider: lodge-client --provider HOST:PORT "
        + "--folder \(FilePaths.folder(of: user.bundle))")
  }
  let roles = RoleFolders(path: folder, deployment: .twoServer)
  return [folder, roles.client].map { "\($0)/\(ClientBundle.fileName)" }.first(
    where: FilePaths.exists)
}

/// The bundle of a user and the folder with its sessions.
func userFiles(_ arguments: ParsedArguments) throws -> (bundle: String, correlations: String) {
  let bundle = arguments.optionalString("bundle")
  let correlations = arguments.optionalString("correlations")
  guard let folder = try roleFolder(arguments) else {
    guard let bundle else {
      throw UsageError(
        "--bundle is missing: the user's, which comes with the conversion (or give --folder)")
    }
    guard let correlations else {
      throw UsageError("--correlations is missing: the folder with the user's sessions")
    }
    return (bundle, correlations)
  }
  let files = try PartyFiles(ofUserIn: folder)
  if correlations == nil { try files.checkSessions() }
  return (files.bundle, correlations ?? files.correlations)
}

/// The folders that may hold what a client or a user was given: beside `--bundle`, in `--folder`.
func roleFolders(_ arguments: ParsedArguments) throws -> [String] {
  if let bundle = arguments.optionalString("bundle") { return [FilePaths.folder(of: bundle)] }
  guard let folder = try roleFolder(arguments) else { return [] }
  return [folder]
    + [.twoServer, .providerUser].map { RoleFolders(path: folder, deployment: $0).client }
}

/// The folder that `--folder` names, which goes without `--bundle`.
private func roleFolder(_ arguments: ParsedArguments) throws -> String? {
  guard let text = arguments.optionalString("folder") else { return nil }
  guard !arguments.isGiven("bundle") else {
    throw UsageError("--folder and --bundle exclude each other")
  }
  let folder = FilePaths.withoutTrailingSlashes(text)
  guard FilePaths.isFolder(folder) else {
    throw InputError(folder, "is no folder", hint: nearestPathHint(to: folder))
  }
  return folder
}
