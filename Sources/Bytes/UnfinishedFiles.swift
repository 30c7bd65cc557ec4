// Files that mean nothing before they are finished, for whoever ends the process early.

import Glibc
import Synchronization

/// Names of files that this process is writing; an interruption removes them. Folders go where they
/// are empty then.
///
/// A process that is killed leaves them: `PartialFile` finds its own the next time, and no other is
/// taken for a finished file.
public enum UnfinishedFiles {
  private static let paths = Mutex<[String]>([])

  public static func add(_ path: String) { paths.withLock { $0.append(path) } }

  /// Adds `path` where `create` makes the file and says so: no interruption comes between.
  static func adding(_ path: String, _ create: () -> Bool) {
    paths.withLock { paths in
      if create() { paths.append(path) }
    }
  }

  /// `path` has its content and its final name, or is gone.
  public static func remove(_ path: String) {
    paths.withLock { paths in
      if let index = paths.lastIndex(of: path) { paths.remove(at: index) }
    }
  }

  /// Runs `body`, which writes the files `paths` one after the other: they count when all are there.
  public static func whileWriting<Result>(
    _ paths: [String], _ body: () throws(InputError) -> Result
  ) throws(InputError) -> Result {
    for path in paths { add(path) }
    defer { for path in paths { remove(path) } }
    return try body()
  }

  /// Removes all, and calls `end`, which does not return, before any other is begun.
  ///
  /// The last comes first: a partial file, whose thread may be about to give it its name, goes before
  /// the file that it would become.
  public static func removeAll(thenEnd end: () -> Never) -> Never {
    paths.withLock { paths in
      for path in paths.reversed() { unsafe Glibc.remove(path) }
      end()
    }
  }
}
