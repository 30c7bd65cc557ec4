// A file that appears under its name only when it is complete.

import Bytes
import Glibc
import Synchronization

/// A hidden file beside `finalPath`, mode 0600, that is unlinked unless `publish` has succeeded; or
/// a file without a name, which `publish` leaves as it is.
final class TemporaryFile: Sendable {
  let file: OpenFile
  private let path: String?
  let finalPath: String
  private let isPublished = Atomic(false)

  init(for finalPath: String) throws(InputError) {
    let folder = TemporaryFile.folder(of: finalPath)
    let name = finalPath.split(separator: "/").last.map(String.init) ?? ""
    guard !name.isEmpty, !finalPath.hasSuffix("/") else {
      throw InputError(finalPath, "is not the name of a file")
    }
    let random = String(UInt64.random(in: .min ... .max), radix: 36)
    self.finalPath = finalPath
    let path = "\(folder)/.\(name).\(random).partial"
    file = try OpenFile(creating: path, for: finalPath)
    self.path = path
  }

  init(_ anonymous: AnonymousFile) throws(InputError) {
    finalPath = anonymous.name
    path = nil
    file = try OpenFile(anonymous)
  }

  deinit {
    if let path, !isPublished.load(ordering: .acquiring) { unsafe unlink(path) }
  }

  /// Makes the content durable, gives the file its name, and makes the name durable.
  func publish() throws(InputError) {
    guard let path else { return }
    guard fsync(file.descriptor) == 0 else {
      throw InputError(finalPath, OpenFile.message(errno))
    }
    guard unsafe rename(path, finalPath) == 0 else {
      throw InputError(finalPath, "cannot be put in place: \(OpenFile.message(errno))")
    }
    isPublished.store(true, ordering: .releasing)
    let folder = unsafe open(
      TemporaryFile.folder(of: finalPath), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard folder >= 0 else { throw InputError(finalPath, OpenFile.message(errno)) }
    defer { close(folder) }
    guard fsync(folder) == 0 else { throw InputError(finalPath, OpenFile.message(errno)) }
  }

  private static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }
}
