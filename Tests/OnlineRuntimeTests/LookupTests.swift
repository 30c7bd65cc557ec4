// Lookups: a polynomial for every cell of an opened value, by the dealer and two parties.

import Approximation
import Models
import Program
import TestSupport
import Testing

@Suite struct LookupTests {
  /// Random coefficients of `degree` in cells of 2^cellBits.
  static func function(openedBits: Int, cellBits: Int, degree: Int, resultBits: Int) -> Lookup {
    var random = SplitMix(UInt64(openedBits * 100 + degree))
    let cells = MaskCells(openedBits: openedBits, bits: cellBits)
    return Lookup(
      cells: cells,
      coefficients: (0...degree).map { _ in
        (0..<cells.count).map { _ in Int(Int64(bitPattern: random.next()) >> 24) }
      }, fractionalBits: 0, resultBits: resultBits)
  }

  /// Every x is the polynomial of its cell, or of the next one, whatever the mask; parties and
  /// simulator agree bit for bit.
  @Test(arguments: [
    (9, 6, 2, 64), (9, 3, 1, 40), (10, 8, 0, 17), (12, 2, 2, 56), (8, 1, 2, 64),
  ])
  func everyArgumentAndMask(openedBits: Int, cellBits: Int, degree: Int, resultBits: Int) throws {
    let function = Self.function(
      openedBits: openedBits, cellBits: cellBits, degree: degree, resultBits: resultBits)
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
          let value = function.coefficients.reversed().reduce(0 as UInt64) { sum, values in
            sum &* distance
              &+ UInt64(bitPattern: Int64(values[cell & (function.cells.count - 1)]))
          }
          return value << UInt64(64 - resultBits)
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

  /// GeLU and SiLU as the recipe `accurate` has them, lowered: right to the error of their parabolas
  /// and of the fixed point beside it, over the whole range.
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
      let numberBits = cells.bits(bound: bound)
      let coefficients = cells.coefficients(bits: numberBits)
      for place in 0...4000 {
        let x = bound * (Double(place) / 2000 - 1)
        for cell in [(x / cells.width).rounded(.down), (x / cells.width).rounded(.down) + 1] {
          let index = Int(cell) & (1 << numberBits - 1)
          let distance = x - cell * cells.width
          let value = coefficients.reversed().reduce(0) { $0 * distance + $1[index] }
          #expect(abs(value - exact(x)) <= 0x1.2p-11, "\(x) in cell \(cell)")
        }
      }
    }
  }
}
