// A file descriptor with checked, positioned reads and writes, and mapped windows.

import Bytes
import CHDF5
import Glibc

/// An open regular file; all transfers name their offset, so threads do not disturb each other.
final class OpenFile: Sendable {
  let descriptor: Int32
  /// The name used in errors.
  let path: String
  /// The name under which libhdf5 opens the file once more, whatever has become of its own.
  var reopenPath: String { "/proc/self/fd/\(descriptor)" }
  /// Whether no folder holds the file.
  let isNameless: Bool

  /// Opens `path` for reading; throws where it is absent or not a regular file.
  init(reading path: String) throws(InputError) {
    descriptor = try FilePaths.openSecret(path)
    self.path = path
    isNameless = false
    guard try status().st_mode & S_IFMT == S_IFREG else {
      throw InputError(path, "is not a regular file")
    }
  }

  /// Owns the open `descriptor`; errors name `finalPath`.
  init(descriptor: Int32, for finalPath: String) {
    self.descriptor = descriptor
    self.path = finalPath
    isNameless = false
  }

  /// A second descriptor of a file without a name.
  init(_ file: AnonymousFile) throws(InputError) {
    descriptor = fcntl(file.descriptor, F_DUPFD_CLOEXEC, 0)
    path = file.name
    isNameless = true
    guard descriptor >= 0 else { throw InputError(path, system: errno) }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  func status() throws(InputError) -> stat {
    var result = stat()
    guard unsafe fstat(descriptor, &result) == 0 else {
      throw InputError(path, system: errno)
    }
    return result
  }

  func byteCount() throws(InputError) -> Int { Int(try status().st_size) }

  /// All bytes, mapped read-only.
  func mapped() throws(InputError) -> MappedFile {
    try MappedFile(descriptor: descriptor, path: path)
  }

  /// A copy of the bytes in `range`, which lies in the file.
  func bytes(in range: Range<Int>) throws(InputError) -> [UInt8] {
    var failure: InputError?
    let result = unsafe [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
      do throws(InputError) {
        try unsafe read(into: UnsafeMutableRawBufferPointer(buffer), at: range.lowerBound)
        count = range.count
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return result
  }

  /// Fills `buffer` from `offset`; a file that ends earlier is an error.
  func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(InputError) {
    var done = 0
    while done < buffer.count {
      let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
      let count = unsafe pread(descriptor, rest.baseAddress, rest.count, offset + done)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw InputError(path, system: errno) }
      guard count > 0 else { throw InputError(path, offset: offset + done, "the file ends here") }
      done += count
    }
  }

  /// Writes `buffer` at `offset`.
  func write(_ buffer: UnsafeRawBufferPointer, at offset: Int) throws(InputError) {
    var done = 0
    while done < buffer.count {
      let rest = unsafe UnsafeRawBufferPointer(rebasing: buffer[done...])
      let count = unsafe pwrite(descriptor, rest.baseAddress, rest.count, offset + done)
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw InputError(path, system: errno) }
      done += count
    }
    // The disk begins with large pieces at once, so that little is left when the file is finished.
    if buffer.count >= 1 << 18 {
      lodge_begin_writeback(descriptor, Int64(offset), Int64(buffer.count))
    }
  }

  /// Takes disk space for the first `byteCount` bytes, so that filling them cannot fail for want
  /// of it, not even through a mapping.
  func reserve(byteCount: Int) throws(InputError) {
    guard byteCount > 0 else { return }
    var system = statvfs()
    let isKnown = unsafe fstatvfs(descriptor, &system) == 0
    var number: Int32
    repeat { number = posix_fallocate(descriptor, 0, byteCount) } while number == EINTR
    guard number == 0 else {
      let available = Int(system.f_bavail) * Int(system.f_frsize)
      throw InputError(
        path,
        "\(SystemError.message(number)): \(byteCount) bytes needed"
          + (isKnown ? ", \(available) available" : ""),
        hint: "free disk space, or write to another folder")
    }
  }

  /// Calls `body` with a writable mapping of `range`, which lies in the file.
  func withMapping<R>(
    of range: Range<Int>, _ body: (UnsafeMutableRawBufferPointer) throws(InputError) -> R
  ) throws(InputError) -> R {
    guard !range.isEmpty else {
      return try unsafe body(UnsafeMutableRawBufferPointer(start: nil, count: 0))
    }
    let page = sysconf(Int32(_SC_PAGESIZE))
    let start = range.lowerBound / page * page
    let byteCount = range.upperBound - start
    let address = unsafe mmap(
      nil, byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, start)
    guard let address = unsafe address, unsafe address != MAP_FAILED else {
      throw InputError(path, "cannot be mapped", system: errno)
    }
    defer { unsafe munmap(address, byteCount) }
    return try unsafe body(
      UnsafeMutableRawBufferPointer(
        start: address + (range.lowerBound - start), count: range.count))
  }
}
