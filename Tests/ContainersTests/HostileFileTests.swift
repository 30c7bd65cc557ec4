// Damaged and foreign files end in one-line errors: never in a crash, never in wrong data.

import Bytes
import Containers
import Foundation
import HDF5Reading
import Testing

@Suite struct HostileFileTests {
  let folder = try! ScratchFolder()

  private func open(_ bytes: Data) throws -> InputError? {
    let url = folder.url.appending(path: "hostile")
    // `Data.write` waits for the disk, which is long for ten thousand files.
    try? FileManager.default.removeItem(at: url)
    _ = FileManager.default.createFile(atPath: url.path, contents: nil)
    let handle = try FileHandle(forWritingTo: url)
    try handle.write(contentsOf: bytes)
    try handle.close()
    return failure { () throws(InputError) in
      let reader = try ContainerReader(path: url.path, kind: "model", verifying: true)
      // A byte that belongs to nothing may change; content may not.
      guard try Sample.isIntact(reader) else {
        throw InputError("test", "wrong data was accepted")
      }
    }
  }

  private func sample() throws -> Data {
    try Sample.write(to: folder.path("sample"))
    return try Data(contentsOf: folder.url.appending(path: "sample"))
  }

  /// Records an issue unless `error` is there, on one line, and names the file.
  private func expectOneLine(_ error: InputError?, _ comment: @autoclosure () -> String) {
    let text = error?.description ?? "no error"
    // Not with #expect, which is slow when it is asked ten thousand times.
    if error == nil || text.contains("\n") || text.utf8.count > 400 || !text.contains("hostile") {
      Issue.record("\(comment()): \(text)")
    }
  }

  @Test func everyTruncationIsRefused() throws {
    let whole = try sample()
    for length in 0..<whole.count {
      expectOneLine(try open(whole.prefix(length)), "\(length) bytes")
    }
    expectOneLine(try open(whole + Data([0])), "one byte more")
    #expect(try open(whole.prefix(whole.count / 2))?.cause.contains("truncated") == true)
  }

  @Test(arguments: [0x01, 0x80, 0xff] as [UInt8]) func noChangedByteYieldsWrongData(
    mask: UInt8
  ) throws {
    let whole = try sample()
    var acceptedCount = 0
    for index in whole.indices {
      var bytes = whole
      bytes[index] ^= mask
      let error = try open(bytes)
      if error == nil { acceptedCount += 1 } else { expectOneLine(error, "byte \(index)") }
    }
    // Only padding between structures, which nothing reads, may go unnoticed.
    #expect(acceptedCount < whole.count * 3 / 4)
  }

  @Test func noBurstOfChangesYieldsWrongData() throws {
    let whole = try sample()
    var random = Sequence64(state: 4)
    for round in 0..<2000 {
      var bytes = whole
      for _ in 0...random.next() % 4 {
        let start = Int(random.next() % UInt64(bytes.count))
        for index in start..<min(start + Int(random.next() % 16) + 1, bytes.count) {
          bytes[index] = UInt8(truncatingIfNeeded: random.next())
        }
      }
      let error = try open(bytes)
      if error != nil { expectOneLine(error, "round \(round)") }
    }
  }

  @Test func damagedDataNamesItsDataset() throws {
    var bytes = try sample()
    let shares = unsafe Sample.shares.withUnsafeBytes { unsafe Data($0) }
    let place = try #require(bytes.range(of: shares))
    for index in place {
      bytes[index] ^= 0x10
      let error = try open(bytes)
      #expect(error?.place == "shares")
      #expect(error?.cause == "its content does not match its sha256")
      bytes[index] ^= 0x10
    }
    let magic = try #require(bytes.range(of: Data([0x28, 0xb5, 0x2f, 0xfd])))
    bytes[magic.upperBound + 12] ^= 0x10
    #expect(try open(bytes)?.place == "public/table")
    bytes[magic.lowerBound] ^= 0x10
    let error = try open(bytes)
    #expect(error?.cause.contains("is not a zstd frame") == true)
  }

  @Test func damageIsOnlyFoundWhenAskedFor() throws {
    var bytes = try sample()
    let shares = unsafe Sample.shares.withUnsafeBytes { unsafe Data($0) }
    bytes[try #require(bytes.range(of: shares)).lowerBound] ^= 1
    try bytes.write(to: folder.url.appending(path: "hostile"))
    let reader = try ContainerReader(
      path: folder.path("hostile"), kind: "model", verifying: false)
    #expect(failure { () throws(InputError) in try reader.verify() }?.place == "shares")
  }

  @Test func foreignFilesAreRefused() throws {
    let cases: [(Data, String)] = [
      (Data(), "the file is empty"),
      (Data("PK\u{3}\u{4} not this".utf8), "is not an HDF5 file"),
      (Data(repeating: 0, count: 10_000), "is not an HDF5 file"),
      (Data([0x89, 0x48, 0x44, 0x46]), "truncated: the file has only 4 bytes"),
    ]
    for (bytes, cause) in cases { #expect(try open(bytes)?.cause == cause) }
    for (path, cause) in [
      (folder.path("absent"), "no such file or directory"),
      (folder.url.path, "is not a regular file"), ("/dev/zero", "is not a regular file"),
    ] {
      let error = failure { () throws(InputError) in
        _ = try ContainerReader(path: path, kind: nil, verifying: true)
      }
      #expect(error?.cause == cause)
      #expect(error?.source == path)
    }
  }

  /// An object header that is continued inside itself could have the same bytes read for ever.
  @Test func overlappingStructuresAreRefused() throws {
    func integer(_ value: Int, _ byteCount: Int) -> [UInt8] {
      (0..<byteCount).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
    func withChecksum(_ bytes: [UInt8]) -> [UInt8] {
      bytes + integer(Int(unsafe HDF5Checksum.lookup3(bytes.span.bytes)), 4)
    }
    let continuation = Array("OCHK".utf8) + [UInt8](repeating: 0, count: 400)
    let messages =
      [16] + integer(16, 2) + [0] + integer(82, 8) + integer(continuation.count, 8)
      + [0] + integer(continuation.count, 2) + [0] + continuation
    let header = withChecksum(
      Array("OHDR".utf8) + [2, 2] + integer(messages.count, 4) + messages)
    let superblock = withChecksum(
      [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a, 2, 8, 8, 0] + integer(0, 8)
        + integer(-1, 8) + integer(48 + header.count, 8) + integer(48, 8))
    let error = try open(Data(superblock + header))
    #expect(error?.cause == "structures with checksums overlap each other")
    #expect(error?.offset == 82)
  }

  @Test func wrongQuestionsAreErrors() throws {
    let path = folder.path("sample")
    try Sample.write(to: path)
    let reader = try ContainerReader(path: path, kind: "model", verifying: true)
    func cause(_ body: () throws(InputError) -> Void) -> String? { failure(of: body)?.cause }
    #expect(
      cause { () throws(InputError) in
        _ = try ContainerReader(path: path, kind: "bundle", verifying: false)
      } == "is a model, a bundle is expected")
    #expect(
      cause { () throws(InputError) in _ = try reader.read("absent", as: UInt8.self) }
        == "missing dataset")
    #expect(
      cause { () throws(InputError) in _ = try reader.read("shares", as: Int64.self) }
        == "holds u64, i64 is expected")
    #expect(
      cause { () throws(InputError) in
        _ = try reader.read("shares", as: UInt64.self, shape: [5, 3])
      } == "has shape [3, 5], [5, 3] is expected")
    #expect(
      cause { () throws(InputError) in _ = try reader.words(of: "shares", range: 10..<16) }
        == "elements 10..<16 are outside its 15")
    #expect(
      cause { () throws(InputError) in try reader.withBytes(of: "public/table") { _ in } }
        == "is compressed and cannot be mapped")
  }
}
