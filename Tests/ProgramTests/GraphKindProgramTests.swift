// The stored form of programs with windows, biases by distance, pooling and caps, and the rules of
// these operations.

import Approximation
import Bytes
import Models
import Program
import TestSupport
import Testing

struct GraphKindProgramTests {
  typealias Change = ProgramJSONTests.Change

  static func program(_ kind: GraphKind) throws -> SecureProgram {
    try Programs.lowered(TinyGraph(kind), recipe: .accurate)
  }

  /// A decoder with a window, slopes, groups, a magnitude and a cap of its output.
  static let decoder = Result {
    try program(
      GraphKind("decoder") {
        $0.windows = [3, 5]
        $0.bias = .linear(slopes: [0.5, -0.25, 1.5, 0])
        $0.queryKeyNorm = .heads
        $0.rotary = RotaryPositions(frequencies: [1, 0.1], magnitude: 1.3, layout: .halves)
        $0.outputCap = 2
      })
  }

  /// An encoder with a window, buckets, and classes of a mean.
  static let encoder = Result {
    try program(
      GraphKind("encoder") {
        $0.kind = .encoder
        $0.windows = [3, nil]
        $0.bias = .relative(table: "buckets", RelativeBuckets(count: 8, maximumDistance: 6))
        $0.pooling = .mean
        $0.head = ["classes"]
      })
  }

  static func program(isDecoder: Bool) throws -> SecureProgram {
    try isDecoder ? decoder.get() : encoder.get()
  }

  @Test(
    arguments: GraphKind.norms + GraphKind.positions + GraphKind.skeletons + GraphKind.prefixes
      + GraphKind.encoderPositions + GraphKind.heads + GraphKind.gates + GraphKind.encoderGates
      + GraphKind.headGates)
  func roundTrip(kind: GraphKind) throws {
    try ProgramJSONTests.expectRoundTrip(Self.program(kind))
  }

  @Test func outputsAreSaid() throws {
    var (decoder, encoder) = (try Self.decoder.get(), try Self.encoder.get())
    #expect(decoder.output.bound != nil && encoder.output.bound != nil)
    decoder.output.bound = nil
    encoder.output.bound = nil
    #expect(decoder.output == OutputDescription(meaning: .logits, softCap: 2))
    #expect(encoder.output == OutputDescription(meaning: .classes))
    #expect(encoder.outputValue?.shape == .fixed(3, rows: .last))
    #expect(!decoder.json.text.contains("\"output\":"))
    // Plain outputs have no members of their own: their programs keep their digests.
    #expect(OutputDescription(meaning: .logits).members(of: .decoder).isEmpty)
    #expect(OutputDescription(meaning: .states).members(of: .encoder).isEmpty)
    let capped = OutputDescription(meaning: .logits, softCap: 2)
    #expect(capped.values([1 << 40, 0], fractionalBits: 8) == [2, 0])
    #expect(
      OutputDescription(meaning: .logits).values([3, .max], fractionalBits: 1) == [1.5, -0.5])
  }

  @Test(arguments: [
    Change("", "output", "logits"), Change("", "output", "words", "output"),
    Change("", "output", 1, "output"), Change("", "outputCap", 0, "outputCap"),
    Change("", "outputCap", -1, "outputCap"), Change("", "outputCap", "2", "outputCap"),
    Change("scores", "window", 0), Change("scores", "window", -3), Change("scores", "window", "3"),
    Change("addDistance", "slopes", nil), Change("addDistance", "slopes", 1),
    Change("addDistance", "slopes", [0.5], "slopes[0]"), Change("addDistance", "reads", []),
    Change("rotate", "magnitude", 0), Change("rotate", "magnitude", .integer(1 << 41)),
    Change("rotate", "magnitude", 1.5), Change("mix", "window", 3, ""),
  ])
  func changesOfDecodersAreRefused(_ change: Change) throws {
    try ProgramJSONTests.expectRefusal(change, of: Self.decoder.get())
  }

  @Test(arguments: [
    Change("meanRow", "factorFractionalBits", nil), Change("meanRow", "factorFractionalBits", 0),
    Change("meanRow", "factorFractionalBits", 63), Change("meanRow", "reads", []),
    Change("", "output", "states"),
  ])
  func changesOfEncodersAreRefused(_ change: Change) throws {
    try ProgramJSONTests.expectRefusal(change, of: Self.encoder.get())
  }

  /// Columns take a window of at least 1, and nothing behind it.
  @Test(
    arguments: [
      ["keys", 4, 0, 0], ["keys", 4, 0, 3, 3], ["keys", 4], ["sessionKeys", 4, 0],
      ["sessionKeys", 4, 3, 3], ["fixed", 4, 3], ["pairs", 4, 0, -1],
      ["blockKeys", 4, 0, 256, 0], ["blockKeys", 4, 2, 256], ["blockKeys", 4, 2, 1, 256, 0],
      ["blocks", 4, 2, 1025, 256, 0],
    ] as [JSON])
  func columnsAreChecked(columns: JSON) throws {
    let json = try Self.encoder.get().json.setting(["values", "3", "columns"], to: columns)
    let error = try #require(inputError { _ = try SecureProgram(json: json, source: "file") })
    #expect(error.place.hasPrefix("program.values[3].columns"), "\(error)")
  }

  static func expect(
    _ cause: String, isDecoder: Bool, _ name: String, _ change: (inout ProgramNode) throws -> Void
  ) throws {
    var program = try program(isDecoder: isDecoder)
    let index = try #require(
      program.nodes.firstIndex { $0.operation.name == name && isBiased($0, isDecoder) })
    try change(&program.nodes[index])
    let error = try #require(inputError { try program.validate(source: "file") })
    #expect(error.cause.contains(cause), "\(error)")
  }

  /// Not the first addWeight, but that of a bias by distance.
  private static func isBiased(_ node: ProgramNode, _ isDecoder: Bool) -> Bool {
    guard case .addWeight(_, _, let rows) = node.operation else { return true }
    if case .distances = rows { return true }
    return isDecoder
  }

  @Test func biasesFitTheirScores() throws {
    try Self.expect("3 slopes do not fit", isDecoder: true, "addDistance") {
      $0.operation = .addDistance($0.operation.inputs[0], slopes: [1, 2, 3])
    }
    try Self.expect("slopes do not fit", isDecoder: true, "addDistance") {
      $0.operation = .addDistance(0, slopes: [1, 2, 3, 4])
    }
    for (rows, cause) in [
      (DistanceRows(borders: [0, 0], rows: [0, 1, 2]), "must ascend"),
      (DistanceRows(borders: [0], rows: [0]), "one row more"),
      (DistanceRows(borders: [0], rows: [0, 8]), "too short"),
      (DistanceRows(borders: [0], rows: [-1, 0]), "too short"),
    ] {
      try Self.expect(cause, isDecoder: false, "addWeight") {
        guard case .addWeight(let x, let weight, _) = $0.operation else { return }
        $0.operation = .addWeight(x, weight: weight, rows: .distances(rows))
      }
    }
    try Self.expect("does not fit", isDecoder: false, "addWeight") {
      guard case .addWeight(let x, let weight, _) = $0.operation else { return }
      $0.operation = .addWeight(x, weight: weight, rows: .bias)
    }
  }

  @Test func windowsAndPoolingAreChecked() throws {
    try Self.expect("holds no key", isDecoder: true, "scores") {
      guard case .scores(let query, let key, let heads, let keyHeads, _) = $0.operation else {
        return
      }
      $0.operation = .scores(query: query, key: key, heads: heads, keyHeads: keyHeads, window: 0)
    }
    // Without the window that its readers have.
    try Self.expect("must be", isDecoder: true, "scores") {
      guard case .scores(let query, let key, let heads, let keyHeads, _) = $0.operation else {
        return
      }
      $0.operation = .scores(query: query, key: key, heads: heads, keyHeads: keyHeads)
    }
    for bits in [0, 63] {
      try Self.expect("fractional bits", isDecoder: false, "meanRow") {
        $0.operation = .meanRow($0.operation.inputs[0], fractionalBits: bits)
      }
    }
    // Decoders have a last row, and no first one.
    try Self.expect("cannot be pooled", isDecoder: true, "lastRow") {
      $0.operation = .firstRow($0.operation.inputs[0])
    }
  }

  /// Rows of all buckets, by the distances that begin them.
  @Test func bucketsBecomeBorders() throws {
    let program = try Self.encoder.get()
    let buckets = RelativeBuckets(count: 8, maximumDistance: 6)
    for node in program.nodes {
      guard case .addWeight(_, _, .distances(let distances)) = node.operation else { continue }
      for distance in -11...11 { #expect(distances.row(distance) == buckets.bucket(distance)) }
      #expect(distances.rows.count <= 8)
    }
  }
}
