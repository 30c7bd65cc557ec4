// Programs in formats/vectors, with sizes that a second implementation computed from formats/.

import Bytes
import Foundation
import Models
import Program
import Sharing
import TestSupport
import Testing

struct ProgramVectorTests {
  struct Vector {
    var program: SecureProgram
    var canonical: String
    var digest: String
    var rounds: [Int]
    var session: SessionShape
    /// For each operation the dealt elements of its mask, of its arrays, and bytes of its keys.
    var dealt: [(masks: Int?, arrays: [Int], keyByteCount: Int?)]
  }

  static func vectors() throws -> [Vector] {
    let path = Repository.root.appending(path: "formats/vectors/program.json").path
    var file = try JSONReader(JSON.read(path), source: path)
    return try file.array("programs").map { element in
      var reader = try JSONReader(element, source: path)
      let canonical = try reader.string("canonical")
      let program = try SecureProgram(
        json: JSON.parse(canonical, source: path), source: path)
      let dealt = try reader.array("dealt").map { element in
        var entry = try JSONReader(element, source: path)
        func has(_ key: String) -> Bool {
          if case .object(let members) = element { members[key] != nil } else { false }
        }
        let result = (
          masks: has("masks") ? try entry.integer("masks") : nil,
          arrays: has("arrays") ? try entry.integers("arrays") : [],
          keyByteCount: has("keyBytes") ? try entry.integer("keyBytes") : nil
        )
        try entry.finish()
        return result
      }
      return Vector(
        program: program, canonical: canonical, digest: try reader.string("digest"),
        rounds: try reader.integers("rounds"),
        session: SessionShape(
          kind: program.kind, promptCapacity: try reader.integer("promptCapacity"),
          newCapacity: try reader.integer("newCapacity")), dealt: dealt)
    }
  }

  @Test func textAndDigest() throws {
    let vectors = try Self.vectors()
    #expect(
      vectors.map(\.program.kind) == [
        .decoder, .encoder, .decoder, .encoder, .decoder, .encoder, .prefixDecoder, .decoder,
        .decoder, .decoder,
      ])
    for vector in vectors {
      #expect(vector.program.json.text == vector.canonical)
      #expect(vector.program.digest.hexadecimal == vector.digest)
    }
    let isGrouped = vectors.map { vector in
      vector.program.nodes.contains {
        if case .scores(_, _, let heads, let keyHeads, _) = $0.operation {
          heads > keyHeads
        } else {
          false
        }
      }
    }
    #expect(isGrouped == [false, false, true, false, false, false, false, false, false, false])
    let names = Set(vectors.flatMap { $0.program.nodes.map(\.operation.name) })
    #expect(names.count == 33, "together they use every operation")
  }

  @Test func roundsAndDealtSizes() throws {
    for vector in try Self.vectors() {
      let program = vector.program
      #expect(program.rounds() == vector.rounds)
      #expect(program.nodes.count == vector.dealt.count)
      for (index, expected) in vector.dealt.enumerated() {
        var masks: Int?
        let operation = program.nodes[index].operation
        if case .open(let x, _) = operation {
          masks = vector.session.dealtCount(program.values[x].shape)
        }
        if case .openBlocks = operation {
          let opened = program.nodes[index].outputs.lowerBound
          masks = vector.session.dealtCount(program.values[opened].shape)
        }
        let keyByteCount = operation.dealtKey.map {
          vector.session.dealtCount(program.values[$0.value].shape) * $0.key.byteCount
        }
        let arrays = program.correlationComponents(index).map {
          vector.session.dealtCount($0.shape)
        }
        #expect(masks == expected.masks, "operation \(index)")
        #expect(arrays == expected.arrays, "operation \(index)")
        #expect(keyByteCount == expected.keyByteCount, "operation \(index)")
      }
    }
  }

  /// Which message travels when, and who sends it; a blind dealer changes nothing of that.
  @Test func flights() throws {
    let path = Repository.root.appending(path: "formats/vectors/program.json").path
    var file = try JSONReader(JSON.read(path), source: path)
    var oneWayCount = 0
    for (vector, element) in try zip(Self.vectors(), file.array("programs")) {
      var reader = try JSONReader(element, source: path)
      var flights = try reader.object("flights")
      let servers = try flights.array("two-server")
      let user = try flights.array("provider-user")
      try flights.finish()
      for deployment in Deployment.allCases {
        let found = Timetable(vector.program, deployment: deployment).flights.map { messages in
          JSON.array(
            messages.map { message in
              [
                .integer(message.node), .integer(message.stage),
                message.sender.map { .integer($0) } ?? .null,
              ]
            })
        }
        #expect(found == (deployment == .providerUser ? user : servers), "\(deployment)")
        oneWayCount += vector.program.oneWayOpenings(in: deployment).count
      }
    }
    #expect(oneWayCount > 5)
  }

  /// Cosines and sines of both signs, at borders of quadrants and where the phase wraps.
  @Test func rotationFactors() throws {
    let path = Repository.root.appending(path: "formats/vectors/rotation.json").path
    var file = try JSONReader(JSON.read(path), source: path)
    var count = 0
    for element in try file.array("rotations") {
      var reader = try JSONReader(element, source: path)
      let rotation = Rotation(
        headCount: 1, layout: .pairs,
        fractionalBits: try reader.integer("factorFractionalBits"),
        turns: try reader.integers("turns").map { UInt64(bitPattern: Int64($0)) },
        magnitude: try reader.contains("magnitude")
          ? UInt64(reader.integer("magnitude")) : Rotation.unitMagnitude)
      for element in try reader.array("factors") {
        var entry = try JSONReader(element, source: path)
        let position = try entry.integer("position")
        let pair = try entry.integer("pair")
        let expected = try ["cosine", "sine"].map { key in
          UInt64(bitPattern: Int64(try entry.integer(key, in: Int.min...Int.max)))
        }
        let factors = rotation.factors(position: position, pair: pair)
        #expect([factors.cosine, factors.sine] == expected, "position \(position) pair \(pair)")
        try entry.finish()
        count += 1
      }
      try reader.finish()
    }
    try file.finish()
    #expect(count == 127)
  }
}
