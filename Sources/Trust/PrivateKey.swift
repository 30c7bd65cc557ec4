// Ed25519 private keys and their files, in OpenSSH's format.

public import Bytes
import Glibc
public import Randomness

/// The secret half of an identity. Never shows its bytes; they are wiped with the last copy.
public struct PrivateKey: Sendable, CustomStringConvertible {
  /// The private key of RFC 8032.
  let seed: Seed
  public let publicKey: PublicKey

  /// The key whose 32 secret bytes are `seed`; for vectors.
  public init(seed: Seed) {
    self.seed = seed
    publicKey = PublicKey(bytes: Ed25519.publicKey(of: seed))
  }

  /// A fresh key.
  public static func random() -> PrivateKey { PrivateKey(seed: .random()) }

  public var description: String { "PrivateKey(\(publicKey.fingerprint))" }

  /// The 64-byte Ed25519 signature of `message`.
  func signature(of message: [UInt8]) -> [UInt8] { Ed25519.sign(message, seed) }
}

extension PrivateKey: CustomReflectable {
  public var customMirror: Mirror { Mirror(self, children: []) }
}

extension PrivateKey {
  static let label = "OPENSSH PRIVATE KEY"
  private static let magic = "openssh-key-v1\0"

  /// Writes the key to `path` (mode 0600) and its public half to `path`.pub (mode 0644).
  ///
  /// - Throws: `InputError` where either file exists: nobody wants to lose a key.
  public func write(to path: String, comment: String) throws(InputError) {
    for file in [path, path + ".pub"] where FilePaths.exists(file) {
      throw InputError(file, "exists already", hint: "choose another name, or remove it")
    }
    var bytes = fileBytes(comment: comment)
    defer { bytes.wipe() }
    try AtomicFile.write(bytes, to: path)
    let line = comment.isEmpty ? publicKey.text : "\(publicKey.text) \(comment)"
    try AtomicFile.write(Array("\(line)\n".utf8), to: path + ".pub", mode: 0o644)
  }

  /// Whether the file at `path` begins as a private key of OpenSSH does.
  public static func isKeyFile(_ path: String) throws(InputError) -> Bool {
    let file = try PrivateKey.open(path).file
    let start = "-----BEGIN "
    return try file.bytes(in: 0..<min(file.byteCount, start.utf8.count)) == Array(start.utf8)
  }

  /// Reads a file that `write` or `ssh-keygen -t ed25519` has written without a passphrase.
  ///
  /// - Throws: `InputError` where others than the owner may read it, or where it is not such a key.
  public init(path: String) throws(InputError) {
    let (file, mode) = try PrivateKey.open(path)
    var text = try file.allBytes(atMost: 1 << 16)
    defer { text.wipe() }
    guard var data = SSHArmor.decode(text, label: Self.label) else {
      let isPublic = text.starts(with: PublicKey.algorithm.utf8)
      throw InputError(
        path, isPublic ? "is a public key, a private key is expected" : "is not a private key",
        hint: "make one with 'lodge-party keygen \(path)'")
    }
    defer { data.wipe() }
    guard mode & 0o077 == 0 else {
      throw InputError(
        path, "is a private key that others may read", hint: "run 'chmod 600 \(path)'")
    }
    try self.init(data: data, source: path)
  }

  /// The file at `path`, which must not be a link, and its permissions.
  private static func open(_ path: String) throws(InputError) -> (file: MappedFile, mode: mode_t) {
    let descriptor = try FilePaths.openSecret(path)
    defer { close(descriptor) }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else {
      throw InputError(path, "cannot be read: \(SystemError.message(errno))")
    }
    return (try MappedFile(descriptor: descriptor, path: path), status.st_mode)
  }

  private init(data: [UInt8], source: String) throws(InputError) {
    let damage = InputError(source, "is a damaged private key")
    var reader = SSHReader(data)
    guard reader.take(Self.magic.utf8.count) == Array(Self.magic.utf8),
      let cipher = reader.string(), let derivation = reader.string(), reader.string() != nil,
      reader.number() == 1, let publicBlob = reader.string(), var secret = reader.string(),
      reader.isAtEnd
    else { throw damage }
    defer { secret.wipe() }
    guard cipher == Array("none".utf8), derivation == Array("none".utf8) else {
      throw InputError(
        source, "is protected by a passphrase, which a server cannot type",
        hint: "make a key of its own with 'lodge-party keygen', or remove it: ssh-keygen -p")
    }
    var inner = SSHReader(secret)
    guard let check = inner.number(), inner.number() == check, let algorithm = inner.string() else {
      throw damage
    }
    guard algorithm == Array(PublicKey.algorithm.utf8) else {
      throw InputError(
        source, "is not a key of the kind ssh-ed25519", hint: "use ssh-keygen -t ed25519")
    }
    guard let publicBytes = inner.string(), var both = inner.string(), both.count == 64,
      inner.string() != nil
    else { throw damage }
    defer { both.wipe() }
    var seedBytes = Array(both.prefix(Seed.byteCount))
    self.init(seed: Seed(wiping: &seedBytes))
    guard publicKey.bytes == publicBytes, publicKey.blob == publicBlob,
      both.suffix(32).elementsEqual(publicBytes)
    else { throw damage }
    for number in 1... where !inner.isAtEnd {
      guard inner.take(1) == [UInt8(truncatingIfNeeded: number)] else { throw damage }
      if inner.isAtEnd { break }
    }
  }

  /// The file's content; secret.
  func fileBytes(comment: String) -> [UInt8] {
    var secret = secretSection(comment: comment)
    defer { secret.wipe() }
    var writer = SSHWriter(magic: Self.magic)
    writer.append(string: "none")
    writer.append(string: "none")
    writer.append(string: "")
    writer.append(1)
    writer.append(string: publicKey.blob)
    writer.append(string: secret)
    var data = writer.taken()
    defer { data.wipe() }
    return SSHArmor.encode(data, label: Self.label)
  }

  private func secretSection(comment: String) -> [UInt8] {
    var writer = SSHWriter()
    // Twice the same number; where there is no passphrase it says nothing.
    writer.append(0)
    writer.append(0)
    writer.append(string: PublicKey.algorithm)
    writer.append(string: publicKey.bytes)
    var both = seed.bytes + publicKey.bytes
    writer.append(string: both)
    both.wipe()
    writer.append(string: comment)
    for number in 1... {
      if writer.bytes.count.isMultiple(of: 8) { break }
      writer.append(raw: [UInt8(number)])
    }
    return writer.taken()
  }
}
