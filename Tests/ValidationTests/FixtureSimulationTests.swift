// The whole fixture model in the fixed-point simulator against its float reference.

import Bytes
import Foundation
import Models
import Program
import Randomness
import Sharing
import TestSupport
import Testing
import Validation

struct FixtureSimulationTests {
  @Test func logitsStayCloseToFloat() throws {
    let folder = Repository.fixtures.appending(path: "opt-dickens-5m")
    let prompts = try ReferencePrompt.read(
      folder.appending(path: "reference/prompts.json").path)
    let started = Date()
    let converted = try ConvertedModel(
      path: folder.path, calibrationTexts: prompts.map { $0.tokens + $0.greedy })
    print("converted", Date().timeIntervalSince(started))
    for line in converted.program.lines().prefix(140) { print(line) }
    let batch = BatchSeeds(seed: Seed(bytes: [UInt8](repeating: 7, count: 32)))
    for prompt in prompts where !prompt.greedy.isEmpty {
      let session = SessionShape(
        kind: .decoder, promptCapacity: prompt.tokens.count, newCapacity: 32)
      var simulator = RingSimulator(
        program: converted.program, weights: converted.weights,
        streams: (0...1).map { batch.streams(session: 0, party: $0) })
      let all = prompt.tokens + prompt.greedy
      let reference = try converted.interpreter.run(tokens: Array(all.prefix(prompt.tokens.count + 31)))
      var row = 0
      var sum = 0.0
      var largest = 0.0
      let begun = Date()
      for step in 0..<32 {
        let count = step == 0 ? prompt.tokens.count : 1
        let output = converted.decoded(
          simulator.step(
            SessionStep(session: session, rows: row..<row + count, index: step),
            input: converted.oneHot(Array(all[row..<row + count]))))
        row += count
        for (a, b) in zip(output, reference.row(row - 1)) {
          sum += Double(abs(a - b)) / Double(output.count * 32)
          largest = max(largest, Double(abs(a - b)))
        }
      }
      print(prompt.name, "mean", sum, "max", largest, "s", Date().timeIntervalSince(begun))
      #expect(sum <= 0.005)
      #expect(largest <= 0.12)
    }
  }
}
