// The rules of grouped heads and of rotations, on a program that has both.

import Bytes
import Models
import Program
import TestSupport
import Testing

struct GroupedValidationTests {
  /// Replaces the first operation called `name` of the grouped program: 4 heads of width 4, 2 key
  /// heads. Expects a failure of it that says `cause`.
  static func expect(
    _ cause: String, _ name: String, sourceLocation: SourceLocation = #_sourceLocation,
    _ change: (Operation) throws -> Operation
  ) throws {
    var program = try Programs.grouped()
    try program.validate(source: "test")
    let index = try #require(program.first(name))
    program.nodes[index].operation = try change(program.nodes[index].operation)
    let error = try #require(
      inputError { try program.validate(source: "test") }, sourceLocation: sourceLocation)
    #expect(error.place == "operation \(index) (\(name))", sourceLocation: sourceLocation)
    #expect(error.cause.contains(cause), "\(error)", sourceLocation: sourceLocation)
  }

  /// Heads that are none, that the key heads do not divide, that do not divide the width, and
  /// other groups than the widths have.
  @Test(arguments: [
    (0, 2), (-4, 2), (-4, -2), (3, 1), (3, 3), (4, 0), (4, -2), (4, 3), (4, 8), (4, 4), (4, 1),
    (16, 2), (4098, 2), (Int.max, 1), (4, Int.max), (4, Int.min),
  ])
  func headsAreChecked(heads: Int, keyHeads: Int) throws {
    try Self.expect("queries and keys do not fit \(heads) heads", "scores") { operation in
      .scores(
        query: operation.inputs[0], key: operation.inputs[1], heads: heads, keyHeads: keyHeads)
    }
  }

  @Test(arguments: [
    (0, 2), (-4, 2), (-4, -2), (4, 0), (4, -2), (4, 3), (4, 8), (9, 3), (4098, 2), (Int.max, 1),
    (4, Int.max), (4, Int.min),
  ])
  func mixedHeadsAreChecked(heads: Int, keyHeads: Int) throws {
    try Self.expect("values do not fit \(heads) heads", "mix") { operation in
      .mix(
        weights: operation.inputs[0], value: operation.inputs[1], heads: heads,
        keyHeads: keyHeads)
    }
  }

  /// Each number fits the values, but not the weights or what reads the mix.
  @Test(arguments: [
    (2, 2, "do not fit values"), (8, 2, "do not fit values"), (4, 4, "must be shared"),
    (4, 1, "must be shared"),
  ])
  func mixedHeadsFitTheWeights(heads: Int, keyHeads: Int, cause: String) throws {
    try Self.expect(cause, "mix") { operation in
      .mix(
        weights: operation.inputs[0], value: operation.inputs[1], heads: heads,
        keyHeads: keyHeads)
    }
  }

  @Test func queriesAreNotKeys() throws {
    try Self.expect("queries and keys do not fit", "scores") { operation in
      .scores(query: operation.inputs[0], key: operation.inputs[0], heads: 4, keyHeads: 2)
    }
    try Self.expect("queries and keys do not fit", "scores") { operation in
      .scores(query: operation.inputs[1], key: operation.inputs[1], heads: 4, keyHeads: 2)
    }
  }

  /// The first rotation has 4 heads of width 4, in which 2 pairs are turned.
  @Test(arguments: [
    ("no head", 0), ("no head", -4), ("heads", 3), ("heads", 32), ("heads", Int.max),
    ("narrow heads", 8), ("pairs", 0), ("pairs", 3), ("pairs", 100), ("bits", 0), ("bits", -1),
    ("bits", 31), ("bits", Int.max),
  ])
  func rotationsAreChecked(fault: String, number: Int) throws {
    try Self.expect("has no such pairs", "rotate") { operation in
      guard case .rotate(let x, var rotation) = operation else { return operation }
      switch fault {
      case "pairs": rotation.turns = [UInt64](repeating: 1, count: number)
      case "bits": rotation.fractionalBits = number
      default: rotation.headCount = number
      }
      return .rotate(x, rotation)
    }
  }

  @Test func rotationsAtTheirLimitsPass() throws {
    for (heads, pairs, bits) in [(1, 8, 1), (8, 1, 30), (4, 1, 16), (2, 4, 30)] {
      var program = try Programs.grouped()
      let index = try #require(program.first("rotate"))
      let rotation = Rotation(
        headCount: heads, layout: .pairs, fractionalBits: bits,
        turns: [UInt64](repeating: .max, count: pairs))
      program.nodes[index].operation = .rotate(program.nodes[index].operation.inputs[0], rotation)
      try program.validate(source: "test")
    }
  }

  @Test func rotatedValuesAreSharedRowsOfFixedWidth() throws {
    // Value 1 is the opened one-hot row.
    try Self.expect("is opened, not shared", "rotate") { operation in
      guard case .rotate(_, let rotation) = operation else { return operation }
      return .rotate(1, rotation)
    }
    try Self.expect("before it is written", "rotate") { operation in
      guard case .rotate(_, let rotation) = operation else { return operation }
      return .rotate(1 << 40, rotation)
    }
    var program = try Programs.grouped()
    let difference = try #require(program.first("pairDifference"))
    let scores = program.nodes[difference].operation.inputs[0]
    program.nodes[difference].operation = .rotate(
      scores, Rotation(headCount: 1, layout: .halves, fractionalBits: 16, turns: [1]))
    let error = inputError { try program.validate(source: "test") }
    #expect(error?.place == "operation \(difference) (rotate)")
    #expect(error?.cause == "expected a fixed width")
  }
}
