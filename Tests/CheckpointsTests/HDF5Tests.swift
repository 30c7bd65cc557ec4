// The HDF5 reader: one refused structure a vector, and damaged chunks.

import Bytes
import Checkpoints
import Foundation
import TestSupport
import Testing

@Suite struct HDF5Tests {
  private static let vectors = Repository.root.appending(path: "Tests/Vectors/checkpoints").path

  @Test(arguments: [
    ("soft-link", "b|soft and external links are not followed"),
    ("external-link", "b|soft and external links are not followed"),
    ("second-link", "is a second link to the same object"),
    ("cycle", "a/c|byte "), ("deep", "nested more than 32 deep"),
    ("compact", "a|compact and virtual datasets are not read"),
    ("virtual", "a|compact and virtual datasets are not read"),
    ("external-storage", "a|external storage is not read"),
    ("big-endian", "a|its floating-point type is not F16, F32 or F64"),
    ("filter", "a|filter 32000 is not read"),
    ("huge", "a|shape [1099511627776] of F32 is beyond what a file of"),
    ("huge-chunk", "a|chunks of shape [16777216] are beyond"),
    ("absent-chunks", "a|1 chunks are stored where 8 are expected"),
    ("many-chunks", "a|has 10000 chunks, at most 8192 are read"),
    ("unwritten", "a|the file does not hold its 16 bytes"),
    ("no-numbers", "|the HDF5 file holds no numbers"), ("no-value", "a|the dataset has no value"),
  ]) func refusesStructure(name: String, expected: String) {
    let path = "\(HDF5Tests.vectors)/hostile-\(name).h5"
    let error = inputError { _ = try HDF5Checkpoint(path: path) }
    let found = error.map { "\($0.place)|\($0.cause)" } ?? "read without error"
    #expect(found.contains(expected), "\(found)")
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
    #expect(try failure(newer) == "byte 8|HDF5 superblock version 4, only 0 to 3 are read")
    #expect(try failure(Array(bytes.dropLast())).contains("cannot be opened as HDF5"))
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
