// Digests and headers of any of Lodge's files.

public import Bytes
import Containers
public import Program
import Trust

/// A file whose digests were all recomputed, and its signature checked where one is asked for.
public struct VerifiedFile: Report {
  public let json: JSON
  public let document: TextDocument

  /// Verifies a container, or a manifest and the files beside it that it names.
  ///
  /// - Parameters:
  ///   - access: With `trust`, manifests must be signed and containers must be named by
  ///     one; with `identity`, sealed files are opened and verified as well.
  ///   - isComplete: Whether people are shown all of a header, and every dataset.
  public init(path: String, access: FileAccess = .plain, isComplete: Bool = false)
    throws(InputError)
  {
    guard path.hasSuffix(".json") else {
      let entry =
        [".corr", ".corr\(AgeTool.suffix)"].contains(where: path.hasSuffix)
        ? try VerifiedFile.sessionEntry(path, access) : try access.entry(ofBundle: path)
      var inspection = ContainerInspection(try access.reader(path, kind: nil, entry: entry))
      inspection.isComplete = isComplete
      json = inspection.json
      document = inspection.document
      return
    }
    let (kind, reader, signer) = try ManifestFile.read(path, trust: access.trust)
    let files: [String: FileEntry]
    let content: JSON
    let what: String
    switch kind {
    case .conversion:
      var reader = reader
      let manifest = try Manifest(&reader)
      (files, content) = (manifest.files, manifest.json)
      what = """
        conversion \(manifest.conversion.identifier.hexadecimal), program \
        \(manifest.conversion.programDigest.hexadecimal)
        """
    case .session:
      let manifest = try SessionManifest(reader, path: path)
      (files, content) = ([manifest.name: manifest.entry], manifest.header.json)
      let header = manifest.header
      what = """
        session \(header.session) of batch \(header.batch.hexadecimal) for party \(header.party), \
        conversion \(header.conversion.identifier.hexadecimal)
        """
    }
    var table = TextTable([("file", .left), ("digest", .name), ("state", .left)])
    var states: [String: JSON] = [:]
    for (name, entry) in files.sorted(by: { $0.key < $1.key }) {
      let state = try VerifiedFile.state(of: name, entry, FilePaths.folder(of: path), access)
      states[name] = .string(state)
      table.addRow([name, entry.digest.hexadecimal, state])
    }
    json = [
      "manifest": content, "states": .object(states),
      "signedBy": signer.map { .string($0.fingerprint) } ?? .null,
    ]
    let signature =
      signer.map { "signed by \($0)" }
      ?? (FilePaths.exists(path + SignedFile.suffix)
        ? "signature not checked (--trust KEY)" : "not signed")
    document = """
      \(table)
      \(what)
      \(signature)
      """
  }

  private static func sessionEntry(_ path: String, _ access: FileAccess) throws(InputError)
    -> FileEntry?
  {
    let manifestPath = SessionManifest.path(of: path)
    guard access.trust != nil || FilePaths.exists(manifestPath) else { return nil }
    return try SessionManifest(path: manifestPath, trust: access.trust).entry
  }

  /// Verifies the file `name` of a manifest, sealed or not.
  private static func state(
    of name: String, _ entry: FileEntry, _ folder: String, _ access: FileAccess
  ) throws(InputError) -> String {
    let path = "\(folder)/\(name)"
    if FilePaths.exists(path) {
      // What is in the file is compared with the digests in it, too: the manifest could be wrong.
      try access.reader(path, kind: nil, entry: entry).verify()
      return "verified"
    }
    let sealedPath = path + AgeTool.suffix
    guard FilePaths.exists(sealedPath) else { return "absent" }
    var state = "sealed"
    if access.identity != nil {
      do throws(InputError) {
        try access.reader(sealedPath, kind: nil, entry: entry).verify()
        return "verified, opened"
      } catch  where AgeTool.isForAnotherKey(error) {
        state = "sealed for another key"
      }
    }
    guard let sealed = entry.sealed else { return "not verified, \(state)" }
    try sealed.check(path: sealedPath)
    return "verified, \(state)"
  }
}

/// Finds the program in any file that has one.
public struct ProgramFile {
  public let program: SecureProgram
  /// Who the parties are, where the file is one of a conversion that was shared.
  public let deployment: Deployment?

  public init(_ path: String) throws(InputError) {
    let reader = try FileKind.expecting(.model, at: path) { () throws(InputError) in
      try ContainerReader(path: path, kind: nil, verifying: false)
    }
    switch reader.kind {
    case "model":
      program = try ModelFile(path: path).program()
      deployment = nil
    case "bundle":
      let bundle = try PartyBundle(path: path)
      (program, deployment) = (bundle.program, bundle.conversion.deployment)
    case "dealer":
      let bundle = try DealerBundle(path: path)
      (program, deployment) = (bundle.program, bundle.conversion.deployment)
    default:
      throw InputError(
        path, place: "kind", "a file of kind \(reader.kind) has no program",
        hint: "give a model.lodge, a party's bundle or the dealer's")
    }
  }
}
