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

  /// Tokens 7 and 8 are zeros, 9 and 10 a thousandth of what they were.
  static func reserved(_ checkpoint: TinyCheckpoint, _ table: String) -> TinyCheckpoint {
    var result = checkpoint
    for row in 7...8 { result.changeRow(row, of: table) { _ in 0 } }
    for row in 9...10 { result.changeRow(row, of: table) { $0 * 1e-3 } }
    return result
  }

  @Test func x() throws {
    for (n, c) in [("llama", Self.reserved(.llama(), "model.embed_tokens.weight")), ("plain", .llama())] {
      for (m, texts) in [("unseen", Self.texts), ("seen", Self.texts + [[7, 9, 1], [10, 2, 8]])] {
        let model = try NumbersModel(c, texts: texts)
        print(n, m, model.approximated.unusualRows ?? "none")
        for p in [[1, 4, 2, 3], [7], [9], [10, 8, 7, 9], [9, 1, 2, 7], [1, 2, 7, 9, 10]] {
          print(n, m, p, try model.error(p))
        }
      }
    }
  }
}
