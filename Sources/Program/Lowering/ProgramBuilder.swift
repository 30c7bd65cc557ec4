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
  private var openings: [ValueID: [Opening: ValueID]] = [:]
  /// Whether openings of running blocks are those of all columns, as linear layers read them.
  private var spreadsBlocks = false
  private var views: [[Int]: ValueID] = [:]
  private var truncations: [ValueID: ValueID] = [:]
  private var widenings: [ValueID: [Int: ValueID]] = [:]
  private var weightIDs: [String: WeightID] = [:]

  /// Of numbers so large that their last bits before the point do not count.
  static let leastFractionalBits = -8

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
    guard bits.allSatisfy({ (Self.leastFractionalBits...62).contains($0) }) else {
      throw InputError(
        "lowering", place: label,
        "\(bits.max() ?? 0) fractional bits do not fit the 64-bit ring",
        hint: "lower the recipe's fractionalBits, or scale the weights that it comes from")
    }
    let shapes: [(ValueShape, ValueForm)]
    do throws(ShapeError) {
      shapes = try program.inferOutputs(operation, isFirst: program.nodes.isEmpty)
    } catch {
      throw InputError("lowering", place: label, error.cause)
    }
    let ringBits: Int
    do throws(ShapeError) {
      ringBits = try program.inferRingBits(operation)
    } catch {
      throw InputError("lowering", place: label, error.cause)
    }
    let first = program.values.count
    for (shape, bits) in zip(shapes, bits) {
      program.values.append(
        ProgramValue(shape: shape.0, form: shape.1, fractionalBits: bits, ringBits: ringBits))
    }
    program.nodes.append(
      ProgramNode(operation: operation, outputs: first..<program.values.count, label: label))
    return Array(first..<program.values.count)
  }

  package mutating func emit(_ operation: Operation, bits: Int, bound: Double) throws(InputError)
    -> FixedValue
  {
    try check(bits: bits, bound: bound)
    let value = FixedValue(id: try emit(operation, bits: [bits])[0], bits: bits, bound: bound)
    guard fits(bits: bits, bound: bound, ringBits: ringBits(value)) else {
      throw InputError(
        "lowering", place: label,
        "a value up to \(bound) with \(bits) fractional bits does not fit \(ringBits(value)) bits",
        hint: "lower the recipe's headroom or fractionalBits")
    }
    return value
  }

  /// `value` is known modulo 2 to this power.
  package func ringBits(_ value: FixedValue) -> Int { program.values[value.id].ringBits }

  /// Whether a value stays below 2^(ringBits-2), where views of it are right.
  package func fits(bits: Int, bound: Double, ringBits: Int) -> Bool {
    bound * pow(2, Double(bits)) < pow(2, Double(ringBits - 2))
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

  package func fits(bits: Int, bound: Double) -> Bool {
    bits <= 62 && bound * pow(2, Double(bits)) < 0x1p62
  }

  package func shape(_ value: ValueID) -> ValueShape { program.values[value].shape }

  // MARK: Openings and scales

  /// Bits that an opening has beyond those that a value up to its bound needs: what leaves the
  /// calibrated range a little is still right.
  static let spareBits = 2
  /// Whether values are opened with the bits that are read. Else they are opened whole, which nothing
  /// outside its calibrated range can leave so soon, and which keeps what is zero exactly zero.
  package var opensBits = true
  /// Bits that are worth dropping from shares, where a number that is exact without them may come out
  /// one more with a chance of 2^-shift.
  static let leastShift = 8

  /// The opening of all bits of `value`; a value is opened once however many operations read it.
  package mutating func open(_ value: FixedValue) throws(InputError) -> MaskedValue {
    try opening(value, Opening(shift: 0, bits: ringBits(value)))
  }

  /// What `open` opens, among all columns where it is of running blocks: for readers that know
  /// nothing of blocks.
  package mutating func amongAllColumns(
    _ open: (inout ProgramBuilder) throws(InputError) -> MaskedValue
  ) throws(InputError) -> MaskedValue {
    spreadsBlocks = true
    defer { spreadsBlocks = false }
    return try open(&self)
  }

  private mutating func opening(_ value: FixedValue, _ opening: Opening) throws(InputError)
    -> MaskedValue
  {
    let bits = value.bits - opening.shift
    if spreadsBlocks, shape(value.id).columns.runningBlocks != nil {
      return MaskedValue(id: try emit(.openBlocks(value.id, opening), bits: [bits])[0], bits: bits)
    }
    if let id = openings[value.id]?[opening] { return MaskedValue(id: id, bits: bits) }
    let id = try emit(.open(value.id, opening), bits: [bits])[0]
    openings[value.id, default: [:]][opening] = id
    return MaskedValue(id: id, bits: bits)
  }

  /// `value` opened and seen with `bits` fractional bits in the whole ring: as it is where it has no
  /// more and is whole, else a view of an opening of as many bits as it needs.
  package mutating func open(_ value: FixedValue, bits: Int) throws(InputError) -> MaskedValue {
    let opened = try openNeeded(value, bits: bits)
    let rest = opened.bits - bits
    guard rest > 0 || program.values[opened.id].ringBits < 64 else { return opened }
    let key = [opened.id, max(rest, 0)]
    let seen = opened.bits - max(rest, 0)
    if let id = views[key] { return MaskedValue(id: id, bits: seen) }
    let id = try emit(.view(opened.id, shift: max(rest, 0)), bits: [seen])[0]
    views[key] = id
    return MaskedValue(id: id, bits: seen)
  }

  /// What views of `value` with `bits` fractional bits are of: an opening of as many bits as it needs.
  private mutating func openNeeded(_ value: FixedValue, bits: Int) throws(InputError)
    -> MaskedValue
  {
    let shift = value.bits - bits
    if shift <= 0, ringBits(value) == 64 { return try open(value) }
    if let whole = openings[value.id]?[.whole] { return MaskedValue(id: whole, bits: value.bits) }
    if !opensBits, ringBits(value) == 64 { return try open(value) }
    // A few bits are dropped by the view, which keeps numbers that have no more exact.
    let kept = shift < Self.leastShift ? value.bits : bits
    return try openNarrow(value, bits: kept, ringBits: kept + magnitudeBits(value.bound) + 2)
  }

  /// `value` opened with at most `bits` fractional bits modulo 2^`ringBits` or somewhat more, for
  /// operations that need no more of the ring.
  ///
  /// - Throws: `InputError` where the value has not so many: see `canOpen`.
  package mutating func openNarrow(
    _ value: FixedValue, bits: Int, ringBits needed: Int, spareBits: Int = Self.spareBits
  ) throws(InputError) -> MaskedValue {
    let shift = max(value.bits - bits, 0)
    let available = ringBits(value) - shift
    guard needed <= available else {
      throw InputError(
        "lowering", place: label,
        "\(needed) bits of the ring are needed of a value that has \(available) above the \(shift) "
          + "that are dropped",
        hint: "lower the recipe's headroom or fractionalBits")
    }
    let wanted = max(needed, 2) + spareBits
    return try opening(value, Opening(shift: shift, bits: min(wanted, available)))
  }

  /// `value` opened with `bits` fractional bits, no more than it has, modulo 2^`ringBits`, which
  /// `canOpen` must allow.
  package mutating func openExactly(_ value: FixedValue, bits: Int, ringBits: Int)
    throws(InputError) -> MaskedValue
  {
    try opening(value, Opening(shift: value.bits - bits, bits: ringBits))
  }

  /// The same of a value that may have fewer, with at most `bits` fractional bits: then as many are
  /// opened as it needs, and widened (a flight more).
  package mutating func openWide(
    _ value: FixedValue, bits: Int, ringBits needed: Int, spareBits: Int = Self.spareBits
  ) throws(InputError) -> MaskedValue {
    if canOpen(value, bits: bits, ringBits: needed) {
      return try openNarrow(value, bits: bits, ringBits: needed, spareBits: spareBits)
    }
    let bits = min(bits, value.bits)
    let opened = try openNeeded(value, bits: bits)
    guard opened.bits == bits, program.isWidenable(opened.id) else {
      return try openNarrow(
        lift(value, to: bits), bits: bits, ringBits: needed, spareBits: spareBits)
    }
    return try widened(opened, ringBits: needed, spareBits: spareBits)
  }

  /// What is seen of a value up to `bound`, opened whole or a view, opened modulo 2^`ringBits` or
  /// somewhat more.
  package mutating func widened(_ seen: MaskedValue, bound: Double, ringBits needed: Int)
    throws(InputError) -> MaskedValue
  {
    guard program.isWidenable(seen.id) else {
      return try openNarrow(
        truncated(seen, bound: bound), bits: seen.bits, ringBits: needed)
    }
    return try widened(seen, ringBits: needed)
  }

  /// What `seen` is of with more bits where it has not so many.
  private mutating func widened(
    _ seen: MaskedValue, ringBits needed: Int, spareBits: Int = Self.spareBits
  ) throws(InputError) -> MaskedValue {
    let opened = program.openedValue(seen.id)
    let ringBits = program.values[opened].ringBits
    guard needed > ringBits else { return MaskedValue(id: opened, bits: seen.bits) }
    let bits = min(max(needed + spareBits, ringBits + 2), 64)
    if let id = widenings[opened]?[bits] { return MaskedValue(id: id, bits: seen.bits) }
    let id = try emit(.widen(seen.id, bits: bits), bits: [seen.bits])[0]
    widenings[opened, default: [:]][bits] = id
    return MaskedValue(id: id, bits: seen.bits)
  }

  /// The shared value of a view.
  package mutating func truncated(_ seen: MaskedValue, bound: Double) throws(InputError)
    -> FixedValue
  {
    if let id = truncations[seen.id] { return FixedValue(id: id, bits: seen.bits, bound: bound) }
    let value = try emit(.truncate(seen.id), bits: seen.bits, bound: bound)
    truncations[seen.id] = value.id
    return value
  }

  /// Whether `value` shortened to `bits` fractional bits is known modulo 2^`ringBits`.
  package func canOpen(_ value: FixedValue, bits: Int, ringBits needed: Int) -> Bool {
    needed <= ringBits(value) - max(value.bits - bits, 0)
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
    return try lift(value, to: bits)
  }

  /// `value` with `bits` fractional bits, no more than it has, in the whole ring (one flight).
  package mutating func lift(_ value: FixedValue, to bits: Int) throws(InputError) -> FixedValue {
    try truncated(open(value, bits: bits), bound: value.bound)
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
  /// 2^-extraBits of each output, whose scale is bits + extraBits. Unless the argument is lifted the
  /// outputs are known no further than what is opened of it, at least `ringBits`.
  package mutating func piecewise(
    _ value: FixedValue, bits: Int, resolution: Double, knots: [Double],
    outputs: [(slopes: [Double], intercepts: [Double], extraBits: Int, bound: Double)],
    isLifted: Bool = true, ringBits resultBits: Int = 0
  ) throws(InputError) -> [FixedValue] {
    let wholeShift = max(value.bits - bits, 0)
    let argumentBits = value.bits - wholeShift
    // As in `open`.
    let isWhole = !opensBits && ringBits(value) == 64
    let shift = wholeShift < Self.leastShift || isWhole ? wholeShift : 0
    let openedBits = argumentBits + shift
    let reach = max(value.bound + knots.reduce(0) { max($0, abs($1)) }, 0x1p-40)
    let scale = pow(2, Double(openedBits))
    let dropped = max(0, openedBits + Int(log2(resolution).rounded(.down)))
    let compared = PiecewiseLinear.comparedBits(
      reach: max(reach * scale, 1), droppedBits: dropped)
    guard dropped + compared <= 63 else {
      throw InputError(
        "lowering", place: label,
        "values up to \(reach) with \(argumentBits) fractional bits leave the ring",
        hint: "lower the recipe's headroom or fractionalBits")
    }
    let opened: MaskedValue
    if isWhole || wholeShift == 0 && ringBits(value) == 64 {
      opened = try open(value)
    } else {
      let needed = max(
        dropped + compared, openedBits + magnitudeBits(value.bound) + 2, resultBits)
      guard canOpen(value, bits: openedBits, ringBits: needed) else {
        // Small values have many bits, and knots may lie far beyond them.
        return try piecewise(
          lift(value, to: argumentBits), bits: bits, resolution: resolution, knots: knots,
          outputs: outputs, isLifted: isLifted, ringBits: resultBits)
      }
      opened = try openNarrow(value, bits: openedBits, ringBits: needed)
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
      }, openedBits: program.values[opened.id].ringBits,
      isLifted: (isLifted || shift > 0) && program.values[opened.id].ringBits < 64)
    for output in outputs { try check(bits: argumentBits + output.extraBits, bound: output.bound) }
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
