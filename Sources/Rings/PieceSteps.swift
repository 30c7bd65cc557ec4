// Steps between the pieces of piecewise linear functions.

internal import CRingKernels

/// What slope and intercept of each output gain where x falls below each knot, modulo 2^64.
public struct PieceSteps: Sendable {
  public let outputCount: Int
  public let knotCount: Int
  /// [outputs, knots].
  public let slopes: [UInt64]
  public let intercepts: [UInt64]

  /// Both by output and knot.
  public init(slopes: [[UInt64]], intercepts: [[UInt64]]) {
    outputCount = slopes.count
    knotCount = slopes.first?.count ?? 0
    let knotCount = knotCount
    precondition(
      intercepts.count == slopes.count
        && (slopes + intercepts).allSatisfy { $0.count == knotCount }, "a step of both a knot")
    self.slopes = Array(slopes.joined())
    self.intercepts = Array(intercepts.joined())
  }

  func withKernelPieces(levels: Int, _ body: (UnsafePointer<lodge_pieces>) -> Void) {
    unsafe slopes.withUnsafeBufferPointer { slopes in
      unsafe intercepts.withUnsafeBufferPointer { intercepts in
        var pieces = unsafe lodge_pieces(
          outputs: outputCount, knots: knotCount, levels: CInt(levels),
          slopes: slopes.baseAddress, intercepts: intercepts.baseAddress)
        unsafe body(&pieces)
      }
    }
  }
}
