// Makes output folders.

import Foundation

public enum Folder {
  /// Makes the folder `path` and its parents where they are missing, readable by the owner only.
  public static func make(_ path: String) throws(InputError) {
    do {
      try FileManager.default.createDirectory(
        atPath: path, withIntermediateDirectories: true,
        attributes: [.posixPermissions: 0o700])
    } catch {
      throw InputError(
        path, "the folder cannot be made", hint: "check the path and its permissions")
    }
  }

  /// Names in the folder `path`, sorted.
  public static func names(in path: String) throws(InputError) -> [String] {
    do { return try FileManager.default.contentsOfDirectory(atPath: path).sorted() } catch {
      throw InputError(path, "is not a folder that can be read", hint: nearestPathHint(to: path))
    }
  }
}
