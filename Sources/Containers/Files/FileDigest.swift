// SHA-256 of files as they are, whatever is in them: what manifests sign.

public import Bytes
import Glibc

/// The length and the SHA-256 of all bytes of a file.
public struct FileDigest: Equatable, Sendable {
  /// 32 bytes.
  public var sha256: [UInt8]
  public var byteCount: Int

  public init(sha256: [UInt8], byteCount: Int) {
    self.sha256 = sha256
    self.byteCount = byteCount
  }

  /// Reads the whole file at `path`.
  public init(path: String) throws(InputError) { try self.init(OpenFile(reading: path)) }

  /// Reads the whole of a file without a name.
  public init(_ file: AnonymousFile) throws(InputError) { try self.init(OpenFile(file)) }

  private init(_ file: OpenFile) throws(InputError) {
    byteCount = try file.byteCount()
    sha256 = try file.sha256(of: 0..<byteCount)
  }

  /// Throws `InputError` when the file at `path` is another one; reads all of it.
  public func check(path: String) throws(InputError) { try check(OpenFile(reading: path)) }

  /// Throws when `file` is another one; reads all of it.
  func check(_ file: OpenFile) throws(InputError) {
    let found = try file.byteCount()
    guard found == byteCount else {
      throw InputError(
        file.path, "has \(found) bytes, its manifest says \(byteCount)",
        hint: "it is another file, or it was changed after its manifest was written")
    }
    guard try file.sha256(of: 0..<byteCount) == sha256 else {
      throw InputError(
        file.path, "its SHA-256 is not the one in its manifest",
        hint: "it is another file, or it was changed after its manifest was written")
    }
  }
}
