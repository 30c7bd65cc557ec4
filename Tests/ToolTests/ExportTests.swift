// Shares and triples for other systems, written by the tools and read as those systems read them.

import Bytes
import Exports
import Foundation
import Models
import Sharing
import TestSupport
import Testing

@Suite struct ExportTests {
  /// A converted model, and its exports.
  private struct Converted {
    let scratch: ScratchFolder
    let file: ModelFile

    init() throws {
      scratch = try ScratchFolder()
      let checkpoint = try TinyCheckpoint.opt().write(to: scratch)
      let tokens = try scratch.write(
        Array("[[1, 2, 3, 4, 5], [6, 7, 8, 9]]".utf8), to: "tokens.json")
      try Tool.succeed(
        "lodge-model",
        ["approximate", checkpoint, "--tokens", tokens, "--out", scratch.file("model.lodge")])
      file = try ModelFile(path: scratch.file("model.lodge"))
    }

    func export(_ to: String, _ more: [String] = []) throws -> String {
      let folder = scratch.file(to)
      try Tool.succeed(
        "lodge-model", ["export", scratch.file("model.lodge"), "--to", to, "--out", folder] + more)
      return folder
    }
  }

  private static func bytes(_ path: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(filePath: path)))
  }

  private static func words(_ bytes: ArraySlice<UInt8>) -> [UInt64] {
    stride(from: bytes.startIndex, to: bytes.endIndex, by: 8).map { start in
      (0..<8).reduce(0) { $0 | UInt64(bytes[start + $1]) << (8 * $1) }
    }
  }

  private static let header: [UInt8] =
    [9, 0, 0, 0, 0, 0, 0, 0, 0x5a, 0x32, 0x5e, 0x36, 0x34, 64, 0, 0, 0]

  /// The sum of both parties' words mod 2^64 is round(x 2^16), where index.json says it stands.
  @Test func weightsForMPSPDZ() throws {
    let converted = try Converted()
    let folder = try converted.export("mp-spdz")
    let parties = try (0...1).map {
      try Self.bytes("\(folder)/party\($0)/Persistence/Transactions-P\($0).data")
    }
    for bytes in parties { #expect(Array(bytes[..<17]) == Self.header) }
    let shares = parties.map { Self.words($0[17...]) }
    let index = "\(folder)/party1/index.json"
    var reader = try JSONReader(JSON.read(index), source: index)
    guard case .object(let entries) = try reader.value("weights") else {
      Issue.record("no weights")
      return
    }
    #expect(entries.count == converted.file.model.weights.count)
    for shape in converted.file.model.weights {
      var entry = try JSONReader(try #require(entries[shape.name]), source: index)
      let start = try entry.integer("start")
      let values = try converted.file.weight(shape.name)
      for (element, value) in values.enumerated() {
        let sum = Int64(bitPattern: shares[0][start + element] &+ shares[1][start + element])
        let right = (Double(value) * 65_536).rounded(.toNearestOrEven)
        #expect(Double(sum) == right, "\(shape.name) \(element)")
      }
    }
    #expect(shares[0].count == converted.file.model.weights.reduce(0) { $0 + $1.elementCount })
    // Neither party's words are small, as the weights' are.
    for words in shares { #expect(words.count { $0 > 1 << 60 } > words.count / 2) }
    #expect(
      try Self.bytes("\(folder)/party0/public.json") == Self.bytes("\(folder)/party1/public.json"))
  }

  /// The real SPU puts a weight together again, and multiplies it on shares.
  @Test(.needsSPU) func weightsForSPU() throws {
    let converted = try Converted()
    let folder = try converted.export("spu")
    let name = try #require(
      converted.file.model.weights.first { $0.shape.count == 2 && $0.shape != [11, 8] }?.name)
    let outcome = try PythonTool("development/check-spu").run([folder, name])
    #expect(outcome.status == 0, "\(outcome.errors.suffix(500))")
    var reader = try JSONReader(
      JSON.parse(Array(outcome.output.utf8), source: "check-spu"), source: "check-spu")
    let (values, product) = (try reader.numbers("values"), try reader.numbers("product"))
    let weight = try converted.file.weight(name).map(Double.init)
    let shape = try #require(converted.file.model.weights.first { $0.name == name }).shape
    #expect(values.count == weight.count)
    for (value, right) in zip(values, weight) { #expect(abs(value - right) < 0x1p-18) }
    for row in 0..<shape[0] {
      for other in 0..<shape[0] {
        let right = (0..<shape[1]).reduce(0) {
          $0 + weight[row * shape[1] + $1] * weight[other * shape[1] + $1]
        }
        #expect(abs(product[row * shape[0] + other] - right) < 2e-4)
      }
    }
  }

  /// Chunks tile a weight: each says how long all is and where it stands.
  @Test func longWeightsHaveSeveralChunks() throws {
    let converted = try Converted()
    let folder = try ExportFolder(converted.scratch.file("chunks"))
    let shares = FixedPointShares(of: converted.file.model, converted.file, fractionalBits: 18)
    try SPUExport(shares, chunkWordCount: 40).write(to: folder, publicParameters: .null)
    let shape = try #require(converted.file.model.weights.first { $0.elementCount > 80 })
    var words: [[UInt64]] = [[], []]
    for party in 0...1 {
      var number = 0
      while true {
        let path = "\(folder.path)/party\(party)/\(shape.name).chunk\(number)"
        guard FilePaths.exists(path) else { break }
        let bytes = try Self.bytes(path)
        let count = 8 * min(40, shape.elementCount - 40 * number)
        let total = ProtobufMessage.variableLength(8 * shape.elementCount)
        let offset = number == 0 ? [] : [0x10] + ProtobufMessage.variableLength(320 * number)
        let head = [0x08] + total + offset + [0x1a] + ProtobufMessage.variableLength(count)
        #expect(Array(bytes.prefix(head.count)) == head)
        #expect(bytes.count == head.count + count)
        words[party] += Self.words(bytes[head.count...])
        number += 1
      }
      #expect(number == (shape.elementCount + 39) / 40)
    }
    let values = try converted.file.weight(shape.name)
    for (element, value) in values.enumerated() {
      let sum = Int64(bitPattern: words[0][element] &+ words[1][element])
      #expect(Double(sum) == (Double(value) * 0x1p18).rounded(.toNearestOrEven))
    }
  }

  /// Sums of both parties' files are triples: c = a b, of numbers and of matrices.
  @Test func triplesForMPSPDZ() throws {
    let scratch = try ScratchFolder()
    let folder = scratch.file("triples")
    try Tool.succeed(
      "lodge-deal",
      [
        "export", "--to", "mp-spdz", "--triples", "70000", "--matrix", "2x3x4=5,1x8x1=2", "--out",
        folder,
      ])
    func sums(_ name: String) throws -> [UInt64] {
      let parties = try (0...1).map { party in
        let bytes = try Self.bytes("\(folder)/party\(party)/Player-Data/2-DR-64/\(name)-P\(party)")
        #expect(Array(bytes[..<17]) == Self.header)
        return Self.words(bytes[17...])
      }
      #expect(parties[0] != parties[1])
      return zip(parties[0], parties[1]).map { $0 &+ $1 }
    }
    let numbers = try sums("Triples-DR")
    #expect(numbers.count == 210_000)
    for index in stride(from: 0, to: numbers.count, by: 3) {
      #expect(numbers[index + 2] == numbers[index] &* numbers[index + 1])
    }
    #expect(Set(numbers).count > 209_990)
    for (rows, inner, columns, count) in [(2, 3, 4, 5), (1, 8, 1, 2)] {
      let words = try sums("Matrix-\(rows)x\(inner)x\(columns)")
      let size = rows * inner + inner * columns + rows * columns
      #expect(words.count == count * size)
      for number in 0..<count {
        let triple = Array(words[(number * size)..<((number + 1) * size)])
        let b = rows * inner
        let c = b + inner * columns
        for row in 0..<rows {
          for column in 0..<columns {
            let product = (0..<inner).reduce(UInt64(0)) {
              $0 &+ triple[row * inner + $1] &* triple[b + $1 * columns + column]
            }
            #expect(triple[c + row * columns + column] == product)
          }
        }
      }
    }
  }

  /// Two exports of one model have nothing in common but what they add up to.
  @Test func sharesAreFresh() throws {
    let converted = try Converted()
    let shares = try ["first", "second"].map { name in
      let folder = converted.scratch.file(name)
      try Tool.succeed(
        "lodge-model",
        ["export", converted.scratch.file("model.lodge"), "--to", "mp-spdz", "--out", folder])
      return try Self.words(
        Self.bytes("\(folder)/party1/Persistence/Transactions-P1.data")[17...])
    }
    #expect(Set(shares[0]).isDisjoint(with: shares[1]))
  }

  @Test func whatCannotBeExportedIsSaid() throws {
    let converted = try Converted()
    let model = converted.scratch.file("model.lodge")
    let there = try converted.export("spu")
    func refusal(_ tool: String, _ arguments: [String]) throws -> String {
      let outcome = try Tool.run(tool, arguments)
      #expect(outcome.status != 0 && outcome.output.isEmpty)
      return outcome.messages
    }
    #expect(
      try refusal("lodge-model", ["export", model, "--to", "spu", "--out", there])
        .contains("is there already"))
    #expect(
      try refusal(
        "lodge-model", ["export", model, "--to", "spu", "--fractional-bits", "41", "--out", "x"]
      ).contains("--fractional-bits"))
    for text in ["2x3", "2x3x4", "0x1x1=1", "1x1x1=0", "9999999x9999999x1=1", "1x1x1=1,1x1x1=2"] {
      #expect(
        try refusal(
          "lodge-deal", ["export", "--to", "mp-spdz", "--matrix", text, "--out", "x"]
        ).contains("--matrix"), "\(text)")
    }
    #expect(
      try refusal("lodge-deal", ["export", "--to", "mp-spdz", "--out", "x"]).contains("--triples"))
  }
}

extension Trait where Self == ConditionTrait {
  /// The test runs only where tools/test could install SPU.
  fileprivate static var needsSPU: Self {
    .enabled(
      if: (try? PythonTool("development/check-spu").run(["--available"]).status) == 0,
      "spu is not there: it has no wheel for this Python or machine")
  }
}
