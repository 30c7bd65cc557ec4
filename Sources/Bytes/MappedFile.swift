// A file mapped read-only into memory, so that large checkpoints are read in place.

import Glibc

/// A regular file mapped read-only; unmapped when the last reference goes.
///
/// The bytes are those of the file as it was when it was opened; writers here replace files by
/// renaming. To read what was cut off a file meanwhile would end the process: who reads a mapping long
/// after it was made asks `checkSize` first, which leaves a cut in that very moment.
public final class MappedFile: Sendable {
  public let path: String
  public let byteCount: Int
  /// Address of the mapping, zero for an empty file; read through `withBytes` alone.
  private let address: UInt
  /// Open as long as the mapping, to see whether the file is cut short.
  private let descriptor: Int32

  /// Maps the whole of the regular file at `path`.
  /// - Throws: `InputError` where it cannot be opened, is not a regular file, or cannot be mapped,
  ///   and where a download left something else in its place.
  public convenience init(path: String) throws(InputError) {
    // Without blocking, so that a pipe given by mistake is an error and not a hang.
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      throw InputError(path, "cannot open", system: errno)
    }
    defer { close(descriptor) }
    try self.init(descriptor: descriptor, path: path)
    let head = try bytes(in: 0..<min(byteCount, StandIn.headByteCount))
    if let standIn = StandIn(head: head) { throw standIn.error(path) }
  }

  /// Maps the whole of the open regular file `descriptor`, which errors call `path`.
  package init(descriptor: Int32, path: String) throws(InputError) {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else {
      throw InputError(path, "cannot read its size", system: errno)
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw InputError(path, "not a regular file")
    }
    self.path = path
    self.byteCount = Int(status.st_size)
    guard byteCount > 0 else {
      self.address = 0
      self.descriptor = -1
      return
    }
    let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
    guard copy >= 0 else { throw InputError(path, "cannot open", system: errno) }
    self.descriptor = copy
    let mapping = unsafe mmap(nil, byteCount, PROT_READ, MAP_PRIVATE, descriptor, 0)
    guard let mapping = unsafe mapping, unsafe mapping != MAP_FAILED else {
      let code = errno
      close(copy)
      throw InputError(path, "cannot map into memory", system: code)
    }
    self.address = UInt(bitPattern: mapping)
  }

  deinit {
    guard address != 0 else { return }
    unsafe munmap(UnsafeMutableRawPointer(bitPattern: address), byteCount)
    close(descriptor)
  }

  /// Throws where the file has become shorter since it was mapped.
  public func checkSize() throws(InputError) {
    guard address != 0 else { return }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else {
      throw InputError(path, "cannot read its size", system: errno)
    }
    guard Int(status.st_size) < byteCount else { return }
    throw InputError(
      path, "was cut short while it was open: it has \(status.st_size) bytes, and had \(byteCount)",
      hint: "put the whole file back, under another name that is then changed to this one")
  }

  /// Calls `body` with all bytes of the file; the span must not leave the closure.
  public func withBytes<R, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    let buffer = unsafe UnsafeRawBufferPointer(
      start: UnsafeRawPointer(bitPattern: address), count: byteCount)
    return try body(unsafe buffer.bytes)
  }

  /// Gives the pages of `range` and those beside them back to the system; reading them again maps
  /// them anew.
  ///
  /// What was read of a large file would otherwise count as this process's memory until the end. A
  /// fault maps the pages around it, too: without these, the rows of a table would leave all of it.
  public func release(_ range: Range<Int>) {
    guard address != 0, !range.isEmpty else { return }
    let start = (address + UInt(max(range.lowerBound, 0))) & ~(MappedFile.faultByteCount - 1)
    let end =
      (address + UInt(min(range.upperBound, byteCount)) + MappedFile.faultByteCount - 1)
      & ~(MappedFile.faultByteCount - 1)
    let first = max(start, address)
    let last = min(end, address + UInt(byteCount))
    guard first < last else { return }
    unsafe madvise(
      UnsafeMutableRawPointer(bitPattern: first), Int(last - first), MADV_DONTNEED)
  }

  /// Maps all pages now, so that readers need not stop for them: for a file whose bytes are in the
  /// system's memory already, because all of it has been read.
  ///
  /// A file of more than `populatedByteCount` bytes may not have stayed there: its pages are mapped
  /// as they are read.
  public func populate() {
    // MADV_POPULATE_READ; systems that do not know it (before Linux 5.14) refuse it.
    let populateRead: Int32 = 22
    guard address != 0, byteCount <= MappedFile.populatedByteCount else { return }
    unsafe madvise(UnsafeMutableRawPointer(bitPattern: address), byteCount, populateRead)
  }

  private static let populatedByteCount = 2 << 30

  /// Linux maps as much around the byte that is read (`fault_around_bytes`).
  private static let faultByteCount: UInt = 1 << 16

  /// A copy of the bytes in `range`.
  /// - Throws: `InputError` where the range does not lie inside the file.
  public func bytes(in range: Range<Int>) throws(InputError) -> [UInt8] {
    guard range.lowerBound >= 0, range.upperBound <= byteCount else {
      throw InputError(
        path, offset: range.lowerBound,
        "bytes up to \(range.upperBound) are needed, the file has \(byteCount)")
    }
    return withBytes { all in
      unsafe all.extracting(range).withUnsafeBytes { unsafe Array($0) }
    }
  }

  /// A copy of the whole file, refused before any memory is taken where it is too long.
  public func allBytes(atMost limit: Int) throws(InputError) -> [UInt8] {
    guard byteCount <= limit else {
      throw InputError(path, "has \(byteCount) bytes, at most \(limit) are read")
    }
    return try bytes(in: 0..<byteCount)
  }
}
