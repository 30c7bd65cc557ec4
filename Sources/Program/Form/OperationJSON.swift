// The stored form of one operation: its name, what it reads, and its parameters.

import Approximation
import Bytes
import Models

extension ProgramNode {
  var json: JSON {
    var members: [String: JSON] = [
      "name": .string(operation.name), "label": .string(label),
      "reads": .array(operation.inputs.map(JSON.integer)), "writes": .integer(outputs.count),
    ]
    if let weight = operation.weight { members["weight"] = .integer(weight) }
    func integers(_ values: [Int]) -> JSON { .array(values.map(JSON.integer)) }
    func signed(_ value: UInt64) -> Int { Int(Int64(bitPattern: value)) }
    switch operation {
    case .open(_, let opening):
      // Absent where it is the whole word, so that programs keep their digests.
      if opening != .whole {
        members["shift"] = .integer(opening.shift)
        members["bits"] = .integer(opening.bits)
      }
    case .openBlocks(_, let opening):
      members["shift"] = .integer(opening.shift)
      members["bits"] = .integer(opening.bits)
    case .reveal(_, let pool): members["pool"] = pool.json
    case .output(_, let bits): if bits < 64 { members["bits"] = .integer(bits) }
    case .widen(_, let bits): members["bits"] = .integer(bits)
    case .view(_, let shift): members["shift"] = .integer(shift)
    case .scores(_, _, let heads, let keyHeads, let window):
      members["heads"] = .integer(heads)
      members["keyHeads"] = .integer(keyHeads)
      if let window { members["window"] = .integer(window) }
    case .mix(_, _, let heads, let keyHeads):
      members["heads"] = .integer(heads)
      members["keyHeads"] = .integer(keyHeads)
    case .rotate(_, let rotation):
      members["heads"] = .integer(rotation.headCount)
      members["interleaved"] = .bool(rotation.layout == .pairs)
      if rotation.layout == .twoPositions { members["positions"] = 2 }
      members["factorFractionalBits"] = .integer(rotation.fractionalBits)
      members["turns"] = integers(rotation.turns.map(signed))
      if rotation.magnitude != Rotation.unitMagnitude {
        members["magnitude"] = .integer(signed(rotation.magnitude))
      }
    case .sum(_, let runs): members["runs"] = .integer(runs)
    case .meanRow(_, let bits): members["factorFractionalBits"] = .integer(bits)
    case .addWeight(_, _, .positions(let offset)): members["positionOffset"] = .integer(offset)
    case .addWeight(_, _, .distances(let distances)):
      members["distanceBorders"] = integers(distances.borders)
      members["distanceRows"] = integers(distances.rows)
    case .addDistance(_, let slopes): members["slopes"] = integers(slopes.map(signed))
    case .polynomial(_, let coefficients):
      members["coefficients"] = .array(coefficients.map { integers($0.map(signed)) })
    case .combine(let terms, let constant):
      members["coefficients"] = integers(terms.map { signed($0.coefficient) })
      members["constant"] = .integer(signed(constant))
    case .piecewiseLinear(_, let function):
      members["shift"] = .integer(function.shift)
      members["droppedBits"] = .integer(function.droppedBits)
      members["comparedBits"] = .integer(function.comparedBits)
      members["knots"] = integers(function.knots)
      members["slopes"] = .array(function.outputs.map { integers($0.slopes) })
      members["intercepts"] = .array(function.outputs.map { integers($0.intercepts) })
      members["outputFractionalBits"] = integers(function.outputs.map(\.fractionalBits))
      if function.comparison == .bits { members["comparison"] = "bits" }
      if function.openedBits != 64 { members["openedBits"] = .integer(function.openedBits) }
      if function.isLifted { members["lifted"] = true }
      if let bits = function.resultBits { members["resultBits"] = .integer(bits) }
      if function.noise > 0 { members["noise"] = .integer(function.noise) }
    case .exponential(_, let function):
      members["cellBits"] = .integer(function.cells.bits)
      members["openedBits"] = .integer(function.cells.openedBits)
      members["tops"] = integers(function.tops)
      members["decays"] = integers(function.decays.map(signed))
      members["payloadBits"] = .integer(function.payloadBits)
      members["factorBits"] = .integer(function.factorBits)
    case .coarseSteps(_, let function):
      members["cellBits"] = .integer(function.cells.bits)
      members["openedBits"] = .integer(function.cells.openedBits)
      members["tops"] = integers(function.tops)
      members["cells"] = integers(function.bounds)
    case .lookup(_, let function):
      members["cellBits"] = .integer(function.cells.bits)
      members["openedBits"] = .integer(function.cells.openedBits)
      members["firstCell"] = .integer(function.firstCell)
      members["coefficients"] = .array(function.coefficients.map(integers))
      members["left"] = integers([function.left.intercept, function.left.slope])
      members["right"] = integers([function.right.intercept, function.right.slope])
      members["fractionalBits"] = .integer(function.fractionalBits)
      members["resultBits"] = .integer(function.resultBits)
    case .permuted(_, let function):
      members["function"] = .string(function.rule.name)
      if let epsilon = function.rule.epsilon { members["epsilon"] = .number(epsilon) }
      members["shift"] = .integer(function.opening.shift)
      members["bits"] = .integer(function.opening.bits)
      if function.runCount != 1 { members["runs"] = .integer(function.runCount) }
      members["fractionalBits"] = .integer(function.fractionalBits)
      members["resultBits"] = .integer(function.resultBits)
      if let opening = function.factor?.opening {
        members["factorShift"] = .integer(opening.shift)
        members["factorBits"] = .integer(opening.bits)
      }
    case .input, .selectBlocks, .spreadBlocks, .truncate, .linear, .blockLinear, .scale, .multiply,
      .addWeight(_, _, .bias),
      .pairDifference, .pairMerge, .padKeys, .padRows, .lastRow, .firstRow:
      break
    }
    return .object(members)
  }

  init(_ json: JSONReader, first: ValueID) throws(InputError) {
    var reader = json
    let name = try reader.string("name")
    let label = try reader.string("label")
    let reads = try reader.integers("reads")
    let writes = try reader.integer("writes", in: 0...1024)
    let operation = try Operation(name: name, reads: reads, reader: &reader)
    try reader.finish()
    self.init(operation: operation, outputs: first..<first + writes, label: label)
  }
}

extension Operation {
  /// Reads the parameters of the operation called `name`.
  init(name: String, reads: [ValueID], reader: inout JSONReader) throws(InputError) {
    let count =
      switch name {
      case "input": 0
      case "scores", "mix", "multiply", "pairMerge", "blockLinear", "selectBlocks": 2
      case "combine": reads.count
      case "permuted": reader.contains("factorBits") ? 2 : 1
      case "lookup": min(reads.count, 2)
      default: 1
      }
    guard reads.count == count else {
      throw reader.failure("reads", "\(name) reads \(count) values, not \(reads.count)")
    }
    func signed(_ value: Int) -> UInt64 { UInt64(bitPattern: Int64(value)) }
    switch name {
    case "input": self = .input
    case "open":
      guard reader.contains("bits") else {
        self = .open(reads[0])
        return
      }
      self = .open(
        reads[0],
        Opening(
          shift: try reader.integer("shift", in: 0...62),
          bits: try reader.integer("bits", in: 2...63)))
    case "widen": self = .widen(reads[0], bits: try reader.integer("bits", in: 4...64))
    case "view": self = .view(reads[0], shift: try reader.integer("shift", in: 0...62))
    case "truncate": self = .truncate(reads[0])
    case "linear": self = .linear(reads[0], weight: try reader.integer("weight"))
    case "scale": self = .scale(reads[0], weight: try reader.integer("weight"))
    case "scores":
      self = .scores(
        query: reads[0], key: reads[1], heads: try reader.integer("heads"),
        keyHeads: try reader.integer("keyHeads"),
        window: try reader.contains("window") ? reader.integer("window", in: 1...1 << 24) : nil)
    case "mix":
      self = .mix(
        weights: reads[0], value: reads[1], heads: try reader.integer("heads"),
        keyHeads: try reader.integer("keyHeads"))
    case "rotate":
      self = .rotate(
        reads[0],
        Rotation(
          headCount: try reader.integer("heads"),
          layout: try RotaryLayout(&reader),
          fractionalBits: try reader.integer("factorFractionalBits"),
          turns: try reader.integers("turns").map(signed),
          magnitude: try reader.contains("magnitude")
            ? signed(reader.integer("magnitude", in: 1...Int(Rotation.maximumMagnitude)))
            : Rotation.unitMagnitude))
    case "multiply": self = .multiply(reads[0], reads[1])
    case "polynomial":
      self = .polynomial(
        reads[0], coefficients: try reader.integerRows("coefficients").map { $0.map(signed) })
    case "piecewiseLinear": self = .piecewiseLinear(reads[0], try PiecewiseLinear(&reader))
    case "exponential":
      self = .exponential(
        reads[0],
        Exponential(
          cells: try MaskCells(&reader), tops: try reader.integers("tops"),
          decays: try reader.integers("decays").map(signed),
          payloadBits: try reader.integer("payloadBits", in: 1...30),
          factorBits: try reader.integer("factorBits", in: 1...48)))
    case "coarseSteps":
      self = .coarseSteps(
        reads[0],
        CoarseSteps(
          cells: try MaskCells(&reader), tops: try reader.integers("tops"),
          bounds: try reader.integers("cells")))
    case "lookup":
      self = .lookup(
        reads[0],
        Lookup(
          cells: try MaskCells(&reader),
          firstCell: try reader.integer("firstCell", in: -(1 << 30)...1 << 30),
          coefficients: try reader.integerRows("coefficients"),
          left: try Lookup.Line(&reader, "left"), right: try Lookup.Line(&reader, "right"),
          fractionalBits: try reader.integer("fractionalBits", in: 0...62),
          resultBits: try reader.integer("resultBits", in: 1...64),
          factor: reads.dropFirst().first))
    case "reveal": self = .reveal(reads[0], try BlockPool(&reader))
    case "blockLinear":
      self = .blockLinear(
        reads[0], gates: reads[1], weight: try reader.integer("weight"))
    case "selectBlocks": self = .selectBlocks(reads[0], gates: reads[1])
    case "spreadBlocks": self = .spreadBlocks(reads[0])
    case "openBlocks":
      self = .openBlocks(
        reads[0],
        Opening(
          shift: try reader.integer("shift", in: 0...62),
          bits: try reader.integer("bits", in: 2...64)))
    case "permuted":
      self = .permuted(reads[0], try PermutedFunction(&reader, factor: reads.dropFirst().first))
    case "combine":
      let coefficients = try reader.integers("coefficients")
      guard coefficients.count == reads.count else {
        throw reader.failure("coefficients", "one coefficient a value is needed")
      }
      self = .combine(
        zip(reads, coefficients).map { Term($0, $1) },
        constant: signed(try reader.integer("constant", in: Int.min...Int.max)))
    case "addWeight":
      let weight = try reader.integer("weight")
      if reader.contains("distanceRows") {
        self = .addWeight(
          reads[0], weight: weight,
          rows: .distances(
            DistanceRows(
              borders: try reader.integers("distanceBorders"),
              rows: try reader.integers("distanceRows"))))
        return
      }
      guard let offset = reader.optional("positionOffset") else {
        self = .addWeight(reads[0], weight: weight, rows: .bias)
        return
      }
      guard case .integer(let value) = offset, (0...1 << 24).contains(value) else {
        throw reader.failure("positionOffset", "expected an integer from 0")
      }
      self = .addWeight(reads[0], weight: weight, rows: .positions(offset: value))
    case "addDistance":
      self = .addDistance(reads[0], slopes: try reader.integers("slopes").map(signed))
    case "sum": self = .sum(reads[0], runs: try reader.integer("runs"))
    case "pairDifference": self = .pairDifference(reads[0])
    case "pairMerge": self = .pairMerge(reads[0], reads[1])
    case "padKeys": self = .padKeys(reads[0])
    case "padRows": self = .padRows(reads[0])
    case "lastRow": self = .lastRow(reads[0])
    case "firstRow": self = .firstRow(reads[0])
    case "meanRow":
      self = .meanRow(
        reads[0], fractionalBits: try reader.integer("factorFractionalBits", in: 1...62))
    case "output":
      self = .output(
        reads[0], bits: try reader.contains("bits") ? reader.integer("bits", in: 2...63) : 64)
    default: throw reader.failure("name", "unknown operation \"\(name)\"")
    }
  }
}

extension PiecewiseLinear {
  init(_ reader: inout JSONReader) throws(InputError) {
    let slopes = try reader.integerRows("slopes")
    let intercepts = try reader.integerRows("intercepts")
    let bits = try reader.integers("outputFractionalBits")
    guard slopes.count == intercepts.count, slopes.count == bits.count else {
      throw reader.failure("slopes", "slopes, intercepts and outputFractionalBits differ in number")
    }
    let comparison: ComparisonProtocol
    switch reader.optional("comparison") {
    case nil: comparison = .keys
    case .string("bits"): comparison = .bits
    default:
      // A program by keys has no such member: one program has one text.
      throw reader.failure("comparison", "expected \"bits\"")
    }
    self.init(
      shift: try reader.integer("shift", in: 0...62),
      droppedBits: try reader.integer("droppedBits", in: 0...62),
      comparedBits: try reader.integer("comparedBits", in: 2...64),
      knots: try reader.integers("knots"),
      outputs: zip(zip(slopes, intercepts), bits).map {
        Output(slopes: $0.0, intercepts: $0.1, fractionalBits: $1)
      }, comparison: comparison,
      openedBits: try reader.contains("openedBits")
        ? reader.integer("openedBits", in: 2...63) : 64,
      isLifted: reader.contains("lifted") ? try reader.bool("lifted") : false,
      resultBits: try reader.contains("resultBits")
        ? reader.integer("resultBits", in: 1...63) : nil,
      noise: try reader.contains("noise")
        ? reader.integer("noise", in: 1...Recipe.largestNoise) : 0)
  }
}

extension RotaryLayout {
  fileprivate init(_ reader: inout JSONReader) throws(InputError) {
    self = try reader.bool("interleaved") ? .pairs : .halves
    // Absent where rows have one position, so that programs keep their digests.
    guard reader.contains("positions") else { return }
    _ = try reader.integer("positions", in: 2...2)
    guard self == .halves else {
      throw reader.failure("interleaved", "pairs of two positions are not neighbours")
    }
    self = .twoPositions
  }
}

extension PermutedFunction {
  init(_ reader: inout JSONReader, factor: ValueID?) throws(InputError) {
    let name = try reader.string("function")
    let epsilon: Double? =
      if reader.contains("epsilon") {
        try reader.number("epsilon", default: 0, in: Rule.epsilonRange)
      } else { nil }
    guard let rule = Rule(name: name, epsilon: epsilon) else {
      throw reader.failure(
        "function",
        "unknown function \"\(name)\" \(epsilon == nil ? "without" : "with") an epsilon")
    }
    self.init(
      rule,
      opening: Opening(
        shift: try reader.integer("shift", in: 0...62),
        bits: try reader.integer("bits", in: 2...62)),
      // As everywhere, what is usual is absent: one program has one text.
      runCount: try reader.contains("runs") ? reader.integer("runs", in: 2...1 << 28) : 1,
      fractionalBits: try reader.integer("fractionalBits", in: -8...62),
      resultBits: try reader.integer("resultBits", in: 2...64))
    guard let factor else { return }
    self.factor = Factor(
      factor,
      opening: Opening(
        shift: try reader.integer("factorShift", in: 0...62),
        bits: try reader.integer("factorBits", in: 2...63)))
  }
}

extension MaskCells {
  init(_ reader: inout JSONReader) throws(InputError) {
    self.init(
      openedBits: try reader.integer("openedBits", in: 2...30),
      bits: try reader.integer("cellBits", in: 1...29))
  }
}

extension Lookup.Line {
  /// [intercept, slope].
  fileprivate init(_ reader: inout JSONReader, _ key: String) throws(InputError) {
    let numbers = try reader.integers(key)
    guard numbers.count == 2 else {
      throw reader.failure(key, "expected an intercept and a slope")
    }
    self.init(intercept: numbers[0], slope: numbers[1])
  }
}
