// Piecewise polynomials as data: every published activation and most exponentials are one.

public import Bytes
import Foundation

/// f(x) = slope * x + p_k(t), t = x or |x|, where piece k holds knots[k-1] <= t < knots[k].
///
/// A secure evaluation may take the neighbouring piece for a t that is less than `resolution` below
/// a knot: a coarser resolution makes shorter comparison keys.
public struct PiecewisePolynomial: Equatable, Sendable {
  /// Whether the pieces see |x|; knots are then positive.
  public var isEven: Bool
  public var slope: Double
  /// Ascending.
  public var knots: [Double]
  /// One more than knots; the outermost are unbounded.
  public var pieces: [PolynomialPiece]
  /// A power of two.
  public var resolution: Double

  public init(
    isEven: Bool = false, slope: Double = 0, knots: [Double], pieces: [PolynomialPiece],
    resolution: Double
  ) {
    precondition(pieces.count == knots.count + 1, "one piece more than knots")
    precondition(zip(knots, knots.dropFirst()).allSatisfy { $0 < $1 }, "knots must ascend")
    self.isEven = isEven
    self.slope = slope
    self.knots = knots
    self.pieces = pieces
    self.resolution = resolution
  }

  /// max(x, 0).
  public static let relu = PiecewisePolynomial(
    knots: [0], pieces: [.line(0, 0), .line(1, 0)], resolution: activationResolution)

  /// Activations may take the wrong side of a knot this close to it: both pieces nearly agree
  /// there, on a share of inputs about as small.
  public static let activationResolution = 0x1p-8

  public func callAsFunction(_ x: Double) -> Double {
    let t = isEven ? abs(x) : x
    return slope * x + pieces[piece(at: t)](t)
  }

  /// Index of the piece that holds `t`.
  public func piece(at t: Double) -> Int {
    // Knots that are <= t lie before the piece.
    var (low, high) = (0, knots.count)
    while low < high {
      let middle = (low + high) / 2
      if knots[middle] <= t { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// The same function with pieces of x itself.
  public var signed: PiecewisePolynomial {
    guard isEven || slope != 0 else { return self }
    let right = pieces.map { $0.adding(slope: slope) }
    guard isEven else {
      return PiecewisePolynomial(knots: knots, pieces: right, resolution: resolution)
    }
    let left = pieces.reversed().map { $0.mirrored.adding(slope: slope) }
    return PiecewisePolynomial(
      knots: knots.reversed().map { -$0 } + [0] + knots, pieces: left + right,
      resolution: resolution)
  }

  /// f(x) for x in `range`, and f of its nearer end outside.
  public func clamped(to range: ClosedRange<Double>) -> PiecewisePolynomial {
    let all = signed
    let (low, high) = (range.lowerBound, range.upperBound)
    var knots = all.knots.filter { low < $0 && $0 < high }
    let first = all.piece(at: low)
    var pieces = Array(all.pieces[first...(first + knots.count)])
    if low.isFinite {
      knots.insert(low, at: 0)
      pieces.insert(.line(0, self(low)), at: 0)
    }
    if high.isFinite {
      knots.append(high)
      pieces.append(.line(0, self(high)))
    }
    return PiecewisePolynomial(knots: knots, pieces: pieces, resolution: resolution)
  }

  /// factor * f(x / factor), for a positive factor.
  public func stretched(by factor: Double) -> PiecewisePolynomial {
    PiecewisePolynomial(
      isEven: isEven, slope: slope, knots: knots.map { $0 * factor },
      pieces: pieces.map {
        PolynomialPiece(
          centre: $0.centre * factor, scale: $0.scale * factor,
          coefficients: $0.coefficients.map { $0 * factor })
      }, resolution: resolution)
  }

  /// The same function with the pieces that `range` touches, the outer ones continued beyond it.
  public func restricted(to range: ClosedRange<Double>) -> PiecewisePolynomial {
    let all = signed
    let first = all.piece(at: range.lowerBound)
    let last = max(all.piece(at: range.upperBound), first)
    return PiecewisePolynomial(
      knots: Array(all.knots[first..<last]), pieces: Array(all.pieces[first...last]),
      resolution: resolution)
  }

  /// Largest |f| on `interval`, by its values at knots, ends and 64 points in each piece.
  public func bound(on interval: ClosedRange<Double>) -> Double {
    let all = signed
    let (low, high) = (interval.lowerBound, interval.upperBound)
    let borders = [low] + all.knots.filter { low < $0 && $0 < high } + [high]
    var result = 0.0
    for (left, right) in zip(borders, borders.dropFirst()) {
      let piece = all.pieces[all.piece(at: left)]
      for step in 0...64 {
        result = max(result, abs(piece(left + (right - left) * Double(step) / 64)))
      }
    }
    return result
  }
}

extension PiecewisePolynomial {
  public var json: JSON {
    [
      "even": .bool(isEven), "slope": .number(slope), "knots": .array(knots.map(JSON.number)),
      "pieces": .array(pieces.map(\.json)), "resolution": .number(resolution),
    ]
  }

  /// Most knots: each costs an evaluation of the comparison key.
  static let maximumKnotCount = 1024

  /// Reads the members of `json` from `reader`, which may hold others.
  init(_ reader: inout JSONReader) throws(InputError) {
    let isEven = try reader.contains("even") ? reader.bool("even") : false
    let slope = try reader.number("slope", default: 0, in: -1e6...1e6)
    let knots = try reader.numbers("knots")
    guard knots.count <= PiecewisePolynomial.maximumKnotCount else {
      throw reader.failure(
        "knots", "\(knots.count) of them, at most \(PiecewisePolynomial.maximumKnotCount)")
    }
    guard zip(knots, knots.dropFirst()).allSatisfy({ $0 < $1 }),
      !isEven || knots.first.map({ $0 > 0 }) ?? true
    else {
      throw reader.failure("knots", isEven ? "must be positive and ascend" : "must ascend")
    }
    let elements = try reader.array("pieces")
    guard elements.count == knots.count + 1 else {
      throw reader.failure("pieces", "\(elements.count) of them for \(knots.count) knots")
    }
    var pieces: [PolynomialPiece] = []
    for (index, element) in elements.enumerated() {
      pieces.append(
        try PolynomialPiece(
          json: element, source: reader.source, place: reader.path("pieces[\(index)]")))
    }
    let resolution = try reader.number(
      "resolution", default: PiecewisePolynomial.activationResolution, in: 0x1p-20...1)
    guard resolution.significand == 1 else {
      throw reader.failure("resolution", "\(resolution) is not a power of two")
    }
    self.init(
      isEven: isEven, slope: slope, knots: knots, pieces: pieces, resolution: resolution)
  }
}
