// A folder for the files one test writes.

public import Foundation
import Glibc

/// A new empty folder, removed with all it holds when the last reference goes.
public final class ScratchFolder: Sendable {
  public let path: String

  /// - Parameter isInMemory: whether many small files come and go, for which a disk is slow.
  public init(isInMemory: Bool = false) throws {
    let memory = URL(filePath: "/dev/shm")
    let isThere = isInMemory && FileManager.default.isWritableFile(atPath: memory.path)
    let folder = (isThere ? memory : FileManager.default.temporaryDirectory)
      .appending(path: "lodge-test-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    self.path = folder.path
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// The path of `name` in this folder.
  public func file(_ name: String) -> String { "\(path)/\(name)" }

  /// Writes `bytes` to `name` and returns its path.
  public func write(_ bytes: some Sequence<UInt8>, to name: String) throws -> String {
    try Data(bytes).write(to: URL(filePath: file(name)))
    return file(name)
  }

  /// Names of the files in the folder, sorted.
  public func names() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: path).sorted()
  }
}

extension FileManager {
  /// Paths of all files and folders below `folder`.
  public func files(below folder: String) -> [String] {
    (enumerator(atPath: folder)?.allObjects as? [String] ?? []).sorted()
  }
}
