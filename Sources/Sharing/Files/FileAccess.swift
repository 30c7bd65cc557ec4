// How a party, a client or a dealer opens files that others have made.

public import Bytes
public import Containers
public import Trust

/// Whose signatures count, and which key opens sealed files.
public struct FileAccess: Sendable {
  /// Where given, a file is compared with its signed manifest before anything in it is interpreted.
  public var trust: TrustedKeys?
  /// Path of the private key that sealed files are opened with.
  public var identity: String?
  /// Where the plaintext of sealed files lies while they are open.
  public var scratch: Scratch

  /// Files are plain, and need no manifest.
  public static let plain = FileAccess()

  public init(
    trust: TrustedKeys? = nil, identity: String? = nil, scratch: Scratch = .memory
  ) {
    self.trust = trust
    self.identity = identity
    self.scratch = scratch
  }

  /// From the options `--trust`, `--identity` and `--scratch`.
  public init(trust: String?, identity: String?, scratch: String?) throws(InputError) {
    var keys: TrustedKeys?
    if let trust { keys = try TrustedKeys(textOrPath: trust) }
    self.init(
      trust: keys, identity: identity, scratch: scratch.map(Scratch.folder) ?? .memory)
  }

  /// Opens the container at `path`, and compares all of it with `entry` or, without one, with the
  /// digests in it.
  ///
  /// - Throws: `InputError` also for a file without an entry where one is needed.
  public func reader(_ path: String, kind: String?, entry: FileEntry?) throws(InputError)
    -> ContainerReader
  {
    guard entry != nil || trust == nil else {
      throw InputError(
        path, "no signed manifest names it", hint: "whoever made it signs with --sign KEY")
    }
    let reader: ContainerReader
    if path.hasSuffix(AgeTool.suffix) {
      reader = try ContainerReader(
        unsealed(path), kind: kind, expecting: entry?.file, verifying: true)
    } else if let entry {
      reader = try ContainerReader(path: path, kind: kind, expecting: entry.file)
    } else {
      reader = try ContainerReader(path: path, kind: kind, verifying: true)
    }
    if let entry, reader.digest != entry.digest {
      throw InputError(path, place: "digest", "is not the one in its manifest")
    }
    return reader
  }

  /// What the manifest of a conversion says of the file at `path`; nil where nobody has to ask.
  func entry(ofBundle path: String) throws(InputError) -> FileEntry? {
    guard trust != nil else { return nil }
    var name = FilePaths.lastComponent(of: path)
    if name.hasSuffix(AgeTool.suffix) { name.removeLast(AgeTool.suffix.count) }
    let manifestName = Manifest.name(naming: name)
    let manifestPath = "\(FilePaths.folder(of: path))/\(manifestName)"
    guard FilePaths.exists(manifestPath) else {
      throw InputError(
        path, "has no \(manifestName) beside it, which --trust needs",
        hint: "copy \(manifestName) and \(manifestName).sig along with the bundle")
    }
    let manifest = try Manifest(path: manifestPath, trust: trust)
    guard let entry = manifest.files[name] else {
      throw InputError(manifestPath, place: "files", "does not name \(name)")
    }
    return entry
  }

  private func unsealed(_ path: String) throws(InputError) -> AnonymousFile {
    guard let identity else {
      throw InputError(
        path, "is sealed", hint: "give the private key that it is sealed for with --identity")
    }
    let file = try AnonymousFile(scratch, name: path)
    // Sealing adds a little and takes nothing away.
    try file.check(byteCount: FilePaths.byteCount(of: path))
    try AgeTool.unseal(path, identity: identity, to: file.descriptor)
    return file
  }
}
