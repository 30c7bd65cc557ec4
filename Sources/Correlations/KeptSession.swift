// A session that was dealt before: whether its files are whole, and their signatures.

import Bytes
import Containers
import Program
import Sharing
import Trust

/// Both files of one session as a dealer that is run again finds them.
struct KeptSession {
  let batch: Batch
  let session: Int
  let program: SecureProgram
  let delivery: Delivery

  /// What is wrong with the first damaged file; nil when every byte of both is as it was written.
  ///
  /// A file is compared with its manifest where it is sealed, or its manifest is signed by the
  /// dealer of now; else with the digests in it.
  ///
  /// - Throws: `InputError` for a sealed file of another dealer, which is not this one's to
  ///   replace.
  func damage() throws(InputError) -> InputError? {
    for party in 0...1 {
      let path = batch.path(party: party, session: session)
      if let damage = delivery.recipients.isEmpty
        ? damage(toPlain: path, party: party)
        : try damage(toSealed: path + AgeTool.suffix, party: party)
      {
        return damage
      }
    }
    return nil
  }

  private func damage(toPlain path: String, party: Int) -> InputError? {
    do throws(InputError) {
      if let entry = signedManifest(path, party: party)?.entry { try entry.file.check(path: path) }
      try CorrelationFile(path: path, verifying: true)
        .check(party: party, conversion: batch.conversion, program: program)
      return nil
    } catch {
      return error
    }
  }

  private func damage(toSealed path: String, party: Int) throws(InputError) -> InputError? {
    let manifestPath = SessionManifest.path(of: path)
    let manifest: SessionManifest
    do throws(InputError) {
      manifest = try SessionManifest(
        path: manifestPath, trust: delivery.key.map { TrustedKeys([$0.publicKey]) })
    } catch {
      // It is the manifest that is wrong, or its signature; the sealed file may be as it was.
      var error = error
      error.hint =
        "\(FilePaths.lastComponent(of: path)) cannot be opened here: give the --sign KEY as before, or "
        + "remove it to deal the session again"
      throw error
    }
    guard let sealed = manifest.entry.sealed else {
      return InputError(manifestPath, "does not say what the sealed file must be")
    }
    do throws(InputError) {
      try sealed.check(path: path)
      return nil
    } catch {
      return error
    }
  }

  /// The manifest of the file at `path` if it is this session's and signed by the dealer's key.
  private func signedManifest(_ path: String, party: Int) -> SessionManifest? {
    guard let key = delivery.key,
      let manifest = try? SessionManifest(
        path: SessionManifest.path(of: path), trust: TrustedKeys([key.publicKey])),
      manifest.header == batch.header(session: session, party: party)
    else { return nil }
    return manifest
  }

  /// Signs the files that are not, when there is a key; they must have been found whole.
  func sign() throws(InputError) {
    guard let key = delivery.key, delivery.recipients.isEmpty else { return }
    for party in 0...1 {
      let path = batch.path(party: party, session: session)
      if signedManifest(path, party: party) != nil { continue }
      let file = try CorrelationFile(path: path, verifying: false)
      try SessionManifest(
        header: file.header, name: FilePaths.lastComponent(of: path),
        entry: FileEntry(digest: file.digest, file: FileDigest(path: path))
      ).write(to: SessionManifest.path(of: path), key: key)
    }
  }
}
