// The hidden file that becomes another when it is complete, and what a killed process left of one.

import Glibc

/// `.<name>.partial` beside a file, locked (flock) while a process writes it.
///
/// There is one such name for each file: what a process that was killed left there is found, and
/// made way with, when the file is written the next time.
public enum PartialFile {
  private static let inUse = "is being written by another process"

  /// Whether `error` is that of `create` for a file that another process is writing.
  public static func isInUse(_ error: InputError) -> Bool { error.cause == inUse }

  /// Creates the partial file of `path`, empty and locked until its last descriptor is closed; an
  /// interruption removes it until `finish`.
  ///
  /// - Parameters:
  ///   - flags: Access mode of the descriptor, `O_WRONLY` or `O_RDWR`.
  ///   - mode: Permissions, less those the process's umask withholds.
  /// - Throws: `InputError` naming `path`, also where another process is writing it.
  public static func create(for path: String, flags: Int32, mode: UInt32) throws(InputError)
    -> (path: String, descriptor: Int32)
  {
    let name = FilePaths.lastComponent(of: path)
    guard !name.isEmpty, name != ".", name != "..", !path.hasSuffix("/") else {
      throw InputError(path, "is not the name of a file")
    }
    // The new file takes the place of what has the name: of a device that would be for good.
    var there = stat()
    if unsafe stat(path, &there) == 0, ![S_IFREG, S_IFDIR].contains(there.st_mode & S_IFMT) {
      throw InputError(
        path, "is not a regular file, and would be replaced by one", hint: "name a file")
    }
    let partial = "\(FilePaths.folder(of: path))/.\(name).partial"
    while true {
      var descriptor: Int32 = -1
      var code: Int32 = 0
      UnfinishedFiles.adding(partial) {
        descriptor = unsafe open(
          partial, flags | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)
        code = errno
        return descriptor >= 0
      }
      if descriptor >= 0 {
        // Whoever looks for abandoned files may have been quicker than this lock.
        if flock(descriptor, LOCK_EX | LOCK_NB) == 0, isAt(partial, descriptor) {
          return (partial, descriptor)
        }
        UnfinishedFiles.remove(partial)
        close(descriptor)
      } else if code == EEXIST {
        try removeAbandoned(partial, of: path)
      } else {
        throw InputError(path, "cannot be created: \(SystemError.message(code))")
      }
    }
  }

  /// The partial file has its final name.
  public static func finish(_ partial: String) { UnfinishedFiles.remove(partial) }

  /// Removes the partial file, which is not wanted any more.
  public static func discard(_ partial: String) {
    unsafe unlink(partial)
    UnfinishedFiles.remove(partial)
  }

  /// Removes `partial` unless a process is writing it.
  private static func removeAbandoned(_ partial: String, of path: String) throws(InputError) {
    let descriptor = unsafe open(partial, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard descriptor >= 0 else {
      if errno == ENOENT { return }
      throw InputError(
        path, "\(FilePaths.lastComponent(of: partial)) is in the way: \(SystemError.message(errno))"
      )
    }
    defer { close(descriptor) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      throw InputError(
        path, inUse, hint: "wait until it has finished")
    }
    guard isAt(partial, descriptor) else { return }
    guard unsafe unlink(partial) == 0 || errno == ENOENT else {
      throw InputError(
        path, "\(FilePaths.lastComponent(of: partial)) is in the way: \(SystemError.message(errno))"
      )
    }
  }

  /// Whether `path` still names the open file.
  private static func isAt(_ path: String, _ descriptor: Int32) -> Bool {
    var (named, opened) = (stat(), stat())
    return unsafe lstat(path, &named) == 0 && fstat(descriptor, &opened) == 0
      && named.st_ino == opened.st_ino && named.st_dev == opened.st_dev
  }
}
