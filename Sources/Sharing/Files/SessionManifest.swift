// The manifest of one party's file of one session.

public import Bytes
public import Trust

/// Says which session a file holds, without the file being opened: it may be sealed.
public struct SessionManifest: Equatable, Sendable {
  public var header: CorrelationHeader
  /// Name of the file beside the manifest, without the ending of sealed ones.
  public var name: String
  public var entry: FileEntry

  public init(header: CorrelationHeader, name: String, entry: FileEntry) {
    self.header = header
    self.name = name
    self.entry = entry
  }

  /// Where the manifest of the session file `path`, sealed or not, stands.
  public static func path(of path: String) -> String {
    var path = path
    if path.hasSuffix(AgeTool.suffix) { path.removeLast(AgeTool.suffix.count) }
    if path.hasSuffix(".corr") { path.removeLast(5) }
    return path + ".json"
  }

  /// Writes the manifest, and its signature where there is a key.
  public func write(to path: String, key: PrivateKey?) throws(InputError) {
    try ManifestFile.write(
      .session, ["header": header.json, "files": FileEntry.json([name: entry])], to: path,
      key: key)
  }

  /// Reads `path` strictly, after checking its signature where `trust` is given.
  public init(path: String, trust: TrustedKeys? = nil) throws(InputError) {
    try self.init(ManifestFile.read(path, .session, trust: trust), path: path)
  }

  /// Takes what `reader` has of the manifest at `path`, once its signature has been checked.
  init(_ reader: JSONReader, path: String) throws(InputError) {
    var reader = reader
    header = try CorrelationHeader(reader.value("header"), source: path, place: "header")
    let files = try FileEntry.list(&reader)
    try reader.finish()
    guard let (name, entry) = files.first, files.count == 1, name.hasSuffix(".corr") else {
      throw InputError(path, place: "files", "does not name one .corr file")
    }
    self.name = name
    self.entry = entry
  }
}
