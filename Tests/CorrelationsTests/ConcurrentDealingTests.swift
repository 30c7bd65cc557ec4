// Dealing gives the same arrays however many sessions are dealt at once.

import Correlations
import Foundation
import Models
import Program
import Randomness
import Sharing
import TestSupport
import Testing

struct ConcurrentDealingTests {
  @Test func sessionsDealtAtOnceAreThoseDealtAlone() throws {
    let folder = try ScratchFolder()
    _ = try TinyCheckpoint.opt(layerCount: 2, width: 24, innerWidth: 64).write(to: folder)
    let converted = try ConvertedModel(
      path: folder.path, calibrationTexts: [[2, 5, 1, 7, 3, 3], [1, 1, 6, 2]])
    let session = SessionShape(kind: .decoder, promptCapacity: 4, newCapacity: 3)
    let dealer = Dealer(
      program: converted.program, weights: converted.weights,
      batch: BatchSeeds(seed: Seed(bytes: [UInt8](repeating: 5, count: 32))))
    @Sendable func deal(_ number: Int) -> [[UInt64]] {
      let store = MemoryCorrelations()
      do { try dealer.deal(session: number, shape: session, into: store) } catch {
        Issue.record(error)
      }
      var result: [[UInt64]] = []
      for index in converted.program.nodes.indices {
        for component in converted.program.correlationComponents(index).indices {
          for party in 0...1 {
            result.append(store.stored(party: party, node: index, component: component))
          }
        }
        result.append(store.storedKeys(node: index).map(UInt64.init))
      }
      return result
    }
    let expected = (0..<3).map(deal)
    let mismatches = Shared(0)
    Threads.run(6) { thread in
      for round in 0..<10 where deal((thread + round) % 3) != expected[(thread + round) % 3] {
        mismatches.withLock { $0 += 1 }
      }
    }
    #expect(mismatches.withLock { $0 } == 0)
  }
}
