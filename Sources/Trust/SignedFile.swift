// Small files with a signature beside them: FILE and FILE.sig.

public import Bytes
import Glibc

/// The keys whose signatures count: those of the owner and of the dealer.
public struct TrustedKeys: Sendable {
  let keys: Set<PublicKey>

  public init(_ keys: Set<PublicKey>) { self.keys = keys }

  /// Reads `text`, which is one public key or the path of a file with one or several, or several of these
  /// with commas between them.
  public init(textOrPath text: String) throws(InputError) {
    keys = Set(try PublicKey.list(textOrPath: text))
  }
}

/// Reads and writes signed files.
public enum SignedFile {
  public static let suffix = ".sig"

  /// Writes `bytes` to `path`, and before it the signature by `key`; without a key there is none.
  public static func write(
    _ bytes: [UInt8], to path: String, namespace: String, key: PrivateKey?
  ) throws(InputError) {
    let signaturePath = path + suffix
    if let key {
      let text = Signature.text(of: bytes, namespace: namespace, key: key)
      try AtomicFile.write(text, to: signaturePath)
    } else {
      // The signature of an earlier file must not stand beside this one.
      unsafe unlink(signaturePath)
    }
    try AtomicFile.write(bytes, to: path)
  }

  /// Who has signed `path`, whoever that is; nil where nobody has.
  ///
  /// - Throws: `InputError` for a signature of something else.
  public static func signer(
    of path: String, atMost limit: Int, namespace: String
  ) throws(InputError) -> PublicKey? {
    guard FilePaths.exists(path + suffix) else { return nil }
    return try Signature.signer(
      of: MappedFile(path: path).allBytes(atMost: limit),
      text: MappedFile(path: path + suffix).allBytes(atMost: 1 << 16), namespace: namespace,
      source: path + suffix)
  }

  /// The bytes of `path`, at most `limit`, once their signature is that of a trusted key.
  ///
  /// Nothing of the file is interpreted before. Without `trust` nothing is checked.
  /// - Returns: the bytes, and the key that has signed them where that was checked.
  public static func read(
    _ path: String, atMost limit: Int, namespace: String, trust: TrustedKeys?
  ) throws(InputError) -> (bytes: [UInt8], signer: PublicKey?) {
    let bytes = try MappedFile(path: path).allBytes(atMost: limit)
    guard let trust else { return (bytes, nil) }
    let signaturePath = path + suffix
    guard FilePaths.exists(signaturePath) else {
      throw InputError(
        path, "is not signed: \(FilePaths.lastComponent(of: signaturePath)) is missing",
        hint: "whoever made it signs with --sign KEY; copy the .sig file along")
    }
    let text = try MappedFile(path: signaturePath).allBytes(atMost: 1 << 16)
    let signer = try Signature.signer(
      of: bytes, text: text, namespace: namespace, source: signaturePath)
    guard trust.keys.contains(signer) else {
      throw InputError(
        signaturePath, "is by the key \(signer), which is not trusted here",
        hint: "compare with the .pub file of the owner and of the dealer")
    }
    return (bytes, signer)
  }
}
