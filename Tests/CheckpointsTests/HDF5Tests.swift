// The HDF5 reader: layouts that few writers use, and damaged chunks.

import Bytes
import Checkpoints
import Foundation
import TestSupport
import Testing

@Suite struct HDF5Tests {
  private static let vectors = Repository.root.appending(path: "Tests/Vectors/checkpoints").path

  @Test func readsCompactDatasets() throws {
    let source = try HDF5Checkpoint(path: "\(HDF5Tests.vectors)/compact.h5")
    #expect(source.tensors.map(\.shape) == [[4]])
    #expect(try source.floats("a") == [1, 2, 3, 4])
  }

  /// What stands behind the end that the superblock states changes nothing.
  @Test func bytesAfterTheEndAreAllowed() throws {
    let folder = try ScratchFolder()
    let bytes = try [UInt8](Data(contentsOf: URL(filePath: "\(HDF5Tests.vectors)/plain.h5")))
    let source = try HDF5Checkpoint(path: folder.write(bytes + bytes, to: "m.h5"))
    #expect(source.tensors.count == 4)
  }

  @Test func readsWhatTestsBuild() throws {
    let folder = try ScratchFolder()
    let bytes = HDF5Builder.file { builder in
      let object = builder.dataset([2], .compact([0, 0, 0x80, 0x3f, 0, 0, 0, 0x40]))
      let symbols = builder.symbols([(1, object)])
      let heap = builder.heap(Array("\u{0}a\u{0}".utf8))
      let tree = builder.tree(kind: 0, [HDF5Builder.groupEntry(symbols)])
      let data = builder.put([0, 0, 0x40, 0x40])
      let chunks = builder.tree(kind: 1, [HDF5Builder.chunkEntry(4, start: [0], data)])
      let group = builder.object([
        .symbolTable(tree: tree, heap: heap),
        .link("c", builder.dataset([1], .chunked([1], tree: chunks), [.filters([])])),
      ])
      return [.link("g", group), .link("b", builder.dataset([1], .contiguous(data, byteCount: 4)))]
    }
    let source = try HDF5Checkpoint(path: folder.write(bytes, to: "m.h5"))
    #expect(source.tensors.map(\.name) == ["b", "g/a", "g/c"])
    #expect(try source.floats("g/a") == [1, 2])
    #expect(try source.floats("g/c") == [3])
    #expect(try source.floats("b") == [3])
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
    #expect(errors.first?.offset == start)
    #expect(found.contains("chunk"))
    #expect(inputError { _ = try source.floats("x") }?.cause == "there is no such tensor")
  }
}
