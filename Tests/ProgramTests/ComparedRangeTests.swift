// For which arguments a comparison of a window of bits is right, and that the lowering keeps to them.

import Approximation
import Models
import Program
import Testing

@Suite struct ComparedRangeTests {
  private func function(
    droppedBits: Int, comparedBits: Int, knots: [Int] = [0], shift: Int = 0
  ) -> PiecewiseLinear {
    PiecewiseLinear(
      shift: shift, droppedBits: droppedBits, comparedBits: comparedBits, knots: knots,
      outputs: [
        .init(
          slopes: [Int](repeating: 0, count: knots.count + 1),
          intercepts: Array(0...knots.count), fractionalBits: 0)
      ])
  }

  /// [x < knot] from the public point and the mask, by the text of formats/program.md.
  private func isBelow(_ function: PiecewiseLinear, x: Int, knot: Int, mask: UInt64) -> Bool {
    let opened = UInt64(bitPattern: Int64(x)) &+ mask
    func parts(_ word: UInt64) -> (top: UInt64, low: UInt64) {
      let window = function.window(word)
      let top = window >> UInt64(function.levels)
      return (top, window & (UInt64.max >> UInt64(64 - function.levels)))
    }
    let (point, alpha) = (parts(opened &- UInt64(bitPattern: Int64(knot))), parts(mask))
    let isLess: UInt64 = point.low < alpha.low ? 1 : 0
    let flipped = alpha.top &+ (1 &- 2 &* alpha.top) &* isLess
    return point.top &+ (1 &- 2 &* point.top) &* flipped == 1
  }

  /// Every difference in and beyond the window, under every mask of its bits: right within the
  /// range, and wrong for some mask right outside of it, where the older rule |x - knot| < 2^top
  /// allowed all of the last 2^droppedBits - 1.
  @Test(arguments: 0...4, 2...5) func everyArgumentAndMask(droppedBits: Int, comparedBits: Int) {
    let function = function(droppedBits: droppedBits, comparedBits: comparedBits)
    let range = function.comparedRange
    let end = 1 << (droppedBits + comparedBits - 1)
    #expect(range == -end...end - 1 << droppedBits)
    let masks = (0..<UInt64(2 * end)).flatMap { low in
      // With bits above the window, which must not matter.
      [low, low | 0xf << 60, low &- UInt64(2 * end)]
    }
    for knot in [0, 5, -1 << 40] {
      for difference in -end - 2...end + 1 {
        let below = masks.count { isBelow(function, x: knot + difference, knot: knot, mask: $0) }
        if range.contains(difference) {
          if difference >= 0 {
            #expect(below == 0, "\(difference)")
          } else if difference <= -1 << droppedBits {
            #expect(below == masks.count, "\(difference)")
          } else {
            // A carry may take it up to the knot.
            #expect(below > 0, "\(difference)")
          }
        } else if difference >= 0 {
          #expect(below > 0, "\(difference) is right under every mask")
        } else {
          #expect(below < masks.count, "\(difference) is right under every mask")
        }
      }
    }
  }

  /// The ends of the ring.
  @Test func widestWindows() {
    #expect(function(droppedBits: 0, comparedBits: 64).comparedRange == Int.min...Int.max)
    #expect(
      function(droppedBits: 62, comparedBits: 2).comparedRange == Int.min...Int.max - 1 << 62 + 1)
  }

  /// Bounds just below a power of two, where the dropped bits reach the top of the window.
  @Test(arguments: [7.0, 7.5, 7.9375, 7.9999, 8.0, 8.0001, 15.99], [0, 4, 17])
  func theLoweringKeepsClear(bound: Double, resolutionBits: Int) throws {
    for knots in [[0], [-0.5, 0.25], [-bound, bound / 2]] as [[Double]] {
      var builder = ProgramBuilder(
        program: SecureProgram(
          family: "test", kind: .encoder, clientInput: .embedding, vocabularySize: 1,
          maximumPositions: 1))
      let input = builder.input(width: 1, bits: 20, bound: bound)
      let resolution = Double(1 << resolutionBits) / Double(1 << 20)
      _ = try builder.piecewise(
        input, bits: 20, resolution: resolution, knots: knots,
        outputs: [
          (
            slopes: knots.map { _ in 0 } + [1], intercepts: knots.map { _ in 0 } + [0],
            extraBits: 0, bound: bound
          )
        ])
      try expectClear(builder, droppedBits: resolutionBits, reaching: -bound...bound, unit: 0x1p-20)
    }
  }

  @Test(arguments: [15.0, 15.5, 15.9, 15.99, 15.999, 16]) func tablesKeepClear(end: Double) throws {
    var builder = ProgramBuilder(
      program: SecureProgram(
        family: "test", kind: .encoder, clientInput: .embedding, vocabularySize: 1,
        maximumPositions: 1))
    let input = builder.input(width: 1, bits: 40, bound: end)
    _ = try builder.table(input, unit: 0x1p-40, range: 0.01...end, tolerance: 0x1p-6) { 1 / $0 }
    try expectClear(builder, reaching: 0...end, unit: 0x1p-40)
  }

  private func expectClear(
    _ builder: ProgramBuilder, droppedBits: Int? = nil, reaching range: ClosedRange<Double>,
    unit: Double
  ) throws {
    var count = 0
    for case .piecewiseLinear(_, let function) in builder.program.nodes.map(\.operation) {
      count += 1
      if let droppedBits { #expect(function.droppedBits == droppedBits) }
      for knot in function.knots {
        for end in [range.lowerBound, range.upperBound] {
          #expect(function.comparedRange.contains(Int((end / unit).rounded()) - knot))
        }
      }
    }
    #expect(count == 1)
  }
}
