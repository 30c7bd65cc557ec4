// Answers as they are shown: whole characters, up to a text that ends them.

import Bytes
import Foundation
import TestSupport
import Testing
import Tokenization

struct AnswerStreamTests {
  private static let path = Repository.fixtures.appending(path: "opt-dickens-5m").path

  private func shown(_ text: String, endings: [String]) throws -> (pieces: [String], text: String) {
    let tokenizer = try Tokenizer(folder: AnswerStreamTests.path)
    var stream = AnswerStream(tokenizer, endings: endings)
    var pieces = try tokenizer.encode(text).map { stream.append($0) }
    pieces.append(stream.finish())
    #expect(pieces.joined() == stream.text)
    return (pieces, stream.text)
  }

  @Test func charactersComeWhole() throws {
    let text = "It was 🧑🏿‍🚀 — naïve."
    let (pieces, whole) = try shown(text, endings: [])
    #expect(whole == text)
    #expect(!pieces.contains { $0.contains("\u{fffd}") })
    // Bytes of an emoji are tokens of their own, and nothing is shown for them by themselves.
    #expect(pieces.contains("") && pieces.filter { !$0.isEmpty }.count > 5)
  }

  @Test func anEndingIsNotShown() throws {
    for (ending, expected) in [
      ("worst", "It was the best of times, it was the "), ("es, it", "It was the best of tim"),
      ("I", ""), ("times?", "It was the best of times, it was the worst"),
    ] {
      let text = "It was the best of times, it was the worst"
      #expect(try shown(text, endings: [ending, "\n\n"]).text == expected, "\(ending)")
    }
  }

  /// What might begin an ending waits; what follows shows that it did not.
  @Test func theBeginningOfAnEndingWaits() throws {
    let (pieces, text) = try shown("times, it", endings: [", its"])
    #expect(text == "times, it" && pieces.last == ", it")
  }
}
