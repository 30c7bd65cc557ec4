// How the files of a conversion or of a batch are handed over.

public import Bytes
public import Containers
public import Trust

/// Who signs the manifests, and whom the parties' files are sealed for.
public struct Delivery: Sendable {
  /// Signs; nil leaves manifests unsigned.
  public var key: PrivateKey?
  /// Those who can open the files of party 0 and of party 1; empty for files that are not sealed.
  public var recipients: [AgeRecipient]
  /// Where the plaintext of sealed files lies until it is sealed.
  public var scratch: Scratch

  /// Neither signed nor sealed.
  public static let plain = Delivery()

  public init(
    key: PrivateKey? = nil, recipients: [AgeRecipient] = [], scratch: Scratch = .memory
  ) {
    precondition(recipients.isEmpty || recipients.count == 2, "one recipient for each party")
    self.key = key
    self.recipients = recipients
    self.scratch = scratch
  }

  /// From the options `--sign`, `--recipient0`, `--recipient1` and `--scratch`.
  ///
  /// - Throws: `InputError` for one recipient without the other, and where age refuses one.
  public init(sign: String?, recipients: [String?], scratch: String?) throws(InputError) {
    var keys: [AgeRecipient] = []
    for (party, text) in recipients.enumerated() {
      if let text {
        keys.append(try AgeRecipient(textOrPath: text))
      } else if recipients.contains(where: { $0 != nil }) {
        throw InputError(
          "--recipient\(party)", "is missing: the files of both parties are sealed or none",
          hint: "give the public key of party \(party)")
      }
    }
    for recipient in keys { try AgeTool.check(recipient) }
    if keys.count == 2, keys[0] == keys[1] {
      throw InputError(
        "--recipient1", "is that of party 0 as well: it could open both shares",
        hint: "each party has a key of its own")
    }
    var key: PrivateKey?
    if let sign { key = try PrivateKey(path: sign) }
    self.init(
      key: key, recipients: keys, scratch: scratch.map(Scratch.folder) ?? .memory)
  }

  /// Whether session files are written with manifests: a signature needs one, and a sealed file
  /// cannot say itself what it is.
  public var needsManifests: Bool { key != nil || !recipients.isEmpty }

  /// The file `name` of `party` in `folder`; of a party's files none lies there in plaintext when
  /// they are sealed.
  public func file(_ name: String, in folder: String, party: Int) throws(InputError)
    -> OutgoingFile
  {
    try OutgoingFile(
      name: name, folder: folder, recipient: recipients.isEmpty ? nil : recipients[party],
      scratch: scratch)
  }
}

/// One file on its way to a party: written, then sealed where it has a recipient.
public struct OutgoingFile: Sendable {
  /// Without the ending of sealed files, as manifests name it.
  public let name: String
  /// Where it appears.
  public let path: String
  private let recipient: AgeRecipient?
  private let anonymous: AnonymousFile?

  init(
    name: String, folder: String, recipient: AgeRecipient?, scratch: Scratch
  ) throws(InputError) {
    self.name = name
    self.recipient = recipient
    path = "\(folder)/\(name)" + (recipient == nil ? "" : AgeTool.suffix)
    anonymous = recipient == nil ? nil : try AnonymousFile(scratch, name: path)
  }

  /// Writes the container; when it is finished, `publish` has to follow.
  public func writer(
    kind: String, header: JSON, datasets: [DatasetDescription]
  ) throws(InputError) -> ContainerWriter {
    guard let anonymous else {
      return try ContainerWriter(path: path, kind: kind, header: header, datasets: datasets)
    }
    return try ContainerWriter(anonymous, kind: kind, header: header, datasets: datasets)
  }

  /// Seals the finished container where it has a recipient, and returns its entry in a manifest.
  public func publish(digest: [UInt8]) throws(InputError) -> FileEntry {
    guard let anonymous, let recipient else {
      return FileEntry(digest: digest, file: try FileDigest(path: path))
    }
    anonymous.rewind()
    try AgeTool.seal(anonymous.descriptor, for: recipient, to: path)
    return FileEntry(
      digest: digest, file: try FileDigest(anonymous), sealed: try FileDigest(path: path))
  }
}
