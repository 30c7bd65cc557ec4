// Stored words have the bytes that are read of them, and no more.

import Correlations
import Models
import Program
import Randomness
import Sharing
import TestSupport
import Testing

struct CorrelationWidthTests {
  /// What is left out is never missed: parties with these words give the simulator's
  /// (`TwoPartyModelTests`, and all that go by `ConvertedGraph`).
  @Test(arguments: [TinyCheckpoint.opt(), .llama(), .bert()])
  func storedWordsHoldWhatIsRead(checkpoint: TinyCheckpoint) throws {
    let folder = try ScratchFolder()
    _ = try checkpoint.write(to: folder)
    let model = try ConvertedModel(path: folder.path, calibrationTexts: ConversionFiles.tinyTexts)
    let program = model.program
    let shape = SessionShape(
      kind: program.kind, promptCapacity: 4, newCapacity: program.kind == .decoder ? 3 : 0)
    let store = MemoryCorrelations()
    try Dealer(
      program: program, weights: model.weights,
      batch: BatchSeeds(seed: Seed(bytes: [UInt8](repeating: 3, count: 32)))
    ).deal(session: 0, shape: shape, into: store)
    var narrowCount = 0
    for index in program.nodes.indices {
      for (number, component) in program.correlationComponents(index).enumerated() {
        switch program.nodes[index].operation {
        case .linear, .scale, .scores, .mix:
          let ringBits = program.values[program.nodes[index].outputs.lowerBound].ringBits
          #expect(component.wordByteCount == (ringBits + 7) / 8)
        case .view(let x, let shift):
          // t whole; h counts times a multiple of 2^(K - s).
          let bits = number == 0 ? 64 : 64 - program.values[x].ringBits + shift
          #expect(component.wordByteCount == (max(bits, 1) + 7) / 8)
        default: break
        }
        if case .words(perElement: 1) = component.layout {} else { continue }
        let words = store.stored(
          party: program.holder(node: index, component: number), node: index, component: number)
        guard component.wordByteCount < 8, words.count >= 16 else { continue }
        narrowCount += 1
        let bits = words.reduce(0, |)
        #expect(bits >> UInt64(8 * component.wordByteCount) == 0)
        // The highest byte is used: 16 uniform words leave it empty in one of 2^128 cases.
        #expect(bits >> UInt64(8 * component.wordByteCount - 8) != 0)
      }
    }
    #expect(narrowCount > 5)
    let cost = program.correlationCost(of: shape)
    #expect(cost.storedWordByteCount.reduce(0, +) < 8 * cost.storedWordCount.reduce(0, +))
  }
}
