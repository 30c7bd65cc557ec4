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
    let partial = try PartialFile.create(for: finalPath, flags: O_RDWR, mode: 0o600)
    self.finalPath = finalPath
    file = OpenFile(descriptor: partial.descriptor, for: finalPath)
    path = partial.path
  }

  init(_ anonymous: AnonymousFile) throws(InputError) {
    finalPath = anonymous.name
    path = nil
    file = try OpenFile(anonymous)
  }

  deinit {
    if let path, !isPublished.load(ordering: .acquiring) { PartialFile.discard(path) }
  }

  /// Makes the content durable, gives the file its name, and makes the name durable.
  func publish() throws(InputError) {
    guard let path else { return }
    guard fsync(file.descriptor) == 0 else {
      throw InputError(finalPath, system: errno)
    }
    guard unsafe rename(path, finalPath) == 0 else {
      throw InputError(finalPath, "cannot be put in place: \(SystemError.message(errno))")
    }
    isPublished.store(true, ordering: .releasing)
    PartialFile.finish(path)
    try FilePaths.synchronizeFolder(FilePaths.folder(of: finalPath))
  }
}
