// Free space of the disk that output will go to.

import Glibc

/// Asks before long work whether its output can fit.
public enum DiskSpace {
  /// Bytes that this user may still write in `folder`, or in its nearest parent that exists.
  public static func available(at folder: String) throws(InputError) -> Int {
    var path = FilePaths.withoutTrailingSlashes(folder)
    var system = statvfs()
    while unsafe statvfs(path, &system) != 0 {
      let code = errno
      let parent = FilePaths.folder(of: path)
      guard code == ENOENT, parent != path else {
        throw InputError(folder, system: code)
      }
      path = parent
    }
    return Int(system.f_bavail) * Int(system.f_frsize)
  }

  /// Throws when `count` times `byteCount` bytes of `what` do not fit the disk of `folder`.
  public static func check(
    byteCount: Int, times count: Int = 1, of what: String, at folder: String
  ) throws(InputError) {
    let available = try available(at: folder)
    let (product, overflows) = byteCount.multipliedReportingOverflow(by: count)
    let byteCount = overflows ? Int.max : product
    if byteCount <= available { return }
    throw InputError(
      folder,
      "\(what) need \(Quantity.text(byteCount: byteCount)), "
        + "\(Quantity.text(byteCount: available)) are free", system: ENOSPC,
      hint: "free disk space, deal fewer sessions, or write to another folder")
  }
}
