// The largest scores of two tokens, beside those that the interpreter sees in texts.

import Bytes
import Models
import TestSupport
import Testing

struct FirstScoresTests {
  /// Texts that have each pair of tokens at each distance from the first position: no score of them is
  /// larger, and the largest of the distances that are tried is equal.
  @Test(arguments: ["opt", "llama", "bert"]) func areThoseOfTexts(family: String) throws {
    let checkpoint: TinyCheckpoint =
      switch family {
      case "llama": .llama()
      case "bert": .bert()
      default: .opt()
      }
    let folder = try ScratchFolder()
    let interpreter = try FloatInterpreter(ModelLoader.load(path: checkpoint.write(to: folder)))
    let model = interpreter.model
    let node = try #require(model.firstAttention)
    guard case .attention(_, _, _, let settings) = model.nodes[node].operation else {
      throw InputError(family, "no attention")
    }
    let tokens = Array(0..<model.vocabularySize)
    let largest = try interpreter.largestFirstScores(of: tokens)
    var found = [Double](repeating: -.infinity, count: settings.headCount)
    for first in tokens {
      for other in tokens {
        // Distances 0 to 5, all of which are tried or at the end.
        let text = [first] + [Int](repeating: other, count: model.maximumPositions - 1)
        for text in [text, [other]] {
          _ = try interpreter.run(tokens: text) { index, kind, values in
            guard index == node, kind == .rowMaxima else { return }
            let count = values.count / settings.headCount
            for head in found.indices {
              let top = values[head * count..<(head + 1) * count].max() ?? 0
              found[head] = max(found[head], Double(top))
            }
          }
        }
      }
    }
    for (head, (score, seen)) in zip(largest, found).enumerated() {
      // Only pairs with the first position are tried: with learned positions others may have more.
      #expect(family != "llama" || score >= seen - 1e-5, "head \(head): \(score) below \(seen)")
      #expect(score > 0.6 * seen && score < seen + 1e-5, "head \(head): \(score), seen \(seen)")
    }
  }

  @Test func learnedBiasesHaveNone() throws {
    let folder = try ScratchFolder()
    let interpreter = try FloatInterpreter(
      ModelLoader.load(path: TinyCheckpoint.opt().write(to: folder)))
    #expect(try interpreter.largestFirstScores(of: []) == [])
    var model = interpreter.model
    let node = try #require(model.firstAttention)
    guard case .attention(let query, let key, let value, var settings) = model.nodes[node].operation
    else { return }
    settings.bias = .relative(table: "bias", RelativeBuckets(count: 32, maximumDistance: 128))
    model.nodes[node].operation = .attention(query: query, key: key, value: value, settings)
    #expect(model.firstAttention == nil)
  }
}
