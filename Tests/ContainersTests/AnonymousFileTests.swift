// Containers in files without names: written, compared and read, in memory and on disk.

import Bytes
import Containers
import Foundation
import Randomness
import Testing

struct AnonymousFileTests {
  private func inputError(_ body: () throws -> Void) -> InputError? {
    do {
      try body()
      return nil
    } catch { return error as? InputError }
  }

  private let values = (0..<10_000).map { UInt64($0) &* 0x9e37_79b9_7f4a_7c15 }

  private func write(_ file: AnonymousFile) throws -> [UInt8] {
    let writer = try ContainerWriter(
      file, kind: "test", header: ["a": 1],
      datasets: [
        DatasetDescription(name: "raw/x", elementType: .u64, shape: [values.count], storage: .raw),
        DatasetDescription(name: "small", elementType: .u64, shape: [100, 100], storage: .zstd),
      ])
    try writer.region(of: "raw/x").write(values, atElement: 0)
    try writer.write("small", values: values)
    return try writer.finish()
  }

  @Test(arguments: [true, false])
  func containersRoundTrip(isInMemory: Bool) throws {
    let folder = try ScratchFolder()
    let scratch = isInMemory ? Scratch.memory : .folder(folder.url.path)
    let file = try AnonymousFile(scratch, name: "party0.bundle.age")
    let digest = try write(file)
    #expect(folder.contents == [])
    let expected = try FileDigest(file)
    let reader = try ContainerReader(file, kind: "test", expecting: expected, verifying: true)
    #expect(reader.digest == digest)
    #expect(reader.path == "party0.bundle.age")
    #expect(try reader.read("raw/x", as: UInt64.self) == values)
    #expect(try reader.read("small", as: UInt64.self) == values)
    try reader.verify()
    // The file outlives the handle that it was opened through.
    #expect(try reader.words(of: "raw/x", range: 5..<7) == Array(values[5..<7]))
  }

  /// The bytes are those of a file with a name.
  @Test func theContentDoesNotDependOnTheName() throws {
    let folder = try ScratchFolder()
    let anonymous = try AnonymousFile(.memory, name: "x")
    _ = try write(anonymous)
    let path = folder.path("named")
    let writer = try ContainerWriter(
      path: path, kind: "test", header: ["a": 1],
      datasets: [
        DatasetDescription(name: "raw/x", elementType: .u64, shape: [values.count], storage: .raw),
        DatasetDescription(name: "small", elementType: .u64, shape: [100, 100], storage: .zstd),
      ])
    try writer.region(of: "raw/x").write(values, atElement: 0)
    try writer.write("small", values: values)
    _ = try writer.finish()
    #expect(try FileDigest(path: path) == FileDigest(anonymous))
  }

  @Test func anotherFileIsRefused() throws {
    let file = try AnonymousFile(.memory, name: "x")
    _ = try write(file)
    var expected = try FileDigest(file)
    expected.sha256[7] ^= 1
    #expect(
      inputError {
        _ = try ContainerReader(file, kind: "test", expecting: expected, verifying: true)
      }?.cause == "its SHA-256 is not the one in its manifest")
    expected.byteCount += 1
    #expect(
      inputError {
        _ = try ContainerReader(file, kind: "test", expecting: expected, verifying: true)
      }?.cause == "has \(expected.byteCount - 1) bytes, its manifest says \(expected.byteCount)")
  }

  /// A forged file is refused by its SHA-256, whatever libhdf5 would make of it.
  @Test func filesAreComparedBeforeTheyAreInterpreted() throws {
    let folder = try ScratchFolder()
    let path = folder.path("no.container")
    try AtomicFile.write([UInt8](repeating: 7, count: 4096), to: path)
    #expect(
      inputError {
        _ = try ContainerReader(
          path: path, kind: "test",
          expecting: FileDigest(sha256: [UInt8](repeating: 0, count: 32), byteCount: 4096))
      }?.cause == "its SHA-256 is not the one in its manifest")
    let digest = try FileDigest(path: path)
    #expect(digest.sha256 == SHA256.digest([UInt8](repeating: 7, count: 4096)))
    #expect(
      inputError { _ = try ContainerReader(path: path, kind: "test", expecting: digest) }?.cause
        .contains("SHA-256") == false)
  }

  @Test func whatDoesNotFitIsRefusedBefore() throws {
    let file = try AnonymousFile(.memory, name: "party0.bundle.age")
    let error = inputError {
      _ = try ContainerWriter(
        file, kind: "test", header: [:],
        datasets: [
          DatasetDescription(name: "x", elementType: .u64, shape: [1 << 44], storage: .raw)
        ])
    }
    #expect(error?.source == "party0.bundle.age")
    #expect(error?.cause.contains("of memory") == true)
    #expect(error?.hint.contains("--scratch") == true)
    #expect(
      inputError { _ = try AnonymousFile(.folder("/absent"), name: "x") }?.source == "/absent")
    #expect(inputError { _ = try AnonymousFile(.folder("/proc"), name: "x") }?.source == "/proc")
  }
}
