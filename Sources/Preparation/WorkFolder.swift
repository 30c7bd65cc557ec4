// A folder that appears under its name when all of it is there.

public import Bytes
import Foundation
import Glibc

/// What is being made for the folder `out`; it goes with its process unless `finish` is called.
public struct WorkFolder {
  private let temporary: TemporaryFolder
  private let out: String
  public var path: String { temporary.path }

  /// - Throws: `InputError` where it cannot be made beside `out`.
  public init(for out: String) throws(InputError) {
    self.out = out
    let parent = FilePaths.folder(of: out)
    guard FilePaths.isFolder(parent) else {
      throw InputError(parent, "is no folder", hint: nearestPathHint(to: parent))
    }
    temporary = try TemporaryFolder(
      path: "\(parent)/.\(FilePaths.lastComponent(of: out)).partial")
  }

  /// Writes lists of tokens; one list as a list of ids.
  public func write(_ texts: [[Int]], to path: String) throws(InputError) {
    let lists = texts.map { JSON.array($0.map(JSON.integer)) }
    try write(lists.count == 1 ? lists[0] : .array(lists), to: path)
  }

  public func write(_ document: JSON, to path: String) throws(InputError) {
    try AtomicFile.write(Array("\(document.text)\n".utf8), to: path)
  }

  /// Moves a file that is alone in its folder, and removes that.
  public func move(_ path: String, to destination: String) throws(InputError) {
    guard unsafe rename(path, destination) == 0 else {
      throw InputError(destination, "cannot be written", system: errno)
    }
    unsafe rmdir(FilePaths.folder(of: path))
  }

  /// Gives the folder its name.
  public func finish() throws(InputError) {
    // What has come to be there meanwhile is replaced if it is an empty folder, and nothing else.
    guard unsafe rename(path, out) == 0 else {
      throw InputError(out, "cannot get its name", system: errno)
    }
    try FilePaths.synchronizeFolder(FilePaths.folder(of: out))
  }
}
