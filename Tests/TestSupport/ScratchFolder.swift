// A folder for the files one test writes.

import Foundation
import Glibc

/// A new empty folder, removed with all it holds when the last reference goes.
public final class ScratchFolder: Sendable {
  public let path: String

  /// - Parameter inMemory: For tests of many small durable writes, which a disk would slow down.
  public init(inMemory: Bool = false) throws {
    let memory = "/dev/shm"
    let parent =
      inMemory && FileManager.default.isWritableFile(atPath: memory)
      ? URL(filePath: memory) : FileManager.default.temporaryDirectory
    let folder =
      parent
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
