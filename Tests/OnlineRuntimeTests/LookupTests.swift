// Lookups: a polynomial for every cell of an opened value, by the dealer and two parties.

import Approximation
import Foundation
import Models
import Program
import TestSupport
import Testing

@Suite struct LookupTests {
  /// Random coefficients of `degree` in some cells of 2^cellBits, and random lines beside them.
  static func function(
    openedBits: Int, cellBits: Int, degree: Int, window: Range<Int>?, resultBits: Int
  ) -> Lookup {
    var random = SplitMix(UInt64(openedBits * 100 + degree))
    let cells = MaskCells(openedBits: openedBits, bits: cellBits)
    let window = window ?? -cells.count / 2..<cells.count / 2
    func number() -> Int { Int(Int64(bitPattern: random.next()) >> 24) }
    func line() -> Lookup.Line {
      Lookup.Line(intercept: number(), slope: degree == 0 ? 0 : number())
    }
    return Lookup(
      cells: cells, firstCell: window.lowerBound,
      coefficients: (0...degree).map { _ in window.map { _ in number() } }, left: line(),
      right: line(), fractionalBits: 0, resultBits: resultBits)
  }

  /// The polynomial of cell `number` at `distance` from its start.
  static func value(_ function: Lookup, _ number: Int, at distance: UInt64) -> UInt64 {
    let index = number - function.firstCell
    if (0..<function.coefficients[0].count).contains(index) {
      return function.coefficients.reversed().reduce(0) {
        $0 &* distance &+ UInt64(bitPattern: Int64($1[index]))
      }
    }
    let line = index < 0 ? function.left : function.right
    let x = UInt64(bitPattern: Int64(number << function.cells.bits)) &+ distance
    return UInt64(bitPattern: Int64(line.intercept))
      &+ UInt64(bitPattern: Int64(line.slope)) &* x
  }

  /// Every x is the polynomial of its cell, or of the next one, whatever the mask; parties and
  /// simulator agree bit for bit.
  @Test(arguments: [
    (9, 6, 2, nil, 64), (9, 3, 1, nil, 40), (10, 8, 0, nil, 17), (12, 2, 2, nil, 56),
    (8, 1, 2, nil, 64), (12, 4, 2, -14..<15, 60), (11, 3, 1, 2..<9, 40),
    (10, 2, 0, -100..<(-70), 33),
    (12, 5, 2, 40..<60, 64), (8, 6, 2, -1..<0, 20), (12, 3, 2, 0..<1, 47), (13, 3, 2, 0..<1, 47),
  ])
  func everyArgumentAndMask(
    openedBits: Int, cellBits: Int, degree: Int, window: Range<Int>?, resultBits: Int
  ) throws {
    let function = Self.function(
      openedBits: openedBits, cellBits: cellBits, degree: degree, window: window,
      resultBits: resultBits)
    let range = function.range
    let step = max(range.count / 400, 1)
    let arguments = stride(from: range.lowerBound, through: range.upperBound, by: step).map { $0 }
    let words = arguments.map { UInt64(bitPattern: Int64($0)) }
    let outcome = try PrimitiveTests.execute(width: words.count, steps: [words, words]) {
      builder, x in
      let opened = try builder.emit(
        .open(x.id, Opening(shift: 0, bits: openedBits)), bits: [0])[0]
      let found = try builder.emit(.lookup(opened, function), bits: [0])[0]
      #expect(builder.program.values[found].ringBits == resultBits)
      // The whole ring shows no more of it.
      return try builder.emit(
        .combine([Term(found, 1 << (64 - resultBits))], constant: 0), bits: 0, bound: 1)
    }
    #expect(outcome.parties == outcome.simulator)
    var sides = Set<Int>()
    for step in outcome.parties {
      for (argument, word) in zip(arguments, step) {
        let cell = argument >> cellBits
        let candidates = [cell, cell + 1].map { cell in
          let distance = UInt64(bitPattern: Int64(argument - cell << cellBits))
          return Self.value(function, cell, at: distance) << UInt64(64 - resultBits)
        }
        guard let side = candidates.firstIndex(of: word) else {
          Issue.record("\(argument): \(word) is neither of \(candidates)")
          continue
        }
        sides.insert(side)
      }
    }
    #expect(sides == [0, 1])
  }

  /// The product with a factor's view, whatever both are: the polynomial of a cell or of the next one
  /// times the factor, modulo 2^resultBits; parties and simulator agree bit for bit.
  @Test(arguments: [
    (9, 6, 2, nil, 64), (9, 3, 1, nil, 40), (10, 8, 0, nil, 17), (12, 4, 2, -14..<15, 60),
    (10, 2, 0, -100..<(-70), 33), (13, 3, 2, 0..<1, 47), (12, 3, 2, 0..<1, 64),
  ])
  func factors(
    openedBits: Int, cellBits: Int, degree: Int, window: Range<Int>?, resultBits: Int
  ) throws {
    var function = Self.function(
      openedBits: openedBits, cellBits: cellBits, degree: degree, window: window,
      resultBits: resultBits)
    let (range, factorBits, most) = (function.range, 14, 1 << 12)
    let step = max(range.count / 200, 1)
    let arguments = stride(from: range.lowerBound, through: range.upperBound, by: step).map { $0 }
    var random = SplitMix(UInt64(resultBits))
    let factors = arguments.indices.map { index in
      [-most, most - 2, 0, -1, Int(random.next() % UInt64(2 * most - 1)) - most][index % 5]
    }
    // The argument in the low bits, and the factor from bit 20 on.
    let words = zip(arguments, factors).map { argument, factor in
      UInt64(bitPattern: Int64(argument & (1 << openedBits - 1) + factor << 20))
    }
    let outcome = try PrimitiveTests.execute(width: words.count, steps: [words, words]) {
      builder, x in
      let opened = try builder.emit(
        .open(x.id, Opening(shift: 0, bits: openedBits)), bits: [0])[0]
      let short = try builder.emit(
        .open(x.id, Opening(shift: 20, bits: factorBits)), bits: [0])[0]
      function.factor = try builder.emit(.view(short, shift: 0), bits: [0])[0]
      let found = try builder.emit(.lookup(opened, function), bits: [0])[0]
      #expect(builder.program.values[found].ringBits == resultBits)
      return try builder.emit(
        .combine([Term(found, 1 << (64 - resultBits))], constant: 0), bits: 0, bound: 1)
    }
    #expect(outcome.parties == outcome.simulator)
    var found = Set<Int>()
    for step in outcome.parties {
      for (element, word) in step.enumerated() {
        let cell = arguments[element] >> cellBits
        // What is shortened may come out one more.
        let candidates = [cell, cell + 1].flatMap { cell in
          let distance = UInt64(bitPattern: Int64(arguments[element] - cell << cellBits))
          let value = Self.value(function, cell, at: distance)
          return [0, 1].map { more in
            value &* UInt64(bitPattern: Int64(factors[element] + more)) << UInt64(64 - resultBits)
          }
        }
        guard let number = candidates.firstIndex(of: word) else {
          Issue.record("\(arguments[element]), \(factors[element]): \(word)")
          continue
        }
        found.insert(number / 2)
      }
    }
    // On lines both are the same.
    #expect(window != nil || found == [0, 1])
  }

  /// Two lines that meet at 0: in every cell, and in the one before it, right to the resolution.
  @Test(arguments: [(0, 1), (-1, 1), (1, 0), (0.01, 1), (0.25, 3), (0, -2)])
  func bends(left: Double, right: Double) throws {
    for resolution in [0x1p-8, 0x1p-14] {
      let function = PiecewisePolynomial(
        knots: [0], pieces: [.line(left, 0), .line(right, 0)], resolution: resolution)
      let cells = try #require(EqualCells(bend: function, resolution: resolution))
      #expect(cells.cells == 0..<1 && log2(cells.width) == log2(cells.width).rounded())
      #expect(cells.width > 7.9 * resolution / abs(right - left))
      #expect(cells.lines.left == [0, left] && cells.lines.right == [0, right])
      for place in -100...100 {
        let x = cells.width * Double(place) / 100
        let value = cells.coefficients.reversed().reduce(0) { $0 * x + $1[0] }
        #expect(abs(value - function(x)) <= resolution * (1 + 1e-12), "at \(x)")
      }
    }
    #expect(EqualCells(bend: .relu, resolution: 0x1p-8)?.coefficientBits == -3)
    for other in [
      PiecewisePolynomial(knots: [1], pieces: [.line(0, 0), .line(1, -1)], resolution: 0x1p-8),
      PiecewisePolynomial(knots: [0], pieces: [.line(0, 0), .line(0, 1)], resolution: 0x1p-8),
      PiecewisePolynomial(knots: [0], pieces: [.line(1, 0), .line(1, 0)], resolution: 0x1p-8),
      PiecewisePolynomial(
        knots: [-1, 1], pieces: [.line(0, 0), .line(1, 1), .line(0, 2)], resolution: 0x1p-8),
    ] { #expect(EqualCells(bend: other, resolution: 0x1p-8) == nil) }
  }

  /// GeLU and SiLU as the recipe `accurate` has them, lowered: right to the error of their
  /// parabolas and of the fixed point beside it, over the whole range.
  @Test(arguments: [OperationClass.gelu, .geluTanh, .silu])
  func accurateActivations(operationClass: OperationClass) throws {
    let form = CellsActivation.accurate.form(at: ReplacementSite(operationClass))
    guard case .activation(let function)? = form else {
      Issue.record("an activation")
      return
    }
    let exact = try #require(operationClass.activation?.function)
    for bound in [6.0, 20, 30] {
      let cells = try #require(EqualCells(function))
      for place in 0...4000 {
        let x = bound * (Double(place) / 2000 - 1)
        for cell in [(x / cells.width).rounded(.down), (x / cells.width).rounded(.down) + 1] {
          let index = Int(cell) - cells.cells.lowerBound
          let distance = x - cell * cells.width
          let line = index < 0 ? cells.lines.left : cells.lines.right
          let value =
            cells.cells.contains(Int(cell))
            ? cells.coefficients.reversed().reduce(0) { $0 * distance + $1[index] }
            : line[0] + line[1] * x
          #expect(abs(value - exact(x)) <= 0x1.2p-11, "\(x) in cell \(cell)")
        }
      }
    }
  }
}
