// Appends operations to a program, tracking scales and bounds so that nothing can overflow.

import Approximation
package import Bytes
import Foundation

/// A shared value with its scale and the largest real magnitude it may have.
package struct FixedValue {
  package var id: ValueID
  package var bits: Int
  package var bound: Double

  package init(id: ValueID, bits: Int, bound: Double) {
    self.id = id
    self.bits = bits
    self.bound = bound
  }
}

/// An opened value or a view, with its scale.
package struct MaskedValue {
  package var id: ValueID
  package var bits: Int
}

/// Emits operations; every shape comes from the same inference that checks programs from files.
package struct ProgramBuilder {
  package var program: SecureProgram
  package var label = ""
  /// How comparisons are made, where that pays.
  package var comparison = ComparisonProtocol.keys
  private var openings: [ValueID: ValueID] = [:]
  private var views: [[Int]: ValueID] = [:]
  private var weightIDs: [String: WeightID] = [:]

  package init(program: SecureProgram) { self.program = program }

  /// Starts the program: the client's rows of `width` columns.
  package mutating func input(width: Int, bits: Int, bound: Double) -> FixedValue {
    program.values.append(
      ProgramValue(shape: .fixed(width), form: .shared, fractionalBits: bits))
    program.nodes.append(ProgramNode(operation: .input, outputs: 0..<1, label: label))
    return FixedValue(id: 0, bits: bits, bound: bound)
  }

  /// Appends `operation`; the results carry `bits` fractional bits each.
  package mutating func emit(_ operation: Operation, bits: [Int]) throws(InputError) -> [ValueID] {
    var operation = operation
    if comparison == .bits, case .piecewiseLinear(let x, let function) = operation {
      operation = .piecewiseLinear(x, function.comparing(preferring: .bits))
    }
    let shapes: [(ValueShape, ValueForm)]
    do throws(ShapeError) {
      shapes = try program.inferOutputs(operation, isFirst: program.nodes.isEmpty)
    } catch {
      throw InputError("lowering", place: label, error.cause)
    }
    let first = program.values.count
    for (shape, bits) in zip(shapes, bits) {
      program.values.append(ProgramValue(shape: shape.0, form: shape.1, fractionalBits: bits))
    }
    program.nodes.append(
      ProgramNode(operation: operation, outputs: first..<program.values.count, label: label))
    return Array(first..<program.values.count)
  }

  package mutating func emit(_ operation: Operation, bits: Int, bound: Double) throws(InputError)
    -> FixedValue
  {
    try check(bits: bits, bound: bound)
    return FixedValue(id: try emit(operation, bits: [bits])[0], bits: bits, bound: bound)
  }

  /// Refuses a value that could leave (-2^62, 2^62).
  package func check(bits: Int, bound: Double) throws(InputError) {
    guard fits(bits: bits, bound: bound) else {
      throw InputError(
        "lowering", place: label,
        "a value up to \(bound) with \(bits) fractional bits does not fit the 64-bit ring",
        hint: "lower the recipe's headroom or fractionalBits")
    }
  }

  package func fits(bits: Int, bound: Double) -> Bool { bound * pow(2, Double(bits)) < 0x1p62 }

  package func shape(_ value: ValueID) -> ValueShape { program.values[value].shape }

  // MARK: Openings and scales

  /// The opening of `value`; a value is opened once however many operations read it.
  package mutating func open(_ value: FixedValue) throws(InputError) -> MaskedValue {
    if let id = openings[value.id] {
      return MaskedValue(id: id, bits: value.bits)
    }
    let id = try emit(.open(value.id), bits: [value.bits])[0]
    openings[value.id] = id
    return MaskedValue(id: id, bits: value.bits)
  }

  /// `value` opened and seen with `bits` fractional bits: the opening itself where it has no more.
  package mutating func open(_ value: FixedValue, bits: Int) throws(InputError) -> MaskedValue {
    let opened = try open(value)
    let shift = value.bits - bits
    guard shift > 0 else { return opened }
    let key = [opened.id, shift]
    if let id = views[key] { return MaskedValue(id: id, bits: bits) }
    let id = try emit(.view(opened.id, shift: shift), bits: [bits])[0]
    views[key] = id
    return MaskedValue(id: id, bits: bits)
  }

  /// `value` with `bits` fractional bits: shifted up locally, or truncated (one round).
  package mutating func rescale(_ value: FixedValue, to bits: Int) throws(InputError) -> FixedValue
  {
    if value.bits == bits { return value }
    if value.bits < bits {
      return try emit(
        .combine([Term(value.id, 1 << (bits - value.bits))], constant: 0), bits: bits,
        bound: value.bound)
    }
    let view = try open(value, bits: bits)
    return try emit(.truncate(view.id), bits: bits, bound: value.bound)
  }

  /// a + b at the larger of their scales.
  package mutating func add(_ a: FixedValue, _ b: FixedValue, bound: Double) throws(InputError)
    -> FixedValue
  {
    let bits = max(a.bits, b.bits)
    return try emit(
      .combine([Term(a.id, 1 << (bits - a.bits)), Term(b.id, 1 << (bits - b.bits))], constant: 0),
      bits: bits, bound: bound)
  }

  /// value + constant.
  package mutating func adding(_ constant: Double, to value: FixedValue) throws(InputError)
    -> FixedValue
  {
    let word = (constant * pow(2, Double(value.bits))).rounded()
    guard word != 0 else { return value }
    try check(bits: value.bits, bound: abs(constant))
    return try emit(
      .combine([Term(value.id, 1)], constant: UInt64(bitPattern: Int64(word))), bits: value.bits,
      bound: value.bound + abs(constant))
  }

  // MARK: Weights

  /// The weight called `weight.name`, added to the program when it is new.
  package mutating func weight(_ weight: ProgramWeight) -> WeightID {
    if let id = weightIDs[weight.name] { return id }
    program.weights.append(weight)
    weightIDs[weight.name] = program.weights.count - 1
    return program.weights.count - 1
  }

  // MARK: Piecewise linear functions

  /// Piecewise linear functions whose pieces are given exactly, in real numbers.
  ///
  /// Values below `resolution` from a knot may fall on its other side. `bits` are the fractional
  /// bits of the (truncated) argument on which slopes act; slopes must be multiples of
  /// 2^-extraBits of each output, whose scale is bits + extraBits.
  package mutating func piecewise(
    _ value: FixedValue, bits: Int, resolution: Double, knots: [Double],
    outputs: [(slopes: [Double], intercepts: [Double], extraBits: Int, bound: Double)]
  ) throws(InputError) -> [FixedValue] {
    let shift = max(value.bits - bits, 0)
    let argumentBits = value.bits - shift
    let reach = value.bound + knots.reduce(0) { max($0, abs($1)) }
    let scale = pow(2, Double(value.bits))
    let dropped = max(0, value.bits + Int(log2(resolution).rounded(.down)))
    let compared = PiecewiseLinear.comparedBits(reach: reach * scale, droppedBits: dropped)
    guard dropped + compared <= 63 else {
      throw InputError("lowering", place: label, "\(reach) leaves the ring")
    }
    let function = PiecewiseLinear(
      shift: shift, droppedBits: dropped, comparedBits: compared,
      knots: knots.map { Int(($0 * scale).rounded()) },
      outputs: outputs.map { output in
        let outputBits = argumentBits + output.extraBits
        return PiecewiseLinear.Output(
          slopes: output.slopes.map { Int(($0 * pow(2, Double(output.extraBits))).rounded()) },
          intercepts: output.intercepts.map { Int(($0 * pow(2, Double(outputBits))).rounded()) },
          fractionalBits: outputBits)
      })
    for output in outputs { try check(bits: argumentBits + output.extraBits, bound: output.bound) }
    let opened = try open(value)
    let ids = try emit(
      .piecewiseLinear(opened.id, function), bits: function.outputs.map(\.fractionalBits))
    return zip(ids, outputs).map {
      FixedValue(id: $0, bits: argumentBits + $1.extraBits, bound: $1.bound)
    }
  }

  /// A fitted table of a decreasing convex function g(x), x = ring element of `value` * unit +
  /// offset, for x within `range`.
  ///
  /// The result has as many fractional bits as fit, and the argument is truncated only as far as
  /// slopes need it to be precise to a quarter of the fit's own error.
  ///
  /// - Parameter leastSteps: Steps of the truncated argument below the range. With fewer than 1 /
  ///   tolerance the result is coarser there, and up to five times the tolerance elsewhere.
  package mutating func table(
    _ value: FixedValue, unit: Double, offset: Double = 0, range: ClosedRange<Double>,
    tolerance: Double, leastSteps: Double? = nil, _ function: (Double) -> Double
  ) throws(InputError) -> FixedValue {
    let fit = PiecewiseLinearFit.fit(on: range, tolerance: tolerance, function)
    let largest = function(range.lowerBound)
    let resultBits = 60 - max(Int(log2(largest * 1.01).rounded(.up)), 0)
    let borders = [range.lowerBound] + fit.knots + [range.upperBound]
    let halfWidths = zip(borders, borders.dropFirst()).map { ($1 - $0) / unit / 2 }
    /// Truncated bits with which rounded slopes cost `share` of the tolerance.
    func shift(_ share: Double) -> Int {
      var shift = 0
      while zip(halfWidths, borders.dropFirst()).contains(where: { halfWidth, right in
        halfWidth / pow(2, Double(shift)) / 2
          > share * tolerance * function(right) * pow(2, Double(resultBits))
      }) { shift += 1 }
      return shift
    }
    let least = min(leastSteps ?? .infinity, 1 / tolerance)
    func isFine(_ shift: Int) -> Bool { range.lowerBound / unit / pow(2, Double(shift)) > least }
    let shares = leastSteps == nil ? [0.25] : [0.25, 1, 4]
    guard let shift = shares.map(shift).first(where: isFine) else {
      throw InputError(
        "lowering", place: label, "the range \(range) is too wide for a table with this tolerance",
        hint: "raise the recipe's tableTolerance")
    }
    let argumentUnit = unit * pow(2, Double(shift))
    let resultScale = pow(2, Double(resultBits))
    var output = PiecewiseLinear.Output(slopes: [], intercepts: [], fractionalBits: resultBits)
    for piece in fit.slopes.indices {
      // The intercept makes up for the rounding of the slope in the middle of the piece.
      let middle = (borders[piece] + borders[piece + 1]) / 2
      let word = (middle - offset) / argumentUnit
      let slope = (fit.slopes[piece] * argumentUnit * resultScale).rounded()
      let exact = (fit.slopes[piece] * middle + fit.intercepts[piece]) * resultScale
      output.slopes.append(Int(slope))
      output.intercepts.append(Int((exact - slope * word).rounded()))
    }
    let spacing = (borders[1] - borders[0]) / unit
    let dropped = max(0, Int(log2(spacing / 16).rounded(.down)))
    let reach = max(range.upperBound - offset, range.upperBound - range.lowerBound) / unit
    let compared = PiecewiseLinear.comparedBits(reach: reach, droppedBits: dropped)
    guard dropped + compared <= 63 else {
      throw InputError("lowering", place: label, "\(range) leaves the ring")
    }
    let opened = try open(value)
    let id = try emit(
      .piecewiseLinear(
        opened.id,
        PiecewiseLinear(
          shift: shift, droppedBits: dropped, comparedBits: compared,
          knots: fit.knots.map { Int((($0 - offset) / unit).rounded()) }, outputs: [output])),
      bits: [resultBits])[0]
    return FixedValue(id: id, bits: resultBits, bound: largest * 1.01)
  }
}
