// The sessions in one party's folder, from their manifests or their headers.

public import Bytes
import Containers
public import Sharing
public import Trust

/// One session file, which may be sealed, with what it is said to hold.
public struct SessionFile: Sendable {
  /// The file that is there, `.corr` or `.corr.age`.
  public let path: String
  public let header: CorrelationHeader
  /// What its manifest says of it; nil without a manifest.
  public let entry: FileEntry?

  /// The file at `path` by its manifest if there is one, or else by its header.
  ///
  /// - Throws: `InputError` for a file without a signed manifest where `trust` is given, and for a
  ///   sealed one without any: neither may be opened to see what it is.
  public init(path: String, trust: TrustedKeys?) throws(InputError) {
    self.path = path
    let manifestPath = SessionManifest.path(of: path)
    let isSealed = path.hasSuffix(AgeTool.suffix)
    guard isSealed || trust != nil || FilePaths.exists(manifestPath) else {
      header = try CorrelationFile(path: path, verifying: false).header
      entry = nil
      return
    }
    guard FilePaths.exists(manifestPath) else {
      throw InputError(
        path, "has no manifest \(FilePaths.lastComponent(of: manifestPath)) beside it",
        hint: isSealed
          ? "copy it along with the sealed file" : "lodge-deal --sign KEY writes and signs it")
    }
    let manifest = try SessionManifest(path: manifestPath, trust: trust)
    let name = FilePaths.lastComponent(of: path)
    guard name == manifest.name || name == manifest.name + AgeTool.suffix else {
      throw InputError(manifestPath, place: "files", "does not name \(name)")
    }
    header = manifest.header
    entry = manifest.entry
  }

  /// Paths of the session files in `folder` and in the folders in it: a batch has sessions of one size
  /// and its own names, so that several batches need a folder each.
  public static func paths(below folder: String) throws(InputError) -> [String] {
    var result = try paths(in: folder)
    for name in try Folder.names(in: folder).sorted() where !name.hasPrefix(".") {
      let path = "\(folder)/\(name)"
      if FilePaths.isFolder(path) { result += try paths(in: path) }
    }
    return result
  }

  /// Paths of the session files in `folder`, in the order of their names; a session that is there
  /// sealed and plain comes once.
  public static func paths(in folder: String) throws(InputError) -> [String] {
    let names = try Folder.names(in: folder).filter { !$0.hasPrefix(".") }
    let plain = Set(names.filter { $0.hasSuffix(".corr") })
    let sealed = names.filter {
      $0.hasSuffix(".corr" + AgeTool.suffix)
        && !plain.contains(String($0.dropLast(AgeTool.suffix.count)))
    }
    return (plain + sealed).sorted().map { "\(folder)/\($0)" }
  }
}
