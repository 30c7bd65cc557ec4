// Weights of 16 bits are copied as the words that they are, and the file is the same.

import Approximation
import Bytes
import Checkpoints
import Foundation
import Models
import Sharing
import TestSupport
import Testing

struct StoredWordsTests {
  /// The same weights without their words.
  private struct Values: WeightSource {
    let source: any WeightSource
    func weight(_ name: String) throws(InputError) -> [Float] { try source.weight(name) }
    func weight(_ name: String, in elements: Range<Int>) throws(InputError) -> [Float] {
      try source.weight(name, in: elements)
    }
    func encoding(of name: String) -> WeightEncoding { source.encoding(of: name) }
  }

  private static func bits(_ value: Float, _ type: String) -> UInt16 {
    type == "F16" ? Float16(value).bitPattern : UInt16(value.bitPattern >> 16)
  }

  /// The vector `family` with all its tensors as words of `type`, of which `change` may set some.
  private func load(
    _ family: String, _ type: String, in folder: ScratchFolder,
    change: (String, inout [UInt16]) -> Void = { _, _ in }
  ) throws -> LoadedModel {
    let source = try ModelLoader.load(
      path: FamilyVector.root.appending(path: family).path
    ).checkpoint.source
    var builder = SafetensorsBuilder()
    for tensor in source.tensors {
      var words = try source.floats(tensor.name).map { Self.bits($0, type) }
      change(tensor.name, &words)
      builder.add(
        tensor.name, type: type, shape: tensor.shape,
        bytes: words.flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] })
    }
    let path = try FamilyVector.changed(family, [:], in: folder)
    _ = try folder.write(builder.bytes, to: "model.safetensors")
    return try ModelLoader.load(path: path)
  }

  /// Plain tensors, outputs of fused ones, Conv1D matrices and gains that lack their one.
  @Test(arguments: ["llama", "phi3", "gpt2", "gemma"], ["F16", "BF16"])
  func wordsAreThoseOfTheValues(family: String, type: String) throws {
    let folder = try ScratchFolder()
    let loaded = try load(family, type, in: folder)
    var copiedCount = 0
    for shape in loaded.model.weights {
      let whole = try loaded.weight(shape.name).map { Self.bits($0, type) }
      let count = shape.elementCount
      for range in [0..<count, count / 3..<count / 2, count - 1..<count, 0..<0] {
        guard let words = try loaded.storedWords(shape.name, in: range) else { continue }
        #expect(loaded.encoding(of: shape.name).rawValue == type)
        #expect(words == Array(whole[range]), "\(shape.name) \(range)")
        copiedCount += words.count
      }
    }
    #expect(copiedCount > 0)

    let text = (0..<8).map { $0 % 5 + 1 }
    let calibration = try Calibration.observe(
      FloatInterpreter(loaded.model, weights: loaded), texts: [text], source: "text")
    func written(_ weights: some WeightSource, _ name: String) throws -> Data {
      try ModelFile.write(
        to: folder.file(name), model: loaded.model, recipe: .accurate, calibration: calibration,
        checkpoint: "checkpoint", weights: weights)
      return try Data(contentsOf: URL(filePath: folder.file(name)))
    }
    #expect(try written(loaded, "a.lodge") == written(Values(source: loaded), "b.lodge"))
  }

  /// Copied words are looked at as values are.
  @Test(arguments: ["F16", "BF16"]) func infinitiesAreRefused(type: String) throws {
    let folder = try ScratchFolder()
    let infinity: UInt16 = type == "F16" ? 0xfc00 : 0xff80
    let key = "model.embed_tokens.weight"
    let loaded = try load("llama", type, in: folder) { name, words in
      if name == key { words[7] = infinity }
    }
    #expect(try loaded.storedWords("embedTokens", in: 0..<7)?.count == 7)
    let byValue = inputError { _ = try loaded.weight("embedTokens", in: 5..<9) }
    let byWord = inputError { _ = try loaded.storedWords("embedTokens", in: 5..<9) }
    #expect(byWord?.cause == "element 7 is not a finite number")
    #expect(byWord?.description == byValue?.description)
  }
}
