// What each operation demands of its inputs and gives as outputs; the one place that knows it.

public import Bytes
import Models
import Rings

/// A rule of an operation that its inputs break.
struct ShapeError: Error {
  var cause: String
}

extension SecureProgram {
  /// Shapes and forms of the values that `operation` writes.
  /// - Throws: `ShapeError` when an index, form or shape is not what the operation needs.
  func inferOutputs(_ operation: Operation, isFirst: Bool) throws(ShapeError) -> [(
    ValueShape, ValueForm
  )] {
    func shape(_ value: ValueID, _ form: ValueForm) throws(ShapeError) -> ValueShape {
      guard values.indices.contains(value) else {
        throw ShapeError(cause: "unknown value \(value)")
      }
      guard values[value].form == form else {
        throw ShapeError(cause: "value \(value) is \(values[value].form), not \(form)")
      }
      return values[value].shape
    }
    func shared(_ value: ValueID) throws(ShapeError) -> ValueShape { try shape(value, .shared) }
    func opened(_ value: ValueID) throws(ShapeError) -> ValueShape { try shape(value, .opened) }
    func masked(_ value: ValueID) throws(ShapeError) -> ValueShape {
      guard values.indices.contains(value) else {
        throw ShapeError(cause: "unknown value \(value)")
      }
      switch values[value].form {
      case .opened, .view: return values[value].shape
      case .shared, .revealed: throw ShapeError(cause: "value \(value) is not opened")
      }
    }
    func need(_ condition: Bool, _ cause: @autoclosure () -> String) throws(ShapeError) {
      if !condition { throw ShapeError(cause: cause()) }
    }
    func weight(_ id: WeightID) throws(ShapeError) -> ProgramWeight {
      try need(weights.indices.contains(id), "unknown weight \(id)")
      return weights[id]
    }
    func need(_ cells: MaskCells, of x: ValueID, atMost count: Int = 1 << 10) throws(ShapeError) {
      let bits = values[x].ringBits
      try need(
        bits == cells.openedBits && cells.bits < bits && cells.count <= count,
        "value \(x) has \(bits) bits, not \(cells.openedBits) in at most \(count) cells")
    }
    func need(_ cells: MaskCells, tops: [Int], of x: ValueID) throws(ShapeError) {
      try need(cells, of: x)
      try need(
        cells.check(tops: tops, runCount: values[x].shape.columns.runCount),
        "\(tops.count) tops do not fit \(values[x].shape)")
    }
    func width(_ shape: ValueShape) throws(ShapeError) -> Int {
      guard let width = shape.width else { throw ShapeError(cause: "expected a fixed width") }
      return width
    }

    func blocks(_ gates: ValueID, of shape: ValueShape) throws(ShapeError) -> ValueShape {
      guard values.indices.contains(gates), case .revealed(let pool) = values[gates].form else {
        throw ShapeError(cause: "value \(gates) is not revealed")
      }
      let count = try width(values[gates].shape)
      if case .keys(let heads, 0, nil) = shape.columns {
        // Of other kinds and windows what is dealt for a row depends on more than its place.
        try need(
          kind == .decoder && heads == count && values[gates].shape.rows == shape.rows,
          "\(count) blocks do not fit \(shape)")
        let columns = BlockColumns(gates: gates, count: count, width: 1, pool: pool)
        return ValueShape(shape.rows, .blockKeys(columns))
      }
      let width = try width(shape)
      try need(
        width % count == 0 && BlockColumns.widths.contains(width / count)
          && values[gates].shape.rows == shape.rows,
        "\(count) blocks do not fit \(width) columns of \(shape.rows) rows")
      let columns = BlockColumns(gates: gates, count: count, width: width / count, pool: pool)
      return ValueShape(shape.rows, .blocks(columns))
    }

    func allColumns(of shape: ValueShape) throws(ShapeError) -> ValueShape {
      switch shape.columns {
      case .blocks(let columns):
        return ValueShape(shape.rows, .fixed(columns.count * columns.width))
      case .blockKeys(let columns):
        return ValueShape(shape.rows, .sessionKeys(heads: columns.count))
      case .fixed, .keys, .pairs, .sessionKeys: throw ShapeError(cause: "\(shape) has no blocks")
      }
    }

    switch operation {
    case .input:
      try need(isFirst, "input must be the first operation")
      guard let first = values.first else { throw ShapeError(cause: "no value for the input") }
      try need((first.shape.width ?? 0) > 0 && first.shape.rows == .step, "input must be rows")
      return [(first.shape, .shared)]
    case .open(let x, let opening):
      try need(
        (0...62).contains(opening.shift) && (2...64).contains(opening.bits),
        "\(opening.bits) bits above bit \(opening.shift) are not within a word")
      return [(try shared(x), .opened)]
    case .widen(let x, let bits):
      let shape = try masked(x)
      try need((2...64).contains(bits), "\(bits) bits are not within a word")
      try need(isWidenable(x), "value \(x) is shifted, or opened by blocks")
      return [(shape, .opened)]
    case .view(let x, let shift):
      let shape = try opened(x)
      let bits = values[x].ringBits
      let least = bits == 64 ? 1 : 0
      try need(
        shift >= least && shift <= bits - 2, "shift \(shift) is outside \(least)...\(bits - 2)")
      return [(shape, .view(shift: shift))]
    case .truncate(let x):
      let shape = try masked(x)
      try need(values[x].form != .opened, "value \(x) is not a view")
      return [(shape, .shared)]
    case .linear(let x, let id):
      let shape = try opened(x)
      let weight = try weight(id)
      try need(shape.width == weight.inputCount, "weight \(weight.name) does not fit \(shape)")
      return [(ValueShape(shape.rows, .fixed(weight.outputCount)), .shared)]
    case .reveal(let x, let pool):
      let shape = try shared(x)
      let count = try width(shape)
      try need((1...4096).contains(count), "\(count) blocks")
      try need(
        pool.expected >= 0 && pool.expected <= 256 * count && pool.spare >= 0
          && pool.spare <= 1 << 24, "a pool for \(pool.expected) / 256 of \(count) blocks a row")
      return [(shape, .revealed(pool))]
    case .blockLinear(let x, let gates, let id):
      let shape = try opened(x)
      let weight = try weight(id)
      try need(
        shape.width == weight.inputCount && !weight.isTransposed,
        "weight \(weight.name) does not fit \(shape)")
      return [(try blocks(gates, of: .fixed(weight.rowCount, rows: shape.rows)), .shared)]
    case .selectBlocks(let x, let gates):
      return [(try blocks(gates, of: shared(x)), .shared)]
    case .openBlocks(let x, let opening):
      try need(
        (0...62).contains(opening.shift) && (2...64).contains(opening.bits),
        "\(opening.bits) bits above bit \(opening.shift) are not within a word")
      return [(try allColumns(of: shared(x)), .opened)]
    case .spreadBlocks(let x):
      return [(try allColumns(of: shared(x)), .shared)]
    case .scale(let x, let id):
      let shape = try opened(x)
      let weight = try weight(id)
      try need(
        weight.rowCount == 1 && shape.width == weight.columnCount,
        "weight \(weight.name) does not fit \(shape)")
      return [(shape, .shared)]
    case .scores(let query, let key, let heads, let keyHeads, let window):
      let queryWidth = try width(opened(query))
      let keyShape = try opened(key)
      try need(
        (1...4096).contains(heads) && keyHeads > 0 && heads % keyHeads == 0
          && queryWidth % heads == 0 && keyShape.width == queryWidth / heads * keyHeads
          && keyShape.rows == .step && values[query].shape.rows == .step,
        "queries and keys do not fit \(heads) heads")
      try need(window ?? 1 > 0, "a window of \(window ?? 0) holds no key")
      return [(ValueShape(.step, .keys(heads: heads, halvings: 0, window: window)), .shared)]
    case .mix(let weights, let value, let heads, let keyHeads):
      let weightShape = try opened(weights)
      let valueShape = try opened(value)
      let valueWidth = try width(valueShape)
      try need(
        (1...4096).contains(heads) && keyHeads > 0 && heads % keyHeads == 0
          && valueWidth % keyHeads == 0, "values do not fit \(heads) heads")
      let window = weightShape.columns.window
      try need(
        weightShape == ValueShape(.step, .sessionKeys(heads: heads, window: window))
          && valueShape.rows == (kind == .encoder ? .session : .step),
        "attention weights \(weightShape) do not fit values \(valueShape)")
      return [(.fixed(valueWidth / keyHeads * heads), .shared)]
    case .multiply(let x, let y):
      let left = try masked(x)
      try need(serves(left, try masked(y)), "columns of \(values[y].shape) do not serve \(left)")
      if case .blockKeys = left.columns {
        // Which words of a pool a word of another serves depends on the pattern.
        try need(values[y].shape == left, "\(values[y].shape) is not \(left)")
      }
      return [(left, .shared)]
    case .polynomial(let x, let coefficients):
      let shape = try masked(x)
      try need(
        !coefficients.isEmpty && coefficients.allSatisfy { (2...9).contains($0.count) },
        "a polynomial needs degree 1 to 8")
      return coefficients.map { _ in (shape, .shared) }
    case .piecewiseLinear(let x, let function):
      let shape = try opened(x)
      let bits = values[x].ringBits
      try need(
        function.openedBits == bits, "value \(x) has \(bits) bits, not \(function.openedBits)")
      try need(!function.isLifted || bits < 64, "value \(x) is opened whole")
      try need(
        (0...bits - 2).contains(function.shift),
        "shift \(function.shift) is outside 0...\(bits - 2)")
      try need(
        function.droppedBits >= 0 && (2...64).contains(function.comparedBits)
          && function.droppedBits + function.comparedBits <= bits,
        "compared bits outside the ring")
      try need(
        !function.knots.isEmpty
          && zip(function.knots, function.knots.dropFirst()).allSatisfy { $0 < $1 },
        "knots must ascend")
      try need(function.servesAllKnots, "knots are further apart than the compared bits reach")
      try need(!function.outputs.isEmpty, "no output")
      if let resultBits = function.resultBits {
        try need(
          function.hasConstantPieces && (1..<function.argumentRingBits).contains(resultBits),
          "\(resultBits) ring bits of a result, of pieces that are not constant or have no more")
      }
      try need(function.noise == 0 || function.givesBits, "noise in results that are no bits")
      for output in function.outputs {
        try need(
          output.slopes.count == function.knots.count + 1
            && output.intercepts.count == output.slopes.count, "one slope and intercept a piece")
      }
      return function.outputs.map { _ in (shape, .shared) }
    case .exponential(let x, let function):
      let shape = try opened(x)
      try need(function.cells, tops: function.tops, of: x)
      try need(
        function.decays.count == function.cells.openedBits
          && zip(function.decays, function.decays.dropFirst()).allSatisfy { $0 >= $1 }
          && (function.decays.first ?? 0) <= 1 << 62
          // What is dealt is at most 2^payloadBits over the decay of a cell.
          && function.decays[function.cells.bits] >= 1 << UInt64(function.payloadBits),
        "decays must fall from at most 2^62")
      return [(shape, .shared)]
    case .coarseSteps(let x, let function):
      let shape = try opened(x)
      try need(function.cells, tops: function.tops, of: x)
      try need(
        !function.bounds.isEmpty
          && function.bounds.allSatisfy { (1..<function.cells.count).contains($0) }
          && zip(function.bounds, function.bounds.dropFirst()).allSatisfy { $0 < $1 },
        "bounds must ascend within the cells")
      return function.bounds.map { _ in (shape, .shared) }
    case .lookup(let x, let function):
      let shape = try opened(x)
      try need(function.cells, of: x, atMost: 1 << PointKeyLayout.bitRange.upperBound)
      try need(
        (1...3).contains(function.coefficients.count)
          && function.coefficients.allSatisfy {
            !$0.isEmpty && $0.count == function.coefficients[0].count
          }, "one to three coefficients for each of some cells")
      let (half, count) = (function.cells.count / 2, function.coefficients[0].count)
      try need(
        function.firstCell >= -half && count <= 2 * half && function.firstCell + count <= half,
        "cells are numbered from \(-half) to \(half - 1)")
      try need(
        function.coefficients.count > 1 || (function.left.slope == 0 && function.right.slope == 0),
        "constants have no slopes beside them")
      if let factor = function.factor {
        let factorShape = try masked(factor)
        guard case .view = values[factor].form else {
          throw ShapeError(cause: "value \(factor) is not a view")
        }
        try need(
          factorShape == shape && shape.width != nil,
          "value \(factor) is no factor of a function of \(shape)")
      }
      return [(shape, .shared)]
    case .permuted(let x, let function):
      let shape = try shared(x)
      try check(function, of: shape)
      if let factor = function.factor {
        let factorShape = try shared(factor.value)
        try need(
          !function.rule.takesRuns && shape.width != nil && factorShape == shape,
          "value \(factor.value) is no factor of \(function.rule.name) of \(shape)")
        try need(
          (0...62).contains(factor.opening.shift)
            && (2..<function.resultBits).contains(factor.opening.bits),
          "a factor of \(factor.opening.bits) bits above bit \(factor.opening.shift) in results of "
            + "\(function.resultBits)")
      }
      return [(shape, .shared)]
    case .combine(let terms, _):
      guard let first = terms.first else { throw ShapeError(cause: "no term") }
      let shape = try shared(first.value)
      for term in terms {
        try need(serves(shape, try shared(term.value)), "terms of different shapes")
      }
      return [(shape, .shared)]
    case .addWeight(let x, let id, let rows):
      let shape = try shared(x)
      let weight = try weight(id)
      if case .distances(let distances) = rows {
        try need(
          areScores(shape) && shape.columns.runCount == weight.columnCount,
          "weight \(weight.name) does not fit \(shape)")
        try need(
          distances.rows.count == distances.borders.count + 1
            && zip(distances.borders, distances.borders.dropFirst()).allSatisfy { $0 < $1 },
          "borders of distances must ascend, with one row more")
        try need(
          distances.rows.allSatisfy { (0..<weight.rowCount).contains($0) },
          "table \(weight.name) is too short")
        return [(shape, .shared)]
      }
      if case .blocks(let columns) = shape.columns {
        try need(
          columns.count * columns.width == weight.columnCount && rows == .bias,
          "weight \(weight.name) does not fit \(shape)")
      } else {
        try need(shape.width == weight.columnCount, "weight \(weight.name) does not fit \(shape)")
      }
      switch rows {
      case .distances: break
      case .bias: try need(weight.rowCount == 1, "a bias has one row")
      case .positions(let offset):
        try need(
          offset >= 0 && weight.rowCount - offset >= maximumPositions,
          "table \(weight.name) is too short")
      }
      return [(shape, .shared)]
    case .addDistance(let x, let slopes):
      let shape = try shared(x)
      try need(
        areScores(shape) && slopes.count == shape.columns.runCount,
        "\(slopes.count) slopes do not fit \(shape)")
      return [(shape, .shared)]
    case .rotate(let x, let rotation):
      let shape = try shared(x)
      let rotated = try width(shape)
      try need(
        rotation.headCount > 0 && rotated % rotation.headCount == 0 && !rotation.turns.isEmpty
          && rotation.turnedCount <= rotated / rotation.headCount
          && (1...30).contains(rotation.fractionalBits), "\(shape) has no such pairs")
      try need(
        rotation.layout != .twoPositions || kind == .prefixDecoder,
        "rows of a program of kind \(kind) have one position")
      return [(shape, .shared)]
    case .sum(let x, let runs):
      let shape = try shared(x)
      switch shape.columns {
      case .fixed(let width):
        try need(runs > 0 && width % runs == 0, "\(width) columns in \(runs) runs")
      case .blocks: throw ShapeError(cause: "\(shape) is not summed up")
      case .blockKeys(let columns):
        try need(runs == columns.count, "\(shape) has no \(runs) runs")
        return [(ValueShape(shape.rows, .blocks(columns)), .shared)]
      default: try need(runs == shape.columns.runCount, "\(shape) has no \(runs) runs")
      }
      return [(ValueShape(shape.rows, .fixed(runs)), .shared)]
    case .pairDifference(let x):
      let shape = try shared(x)
      guard case .keys(let heads, let halvings, let window) = shape.columns, halvings < 40 else {
        throw ShapeError(cause: "\(shape) has no pairs")
      }
      return [
        (ValueShape(shape.rows, .pairs(heads: heads, halvings: halvings, window: window)), .shared)
      ]
    case .pairMerge(let x, let y):
      let shape = try shared(x)
      guard case .keys(let heads, let halvings, let window) = shape.columns,
        try shared(y)
          == ValueShape(shape.rows, .pairs(heads: heads, halvings: halvings, window: window))
      else { throw ShapeError(cause: "\(shape) has no pairs \(values[y].shape)") }
      return [
        (
          ValueShape(shape.rows, .keys(heads: heads, halvings: halvings + 1, window: window)),
          .shared
        )
      ]
    case .padKeys(let x):
      let shape = try shared(x)
      guard case .keys(let heads, 0, let window) = shape.columns else {
        throw ShapeError(cause: "\(shape) cannot be padded")
      }
      return [(ValueShape(shape.rows, .sessionKeys(heads: heads, window: window)), .shared)]
    case .padRows(let x):
      let shape = try shared(x)
      try need(
        kind == .encoder && shape.rows == .step && shape.width != nil, "\(shape) cannot be padded")
      return [(ValueShape(.session, shape.columns), .shared)]
    case .lastRow(let x):
      let shape = try shared(x)
      try need(
        kind.isDecoder && shape.rows == .step && shape.width != nil, "\(shape) has no last row")
      return [(ValueShape(.last, shape.columns), .shared)]
    case .firstRow(let x), .meanRow(let x, _):
      let shape = try shared(x)
      try need(
        kind == .encoder && shape.rows == .step && shape.width != nil,
        "\(shape) cannot be pooled")
      if case .meanRow(_, let bits) = operation {
        try need((1...62).contains(bits), "1 / rows with \(bits) fractional bits")
      }
      return [(ValueShape(.last, shape.columns), .shared)]
    case .output(let x, let bits):
      try need((2...64).contains(bits), "\(bits) bits are not within a word")
      _ = try shared(x)
      return []
    }
  }

  /// Checks a permuted function of a value of `shape`.
  private func check(_ function: PermutedFunction, of shape: ValueShape) throws(ShapeError) {
    func need(_ condition: Bool, _ cause: @autoclosure () -> String) throws(ShapeError) {
      if !condition { throw ShapeError(cause: cause()) }
    }
    let opening = function.opening
    // Differences of two numbers fit a word.
    try need(
      (0...62).contains(opening.shift) && (2...62).contains(opening.bits),
      "\(opening.bits) bits above bit \(opening.shift) are no numbers that party 1 takes")
    try need((2...64).contains(function.resultBits), "results of \(function.resultBits) bits")
    if let epsilon = function.rule.epsilon {
      try need(
        PermutedFunction.Rule.epsilonRange.contains(epsilon), "epsilon \(epsilon) is out of range")
    }
    try need(shape.rows != .session, "\(shape) has rows that the text does not have")
    switch shape.columns {
    case .fixed(let width):
      try need(
        function.runCount > 0 && width % function.runCount == 0
          && (function.rule.takesRuns || function.runCount == 1),
        "\(width) columns in \(function.runCount) runs")
      guard function.rule.epsilon != nil else { return }
      let length = width / function.runCount
      let lengthBits = Int.bitWidth - max(length - 1, 0).leadingZeroBitCount
      try need(
        opening.bits + lengthBits <= 63,
        "sums of \(length) squares of \(opening.bits) bits are too long")
    case .blocks, .blockKeys: throw ShapeError(cause: "\(shape) cannot be permuted")
    case .keys, .pairs, .sessionKeys:
      try need(
        function.runCount == 1 && function.rule.epsilon == nil,
        "\(function.rule.name) of \(shape)")
      guard case .sessionKeys = shape.columns else {
        // The dealt permutations are those of a text as long as the session.
        return try need(kind == .decoder, "\(shape) is not padded")
      }
      try need(function.rule.takesAbsentKeys, "\(function.rule.name) of keys that are not there")
    }
  }

  /// Whether a value has one column for each head and key.
  private func areScores(_ shape: ValueShape) -> Bool {
    guard shape.rows == .step, case .keys(_, 0, _) = shape.columns else { return false }
    return true
  }

  /// Whether each column of `narrow` serves an equal run of columns of `wide`.
  func serves(_ wide: ValueShape, _ narrow: ValueShape) -> Bool {
    if wide == narrow { return true }
    if case .blocks(let columns) = narrow.columns, columns.width == 1 {
      // One word for every block that runs.
      return wide.rows == narrow.rows && wide.columns.runningBlocks?.gates == columns.gates
        && wide.columns.runningBlocks?.count == columns.count
    }
    guard wide.rows == narrow.rows, let count = narrow.width, count > 0 else { return false }
    switch wide.columns {
    case .fixed(let width): return width % count == 0
    case .keys, .pairs, .sessionKeys: return wide.columns.runCount == count
    // What is dealt for a pool belongs to no row.
    case .blocks, .blockKeys: return false
    }
  }

  /// Checks every node against the rules of its operation, and that values are written once.
  /// - Throws: `InputError` naming the node; `source` names the file that held the program.
  public func validate(source: String) throws(InputError) {
    for (index, value) in values.enumerated() where !(-8...62).contains(value.fractionalBits) {
      let label = nodes.first { $0.outputs.contains(index) }?.label ?? ""
      throw InputError(
        source, place: "value \(index)",
        "\(value.fractionalBits) fractional bits are outside -8...62"
          + (label.isEmpty ? "" : " (\(label))"),
        hint: "values there are too large or too small for the ring: scale the weights before")
    }
    var written = 0
    var outputCount = 0
    for (index, node) in nodes.enumerated() {
      func failure(_ cause: String) -> InputError {
        InputError(source, place: "operation \(index) (\(node.operation.name))", cause)
      }
      for input in node.operation.inputs where input >= written || input < 0 {
        throw failure("reads value \(input) before it is written")
      }
      guard node.outputs.lowerBound == written, node.outputs.upperBound <= values.count else {
        throw failure("writes values \(node.outputs), expected \(written)...")
      }
      do throws(ShapeError) {
        let inferred = try inferOutputs(node.operation, isFirst: index == 0)
        guard inferred.count == node.outputs.count else {
          throw ShapeError(cause: "writes \(node.outputs.count) values, not \(inferred.count)")
        }
        for (value, expected) in zip(node.outputs, inferred)
        where values[value].shape != expected.0 || values[value].form != expected.1 {
          throw ShapeError(cause: "value \(value) must be \(expected.1) \(expected.0)")
        }
        let ringBits = try inferRingBits(node.operation)
        for value in node.outputs where values[value].ringBits != ringBits {
          throw ShapeError(
            cause: "value \(value) must have \(ringBits) ring bits, not \(values[value].ringBits)")
        }
        let fractionalBits: Int? =
          switch node.operation {
          case .exponential(_, let function): function.fractionalBits
          case .lookup(_, let function):
            function.fractionalBits + (function.factor.map { values[$0].fractionalBits } ?? 0)
          case .permuted(_, let function): resultFractionalBits(function)
          default: nil
          }
        if let fractionalBits, values[node.outputs.lowerBound].fractionalBits != fractionalBits {
          throw ShapeError(cause: "the result has \(fractionalBits) fractional bits")
        }
        if case .piecewiseLinear(_, let function) = node.operation {
          for (value, output) in zip(node.outputs, function.outputs)
          where values[value].fractionalBits != output.fractionalBits {
            throw ShapeError(
              cause: "value \(value) must have \(output.fractionalBits) fractional bits")
          }
        }
      } catch { throw failure(error.cause) }
      if case .output = node.operation { outputCount += 1 }
      written = node.outputs.upperBound
    }
    guard written == values.count else {
      throw InputError(source, "\(values.count - written) values are never written")
    }
    guard case .input? = nodes.first?.operation, case .output? = nodes.last?.operation,
      outputCount == 1
    else { throw InputError(source, "a program starts with its input and ends with one output") }
    // Longer sessions are checked where they are asked for.
    try checkSizes(
      of: SessionShape(kind: kind, promptCapacity: 1, newCapacity: kind.isDecoder ? 1 : 0),
      source: source)
  }
}
