// Permutations and permuted functions against those of a second implementation, bit for bit.

import Bytes
import Foundation
import Models
import Program
import Randomness
import Sharing
import TestSupport
import Testing

@Suite struct PermutedVectorTests {
  static func reader() throws -> JSONReader {
    let path = Repository.root.appending(path: "formats/vectors/permuted.json").path
    return try JSONReader(JSON.read(path), source: path)
  }

  static func words(_ reader: inout JSONReader, _ key: String) throws -> [UInt64] {
    try reader.array(key).map { element in
      guard case .string(let text) = element else { return 0 }
      return try #require(UInt64(text, radix: 16))
    }
  }

  @Test func functions() throws {
    var file = try Self.reader()
    var names = Set<String>()
    for element in try file.array("functions") {
      var reader = try JSONReader(element, source: "permuted.json")
      let name = try reader.string("function")
      let epsilon =
        try reader.contains("epsilon") ? reader.number("epsilon", default: 0, in: 0...1) : nil
      let function = PermutedFunction(
        try #require(PermutedFunction.Rule(name: name, epsilon: epsilon)),
        opening: Opening(shift: 0, bits: try reader.integer("bits")),
        fractionalBits: try reader.integer("fractionalBits"),
        resultBits: try reader.integer("resultBits"))
      let inputBits = try reader.integer("inputFractionalBits", in: -100...100)
      let words = try Self.words(&reader, "words")
      let expected = try Self.words(&reader, "results")
      try reader.finish()
      #expect(function.results(words[...], inputBits: inputBits) == expected, "\(name)")
      names.insert(name)
    }
    #expect(names.count == 10)
  }

  @Test func permutations() throws {
    var file = try Self.reader()
    var counts: [Int] = []
    for element in try file.array("permutations") {
      var reader = try JSONReader(element, source: "permuted.json")
      let seed = try #require([UInt8](hexadecimal: try reader.string("seed")))
      let streams = SessionStreams(
        seed: Seed(bytes: seed), session: try reader.integer("session"), party: 0)
      var sampler = PermutationSampler(
        streams.permutation(
          node: try reader.integer("operation"), row: try reader.integer("row")))
      let order = try reader.integers("order")
      try reader.finish()
      #expect(sampler.permutation(count: order.count).map(Int.init) == order)
      counts.append(order.count)
    }
    #expect(counts == [0, 1, 2, 3, 17, 100])
  }

  /// What shapes and numbers a permuted function takes.
  @Test func whatCannotBePermutedIsRefused() throws {
    func refusal(
      _ function: PermutedFunction, width: Int = 6, kind: ModelKind = .decoder, keys: Bool = false
    ) -> String? {
      var builder = ProgramBuilder(
        program: SecureProgram(
          family: "test", kind: kind, clientInput: .embedding, vocabularySize: 1,
          maximumPositions: 64))
      return inputError {
        let x = builder.input(width: width, bits: 0, bound: 1)
        var id = x.id
        if keys {
          let opened = try builder.open(x)
          id = try builder.emit(
            .scores(query: opened.id, key: opened.id, heads: 2, keyHeads: 2), bits: [0])[0]
        }
        _ = try builder.emit(.permuted(id, function), bits: [function.fractionalBits])
      }?.cause
    }
    func function(
      _ rule: PermutedFunction.Rule, bits: Int = 30, runs: Int = 1, resultBits: Int = 40
    ) -> PermutedFunction {
      PermutedFunction(
        rule, opening: Opening(shift: 2, bits: bits), runCount: runs, fractionalBits: 20,
        resultBits: resultBits)
    }
    let norm = PermutedFunction.Rule.rmsNorm(epsilon: 1e-6)
    #expect(refusal(function(norm, runs: 2)) == nil)
    #expect(refusal(function(norm, bits: 60)) == nil)
    #expect(refusal(function(norm, bits: 61))?.contains("squares of 61 bits") == true)
    #expect(refusal(function(norm, bits: 54), width: 513)?.contains("too long") == true)
    #expect(refusal(function(norm, bits: 54), width: 512) == nil)
    #expect(refusal(function(norm, runs: 4))?.contains("6 columns in 4 runs") == true)
    #expect(refusal(function(.gelu, runs: 2))?.contains("in 2 runs") == true)
    #expect(refusal(function(.softmax), keys: true) == nil)
    #expect(refusal(function(.tanh), keys: true) == nil)
    #expect(refusal(function(norm), keys: true)?.contains("rmsNorm of") == true)
    #expect(refusal(function(.softmax), kind: .encoder, keys: true)?.contains("padded") == true)
    #expect(refusal(function(.gelu, bits: 1))?.contains("no numbers") == true)
    #expect(refusal(function(.gelu, bits: 62)) == nil)
    #expect(refusal(function(.gelu, bits: 63))?.contains("no numbers") == true)
    #expect(refusal(function(.gelu, resultBits: 65))?.contains("65 bits") == true)
    #expect(refusal(function(.rmsNorm(epsilon: 0)))?.contains("epsilon") == true)
    #expect(refusal(function(.layerNorm(epsilon: .infinity)))?.contains("epsilon") == true)
  }
}
