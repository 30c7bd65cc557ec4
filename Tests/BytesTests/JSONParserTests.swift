// The strict JSON parser, one rule a test.

import Bytes
import Testing

@Suite struct JSONParserTests {
  private func failure(_ text: String) -> InputError? { failure(Array(text.utf8)) }

  private func failure(_ bytes: [UInt8]) -> InputError? {
    do throws(InputError) {
      _ = try JSON.parse(bytes, source: "f")
      return nil
    } catch {
      return error
    }
  }

  @Test func readsEveryKindOfValue() throws {
    let text = """
       { "a" : [ null , true , false , -12 , 1.5e2 , "x" ] , "b" : { } , "c" : [ ] }\u{20}
      """
    let value = try JSON.parse(text, source: "f")
    #expect(
      value == [
        "a": [.null, true, false, -12, 150.0, "x"], "b": .object([:]), "c": .array([]),
      ])
  }

  @Test(arguments: [
    (#"{"a":1,"a":2}"#, 7, "duplicate key"),
    (#"{"a":1,"\u0061":2}"#, 7, "duplicate key"),
    (#"{"x":{"b":1,"b":1}}"#, 12, "duplicate key"),
    ("[1,]", 3, "expected a JSON value"),
    (#"{"a":1,}"#, 7, "expected a key in quotes"),
    ("[1 2]", 3, "expected ',' or ']'"),
    (#"{"a":1 "b":2}"#, 7, "expected ',' or '}'"),
    (#"{"a" 1}"#, 5, "expected ':'"),
    ("{a:1}", 1, "expected a key in quotes"),
    ("{'a':1}", 1, "expected a key in quotes"),
    ("1 2", 2, "text after the JSON value"),
    ("{}x", 2, "text after the JSON value"),
    ("[]\u{0}", 2, "text after the JSON value"),
    ("", 0, "ends too early"),
    ("  ", 2, "ends too early"),
    ("[1,", 3, "ends too early"),
    (#"{"a":"#, 5, "ends too early"),
    (#"["abc"#, 1, "string without end"),
    (#"["abc\"#, 6, "string that ends in an escape"),
    ("nul", 3, "invalid JSON literal"),
    ("True", 0, "expected a JSON value"),
    ("NaN", 0, "expected a JSON value"),
    ("Infinity", 0, "expected a JSON value"),
    ("\u{FEFF}1", 0, "expected a JSON value"),
    ("// c\n1", 0, "expected a JSON value"),
    ("\u{0B}1", 0, "expected a JSON value"),
  ]) func refusesWithTheOffset(text: String, offset: Int, cause: String) throws {
    let error = try #require(failure(text))
    #expect(error.place == "byte \(offset)")
    #expect(error.cause.hasPrefix(cause) || error.cause.hasSuffix(cause))
  }

  @Test(arguments: [
    ("01", 1), ("-01", 2), ("00", 1), ("-", 1), ("+1", 0), (".5", 0), ("1.", 2), ("-.5", 1),
    ("1e", 2), ("1e+", 3), ("1.e1", 2), ("0x10", 1), ("1_000", 1), ("1e999", 0), ("-1e999", 0),
  ]) func refusesNumber(text: String, offset: Int) throws {
    #expect(failure(text)?.place == "byte \(offset)")
  }

  @Test(arguments: [
    ("0", JSON.integer(0)), ("-0", 0), ("9223372036854775807", .integer(Int.max)),
    ("-9223372036854775808", .integer(Int.min)),
    ("9223372036854775808", .number(9_223_372_036_854_775_808)), ("1.0", .number(1)),
    ("1e0", .number(1)), ("1E+2", .number(100)), ("25e-1", .number(2.5)), ("-0.0", .number(-0.0)),
    ("1e-400", .number(0)),
  ]) func readsNumber(text: String, expected: JSON) throws {
    #expect(try JSON.parse(text, source: "f") == expected)
  }

  @Test func nestingIsBounded() throws {
    let depth = JSON.maximumDepth
    let deepest =
      String(repeating: "[", count: depth + 1) + String(repeating: "]", count: depth + 1)
    #expect(failure(deepest) == nil)
    #expect(failure("[" + deepest + "]")?.place == "byte \(depth + 1)")
    #expect(failure(String(repeating: #"{"a":"#, count: 100_000))?.cause.contains("deep") == true)
  }

  @Test(arguments: [
    #""\ud800""#, #""\ud800x""#, #""\ud800\n""#, #""\ud800\ud800""#, #""\ud800\u0041""#,
    #""\udc00""#, #""\udfff\ud800""#,
  ]) func refusesLoneSurrogate(text: String) {
    #expect(failure(text) == InputError("f", offset: 1, "lone surrogate"))
  }

  @Test func readsEscapes() throws {
    let text = #""\"\\\/\b\f\n\r\t\u0041\u00e9\ud83d\ude00""#
    #expect(
      try JSON.parse(text, source: "f") == .string("\"\\/\u{8}\u{c}\n\r\tA\u{e9}\u{1F600}"))
  }

  @Test(arguments: [#""\x41""#, #""\a""#, #""\'""#, #""\U0041""#])
  func refusesUnknownEscape(text: String) {
    #expect(failure(text) == InputError("f", offset: 1, "unknown escape in a string"))
  }

  @Test(arguments: [#""\u12""#, #""\u12g4""#, #""\u 123""#, #""\u+123""#, "\"\\u\u{FF11}234\""])
  func refusesBadHexadecimal(text: String) {
    #expect(failure(text)?.cause == "expected four hexadecimal digits")
  }

  @Test(arguments: [UInt8(0), 0x09, 0x0a, 0x1f]) func refusesControlCharacter(byte: UInt8) {
    #expect(
      failure([0x22, 0x61, byte, 0x22])
        == InputError("f", offset: 2, "control character in a string"))
  }

  @Test(
    arguments: [
      [0xff], [0x80], [0xc0, 0x80], [0xe2, 0x82], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80],
    ] as [[UInt8]]) func refusesInvalidUTF8(sequence: [UInt8])
  {
    #expect(failure([0x22] + sequence + [0x22])?.cause == "string is not valid UTF-8")
  }

  @Test func offsetsCountFromTheBase() {
    #expect(throws: InputError("f", offset: 1002, "text after the JSON value")) {
      try JSON.parse(Array("1 2".utf8), source: "f", offset: 1000)
    }
  }

  @Test func everyTruncationIsRefused() throws {
    let text = Array(#"{"a":[1.5e3,"\u00e9é",true,null],"b":{"c":-7}}"#.utf8)
    #expect(failure(text) == nil)
    for count in text.indices { #expect(failure(Array(text[..<count])) != nil) }
  }

  @Test func canonicalTextReadsBack() throws {
    let value: JSON = [
      "b": [1, -2.5, 1e300, .null, true, [], ["x": "\u{1}\"\\\n\u{7f}é😀"]], "a": .object([:]),
    ]
    let text = #"{"a":{},"b":[1,-2.5,1e+300,null,true,[],{"x":"\u0001\"\\\n\u007fé😀"}]}"#
    #expect(value.text == text)
    #expect(try JSON.parse(value.text, source: "f") == value)
    #expect(try JSON.parse(value.indentedText, source: "f") == value)
  }
}
