// Many problems in one line: by causes, a few of each by name, the rest counted.

import Bytes
import Testing

@Suite struct ProblemListTests {
  @Test func fewAreSpelledOut() {
    var list = ProblemList()
    #expect(list.error(source: "f") == nil)
    list.add("a", " is missing")
    #expect(list.error(source: "f") == InputError("f", "a is missing"))
    #expect(list.error(source: "f")?.details == [])
    list.add("the shards differ")
    let error = list.error(source: "f", hint: "h")
    #expect(error == InputError("f", "2 problems: a is missing; the shards differ", hint: "h"))
    #expect(error?.details == ["a is missing", "the shards differ"])
  }

  @Test func manyAreToldByTheirCauses() {
    var list = ProblemList()
    for index in 0..<20 { list.add("t\(index)", " has shape [\(index), 2], expected [1]") }
    for index in 0..<2 { list.add("u\(index)", ": byte \(index): is no tensor") }
    list.add("config.json x: missing key")
    list.add("z", " is missing")
    let error = list.error(source: "f")
    #expect(
      error?.cause
        == #"24 problems: 20 times "has shape [0, 2], expected [1]": t0, t1, t2, ...; "#
        + #"2 times "byte 0: is no tensor": u0, u1; config.json x: missing key; z is missing"#)
    #expect(error?.details.count == 24)
    #expect(error?.details[19] == "t19 has shape [19, 2], expected [1]")
  }

  @Test func causesBeyondTheTenthAreCounted() {
    var list = ProblemList()
    for letter in "abcdefghijkl" { list.add("key \(letter): missing") }
    #expect(list.error(source: "f")?.cause.hasSuffix("key j: missing; and 2 more") == true)
    for index in 0..<5 { list.add("t\(index)", " is missing") }
    #expect(list.error(source: "f")?.cause.hasSuffix("key j: missing; and 7 more") == true)
  }
}
