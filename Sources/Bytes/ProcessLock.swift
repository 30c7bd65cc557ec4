// A lock on a file or folder that the kernel takes back when the process dies.

import Glibc

/// Exclusive use of one file or folder among the processes of this machine (flock).
///
/// Nothing is written: a killed process leaves no stale lock behind.
package final class ProcessLock {
  private let descriptor: Int32

  /// Locks `path`, which is opened with `flags`; a file that they create has mode 0600.
  ///
  /// - Throws: `InputError` with the cause `taken` when another holder has it.
  package init(_ path: String, flags: Int32, taken: String, hint: String) throws(InputError) {
    // A file is not looked for through a link; a folder may be.
    let isFolder = flags & O_DIRECTORY != 0
    let descriptor = unsafe open(
      path, flags | O_CLOEXEC | (isFolder ? 0 : O_NOFOLLOW), 0o600)
    guard descriptor >= 0 else {
      if errno == ELOOP, !isFolder { throw FilePaths.linkError(path) }
      throw InputError(
        path, "cannot be opened: \(SystemError.message(errno))", hint: "does the folder exist?")
    }
    // Whoever asks `isTaken` holds it for an instant: that is waited out.
    var attempt = 1
    while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      let code = errno
      if code == EWOULDBLOCK || code == EINTR, attempt < 10 {
        attempt += 1
        usleep(20_000)
        continue
      }
      close(descriptor)
      throw InputError(
        path, code == EWOULDBLOCK ? taken : "cannot be locked: \(SystemError.message(code))",
        hint: hint)
    }
    self.descriptor = descriptor
  }

  deinit { close(descriptor) }

  /// Whether a process has `path` locked at this moment.
  package static func isTaken(_ path: String) -> Bool {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    return flock(descriptor, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK
  }
}
