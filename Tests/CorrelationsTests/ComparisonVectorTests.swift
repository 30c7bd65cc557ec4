// Comparison keys in formats/vectors, made and evaluated by a second implementation.

import Bytes
import Foundation
import Rings
import Sharing
import TestSupport
import Testing

struct ComparisonVectorTests {
  static func words(_ bytes: [UInt8]) -> [UInt64] {
    stride(from: 0, to: bytes.count, by: 8).map { start in
      bytes[start..<start + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
  }

  static func word(_ json: JSON) throws -> UInt64 {
    guard case .string(let text) = json else { throw InputError("vectors", "expected a string") }
    return try #require(UInt64(text, radix: 16))
  }

  @Test(arguments: KernelArm.available)
  func keysAndShares(arm: KernelArm) throws {
    let path = Repository.root.appending(path: "formats/vectors/comparison.json").path
    var file = try JSONReader(JSON.read(path), source: path)
    for element in try file.array("keys") {
      var reader = try JSONReader(element, source: path)
      let levels = try reader.integer("levels")
      let payload = try reader.integer("payload")
      let comparison = ComparisonFunction(
        fixedKey: try reader.hexadecimal("fixedKey", byteCount: 16),
        layout: ComparisonKeyLayout(
          levels: levels, payload: payload, wordByteCount: try reader.integer("wordBytes")))
      #expect(comparison.layout.tailBits == (try reader.integer("tailBits")))
      let expected = try reader.hexadecimal("key", byteCount: comparison.keyByteCount)
      let roots = try reader.array("roots").map { element in
        var root = try JSONReader(["root": element], source: path)
        return Self.words(try root.hexadecimal("root", byteCount: 16))
      }
      let alpha = [try Self.word(reader.value("alpha"))]
      let beta = try reader.array("beta").map(Self.word)
      let (root0, root1) = (roots[0], roots[1])
      var key = [UInt8](repeating: 0, count: comparison.keyByteCount)
      var keySpan = key.mutableSpan
      comparison.generate(
        alphas: alpha.span, betas: beta.span, roots0: root0.span, roots1: root1.span,
        into: &keySpan, arm: arm)
      #expect(key == expected, "\(levels) levels, payload \(payload)")
      for point in try reader.array("points") {
        var entry = try JSONReader(point, source: path)
        let x = [try Self.word(entry.value("x"))]
        for party in 0...1 {
          let root = roots[party]
          let shares = try entry.array("party\(party)").map(Self.word)
          var result = [UInt64](repeating: 0, count: payload)
          var span = result.mutableSpan
          comparison.evaluate(
            party: party, keys: key.span, roots: root.span, points: x.span, into: &span,
            arm: arm)
          #expect(result == shares, "\(levels) levels, payload \(payload), party \(party)")
        }
      }
      try reader.finish()
    }
  }

  /// Point keys and what both parties get at some points: the sum over a table that is 1 at 0.
  @Test(arguments: KernelArm.available)
  func pointKeysAndShares(arm: KernelArm) throws {
    let path = Repository.root.appending(path: "formats/vectors/point.json").path
    var file = try JSONReader(JSON.read(path), source: path)
    for element in try file.array("keys") {
      var reader = try JSONReader(element, source: path)
      let gamma = reader.contains("gamma") ? try reader.array("gamma").map(Self.word) : []
      let layout = PointKeyLayout(
        bits: try reader.integer("bits"), payload: try reader.integer("payload"),
        wordByteCount: try reader.integer("wordBytes"),
        middleLevels: try reader.contains("middleLevels")
          ? reader.array("middleLevels").map { try Self.number($0) } : [],
        lineCount: max(gamma.count / 2, 1))
      #expect(layout.tailBits == (try reader.integer("tailBits")))
      let function = PointFunction(
        fixedKey: try reader.hexadecimal("fixedKey", byteCount: 16), layout: layout)
      let expected = try reader.hexadecimal("key", byteCount: layout.byteCount)
      let roots = try reader.array("roots").map { element in
        var root = try JSONReader(["root": element], source: path)
        return Self.words(try root.hexadecimal("root", byteCount: 16))
      }
      let alpha = [try Self.word(reader.value("alpha"))]
      let beta = try reader.array("beta").map(Self.word) + gamma
      let (root0, root1) = (roots[0], roots[1])
      var key = [UInt8](repeating: 0, count: layout.byteCount)
      var keySpan = key.mutableSpan
      function.generate(
        alphas: alpha.span, betas: beta.span, roots0: root0.span, roots1: root1.span,
        into: &keySpan, arm: arm)
      #expect(key == expected, "\(layout)")
      for point in try reader.array("points") {
        var entry = try JSONReader(point, source: path)
        let x = [try Self.word(entry.value("x"))]
        for party in 0...1 {
          let root = roots[party]
          let shares = try entry.array("party\(party)").map(Self.word)
          if layout.payload > 1 || !layout.middleLevels.isEmpty {
            let sums = Self.sums(
              function, key, root, party: party, cell: x[0],
              window: -(1 << layout.bits) / 2..<1 << (layout.bits - 1), arm: arm)
            let zeros = [UInt64](repeating: 0, count: 2 * layout.gammaCount)
            #expect(sums == shares + zeros, "\(layout), party \(party)")
            continue
          }
          var result: [UInt64] = [0]
          var span = result.mutableSpan
          unsafe function.evaluate(
            party: party, keys: key.span.bytes, roots: root.span, pointsPerKey: 1, points: x.span,
            into: &span, arm: arm)
          #expect(result == shares, "\(layout), party \(party)")
        }
      }
      if !layout.middleLevels.isEmpty {
        let groups = try reader.array("groups").map { try Self.levels($0) }
        for party in 0...1 {
          Self.check(function, key, roots[party], party: party, groups: groups[party], arm: arm)
        }
      }
      try reader.finish()
    }
  }

  /// The sums over tables that are 1 at 0, one a word of the payload, and the lines' of a single
  /// cell.
  private static func sums(
    _ function: PointFunction, _ key: [UInt8], _ root: [UInt64], party: Int, cell: UInt64,
    window: Range<Int>, arm: KernelArm
  ) -> [UInt64] {
    let layout = function.layout
    let one = [1] + [UInt64](repeating: 0, count: 1 << layout.bits - 1)
    let tables = PointTables(
      (0..<layout.payload).map { (word: $0, values: one) }, layout: layout,
      window: PointWindow(window, bits: layout.bits, levels: layout.middleLevels), cellBits: 0,
      countsLeft: window.count == 1, countsRight: window.count == 1)
    var result = [UInt64](repeating: 0, count: tables.sumCount)
    var span = result.mutableSpan
    let places = [cell]
    unsafe function.sum(
      party: party, keys: key.span.bytes, roots: root.span, places: places.span, tables: tables,
      into: &span, arm: arm)
    return result
  }

  /// The words of all groups but those around a cell, level by level, by what the lines' sums make
  /// of them.
  private static func check(
    _ function: PointFunction, _ key: [UInt8], _ root: [UInt64], party: Int,
    groups: [[[UInt64]]], arm: KernelArm
  ) {
    let layout = function.layout
    let kept = UInt64.max >> UInt64(64 - 8 * layout.wordByteCount)
    for cell in [0, (1 << layout.bits) - 1] {
      var expected = [UInt64](repeating: 0, count: 2 * layout.gammaCount)
      for (number, level) in layout.middleLevels.enumerated() {
        func window(_ count: Int) -> PointWindow {
          PointWindow(
            0..<1, bits: layout.bits, levels: Array(layout.middleLevels.prefix(count)))
        }
        for (group, words) in groups[number].enumerated() {
          let point = group << (layout.bits - level)
          guard case .inside = window(number).place(of: point, cell: cell) else { continue }
          let (side, distance) =
            switch window(number + 1).place(of: point, cell: cell) {
            case .inside: (-1, 0)
            case .left(let distance): (0, distance)
            case .right(let distance): (1, distance)
            }
          guard side >= 0 else { continue }
          let place = UInt64(bitPattern: Int64(distance + point))
          for pair in 0..<layout.gammaCount / 2 {
            let (one, mask) = (words[2 * pair], words[2 * pair + 1])
            expected[4 * pair + 2 * side] &+= one &* place &- mask
            expected[4 * pair + 2 * side + 1] &+= one
          }
        }
      }
      let sums = sums(
        function, key, root, party: party, cell: UInt64(cell), window: 0..<1, arm: arm)
      #expect(
        Array(sums.suffix(expected.count)) == expected.map { $0 & kept },
        "\(layout), party \(party)")
    }
  }

  /// The words of every group of every level.
  private static func levels(_ json: JSON) throws -> [[[UInt64]]] {
    try elements(json).map { level in
      try elements(level).map { words in try elements(words).map(word) }
    }
  }

  private static func elements(_ json: JSON) -> [JSON] {
    guard case .array(let elements) = json else { return [] }
    return elements
  }

  private static func number(_ json: JSON) throws -> Int {
    var reader = try JSONReader(["number": json], source: "vectors")
    return try reader.integer("number")
  }
}
