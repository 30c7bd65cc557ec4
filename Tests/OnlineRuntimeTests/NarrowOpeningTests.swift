// Openings of some bits of a value, and what reads them: in two parties, against arithmetic.

import Foundation
import Models
import OnlineRuntime
import Program
import TestSupport
import Testing
import Validation

struct NarrowOpeningTests {
  static func signed(_ word: UInt64, bits: Int) -> Int64 {
    Int64(bitPattern: word &<< UInt64(64 - bits)) >> Int64(64 - bits)
  }

  /// Values below 2^(bits + shift - 2) opened with `bits` bits above bit `shift`, multiplied with
  /// weights in the narrow ring.
  @Test(arguments: [(0, 5), (0, 32), (7, 40), (24, 40), (16, 48), (50, 14), (0, 63), (3, 61)])
  func linearInTheRing(shift: Int, bits: Int) throws {
    let weight = PrimitiveTests.inputs(count: 12, bits: 30, salt: 5)
    let steps = [
      PrimitiveTests.inputs(count: 36, bits: bits + shift - 2),
      PrimitiveTests.inputs(count: 12, bits: bits + shift - 2, salt: 1),
    ]
    let outcome = try PrimitiveTests.execute(width: 12, weights: [weight], steps: steps) {
      builder, x in
      let id = builder.weight(
        ProgramWeight(
          name: "w", rowCount: 1, columnCount: 12, fractionalBits: 0, source: WeightFormula()))
      let opened = try builder.emit(
        .open(x.id, Opening(shift: shift, bits: bits)), bits: [0])[0]
      let scaled = try builder.emit(.scale(opened, weight: id), bits: [0])[0]
      #expect(builder.program.values[scaled].ringBits == bits)
      // Multiplied by a power of two the rest of the word is known as well.
      return try builder.emit(
        .combine([Term(value: scaled, coefficient: 1 &<< UInt64(64 - bits))], constant: 0),
        bits: 0, bound: 1)
    }
    #expect(outcome.parties == outcome.simulator)
    let unit = UInt64(1) << UInt64(64 - bits)
    for (words, result) in zip(steps, outcome.parties) {
      for (index, word) in words.enumerated() {
        let floor = UInt64(bitPattern: Int64(bitPattern: word) >> Int64(shift))
        let factor = weight[index % 12] &* unit
        let allowed = [floor &* factor, (floor &+ 1) &* factor]
        #expect(allowed.prefix(shift == 0 ? 1 : 2).contains(result[index]))
      }
    }
    // Both carries occur where bits are dropped.
    if shift >= 7 {
      let carries = zip(steps[0], outcome.parties[0]).enumerated().map { index, pair in
        UInt64(bitPattern: Int64(bitPattern: pair.0) >> Int64(shift)) &* weight[index % 12] &* unit
          == pair.1
      }
      #expect(Set(carries).count == 2)
    }
  }

  /// A view lifts a narrow opening to the whole word.
  @Test(arguments: [(0, 20, 0), (0, 20, 5), (10, 30, 0), (10, 30, 28), (0, 63, 61), (4, 2, 0)])
  func viewIsLifted(shift: Int, bits: Int, viewShift: Int) throws {
    let input = PrimitiveTests.inputs(count: 64, bits: bits + shift - 2)
      .map { shift > 0 && Int64(bitPattern: $0) > 0 ? $0 &- (1 &<< UInt64(shift)) : $0 }
    let outcome = try PrimitiveTests.execute(width: 64, steps: [input]) { builder, x in
      let opened = try builder.emit(
        .open(x.id, Opening(shift: shift, bits: bits)), bits: [0])[0]
      let view = try builder.emit(.view(opened, shift: viewShift), bits: [0])[0]
      return try builder.emit(.truncate(view), bits: 0, bound: 1)
    }
    #expect(outcome.parties == outcome.simulator)
    for (x, y) in zip(input, outcome.parties[0]) {
      let floor = (Int64(bitPattern: x) >> Int64(shift)) >> Int64(viewShift)
      let slack = Int64(shift > 0 ? 1 : 0) + (viewShift > 0 ? 1 : 0)
      #expect((floor...floor + slack).contains(Int64(bitPattern: y)), "\(x)")
    }
  }

  @Test(arguments: ComparisonProtocol.allCases, [(0, 24), (8, 24)])
  func piecewise(comparison: ComparisonProtocol, opening: (shift: Int, bits: Int)) throws {
    let input = PrimitiveTests.inputs(count: 96, bits: 21 + opening.shift)
    let outcome = try PrimitiveTests.execute(width: 96, steps: [input]) { builder, x in
      let opened = try builder.emit(
        .open(x.id, Opening(shift: opening.shift, bits: opening.bits)), bits: [0])[0]
      let function = PiecewiseLinear(
        shift: 0, droppedBits: 0, comparedBits: 24, knots: [-1000, 70_000],
        outputs: [.init(slopes: [0, 3, -2], intercepts: [-7, 0, 90], fractionalBits: 0)],
        comparison: comparison, openedBits: opening.bits, isLifted: true)
      let id = try builder.emit(.piecewiseLinear(opened, function), bits: [0])[0]
      return FixedValue(id: id, bits: 0, bound: 1)
    }
    #expect(outcome.parties == outcome.simulator)
    for (x, result) in zip(input, outcome.parties[0]) {
      let floor = Int64(bitPattern: x) >> Int64(opening.shift)
      func value(_ y: Int64) -> Int64 {
        if y < -1000 { return -7 }
        return y < 70_000 ? 3 * y : 90 - 2 * y
      }
      let allowed = opening.shift == 0 ? [value(floor)] : [value(floor), value(floor + 1)]
      #expect(allowed.contains(Int64(bitPattern: result)))
    }
  }

  /// Words of a few bytes each, whatever the number of bytes.
  @Test(arguments: [2, 8, 9, 19, 24, 30, 33, 40, 41, 48, 50, 56, 57, 63, 64])
  func packing(bits: Int) {
    let opening = Opening(shift: 0, bits: bits)
    for count in [0, 1, 2, 3, 7, 8, 9, 40] {
      let words = PrimitiveTests.inputs(count: count, bits: 62).map(opening.reduced)
      let others = PrimitiveTests.inputs(count: count, bits: 62, salt: 4).map(opening.reduced)
      var packed: [UInt64] = []
      opening.pack(others, into: &packed)
      #expect(packed.count == opening.wordCount(elements: count))
      var sums = words
      opening.add(packed[...], to: &sums)
      #expect(sums == zip(words, others).map { opening.reduced($0 &+ $1) })
    }
  }

  static func exponential(
    openedBits: Int, cellBits: Int, unit: Double, tops: [Int]
  ) -> Exponential {
    // What is dealt is e^(a cell) at most.
    let factorBits = 27 + Int((unit * pow(2, Double(cellBits)) / log(2)).rounded(.up))
    return Exponential(
      cells: MaskCells(openedBits: openedBits, bits: cellBits), tops: tops,
      decays: (0..<openedBits).map { UInt64((exp(-unit * pow(2, Double($0))) * 0x1p62).rounded()) },
      payloadBits: 10, factorBits: factorBits)
  }

  /// e^((x - top) unit) over the whole range.
  @Test(arguments: [(18, 14), (19, 15), (12, 11), (10, 4)])
  func exponentials(openedBits: Int, cellBits: Int) throws {
    let unit = pow(2, -Double(cellBits - 2))
    let top = 1 << (openedBits - 2)
    let function = Self.exponential(
      openedBits: openedBits, cellBits: cellBits, unit: unit, tops: [top])
    let range = Int64(1 << openedBits) - Int64(1 << cellBits) - 1
    // Distances: both ends, the first cells, and anywhere.
    var distances = [0, 1, 2, range, range - 1, Int64(1) << Int64(cellBits)]
    distances += PrimitiveTests.inputs(count: 90, bits: 40).map {
      Int64($0 % UInt64(range))
    }
    let words = distances.map { UInt64(bitPattern: Int64(top) - $0) }
    let outcome = try PrimitiveTests.execute(width: words.count, steps: [words]) { builder, x in
      let opened = try builder.emit(
        .open(x.id, Opening(shift: 0, bits: openedBits)), bits: [0])[0]
      return try builder.emit(
        .exponential(opened, function), bits: function.fractionalBits, bound: 1)
    }
    #expect(outcome.parties == outcome.simulator)
    for (distance, word) in zip(distances, outcome.parties[0]) {
      let exact = exp(-Double(distance) * unit)
      let value = Double(Int64(bitPattern: word)) * pow(0.5, Double(function.fractionalBits))
      // Half a unit of the factor, and the rounding of what is dealt.
      #expect(abs(value - exact) < 0x1p-27 + exact * 0x1p-11, "\(distance)")
    }
  }

  /// Certain below the bound, impossible a cell above it.
  @Test(arguments: [(12, 8), (10, 4)])
  func coarseSteps(openedBits: Int, cellBits: Int) throws {
    let cell = 1 << cellBits
    let range = (1 << openedBits) - cell - 1
    let function = CoarseSteps(
      cells: MaskCells(openedBits: openedBits, bits: cellBits), tops: [17], bounds: [1, 2, 5])
    let distances = (0...300).map { $0 * range / 300 }
    let outcome = try PrimitiveTests.execute(
      width: distances.count, steps: [distances.map { UInt64(bitPattern: Int64(17 - $0)) }]
    ) { builder, x in
      let opened = try builder.emit(
        .open(x.id, Opening(shift: 0, bits: openedBits)), bits: [0])[0]
      let bits = try builder.emit(.coarseSteps(opened, function), bits: [0, 0, 0])
      #expect(bits.allSatisfy { builder.program.values[$0].ringBits == 16 })
      // Three numbers of 16 bits in one of 64.
      let terms = zip(bits, [48, 52, 56]).map { Term($0, 1 << $1) }
      return try builder.emit(.combine(terms, constant: 0), bits: 0, bound: 1)
    }
    #expect(outcome.parties == outcome.simulator)
    var fuzzy = Set<UInt64>()
    for (distance, word) in zip(distances, outcome.parties[0]) {
      for (index, bound) in function.bounds.enumerated() {
        let bit = (word >> UInt64(48 + 4 * index)) & 15
        if distance < bound * cell { #expect(bit == 1, "\(distance) \(bound)") }
        if distance >= (bound + 1) * cell { #expect(bit == 0, "\(distance) \(bound)") }
        if (bound * cell..<(bound + 1) * cell).contains(distance) { fuzzy.insert(bit) }
      }
    }
    #expect(fuzzy == [0, 1])
  }
}
