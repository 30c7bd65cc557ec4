// Parts of tensors are the same elements as in the whole, in every format and layout.

import Bytes
import Checkpoints
import Foundation
import TestSupport
import Testing

@Suite struct RangeTests {
  private static let vectors = Repository.root.appending(path: "Tests/Vectors/checkpoints").path

  /// Reads every tensor of `source` whole and in pieces of several sizes.
  private func expectSameInParts(_ source: any TensorSource) throws {
    for tensor in source.tensors where tensor.type.isReadableAsFloat {
      let whole = try source.floats(tensor.name).map(\.bitPattern)
      let count = tensor.elementCount
      #expect(whole.count == count)
      #expect(try source.floats(tensor.name, in: count..<count).isEmpty)
      for length in [1, 7, 33, max(1, count / 3)] where count / length < 400 {
        var parts: [UInt32] = []
        for start in stride(from: 0, to: count, by: length) {
          parts += try source.floats(tensor.name, in: start..<min(start + length, count))
            .map(\.bitPattern)
        }
        #expect(parts == whole, "\(source.path): \(tensor.name) by \(length)")
      }
    }
  }

  @Test(
    arguments: [
      "plain.safetensors", "half.safetensors", "plain.bin", "half.bin", "plain.gguf", "half.gguf",
      "quantised.gguf", "plain.h5", "chunked.h5", "half.h5", "compact.h5",
    ]) func vectorsAreTheSameInParts(file: String) throws
  {
    try expectSameInParts(Checkpoint.openTensors("\(RangeTests.vectors)/\(file)"))
  }

  @Test(arguments: ["half.safetensors", "brain.safetensors", "half.bin", "half.gguf", "brain.gguf"])
  func wordsAreThoseOfTheElements(file: String) throws {
    let source = try Checkpoint.openTensors("\(RangeTests.vectors)/\(file)")
    var count = 0
    for tensor in source.tensors where tensor.type.isReadableAsFloat {
      let range = tensor.elementCount / 2..<tensor.elementCount
      guard let words = try source.storedWords(tensor.name, in: range) else { continue }
      let values = words.map {
        tensor.type == .bfloat16
          ? Float(bitPattern: UInt32($0) << 16) : Float(Float16(bitPattern: $0))
      }
      #expect(try source.floats(tensor.name, in: range) == values, "\(file): \(tensor.name)")
      count += words.count
    }
    #expect(count > 0)
  }

  /// Rotary rows that were interleaved, gzip chunks, shards, and strided views.
  @Test(
    .needsSharedModels,
    arguments: [
      "stories260k/model.f32.gguf", "stories260k/model.q8_0.gguf", "stories260k/model.f16.gguf",
      "stories260k/model.weights.gzip.h5", "stories260k/pytorch_model.bin",
      "stories260k/sharded/model.safetensors.index.json",
      "format-fixtures/fortran_tensor_3d.pth",
    ]) func sharedFilesAreTheSameInParts(file: String) throws
  {
    let path = try #require(Repository.sharedModels).appending(path: file).path
    try expectSameInParts(
      file.hasSuffix("gguf") ? Checkpoint(path: path).source : Checkpoint.openTensors(path))
  }

  /// A Conv1D matrix that the converter turned, read by rows of the original.
  @Test func turnedMatricesAreTheSameInParts() throws {
    let (rowCount, columnCount) = (70, 45)
    let stored = (0..<rowCount * columnCount).map(Float.init)
    for rows in [0..<45, 3..<4, 31..<45] {
      let result = try TransposedMatrix.columns(
        rows, rowCount: rowCount, columnCount: columnCount
      ) { Array(stored[$0]) }
      let expected = rows.flatMap { column in
        (0..<rowCount).map { stored[$0 * columnCount + column] }
      }
      #expect(result == expected)
    }
  }

  @Test func nonFiniteElementsAreNamedByTheirPlaceInTheTensor() throws {
    let folder = try ScratchFolder()
    var builder = SafetensorsBuilder()
    builder.add("w", shape: [4], values: [0, 1, .nan, 3])
    let source = try Safetensors(path: folder.write(builder.bytes, to: "x.safetensors"))
    #expect(try source.floats("w", in: 0..<2) == [0, 1])
    #expect(
      inputError { _ = try source.floats("w", in: 1..<4) }?.cause
        == "element 2 is not a finite number")
  }
}
