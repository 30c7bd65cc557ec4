// One polynomial, shifted and scaled on every piece: range reduction of exponentials as data.

public import Bytes

/// f(x) = scales[k] * p(x - shifts[k]) on piece k, which holds knots[k-1] <= x < knots[k].
///
/// One comparison key gives both x - shift and scale, so a neighbouring piece is taken for both or
/// for neither: p must go on a little beyond its interval.
public struct ScaledPieces: Equatable, Sendable {
  public var polynomial: PolynomialPiece
  /// Ascending.
  public var knots: [Double]
  /// One more than knots.
  public var shifts: [Double]
  public var scales: [Double]
  /// As of `PiecewisePolynomial`.
  public var resolution: Double

  public init(
    polynomial: PolynomialPiece, knots: [Double], shifts: [Double], scales: [Double],
    resolution: Double
  ) {
    precondition(shifts.count == knots.count + 1 && scales.count == shifts.count)
    self.polynomial = polynomial
    self.knots = knots
    self.shifts = shifts
    self.scales = scales
    self.resolution = resolution
  }

  /// exp(x) for x of at least `clip`, and 0 below: x = shift - residue with `width`s as shifts.
  ///
  /// Piece k holds -(k + 1) width <= x < -k width and is exp(-k width) * p(x + k width).
  public static func exponential(clip: Double, width: Double, _ polynomial: PolynomialPiece)
    -> ScaledPieces
  {
    let count = max(Int((-clip / width).rounded(.up)), 1)
    let steps = (0..<count).reversed().map { Double($0) * width }
    return ScaledPieces(
      polynomial: polynomial,
      knots: [max(-Double(count) * width, clip)] + steps.dropLast().map { -$0 },
      shifts: [clip] + steps.map { -$0 },
      scales: [0] + steps.map { ReferenceFunctions.exponential(-$0) },
      resolution: ReplacementSite.scoreResolution)
  }

  public func callAsFunction(_ x: Double) -> Double {
    var piece = 0
    while piece < knots.count, knots[piece] <= x { piece += 1 }
    // A scale of zero makes the argument irrelevant, which may be far from the polynomial's range.
    return scales[piece] == 0 ? 0 : scales[piece] * polynomial(x - shifts[piece])
  }
}

extension ScaledPieces {
  public var json: JSON {
    [
      "polynomial": polynomial.json, "knots": .array(knots.map(JSON.number)),
      "shifts": .array(shifts.map(JSON.number)), "scales": .array(scales.map(JSON.number)),
      "resolution": .number(resolution),
    ]
  }

  init(_ reader: inout JSONReader) throws(InputError) {
    let polynomial = try PolynomialPiece(
      json: reader.value("polynomial"), source: reader.source, place: reader.path("polynomial"))
    let knots = try reader.numbers("knots")
    let shifts = try reader.numbers("shifts")
    let scales = try reader.numbers("scales")
    guard !knots.isEmpty, knots.count <= PiecewisePolynomial.maximumKnotCount,
      zip(knots, knots.dropFirst()).allSatisfy({ $0 < $1 })
    else { throw reader.failure("knots", "must ascend, 1 to 1024 of them") }
    for (key, values) in [("shifts", shifts), ("scales", scales)]
    where values.count != knots.count + 1 {
      throw reader.failure(key, "\(values.count) of them for \(knots.count) knots")
    }
    let resolution = try reader.number(
      "resolution", default: ReplacementSite.scoreResolution, in: 0x1p-20...1)
    guard resolution.significand == 1 else {
      throw reader.failure("resolution", "\(resolution) is not a power of two")
    }
    self.init(
      polynomial: polynomial, knots: knots, shifts: shifts, scales: scales, resolution: resolution)
  }
}
