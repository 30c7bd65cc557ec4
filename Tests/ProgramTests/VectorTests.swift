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
    #expect(vectors.map(\.program.kind) == [.decoder, .encoder])
    for vector in vectors {
      #expect(vector.program.json.text == vector.canonical)
      #expect(vector.program.digest.hexadecimal == vector.digest)
    }
    let names = Set(vectors.flatMap { $0.program.nodes.map(\.operation.name) })
    #expect(names.count == 20, "together they use every operation")
  }

  @Test func roundsAndDealtSizes() throws {
    for vector in try Self.vectors() {
      let program = vector.program
      #expect(program.rounds() == vector.rounds)
      #expect(program.nodes.count == vector.dealt.count)
      for (index, expected) in vector.dealt.enumerated() {
        var masks: Int?
        var keyByteCount: Int?
        switch program.nodes[index].operation {
        case .open(let x): masks = vector.session.dealtCount(program.values[x].shape)
        case .piecewiseLinear(let x, let function):
          keyByteCount =
            vector.session.dealtCount(program.values[x].shape) * function.keyByteCount
        default: break
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
}
