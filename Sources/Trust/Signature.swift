// Signatures in OpenSSH's format: `ssh-keygen -Y verify` reads ours, and we read what it signs.

public import Bytes
internal import COpenSSL

/// Detached Ed25519 signatures of messages, in the SSHSIG format.
///
/// Signed is "SSHSIG" || string namespace || string "" || string "sha512" || string
/// SHA-512(message), where a string is its length as a big-endian u32 and its bytes
/// (PROTOCOL.sshsig of OpenSSH).
public enum Signature {
  private static let label = "SSH SIGNATURE"
  private static let magic = "SSHSIG"
  private static let hash = "sha512"

  /// The text of a signature of `message`; the same bytes as `ssh-keygen -Y sign` writes.
  ///
  /// - Parameter namespace: What kind of message this is: a signature counts in its own alone.
  public static func text(of message: [UInt8], namespace: String, key: PrivateKey) -> [UInt8] {
    var signature = SSHWriter()
    signature.append(string: PublicKey.algorithm)
    signature.append(string: key.signature(of: signedBytes(message, namespace)))
    var writer = SSHWriter(magic: magic)
    writer.append(1)
    writer.append(string: key.publicKey.blob)
    writer.append(string: namespace)
    writer.append(string: "")
    writer.append(string: hash)
    writer.append(string: signature.taken())
    return SSHArmor.encode(writer.taken(), label: label)
  }

  /// The holder of which key has signed `message` with the signature `text`.
  ///
  /// - Parameter source: Names the signature in errors.
  /// - Throws: `InputError` where `text` is no signature, or one of something else.
  public static func signer(
    of message: [UInt8], text: [UInt8], namespace: String, source: String
  ) throws(InputError) -> PublicKey {
    guard let data = SSHArmor.decode(text, label: label) else {
      throw InputError(source, "is not a signature")
    }
    var reader = SSHReader(data)
    guard reader.take(magic.utf8.count) == Array(magic.utf8), reader.number() == 1,
      let blob = reader.string(), let foundNamespace = reader.string(), reader.string() == [],
      let foundHash = reader.string(), let inner = reader.string(), reader.isAtEnd
    else { throw InputError(source, "is a damaged signature") }
    guard let key = PublicKey(blob: blob) else {
      throw InputError(source, "is by a key of another kind than ssh-ed25519")
    }
    guard foundNamespace == Array(namespace.utf8) else {
      throw InputError(source, "is a signature of something else than a \(namespace)")
    }
    guard foundHash == Array(hash.utf8) else {
      throw InputError(source, "does not use \(hash)", hint: "leave ssh-keygen's default")
    }
    var signature = SSHReader(inner)
    guard signature.hasString(PublicKey.algorithm), let bytes = signature.string(),
      bytes.count == Ed25519.signatureByteCount, signature.isAtEnd
    else { throw InputError(source, "is a damaged signature") }
    guard Ed25519.verify(bytes, of: signedBytes(message, namespace), publicKey: key.bytes) else {
      throw InputError(source, "does not fit: the file was changed after it was signed")
    }
    return key
  }

  private static func signedBytes(_ message: [UInt8], _ namespace: String) -> [UInt8] {
    var writer = SSHWriter(magic: magic)
    writer.append(string: namespace)
    writer.append(string: "")
    writer.append(string: hash)
    writer.append(string: sha512(message))
    return writer.taken()
  }

  private static func sha512(_ message: [UInt8]) -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: 64)
    var count: CUnsignedInt = 0
    unsafe Ed25519.require(
      EVP_Digest(message, message.count, &digest, &count, EVP_sha512(), nil))
    precondition(count == 64, "SHA-512 has 64 bytes")
    return digest
  }
}
