// The HDF5 reader: one refused structure a vector, and damaged chunks.

import Bytes
import Checkpoints
import Foundation
import TestSupport
import Testing

@Suite struct HDF5Tests {
  private static let vectors = Repository.root.appending(path: "Tests/Vectors/checkpoints").path

  @Test(arguments: [
    ("soft-link", "b|byte "), ("soft-link", "soft and external links are not followed"),
    ("external-link", "soft and external links are not followed"),
    ("second-link", "is a second link to the same object"),
    ("cycle", "a/c|byte "), ("deep", "nested more than 32 deep"),
    ("virtual", "layout version 4 is not read"),
    ("external-storage", "external storage is not read"),
    ("big-endian", "its floating-point type is not little-endian F16, F32 or F64"),
    ("filter", "filter 32000 is not read"),
    ("huge", "shape [1099511627776] of F32 is beyond what a file of"),
    ("huge-chunk", "chunks of shape [16777216] are beyond"),
    ("absent-chunks", "1 chunks are stored where 8 are expected"),
    ("many-chunks", "0 chunks are stored where 10000 are expected"),
    ("unwritten", "the file does not hold its 16 bytes"),
    ("no-numbers", "|the HDF5 file holds no numbers"), ("no-value", "the dataset has no value"),
    ("newer", "byte 8|HDF5 superblock version 2, only 0 and 1 are read"),
  ]) func refusesStructure(name: String, expected: String) {
    let path = "\(HDF5Tests.vectors)/hostile-\(name).h5"
    let error = inputError { _ = try HDF5Checkpoint(path: path) }
    let found = error.map { "\($0.place)|\($0.cause)" } ?? "read without error"
    #expect(found.contains(expected), "\(found)")
  }

  @Test func readsCompactDatasets() throws {
    let source = try HDF5Checkpoint(path: "\(HDF5Tests.vectors)/compact.h5")
    #expect(source.tensors.map(\.shape) == [[4]])
    #expect(try source.floats("a") == [1, 2, 3, 4])
  }

  @Test func refusesOtherFiles() throws {
    let folder = try ScratchFolder()
    let bytes = try [UInt8](Data(contentsOf: URL(filePath: "\(HDF5Tests.vectors)/plain.h5")))
    func failure(_ bytes: [UInt8]) throws -> String {
      let path = try folder.write(bytes, to: "m.h5")
      return inputError { _ = try HDF5Checkpoint(path: path) }
        .map { "\($0.place)|\($0.cause)" } ?? "read without error"
    }
    #expect(try failure([]) == "byte 0|signature needs 8 bytes, 0 follow")
    #expect(try failure(Array("not HDF5 at all".utf8)) == "byte 0|is not an HDF5 file")
    var newer = bytes
    newer[8] = 4
    #expect(try failure(newer) == "byte 8|HDF5 superblock version 4, only 0 and 1 are read")
    #expect(try failure(Array(bytes.dropLast())).contains("the file states"))
    #expect(try failure(bytes + bytes) == "read without error")
  }

  /// Any byte of a gzipped chunk changed: its checksum tells, and no more than a chunk is inflated.
  @Test func refusesDamagedChunks() throws {
    let folder = try ScratchFolder()
    let path = "\(HDF5Tests.vectors)/chunked.h5"
    var bytes = try [UInt8](Data(contentsOf: URL(filePath: path)))
    let start = try #require(
      bytes.indices.dropLast().first { bytes[$0] == 0x78 && bytes[$0 + 1] == 0x5e })
    bytes[start + 6] ^= 0x10
    let source = try HDF5Checkpoint(path: folder.write(bytes, to: "m.h5"))
    let errors = source.tensors.compactMap { tensor in
      inputError { _ = try source.floats(tensor.name) }
    }
    #expect(errors.count == 1)
    let found = errors.first?.cause ?? ""
    #expect(found.hasPrefix("byte \(start): "), "\(found)")
    #expect(found.contains("chunk"))
    #expect(inputError { _ = try source.floats("x") }?.cause == "there is no such tensor")
  }
}
