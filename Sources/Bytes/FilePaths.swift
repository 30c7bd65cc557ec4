// Parts of file paths, and the durability of folder entries.

import Glibc

/// Paths as POSIX splits them.
public enum FilePaths {
  /// The folder that holds `path`: "." for a bare name, "/" for a name in the root.
  public static func folder(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == path.utf8.startIndex ? "/" : String(path[..<slash])
  }

  /// The path of `name` in the folder of `path`.
  public static func beside(_ path: String, _ name: String) -> String {
    switch folder(of: path) {
    case ".": path.hasPrefix("./") ? "./\(name)" : name
    case "/": "/\(name)"
    case let folder: "\(folder)/\(name)"
    }
  }

  /// What follows the last slash.
  public static func lastComponent(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return path }
    return String(path[path.utf8.index(after: slash)...])
  }

  /// "x/y" for "x/y/"; the root stays "/".
  public static func withoutTrailingSlashes(_ path: String) -> String {
    var path = path
    while path.utf8.count > 1, path.utf8.last == UInt8(ascii: "/") { path.removeLast() }
    return path
  }

  /// Whether `path` names a folder that exists.
  public static func isFolder(_ path: String) -> Bool {
    var status = stat()
    return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// Whether there is anything at `path`, following links.
  public static func exists(_ path: String) -> Bool {
    var status = stat()
    return unsafe stat(path, &status) == 0
  }

  /// The one path of what is at `path`, absolute and without links; nil where there is nothing.
  public static func resolved(_ path: String) -> String? {
    guard let bytes = unsafe realpath(path, nil) else { return nil }
    defer { unsafe free(bytes) }
    return unsafe String(cString: bytes)
  }

  /// Bytes of the file at `path`, following links.
  public static func byteCount(of path: String) throws(InputError) -> Int {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else {
      throw InputError(path, system: errno)
    }
    return Int(status.st_size)
  }

  /// Whether the file at `path` was written after that at `other`, following links.
  public static func isNewer(_ path: String, than other: String) throws(InputError) -> Bool {
    var times: [(Int, Int)] = []
    for path in [path, other] {
      var status = stat()
      guard unsafe stat(path, &status) == 0 else {
        throw InputError(path, system: errno)
      }
      times.append((status.st_mtim.tv_sec, status.st_mtim.tv_nsec))
    }
    return times[0] > times[1]
  }

  /// Opens a regular file that holds secrets for reading.
  ///
  /// - Throws: `InputError` also for a symbolic link: whoever made it could have another file read
  ///   in the place of this one.
  public static func openSecret(_ path: String) throws(InputError) -> Int32 {
    // Without O_NONBLOCK opening a pipe would wait for its other end.
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW)
    guard descriptor >= 0 else {
      guard errno == ELOOP else { throw InputError(path, system: errno) }
      throw linkError(path)
    }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw InputError(path, "is not a regular file")
    }
    return descriptor
  }

  /// The error for a symbolic link in the place of a file with secrets.
  public static func linkError(_ path: String) -> InputError {
    InputError(
      path, "is a symbolic link, and files with secrets are not opened through one",
      hint: "give the path of the file itself")
  }

  /// `path` as an argument that no program takes for an option.
  public static func argument(_ path: String) -> String {
    path.hasPrefix("-") ? "./\(path)" : path
  }

  /// Makes renames inside `folder` durable.
  /// - Throws: `InputError` where the folder cannot be opened or synchronized.
  public static func synchronizeFolder(_ folder: String) throws(InputError) {
    let descriptor = unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw InputError(folder, "cannot open the folder", system: errno)
    }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else {
      throw InputError(folder, "cannot write the folder to disk", system: errno)
    }
  }
}
