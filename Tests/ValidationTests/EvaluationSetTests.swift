// How texts are cut into windows, and what is refused as an evaluation set.

import Bytes
import Models
import TestSupport
import Testing
import Validation

struct EvaluationSetTests {
  static func model(_ kind: ModelKind = .decoder) -> Model {
    Model(
      family: "test", kind: kind, vocabularySize: 100, maximumPositions: 8, nodes: [], weights: [])
  }

  static func set(
    _ texts: [[Int]], pairs: [ScoredPair] = [], kind: ModelKind = .decoder, window: Int? = nil,
    stride: Int? = nil
  ) throws(InputError) -> EvaluationSet {
    try EvaluationSet(
      model: model(kind), texts: texts, source: "texts.json", pairs: pairs,
      pairSource: "pairs.json", window: window, stride: stride)
  }

  @Test func aShortTextIsOneWindow() throws {
    let set = try Self.set([[5, 6, 7], [1], [2, 3]])
    #expect(
      set.windows == [
        EvaluationWindow(text: 0, tokens: [5, 6, 7], scored: 0..<2),
        EvaluationWindow(text: 2, tokens: [2, 3], scored: 0..<1),
      ])
    #expect(set.textCount == 3 && set.scoredCount == 3 && set.tokenCount == 5)
  }

  /// Every token but the first is predicted once, with enough context.
  @Test(arguments: [(2, 1), (4, 1), (5, 2), (6, 3), (8, 4), (8, 7), (7, 6)])
  func aLongTextIsPredictedOnce(window: Int, stride: Int) throws {
    for length in 1...40 {
      let text = Array(0..<length)
      guard length > 1 else { continue }
      let set = try Self.set([text], window: window, stride: stride)
      var predicted: [Int] = []
      for part in set.windows {
        #expect(part.tokens.count <= window)
        // Tokens of this text are their positions.
        #expect(part.tokens == Array(part.tokens[0]..<part.tokens[0] + part.tokens.count))
        for row in part.scored {
          let token = part.tokens[row + 1]
          predicted.append(token)
          #expect(row + 1 >= min(token, window - stride))
        }
      }
      #expect(predicted == Array(1..<length))
    }
  }

  @Test func pairsFollowTheTexts() throws {
    let set = try Self.set(
      [[1, 2]], pairs: [ScoredPair(first: [3], second: [4, 5], score: 2.5)], kind: .encoder)
    #expect(set.windows.map(\.tokens) == [[1, 2], [3], [4, 5]])
    #expect(set.windows.map(\.scored) == [0..<2, 0..<1, 0..<2])
    #expect(set.pairs.map(\.first) == [1] && set.pairs.map(\.second) == [2])
    #expect(set.pairs.map(\.score) == [2.5])
  }

  @Test func refuses() {
    func refused(
      _ texts: [[Int]], pairs: [ScoredPair] = [], kind: ModelKind = .decoder, window: Int? = nil,
      stride: Int? = nil, _ part: String
    ) {
      let error = #expect(throws: InputError.self) {
        try Self.set(texts, pairs: pairs, kind: kind, window: window, stride: stride)
      }
      #expect(error?.description.contains(part) == true, "\(String(describing: error))")
    }
    let pair = ScoredPair(first: [1], second: [2, 100], score: 1)
    refused([[1, 2], [3, 100]], "texts.json: text 1, position 1: token 100 is outside")
    refused([[1], [2]], "nothing to predict")
    refused(
      [], pairs: [pair], kind: .encoder, "pairs.json: pair 0, second, position 1: token 100")
    refused([[1, 2]], pairs: [pair], "pairs.json: a decoder has no sentence embeddings")
    refused([[1, 2]], window: 9, "--window: 9 tokens, the model has positions for 8")
    refused([[1, 2]], window: 4, stride: 4, "--stride: must be below the window of 4")
    refused([Array(0..<9)], kind: .encoder, "text 0: 9 tokens, the model has positions for 8")
  }

  @Test(arguments: [
    ("[]", "holds no pairs"), ("{}", "expected a JSON array"),
    ("[1]", "[0]: expected a JSON object"),
    ("[{\"first\":[1],\"second\":[2]}]", "[0].score: missing key"),
    ("[{\"first\":[1],\"second\":[],\"score\":1}]", "[0].second: holds no tokens"),
    ("[{\"first\":[1.5],\"second\":[2],\"score\":1}]", "[0].first[0]: expected an integer"),
    ("[{\"first\":[1],\"second\":[2],\"score\":\"5\"}]", "[0].score: expected a number"),
    ("[{\"first\":[1],\"second\":[2],\"score\":1,\"genre\":0}]", "[0].genre: unknown key"),
  ]) func refusesPairFiles(text: String, cause: String) throws {
    let folder = try ScratchFolder()
    let path = try folder.write(text.utf8, to: "pairs.json")
    let error = #expect(throws: InputError.self) { try PairFile.read(path) }
    #expect(error?.description.contains(cause) == true, "\(String(describing: error))")
  }

  @Test func readsPairFiles() throws {
    let folder = try ScratchFolder()
    let path = try folder.write(
      "[{\"first\": [1, 2], \"second\": [3], \"score\": 4.5}]".utf8, to: "pairs.json")
    #expect(try PairFile.read(path) == [ScoredPair(first: [1, 2], second: [3], score: 4.5)])
  }
}
