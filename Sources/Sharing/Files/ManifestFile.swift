// Manifests as files: signed JSON text with a version and a kind.

import Bytes
import Trust

/// What manifests of all kinds have in common; see formats/manifest.md.
enum ManifestFile {
  static let version = 1
  static let maximumByteCount = 1 << 20
  /// The namespace of signatures.
  static let namespace = "lodge-manifest"

  /// Kinds of manifests.
  enum Kind: String {
    case conversion, session
  }

  static func write(
    _ kind: Kind, _ members: [String: JSON], to path: String, key: PrivateKey?
  ) throws(InputError) {
    let text = JSON.object(
      members.merging(["version": .integer(version), "kind": .string(kind.rawValue)]) { first, _ in
        first
      }
    ).indentedText
    try SignedFile.write(Array("\(text)\n".utf8), to: path, namespace: namespace, key: key)
  }

  /// Who has signed the manifest at `path`, whoever that is; nil where nobody has.
  static func signer(of path: String) throws(InputError) -> PublicKey? {
    try SignedFile.signer(of: path, atMost: maximumByteCount, namespace: namespace)
  }

  /// A manifest of any kind, once its signature has been checked where `trust` is given.
  static func read(_ path: String, trust: TrustedKeys?) throws(InputError)
    -> (kind: Kind, reader: JSONReader, signer: PublicKey?)
  {
    let (bytes, signer) = try SignedFile.read(
      path, atMost: maximumByteCount, namespace: namespace, trust: trust)
    var reader = try JSONReader(JSON.parse(bytes, source: path), source: path)
    let found = try reader.integer("version")
    guard found == version else {
      throw reader.failure("version", "\(found) is not supported, \(version) is")
    }
    let text = try reader.string("kind")
    guard let kind = Kind(rawValue: text) else {
      throw reader.failure("kind", "\"\(text)\" is not a kind of manifest")
    }
    return (kind, reader, signer)
  }

  /// The reader of the members of a manifest that must be of kind `kind`.
  static func read(_ path: String, _ kind: Kind, trust: TrustedKeys?) throws(InputError)
    -> JSONReader
  {
    let (found, reader, _) = try read(path, trust: trust)
    guard found == kind else {
      throw InputError(path, place: "kind", "is the manifest of a \(found), not of a \(kind)")
    }
    return reader
  }
}
