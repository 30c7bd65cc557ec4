// The stored form of a program: it reads back the same, and nothing else is taken.

import Bytes
import Models
import Program
import TestSupport
import Testing

struct ProgramJSONTests {
  @Test func fixtureRoundTrip() throws { try Self.expectRoundTrip(Programs.fixture()) }
  @Test func encoderRoundTrip() throws { try Self.expectRoundTrip(Programs.encoder()) }

  @Test func groupedRoundTrip() throws { try Self.expectRoundTrip(Programs.grouped()) }

  /// Turns of half a circle a position and more are negative numbers in the file.
  @Test(arguments: [RotaryLayout.pairs, .halves])
  func rotationRoundTrip(layout: RotaryLayout) throws {
    var program = try Programs.grouped()
    let index = try #require(program.first("rotate"))
    let input = program.nodes[index].operation.inputs[0]
    program.nodes[index].operation = .rotate(
      input,
      Rotation(
        headCount: 2, layout: layout, fractionalBits: 30, turns: [1 << 63, .max, 0]))
    try Self.expectRoundTrip(program)
  }

  static func expectRoundTrip(_ program: SecureProgram) throws {
    let text = program.json.text
    let read = try SecureProgram(json: JSON.parse(text, source: "program"), source: "program")
    #expect(read == program)
    #expect(read.json.text == text)
  }

  @Test func programsUseEveryPrimitive() throws {
    let programs = try [Programs.decoder(), Programs.encoder(), Programs.grouped()]
    let names = Set(programs.flatMap { $0.nodes.map(\.operation.name) })
    #expect(names.count == 23, "\(names.sorted())")
  }

  @Test func signedConstantsSurvive() throws {
    var program = try Programs.decoder()
    let index = try #require(program.first("combine"))
    guard case .combine(var terms, _) = program.nodes[index].operation else { return }
    terms[0].coefficient = 1 << 63
    program.nodes[index].operation = .combine(terms, constant: .max)
    try Self.expectRoundTrip(program)
  }

  /// One change in the JSON of a tiny program and where it must be found.
  struct Change: CustomTestStringConvertible, Sendable {
    /// Name of the first operation that `path` starts from, or "" for the program itself.
    var operation: String
    var path: [String]
    var value: JSON?
    var place: String
    var testDescription: String { "\(operation) \(path.joined(separator: ".")) \(place)" }

    init(_ operation: String, _ path: String, _ value: JSON?, _ place: String = "") {
      self.operation = operation
      self.path = path.split(separator: ".").map(String.init)
      self.value = value
      self.place = place.isEmpty ? self.path.joined(separator: ".") : place
    }
  }

  @Test(arguments: [
    Change("", "version", 1), Change("", "version", nil), Change("", "kind", "both"),
    Change("", "clientInput", "plain"), Change("", "vocabularySize", 0),
    Change("", "maximumPositions", 0), Change("", "maximumPositions", .integer(1 << 25)),
    Change("", "family", 1), Change("", "more", 1), Change("", "operations", nil),
    Change("", "values.0.rows", "some", "values[0].rows"),
    Change("", "values.0.form", "hidden", "values[0].form"),
    Change("", "values.0.fractionalBits", 63, "values[0].fractionalBits"),
    Change("", "values.0.fractionalBits", -9, "values[0].fractionalBits"),
    Change("", "values.0.shift", 3, "values[0].shift"),
    Change("", "values.0.columns", ["fixed"], "values[0].columns"),
    Change("", "values.0.columns", ["fixed", 0], "values[0].columns"),
    Change("", "values.0.columns", ["fixed", 1, 2], "values[0].columns"),
    Change("", "values.0.columns", ["keys", 2, 41], "values[0].columns"),
    Change("", "values.0.columns", ["keys", 0, 1], "values[0].columns"),
    Change("", "values.0.columns", ["pairs", 2], "values[0].columns"),
    Change("", "values.0.columns", ["sessionKeys", 0], "values[0].columns"),
    Change("", "values.0.columns", ["other", 1], "values[0].columns"),
    Change("", "values.0.columns", [], "values[0].columns"),
    Change("", "weights.0.rowCount", 0, "weights[0].rowCount"),
    Change("", "weights.0.columnCount", .integer(1 << 29), "weights[0].columnCount"),
    Change("", "weights.0.fractionalBits", -1, "weights[0].fractionalBits"),
    Change("", "weights.0.isTransposed", 1, "weights[0].isTransposed"),
    Change("", "weights.0.source.factor", nil, "weights[0].source.factor"),
    Change("", "weights.0.source.tensor", 1, "weights[0].source.tensor"),
    Change("", "weights.0.source.more", 1, "weights[0].source.more"),
    Change("", "weights.0.more", 1, "weights[0].more"),
    Change("open", "name", "close", "name"), Change("open", "label", nil),
    Change("open", "reads", [], "reads"), Change("open", "reads", [0, 0]),
    Change("open", "reads", [0.5], "reads[0]"), Change("open", "writes", 1025),
    Change("open", "writes", -1), Change("open", "more", 1), Change("input", "reads", [0]),
    Change("view", "shift", -1), Change("view", "shift", 63), Change("view", "shift", nil),
    Change("linear", "weight", nil), Change("linear", "weight", -1),
    Change("scores", "heads", nil), Change("scores", "reads", [0]),
    Change("scores", "keyHeads", nil), Change("scores", "keyHeads", "2"),
    Change("mix", "heads", "2"), Change("mix", "keyHeads", nil), Change("mix", "keyHeads", -1),
    Change("multiply", "reads", [1]),
    Change("polynomial", "coefficients", 3), Change("polynomial", "coefficients", [3]),
    Change("polynomial", "coefficients", [[0.5]]),
    Change("combine", "coefficients", [1]), Change("combine", "constant", nil),
    Change("combine", "constant", 0.5), Change("sum", "runs", nil),
    Change("addWeight", "positionOffset", -1), Change("addWeight", "positionOffset", "2"),
    Change("piecewiseLinear", "shift", 63), Change("piecewiseLinear", "droppedBits", 63),
    Change("piecewiseLinear", "comparedBits", 1), Change("piecewiseLinear", "comparedBits", 65),
    Change("piecewiseLinear", "knots", nil), Change("piecewiseLinear", "slopes", []),
    Change("piecewiseLinear", "intercepts", [], "slopes"),
    Change("piecewiseLinear", "outputFractionalBits", [], "slopes"),
    Change("piecewiseLinear", "comparison", "keys"), Change("piecewiseLinear", "comparison", 1),
  ])
  func changesAreRefused(_ change: Change) throws {
    try Self.expectRefusal(change, of: Programs.decoder())
  }

  @Test(arguments: [
    Change("rotate", "reads", []), Change("rotate", "reads", [0, 0]),
    Change("rotate", "heads", nil), Change("rotate", "heads", -1),
    Change("rotate", "interleaved", nil), Change("rotate", "interleaved", 1),
    Change("rotate", "factorFractionalBits", nil), Change("rotate", "factorFractionalBits", -1),
    Change("rotate", "turns", nil), Change("rotate", "turns", 1),
    Change("rotate", "turns", [1, 0.5], "turns[1]"),
    Change("rotate", "turns", ["1", 1], "turns[0]"), Change("rotate", "keyHeads", 2),
  ])
  func changesOfRotationsAreRefused(_ change: Change) throws {
    try Self.expectRefusal(change, of: Programs.grouped())
  }

  static func expectRefusal(_ change: Change, of program: SecureProgram) throws {
    var path = change.path
    var place = change.place
    if !change.operation.isEmpty {
      let index = try #require(program.first(change.operation))
      path = ["operations", "\(index)"] + path
      place = "operations[\(index)].\(place)"
    }
    let json = program.json.setting(path, to: change.value)
    let error = try #require(inputError { _ = try SecureProgram(json: json, source: "file") })
    #expect(error.source == "file")
    #expect(error.place.hasPrefix("program.\(place)"), "\(error)")
  }
}
