// The text of errors: one line, whatever the names in hostile files.

import Bytes
import Testing

@Suite struct InputErrorTests {
  @Test func saysFilePlaceAndCause() {
    #expect(InputError("f", "c").description == "f: c")
    #expect(InputError("f", place: "w", "c").description == "f: w: c")
    #expect(InputError("f", offset: 8, "c").description == "f: byte 8: c")
  }

  @Test func staysOnOneLine() {
    let error = InputError("f", place: "a\nb\u{1b}[2J\u{2028}\u{202e}\u{9b}é", "tab\t")
    #expect(
      error.description
        == #"f: a\u{a}b\u{1b}[2J\u{2028}\u{202e}\u{9b}é: tab\u{9}"#)
  }
}
