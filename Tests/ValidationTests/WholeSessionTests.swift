// A session evaluated at once by the simulator, against its steps one after the other.

import Models
import Program
import Randomness
import Sharing
import TestSupport
import Testing
import Validation

struct WholeSessionTests {
  static let batch = BatchSeeds(seed: Seed(bytes: [UInt8](repeating: 21, count: 32)))

  /// Output of a session at once and of its steps, which must be the same words.
  static func compare(
    _ program: SecureProgram, weights: [[UInt64]], tokens: [Int], promptCount: Int
  ) throws {
    let simulator = RingSimulator(
      program: program, weights: weights,
      streams: (0...1).map { batch.streams(session: 0, party: $0) })
    func rows(_ range: Range<Int>) -> [UInt64] {
      tokens[range].flatMap { token in
        (0..<program.vocabularySize).map { $0 == token ? 1 : 0 }
      }
    }
    let session = SessionShape(
      kind: .decoder, promptCapacity: promptCount, newCapacity: tokens.count - promptCount + 1)
    var whole = simulator
    let all = whole.step(.dealing(session), input: rows(0..<tokens.count))
    var stepping = simulator
    var single: [UInt64] = []
    for index in 0..<session.newCapacity {
      let range = index == 0 ? 0..<promptCount : promptCount + index - 1..<promptCount + index
      single += stepping.step(
        SessionStep(session: session, rows: range, index: index), input: rows(range))
    }
    #expect(all == single)
    #expect(all.count == session.newCapacity * program.vocabularySize)
  }

  @Test(arguments: [1, 3, 6])
  func smallDecoder(promptCount: Int) throws {
    let files = try ConversionFiles.tiny(.opt(layerCount: 2, width: 24, innerWidth: 40))
    try Self.compare(
      files.program, weights: files.encodedWeights(), tokens: [2, 5, 1, 7, 3, 3],
      promptCount: promptCount)
  }

  @Test(arguments: [1, 4])
  func rotaryPositionsAndGroupedHeads(promptCount: Int) throws {
    let files = try ConversionFiles.tiny(TinyGraph.llama())
    try Self.compare(
      files.program, weights: files.encodedWeights(), tokens: [2, 5, 1, 7, 3, 3],
      promptCount: promptCount)
  }

  @Test(arguments: [1, 17])
  func fixture(promptCount: Int) throws {
    let converted = try ConvertedModel.fixture()
    let prompt = try ReferencePrompt.fixture()[1]
    try Self.compare(
      converted.program, weights: converted.weights,
      tokens: Array((prompt.tokens + prompt.greedy).prefix(24)), promptCount: promptCount)
  }
}
