// Guesses of a plaintext model: rows that are kept, and when it guesses.

import Bytes
import Models
import OnlineRuntime
import TestSupport
import Testing

struct ModelDrafterTests {
  private static let kinds = [
    GraphKind.norms, GraphKind.positions, GraphKind.gates, GraphKind.skeletons,
  ].flatMap { $0 }

  /// Rows that stay, rows that are taken back and several at once: as the whole text gives them.
  @Test(arguments: kinds) func aGrowingTextIsTheWholeText(kind: GraphKind) throws {
    let graph = TinyGraph(kind)
    guard graph.model.kind == .decoder else { return }
    let interpreter = try FloatInterpreter(graph.model, weights: graph)
    var growing = GrowingText(interpreter)
    for text in [[2, 5], [2, 5, 4], [2, 5, 4, 8, 1], [2, 5, 7], [2, 5, 7], [3], [3, 3, 3, 3]] {
      let whole = try interpreter.run(tokens: text)
      let last = try growing.lastRow(of: text)
      #expect(growing.tokens == text)
      #expect(last.count == whole.columnCount)
      for (a, b) in zip(last, whole.row(text.count - 1)) {
        #expect(abs(a - b) <= 1e-5 * max(1, abs(b)), "\(text)")
      }
    }
    #expect(throws: InputError.self) { try growing.lastRow(of: [99]) }
  }

  @Test func otherModelsAreRefused() throws {
    let decoder = TinyGraph.llama().model
    #expect(
      inputError { try ModelDrafter.check(decoder, vocabularySize: 11, source: "small") } == nil)
    let other = inputError { try ModelDrafter.check(decoder, vocabularySize: 512, source: "small") }
    #expect(other?.cause.contains("a vocabulary of 11, the parties' model one of 512") == true)
    let folder = try ScratchFolder()
    let encoder = try ModelLoader.load(path: TinyCheckpoint.bert().write(to: folder)).model
    let error = inputError { try ModelDrafter.check(encoder, vocabularySize: 11, source: "small") }
    #expect(error?.hint.contains("decoder") == true)
  }

  /// A model guesses what it says itself, and nothing where it is not sure.
  @Test func itGuessesWhatItIsSureOf() throws {
    let graph = TinyGraph.llama()
    let interpreter = try FloatInterpreter(graph.model, weights: graph)
    var expected = [2, 5]
    for _ in 0..<3 {
      let row = try interpreter.run(tokens: expected).row(expected.count - 1)
      expected.append(row.indices.max { row[$0] < row[$1] }.map { $0 - row.startIndex } ?? 0)
    }
    var sure = ModelDrafter(interpreter, leastProbability: 0)
    #expect(sure.draft(after: [2, 5], most: 3) == Array(expected.dropFirst(2)))
    // The same again, from what is kept; and no further than the model has positions.
    #expect(sure.draft(after: [2, 5], most: 2) == Array(expected[2..<4]))
    #expect(sure.draft(after: [2, 5, 4, 8, 1], most: 8).count == 2)
    var unsure = ModelDrafter(interpreter, leastProbability: 1)
    #expect(unsure.draft(after: [2, 5], most: 3).isEmpty)
  }
}
