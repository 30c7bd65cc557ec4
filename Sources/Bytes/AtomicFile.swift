// Writing a file so that it is there completely or not at all, even across a crash.

import Glibc

/// Writes through a temporary name in the same folder, fsync, rename, fsync of the folder.
public struct AtomicFile {
  /// Replaces the file at `path` by `bytes`; on failure nothing new remains in the folder.
  ///
  /// - Parameter mode: permissions of the new file, less those the process's umask withholds.
  /// - Throws: `InputError` naming `path` and the system's reason, such as a full disk.
  public static func write(_ bytes: [UInt8], to path: String, mode: UInt32 = 0o600)
    throws(InputError)
  {
    try write(to: path, mode: mode) { (descriptor) throws(InputError) in
      if let error = fill(descriptor, with: bytes, path: path) { throw error }
    }
  }

  /// The same with the bytes that `body` writes to a descriptor.
  ///
  /// What `body` throws leaves nothing behind, either.
  public static func write(
    to path: String, mode: UInt32 = 0o600, _ body: (Int32) throws(InputError) -> Void
  ) throws(InputError) {
    let (temporary, descriptor) = try PartialFile.create(
      for: path, flags: O_WRONLY, mode: mode)
    var failure: InputError?
    do throws(InputError) {
      try body(descriptor)
      if fsync(descriptor) != 0 { failure = InputError(path, systemCause("cannot write to disk")) }
    } catch {
      failure = error
    }
    // The lock goes with the descriptor, which is closed when the file has its name.
    if failure == nil, unsafe rename(temporary, path) != 0 {
      failure = InputError(path, systemCause("cannot rename"))
    }
    if failure == nil { PartialFile.finish(temporary) } else { PartialFile.discard(temporary) }
    let closed = close(descriptor) == 0 ? nil : InputError(path, systemCause("cannot close"))
    if let error = failure ?? closed { throw error }
    try FilePaths.synchronizeFolder(FilePaths.folder(of: path))
  }

  /// Throws what `write` would throw for a path that no file can be made at: long work finds out
  /// before it begins.
  public static func check(_ path: String) throws(InputError) {
    if FilePaths.isFolder(path) { throw InputError(path, "is a folder") }
    let (temporary, descriptor) = try PartialFile.create(
      for: path, flags: O_WRONLY, mode: 0o600)
    PartialFile.discard(temporary)
    close(descriptor)
  }

  /// Writes all of `bytes` at the end of the file that `write` has given the descriptor of.
  /// - Throws: `InputError` naming `path` and the system's reason.
  public static func append(_ bytes: [UInt8], to descriptor: Int32, path: String) throws(InputError)
  {
    if let error = fill(descriptor, with: bytes, path: path) { throw error }
  }

  private static func fill(_ descriptor: Int32, with bytes: [UInt8], path: String) -> InputError? {
    var written = 0
    while written < bytes.count {
      let count = unsafe bytes.withUnsafeBytes { buffer in
        let rest = unsafe UnsafeRawBufferPointer(rebasing: buffer[written...])
        return unsafe Glibc.write(descriptor, rest.baseAddress, rest.count)
      }
      if count < 0 {
        if errno == EINTR { continue }
        return InputError(path, systemCause("cannot write"))
      }
      written += count
    }
    return nil
  }

  private static func systemCause(_ action: String) -> String {
    "\(action): \(SystemError.message(errno))"
  }
}
