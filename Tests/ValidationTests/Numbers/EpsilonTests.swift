// Rows of zeros and small ones: 1/sqrt(x + epsilon) is bounded by epsilon, whatever the text held.

import Approximation
import Bytes
import Models
import Program
import TestSupport
import Testing
import Validation

struct EpsilonTests {
  static let texts = [[1, 4, 2, 3, 5, 6], [0, 1, 3], [2, 5, 6, 1, 2]]
  static let small = [[7, 9, 1], [10, 2, 8]]

  @Test func x() throws {
    var c = TinyCheckpoint.llama()
    c.changeRow(0, of: "model.embed_tokens.weight") { $0 }
    c.tensors["model.embed_tokens.weight"]?.values[3] = 50
    let model = try NumbersModel(c, texts: [[1, 4, 2, 3, 5, 6], [2, 5, 6, 1, 2]])
    print("bos", model.approximated.unusualRows ?? "none")
    for p in [[1, 4, 2, 3], [0], [0, 1, 4, 2], [1, 2, 3, 0, 4, 5]] {
      print("bos", p, try model.error(p))
    }
  }

  /// Tokens 7 and 8 are zeros, 9 and 10 a thousandth of what they were.
  static func reserved(_ checkpoint: TinyCheckpoint, _ table: String) -> TinyCheckpoint {
    var result = checkpoint
    for row in 7...8 { result.changeRow(row, of: table) { _ in 0 } }
    for row in 9...10 { result.changeRow(row, of: table) { $0 * 1e-3 } }
    return result
  }

  @Test(
    arguments: [
      ("llama", TinyCheckpoint.llama(), "model.embed_tokens.weight"),
      ("gpt2", .gpt2(), "transformer.wte.weight"),
      ("opt", .opt(), "model.decoder.embed_tokens.weight"),
    ], [false, true])
  func smallRowsStayRight(_ family: (String, TinyCheckpoint, String), isSeen: Bool) throws {
    let plain = try NumbersModel(family.1, texts: Self.texts)
    let model = try NumbersModel(
      Self.reserved(family.1, family.2), texts: Self.texts + (isSeen ? Self.small : []))
    var before = (mean: 0.0, largest: 0.0)
    for prompt in [[1, 4, 2, 3], [7], [9], [10, 8, 7, 9], [9, 1, 2, 7], [1, 2, 7, 9, 10]] {
      let error = try plain.error(prompt)
      before = (max(before.mean, error.mean), max(before.largest, error.largest))
    }
    for prompt in [[1, 4, 2, 3], [7], [9], [10, 8, 7, 9], [9, 1, 2, 7], [1, 2, 7, 9, 10]] {
      let error = try model.error(prompt)
      print("eps", family.0, isSeen, prompt, error, before)
      #expect(error.mean <= 3 * before.mean && error.largest <= 3 * before.largest, "\(prompt)")
    }
  }
}
