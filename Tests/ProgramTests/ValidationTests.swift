// Every rule of an operation refuses a program that breaks it, naming the operation.

import Bytes
import Models
import Program
import TestSupport
import Testing

struct ProgramValidationTests {
  static func decoder(_ change: (inout SecureProgram) throws -> Void) throws -> InputError? {
    var program = try Programs.decoder()
    try program.validate(source: "test")
    try change(&program)
    return inputError { try program.validate(source: "test") }
  }

  static func encoder(_ change: (inout SecureProgram) throws -> Void) throws -> InputError? {
    var program = try Programs.encoder()
    try program.validate(source: "test")
    try change(&program)
    return inputError { try program.validate(source: "test") }
  }

  /// Replaces the first operation called `name`, and expects a failure of it that says `cause`.
  static func expect(
    _ cause: String, _ name: String, inEncoder: Bool = false,
    sourceLocation: SourceLocation = #_sourceLocation,
    _ change: (Operation, SecureProgram) throws -> Operation
  ) throws {
    var place = ""
    func apply(_ program: inout SecureProgram) throws {
      let index = try #require(program.first(name))
      let changed = try change(program.nodes[index].operation, program)
      program.nodes[index].operation = changed
      place = "operation \(index) (\(changed.name))"
    }
    let error = try #require(
      inEncoder ? encoder(apply) : decoder(apply), sourceLocation: sourceLocation)
    #expect(error.place == place, "\(error)", sourceLocation: sourceLocation)
    #expect(error.cause.contains(cause), "\(error)", sourceLocation: sourceLocation)
  }

  /// The first operand of the first operation called `name` with a value of another form.
  @Test(arguments: [
    ("open", "is opened"), ("view", "is shared"), ("truncate", "is not opened"),
    ("linear", "is shared"), ("multiply", "is not opened"), ("polynomial", "is not opened"),
    ("piecewiseLinear", "is shared"), ("combine", "is opened"), ("addWeight", "is opened"),
    ("sum", "is opened"), ("scores", "is shared"), ("mix", "is shared"),
    ("pairDifference", "is opened"), ("pairMerge", "is opened"), ("lastRow", "is opened"),
    ("output", "is opened"),
  ])
  func formsAreChecked(name: String, cause: String) throws {
    // Value 0 is shared, value 1 is its opening: the first operation after the input.
    let wrong = cause == "is opened" ? 1 : 0
    let reads = try Programs.decoder()
    guard case .open(0, _) = reads.nodes[1].operation else { return #expect(Bool(false)) }
    if name == "open" {
      // The first opening reads the input: take the second.
      let error = try Self.decoder { program in
        let second = try #require(
          program.nodes.indices.dropFirst(2).first {
            if case .open = program.nodes[$0].operation { true } else { false }
          })
        program.nodes[second].operation = .open(1)
      }
      #expect(error?.cause == "value 1 is opened, not shared")
      return
    }
    try Self.expect(cause, name) { operation, _ in
      switch operation {
      case .view(_, let shift): .view(wrong, shift: shift)
      case .truncate: .truncate(wrong)
      case .linear(_, let weight): .linear(wrong, weight: weight)
      case .multiply(_, let y): .multiply(wrong, y)
      case .polynomial(_, let rows): .polynomial(wrong, coefficients: rows)
      case .piecewiseLinear(_, let function): .piecewiseLinear(wrong, function)
      case .combine(_, let constant): .combine([Term(wrong, 1)], constant: constant)
      case .addWeight(_, let weight, let rows): .addWeight(wrong, weight: weight, rows: rows)
      case .sum(_, let runs): .sum(wrong, runs: runs)
      case .scores(_, let key, let heads, let keyHeads, _):
        .scores(query: wrong, key: key, heads: heads, keyHeads: keyHeads)
      case .mix(_, let value, let heads, let keyHeads):
        .mix(weights: wrong, value: value, heads: heads, keyHeads: keyHeads)
      case .pairDifference: .pairDifference(wrong)
      case .pairMerge(_, let y): .pairMerge(wrong, y)
      case .lastRow: .lastRow(wrong)
      default: .output(wrong)
      }
    }
  }

  @Test func truncateTakesViewsOnly() throws {
    try Self.expect("is not a view", "truncate") { _, _ in .truncate(1) }
  }

  @Test(arguments: [
    (-3, "before it is written"), (1 << 40, "before it is written"),
    (Int.max, "before it is written"),
  ])
  func valuesAreWrittenBeforeTheyAreRead(value: Int, cause: String) throws {
    try Self.expect(cause, "truncate") { _, _ in .truncate(value) }
    try Self.expect(cause, "truncate") { _, program in
      .truncate(program.nodes[program.first("truncate") ?? 0].outputs.lowerBound)
    }
  }

  @Test(arguments: [63, -1])
  func shiftsAreChecked(shift: Int) throws {
    try Self.expect("is outside 0...", "view") { operation, _ in
      guard case .view(let x, _) = operation else { return operation }
      return .view(x, shift: shift)
    }
  }

  @Test func weightsAreChecked() throws {
    for id in [-1, 1000] {
      try Self.expect("unknown weight", "linear") { operation, _ in
        .linear(operation.inputs[0], weight: id)
      }
      try Self.expect("unknown weight", "addWeight") { operation, _ in
        .addWeight(operation.inputs[0], weight: id, rows: .bias)
      }
      try Self.expect("unknown weight", "scale", inEncoder: true) { operation, _ in
        .scale(operation.inputs[0], weight: id)
      }
    }
    func other(_ program: SecureProgram, _ condition: (ProgramWeight) -> Bool) throws -> WeightID {
      let index = program.weights.firstIndex(where: condition)
      return try #require(index)
    }
    try Self.expect("does not fit", "linear") { operation, program in
      .linear(operation.inputs[0], weight: try other(program) { $0.inputCount == 8 })
    }
    try Self.expect("does not fit", "scale", inEncoder: true) { operation, program in
      .scale(operation.inputs[0], weight: try other(program) { $0.columnCount == 12 })
    }
    try Self.expect("does not fit", "scale", inEncoder: true) { operation, program in
      .scale(
        operation.inputs[0],
        weight: try other(program) { $0.columnCount == 8 && $0.rowCount > 1 })
    }
    try Self.expect("does not fit", "addWeight") { operation, program in
      .addWeight(
        operation.inputs[0], weight: try other(program) { $0.columnCount == 12 }, rows: .bias)
    }
    try Self.expect("a bias has one row", "addWeight") { operation, _ in
      guard case .addWeight(let x, let weight, _) = operation else { return operation }
      return .addWeight(x, weight: weight, rows: .bias)
    }
    for offset in [-1, 3] {
      try Self.expect("is too short", "addWeight") { operation, _ in
        guard case .addWeight(let x, let weight, _) = operation else { return operation }
        return .addWeight(x, weight: weight, rows: .positions(offset: offset))
      }
    }
  }

  @Test func attentionShapesAreChecked() throws {
    // Value 1 is the opened one-hot row, 11 columns wide.
    try Self.expect("do not fit", "scores") { operation, _ in
      .scores(query: operation.inputs[0], key: 1, heads: 2, keyHeads: 2)
    }
    try Self.expect("do not fit", "mix") { operation, _ in
      .mix(weights: operation.inputs[0], value: operation.inputs[1], heads: 4, keyHeads: 4)
    }
    try Self.expect("do not serve", "multiply") { operation, _ in .multiply(operation.inputs[0], 1)
    }
    try Self.expect("different shapes", "combine") { operation, _ in
      .combine([Term(operation.inputs[0], 1), Term(0, 1)], constant: 0)
    }
    try Self.expect("no term", "combine") { _, _ in .combine([], constant: 0) }
    for runs in [0, -1, 3] {
      try Self.expect("runs", "sum") { operation, _ in .sum(operation.inputs[0], runs: runs) }
    }
    try Self.expect("no pairs", "pairDifference") { _, _ in .pairDifference(0) }
    try Self.expect("no pairs", "pairMerge") { operation, _ in
      .pairMerge(operation.inputs[0], operation.inputs[0])
    }
  }

  @Test func runsOfKeysAreHeads() throws {
    let error = try Self.decoder { program in
      let index = try #require(
        program.nodes.firstIndex {
          if case .sum(_, 2) = $0.operation { true } else { false }
        })
      program.nodes[index].operation = .sum(program.nodes[index].operation.inputs[0], runs: 1)
    }
    #expect(error?.cause.contains("has no 1 runs") == true)
  }

  @Test(arguments: [[], [[]], [[1]], [[UInt64](repeating: 1, count: 10)], [[1, 2], [1]]])
  func degreesAreChecked(coefficients: [[UInt64]]) throws {
    try Self.expect("degree 1 to 8", "polynomial") { operation, _ in
      .polynomial(operation.inputs[0], coefficients: coefficients)
    }
  }

  @Test(arguments: [
    ("shift", "outside 0...62"), ("dropped", "outside the ring"), ("compared", "outside the ring"),
    ("sum", "outside the ring"), ("no knot", "ascend"), ("equal", "ascend"),
    ("descending", "ascend"), ("no output", "no output"), ("slopes", "one slope"),
    ("intercepts", "one slope"),
  ])
  func piecewiseFunctionsAreChecked(fault: String, cause: String) throws {
    try Self.expect(cause, "piecewiseLinear") { operation, _ in
      guard case .piecewiseLinear(let x, var function) = operation else { return operation }
      switch fault {
      case "shift": function.shift = 63
      case "dropped": function.droppedBits = -1
      case "compared": function.comparedBits = 1
      case "sum": function.droppedBits = 65 - function.comparedBits
      case "no knot": function.knots = []
      case "equal": function.knots = [3, 3]
      case "descending": function.knots = [3, 2]
      case "no output": function.outputs = []
      case "slopes": function.outputs[0].slopes.append(0)
      default: function.outputs[0].intercepts.removeLast()
      }
      return .piecewiseLinear(x, function)
    }
  }

  @Test func kindsHaveTheirOwnOperations() throws {
    try Self.expect("has no last row", "combine", inEncoder: true) { operation, _ in
      .lastRow(operation.inputs[0])
    }
    try Self.expect("cannot be padded", "combine") { operation, _ in .padRows(operation.inputs[0]) }
    try Self.expect("cannot be padded", "lastRow") { operation, _ in .padKeys(operation.inputs[0]) }
    try Self.expect("cannot be padded", "padKeys", inEncoder: true) { _, _ in .padKeys(0) }
    try Self.expect("cannot be padded", "padRows", inEncoder: true) { _, program in
      .padRows(program.nodes[program.first("padKeys") ?? 0].operation.inputs[0])
    }
  }

  // MARK: The program as a whole

  @Test func inputAndOutputStandAtTheEnds() throws {
    let second = try Self.decoder { $0.nodes[2].operation = .input }
    #expect(second?.cause == "input must be the first operation")
    let early = try Self.decoder { program in
      program.nodes.insert(
        ProgramNode(operation: .output(0), outputs: 1..<1, label: ""), at: 1)
    }
    #expect(early?.cause == "a program starts with its input and ends with one output")
    let missing = try Self.decoder { $0.nodes.removeLast() }
    #expect(missing?.cause == "a program starts with its input and ends with one output")
    let empty = try Self.decoder {
      $0 = SecureProgram(
        family: "opt", kind: .decoder, clientInput: .oneHot, vocabularySize: 1, maximumPositions: 1)
    }
    #expect(empty?.cause == "a program starts with its input and ends with one output")
    let rows = try Self.decoder { $0.values[0].shape.rows = .last }
    #expect(rows?.place == "operation 0 (input)")
  }

  @Test func everyValueIsWrittenOnce() throws {
    let gap = try Self.decoder { $0.nodes[1].outputs = 2..<3 }
    #expect(gap?.cause == "writes values 2..<3, expected 1...")
    let twice = try Self.decoder { $0.nodes[2].outputs = 1..<2 }
    #expect(twice?.place.hasPrefix("operation 2") == true)
    let beyond = try Self.decoder { $0.nodes[1].outputs = 1..<100_000 }
    #expect(beyond?.place == "operation 1 (open)")
    let more = try Self.decoder { $0.nodes[1].outputs = 1..<3 }
    #expect(more?.cause == "writes 2 values, not 1")
    let never = try Self.decoder { $0.values.append($0.values[0]) }
    #expect(never?.cause == "1 values are never written")
  }

  @Test func valuesHaveTheInferredShapesAndForms() throws {
    let count = try Programs.decoder().values.count
    for value in stride(from: 0, to: count, by: 7) {
      let rows = try Self.decoder { program in
        program.values[value].shape.rows = program.values[value].shape.rows == .last ? .step : .last
      }
      #expect(rows != nil, "value \(value)")
      let columns = try Self.decoder {
        $0.values[value].shape.columns = .keys(heads: 3, halvings: 1)
      }
      #expect(columns != nil, "value \(value)")
      let form = try Self.decoder { $0.values[value].form = .view(shift: 61) }
      #expect(form != nil, "value \(value)")
      for bits in [-9, 63] {
        let error = try Self.decoder { $0.values[value].fractionalBits = bits }
        #expect(error?.place == "value \(value)")
      }
    }
  }
}
