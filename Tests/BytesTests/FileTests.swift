// Mapped files and atomic writes, with every failure a file system readily gives.

import Bytes
import Foundation
import TestSupport
import Testing

@Suite struct FileTests {
  private let folder: ScratchFolder

  init() throws { folder = try ScratchFolder() }

  @Test func mapsWhatIsThere() throws {
    let bytes = (0..<10_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    let file = try MappedFile(path: folder.write(bytes, to: "a"))
    #expect(file.byteCount == 10_000)
    #expect(try file.bytes(in: 4090..<4110) == Array(bytes[4090..<4110]))
    #expect(try file.bytes(in: 10_000..<10_000).isEmpty)
    #expect(try file.allBytes(atMost: 10_000) == bytes)
    #expect(file.withBytes { $0.byteCount } == 10_000)
  }

  @Test func mapsAnEmptyFile() throws {
    let file = try MappedFile(path: folder.write([], to: "empty"))
    #expect(file.byteCount == 0)
    #expect(try file.bytes(in: 0..<0).isEmpty)
    #expect(file.withBytes { $0.byteCount } == 0)
  }

  @Test func refusesRangesOutside() throws {
    let file = try MappedFile(path: folder.write([1, 2, 3], to: "a"))
    #expect(throws: InputError.self) { try file.bytes(in: 2..<4) }
    #expect(throws: InputError.self) { try file.bytes(in: -1..<2) }
    #expect(throws: InputError.self) { try file.allBytes(atMost: 2) }
  }

  @Test func refusesWhatIsNotARegularFile() throws {
    let absent = folder.file("none")
    #expect(throws: InputError(absent, "cannot open: no such file or directory")) {
      try MappedFile(path: absent)
    }
    #expect(throws: InputError(folder.path, "not a regular file")) {
      try MappedFile(path: folder.path)
    }
    #expect(throws: InputError("/dev/null", "not a regular file")) {
      try MappedFile(path: "/dev/null")
    }
    let pipe = folder.file("pipe")
    let made = unsafe mkfifo(pipe, 0o600)
    try #require(made == 0)
    #expect(throws: InputError(pipe, "not a regular file")) { try MappedFile(path: pipe) }
  }

  /// A file that takes the place of /dev/null takes it from everybody.
  @Test func devicesAndPipesAreNotReplaced() throws {
    let (pipe, link) = (folder.file("pipe"), folder.file("link"))
    try #require(unsafe mkfifo(pipe, 0o600) == 0)
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: pipe)
    for path in [pipe, link] {
      let error = inputError { try AtomicFile.write([1], to: path) }
      #expect(error?.cause == "is not a regular file, and would be replaced by one")
      #expect(inputError { try AtomicFile.check(path) } == error)
    }
    var there = stat()
    #expect(unsafe lstat(pipe, &there) == 0 && there.st_mode & S_IFMT == S_IFIFO)
  }

  @Test func writesWithModeAndReplaces() throws {
    let path = folder.file("out")
    try AtomicFile.write([1, 2, 3], to: path)
    let attributes = try FileManager.default.attributesOfItem(atPath: path)
    #expect(attributes[.posixPermissions] as? Int == 0o600)
    let large = [UInt8](repeating: 7, count: 3_000_000)
    try AtomicFile.write(large, to: path, mode: 0o644)
    #expect(try MappedFile(path: path).allBytes(atMost: Int.max) == large)
    #expect(try folder.names() == ["out"])
  }

  @Test func aMappedFileOutlivesItsReplacement() throws {
    let path = try folder.write([1, 1, 1], to: "a")
    let file = try MappedFile(path: path)
    try AtomicFile.write([2], to: path)
    #expect(try file.bytes(in: 0..<3) == [1, 1, 1])
  }

  /// Asked before it is read, a mapping says that its bytes are gone, and nothing is killed.
  @Test func aMappedFileThatIsCutShortIsNoticed() throws {
    let path = try folder.write([UInt8](repeating: 1, count: 100_000), to: "a")
    let file = try MappedFile(path: path)
    try file.checkSize()
    try #require(unsafe truncate(path, 5000) == 0)
    let error = inputError { try file.checkSize() }
    #expect(
      error?.cause == "was cut short while it was open: it has 5000 bytes, and had 100000")
    #expect(error?.source == path)
    // One that has taken its place is another file.
    try AtomicFile.write([2], to: path)
    #expect(inputError { try file.checkSize() } != nil)
    let other = try MappedFile(path: path)
    try AtomicFile.write([], to: path)
    try other.checkSize()
  }

  /// Rows that do not end with pages, one after another: what was read of them does not stay.
  @Test func releasedRowsLeaveNoPages() throws {
    let rowByteCount = 5_000
    let rowCount = 3_200
    let bytes = [UInt8](repeating: 1, count: rowByteCount * rowCount)
    let file = try MappedFile(path: folder.write(bytes, to: "rows-that-are-released"))
    for row in 0..<rowCount {
      let range = row * rowByteCount..<(row + 1) * rowByteCount
      #expect(try file.bytes(in: range).count == rowByteCount)
      file.release(range)
    }
    let data = try withExtendedLifetime(file) {
      try #require(try FileHandle(forReadingAtPath: "/proc/self/smaps")?.readToEnd())
    }
    let maps = String(decoding: data, as: UTF8.self).split(separator: "\n")
    let start = try #require(maps.firstIndex { $0.hasSuffix("rows-that-are-released") })
    let line = try #require(maps[start...].first { $0.hasPrefix("Rss:") })
    let resident = try #require(line.split(separator: " ").dropFirst().first.flatMap { Int($0) })
    #expect(resident < file.byteCount / 1024 / 4, "\(resident) kB of \(file.byteCount / 1024)")
  }

  @Test func failedWritesLeaveNothing() throws {
    #expect(throws: InputError.self) { try AtomicFile.write([1], to: folder.file("no/such/place")) }
    #expect(throws: InputError.self) { try AtomicFile.write([1], to: folder.file("")) }
    #expect(throws: InputError.self) { try AtomicFile.write([1], to: folder.file("..")) }
    // A folder in the way of the rename.
    try FileManager.default.createDirectory(
      atPath: folder.file("taken/x"), withIntermediateDirectories: true)
    let error = #expect(throws: InputError.self) {
      try AtomicFile.write([1], to: folder.file("taken"))
    }
    #expect(error?.cause.hasPrefix("cannot rename: ") == true)
    #expect(try folder.names() == ["taken"])
  }

  @Test func splitsPaths() {
    #expect(FilePaths.folder(of: "a") == ".")
    #expect(FilePaths.folder(of: "/a") == "/")
    #expect(FilePaths.folder(of: "x/y/z") == "x/y")
    #expect(FilePaths.lastComponent(of: "x/y/z") == "z")
    #expect(FilePaths.lastComponent(of: "x/") == "")
    #expect(FilePaths.withoutTrailingSlashes("x/y//") == "x/y")
    #expect(FilePaths.withoutTrailingSlashes("//") == "/")
    #expect(FilePaths.isFolder(folder.path))
    #expect(!FilePaths.isFolder(folder.file("none")))
  }
}
