// Typed access to JSON objects: wrong kinds, absent and unknown keys.

import Bytes
import Testing

@Suite struct JSONReaderTests {
  private func reader(_ value: JSON) throws -> JSONReader {
    try JSONReader(value, source: "f", place: "top")
  }

  @Test func readsMembersAndFinishes() throws {
    var reader = try reader([
      "i": 3, "n": 4, "d": 2.5, "b": true, "s": "x", "l": [1, 2], "o": ["k": 1],
    ])
    #expect(try reader.integer("i", in: 0...3) == 3)
    #expect(try reader.number("n") == 4)
    #expect(try reader.number("d") == 2.5)
    #expect(try reader.bool("b"))
    #expect(try reader.string("s") == "x")
    #expect(try reader.integers("l") == [1, 2])
    var inner = try reader.object("o")
    #expect(inner.place == "top.o")
    #expect(try inner.integer("k") == 1)
    try inner.finish()
    try reader.finish()
  }

  private typealias Reader = JSONReader

  /// What `body` throws, or nothing.
  private func fault(of value: JSON, _ body: (inout Reader) throws(InputError) -> Any) throws
    -> String
  {
    var reader = try reader(value)
    do throws(InputError) {
      _ = try body(&reader)
      return ""
    } catch {
      return error.description
    }
  }

  @Test func nameEveryFault() throws {
    let value: JSON = ["i": 1.0, "r": 9, "b": 1, "s": 2, "l": [1, "x"], "o": []]
    func fault(_ body: (inout Reader) throws(InputError) -> Any) throws -> String {
      try self.fault(of: value, body)
    }
    #expect(
      try fault { (r: inout Reader) throws(InputError) in try r.integer("i") }
        == "f: top.i: expected an integer")
    #expect(
      try fault { (r: inout Reader) throws(InputError) in try r.integer("r", in: 1...8) }
        == "f: top.r: 9 is outside 1...8")
    #expect(
      try fault { (r: inout Reader) throws(InputError) in try r.bool("b") }
        == "f: top.b: expected true or false")
    #expect(
      try fault { (r: inout Reader) throws(InputError) in try r.string("s") }
        == "f: top.s: expected a string")
    #expect(
      try fault { (r: inout Reader) throws(InputError) in try r.number("l") }
        == "f: top.l: expected a number")
    #expect(
      try fault { (r: inout Reader) throws(InputError) in try r.integers("l") }
        == "f: top.l[1]: expected an integer")
    #expect(
      try fault { (r: inout Reader) throws(InputError) in try r.array("s") }
        == "f: top.s: expected an array")
    #expect(
      try fault { (r: inout Reader) throws(InputError) in try r.object("o") }
        == "f: top.o: expected a JSON object")
    #expect(
      try fault { (r: inout Reader) throws(InputError) in try r.integer("none") }
        == "f: top.none: missing key")
    #expect(
      try fault { (r: inout Reader) throws(InputError) in try r.finish() }
        == "f: top.b: unknown key")
  }

  @Test func topMustBeAnObject() {
    #expect(throws: InputError("f", place: "top", "expected a JSON object")) {
      try JSONReader([1], source: "f", place: "top")
    }
  }
}
