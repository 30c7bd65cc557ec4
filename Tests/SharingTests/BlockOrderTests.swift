// The secret order of blocks: other in every conversion, and without any effect on the answer.

import Bytes
import Foundation
import Models
import Program
import Randomness
import Sharing
import TestSupport
import Testing

struct BlockOrderTests {
  private static let order = BlockOrder(gates: "layers.0.gate", count: 4)

  private static func weight(_ name: String, _ rows: Int, _ columns: Int) -> ProgramWeight {
    var source = WeightFormula(tensor: name)
    if name != "down" { source.rowBlocks = order } else { source.columnBlocks = order }
    if rows == 1 { (source.rowBlocks, source.columnBlocks) = (nil, order) }
    return ProgramWeight(
      name: name, rowCount: rows, columnCount: columns, fractionalBits: 8, source: source)
  }

  private static func program() -> SecureProgram {
    SecureProgram(
      family: "test", kind: .decoder, clientInput: .oneHot, vocabularySize: 2, maximumPositions: 2,
      weights: [weight("up", 12, 5), weight("bias", 1, 12), weight("down", 5, 12)])
  }

  /// Rows, columns and parts of any size are moved as one.
  @Test func blocksMoveTogether() throws {
    let program = Self.program()
    let orders = BlockOrders(program, seed: Seed(bytes: [UInt8](repeating: 9, count: 32)))
    let order = try #require(orders.orders["layers.0.gate"])
    #expect(order != [0, 1, 2, 3] && order.sorted() == [0, 1, 2, 3])
    let plain = WeightEncoder(source: "test", weights: CountingWeights())
    let moved = WeightEncoder(source: "test", weights: CountingWeights(), blockOrders: orders)
    func place(_ index: Int) -> Int { order[index / 3] * 3 + index % 3 }
    for weight in program.weights {
      let words = try plain.encode(weight)
      let expected = (0..<weight.elementCount).map { element -> UInt64 in
        let (row, column) = (element / weight.columnCount, element % weight.columnCount)
        switch weight.name {
        case "up": return words[place(row) * weight.columnCount + column]
        default: return words[row * weight.columnCount + place(column)]
        }
      }
      #expect(try moved.encode(weight) == expected)
      for first in 0..<weight.elementCount {
        for last in [first + 1, (first + weight.elementCount + 1) / 2, weight.elementCount]
        where last > first {
          #expect(
            try moved.encode(weight, in: first..<last).words == Array(expected[first..<last]))
        }
      }
    }
  }

  /// Whoever chose the order would read the bits that are revealed to it.
  @Test func aProviderGetsNoGates() throws {
    let files = try ConversionFiles.tiny(TinyGraph(GraphKind.gates[0]))
    let error = #expect(throws: InputError.self) {
      try ShareWriter.share(
        ModelFile(path: files.modelPath), into: files.scratch.file("roles"),
        deployment: .providerUser)
    }
    #expect(error?.cause.contains("a provider knows the order of its blocks") == true)
    #expect(!FileManager.default.fileExists(atPath: files.scratch.file("roles")))
  }

  /// Heads have no order: the reason is another.
  @Test func aProviderReadsHeads() throws {
    let files = try ConversionFiles.tiny(TinyGraph(GraphKind.headGates[0]))
    let error = #expect(throws: InputError.self) {
      try ShareWriter.share(
        ModelFile(path: files.modelPath), into: files.scratch.file("roles"),
        deployment: .providerUser)
    }
    #expect(error?.cause.contains("which heads run") == true, "\(error?.cause ?? "")")
    #expect(error?.cause.contains("block") == false)
    #expect(!FileManager.default.fileExists(atPath: files.scratch.file("roles")))
  }

  /// The same program, and nothing else of the conversion before: other orders and other shares.
  @Test func reshuffling() throws {
    let files = try ConversionFiles.tiny(TinyGraph(GraphKind.gates[0]))
    let again = files.scratch.file("again")
    let result = try ShareWriter.share(
      ModelFile(path: files.modelPath), into: again, reshuffles: true)
    #expect(result.program.digest == files.program.digest)
    #expect(result.conversion.identifier != files.result.conversion.identifier)
    let bundles = try [files.folder, again].map { folder in
      try (0...1).map { try PartyBundle(path: "\(folder)/party\($0).bundle") }
    }
    for (id, weight) in files.program.weights.enumerated() {
      let shares = try bundles.map { pair in try pair.map { try $0.share(id) } }
      for party in 0...1 { #expect(shares[0][party] != shares[1][party], "\(weight.name)") }
      let sums = shares.map { zip($0[0], $0[1]).map { $0 &+ $1 } }
      // Blocks are moved, and elements none.
      #expect(sums[0].sorted() == sums[1].sorted(), "\(weight.name)")
      let isGated = weight.source.rowBlocks != nil || weight.source.columnBlocks != nil
      if !isGated { #expect(sums[0] == sums[1], "\(weight.name)") }
    }
    let dense = try ConversionFiles.tiny(.opt(layerCount: 1))
    let error = #expect(throws: InputError.self) {
      try ShareWriter.share(
        ModelFile(path: dense.modelPath), into: dense.scratch.file("again"), reshuffles: true)
    }
    #expect(error?.cause.contains("nothing of this model is gated") == true)
    #expect(!FileManager.default.fileExists(atPath: dense.scratch.file("again")))
  }

  /// Heads have the model's numbers: there is nothing to order anew.
  @Test func headsAloneAreNotReshuffled() throws {
    let files = try ConversionFiles.tiny(TinyGraph(GraphKind.headGates[0]))
    let again = files.scratch.file("again")
    let error = #expect(throws: InputError.self) {
      try ShareWriter.share(ModelFile(path: files.modelPath), into: again, reshuffles: true)
    }
    #expect(error?.cause.contains("only heads of this model are gated") == true)
    #expect(!FileManager.default.fileExists(atPath: again))
  }

  @Test func everyConversionHasItsOwn() {
    var program = Self.program()
    for index in program.weights.indices {
      program.weights[index].source.rowBlocks?.count = 4096
      program.weights[index].source.columnBlocks?.count = 4096
    }
    let orders = (0..<3).map { _ in BlockOrders(program, seed: .random()).orders }
    #expect(orders[0] != orders[1] && orders[1] != orders[2] && orders[0] != orders[2])
  }
}

/// Weights whose every element is another number.
private struct CountingWeights: WeightSource {
  func weight(_ name: String) throws(InputError) -> [Float] { try weight(name, in: 0..<60) }

  func weight(_ name: String, in elements: Range<Int>) throws(InputError) -> [Float] {
    elements.map(Float.init)
  }
}
