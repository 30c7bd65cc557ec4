// What a killed writer leaves behind, and two writers of one file.

import Bytes
import Foundation
import TestSupport
import Testing

struct PartialFileTests {
  @Test func whatAKilledProcessLeftIsReplaced() throws {
    let folder = try ScratchFolder()
    let path = folder.file("a.corr")
    _ = try folder.write("masks of a process that was killed".utf8, to: ".a.corr.partial")
    try AtomicFile.write([1, 2, 3], to: path)
    #expect(try folder.names() == ["a.corr"])
    #expect(try Data(contentsOf: URL(filePath: path)) == Data([1, 2, 3]))
  }

  @Test func oneProcessWritesAFileAtATime() throws {
    let folder = try ScratchFolder()
    let path = folder.file("a.corr")
    let first = try PartialFile.create(for: path, flags: O_WRONLY, mode: 0o600)
    let error = inputError { try AtomicFile.write([4], to: path) }
    #expect(error?.cause == "is being written by another process")
    #expect(try folder.names() == [".a.corr.partial"])
    close(first.descriptor)
    try AtomicFile.write([4], to: path)
    #expect(try folder.names() == ["a.corr"])
  }

  @Test func linksAndPipesAreNotFollowed() throws {
    let folder = try ScratchFolder()
    let victim = try folder.write("precious".utf8, to: "victim")
    try FileManager.default.createSymbolicLink(
      atPath: folder.file(".a.partial"), withDestinationPath: victim)
    let error = inputError { try AtomicFile.write([1], to: folder.file("a")) }
    #expect(error?.cause.contains(".a.partial is in the way") == true)
    #expect(try String(contentsOfFile: victim, encoding: .utf8) == "precious")
    try #require(unsafe mkfifo(folder.file(".b.partial"), 0o600) == 0)
    try AtomicFile.write([1], to: folder.file("b"))
    #expect(try folder.names() == [".a.partial", "b", "victim"])
  }

  @Test func namesOfNothingAreRefused() throws {
    for path in ["", "/", "folder/", ".", "a/.."] {
      let error = inputError { try AtomicFile.write([1], to: path) }
      #expect(error?.cause == "is not the name of a file", "\(path)")
    }
  }
}
