// A folder for secrets that goes with its process, however that ends.

import Foundation
import Glibc

/// A new folder, mode 0700, that is removed when the last reference to it goes.
///
/// A second process, which waits for the end of this one, removes it; signals do not end that. Where
/// both are killed, the next `TemporaryFolder` with the same prefix removes what they left.
public final class TemporaryFolder {
  public let path: String
  /// Locked (flock) while the folder is used.
  private let descriptor: Int32
  private let remover = Process()
  /// Closed, by this process or with it, to let the folder be removed.
  private let end: FileHandle

  /// A folder in the system's folder of temporary files.
  ///
  /// - Parameter prefix: of the name, such as `lodge-validate`; a dash and random digits follow.
  public convenience init(prefix: String) throws(InputError) {
    let parent = FilePaths.withoutTrailingSlashes(NSTemporaryDirectory())
    // Whoever removes what is abandoned does not find a new folder before it is locked.
    let lock = unsafe open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    defer { if lock >= 0 { close(lock) } }
    guard lock >= 0, flock(lock, LOCK_EX) == 0 else {
      throw InputError(parent, "cannot be used: \(SystemError.message(errno))")
    }
    TemporaryFolder.removeAbandoned(in: parent, prefix: prefix)
    try self.init(path: "\(parent)/\(prefix)-\(UUID().uuidString)")
  }

  /// The folder `path`, which must not be there yet.
  public init(path: String) throws(InputError) {
    self.path = path
    let pipe = Pipe()
    end = pipe.fileHandleForWriting
    // In no other process that this one starts: it would keep the folder.
    _ = fcntl(end.fileDescriptor, F_SETFD, FD_CLOEXEC)
    remover.executableURL = URL(filePath: "/bin/sh")
    // Who makes the folder is who removes it: it is never there without.
    remover.arguments = [
      "-c",
      #"trap "" HUP INT TERM; mkdir -m 700 -- "$0" || exit; echo made; read -r line; rm -rf -- "$0""#,
      path,
    ]
    remover.standardInput = pipe.fileHandleForReading
    let answer = Pipe()
    remover.standardOutput = answer
    remover.standardError = FileHandle.nullDevice
    do { try remover.run() } catch {
      throw InputError(path, "cannot be made: /bin/sh does not run")
    }
    let made = try? answer.fileHandleForReading.read(upToCount: 1)
    guard made?.isEmpty == false else {
      throw InputError(
        path, FilePaths.exists(path) ? "is there already" : "cannot be made",
        hint: "name a folder that can be made, and removed at the end")
    }
    descriptor = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
    guard descriptor >= 0, flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      throw InputError(path, "cannot be locked: \(SystemError.message(errno))")
    }
  }

  deinit {
    try? end.close()
    remover.waitUntilExit()
    close(descriptor)
  }

  /// Removes folders of this user with `prefix` that no process uses.
  private static func removeAbandoned(in parent: String, prefix: String) {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? []
    for name in names where name.hasPrefix("\(prefix)-") {
      let path = "\(parent)/\(name)"
      let descriptor = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
      guard descriptor >= 0 else { continue }
      defer { close(descriptor) }
      var folder = stat()
      guard unsafe fstat(descriptor, &folder) == 0, folder.st_uid == geteuid(),
        flock(descriptor, LOCK_EX | LOCK_NB) == 0
      else { continue }
      try? FileManager.default.removeItem(atPath: path)
    }
  }
}
