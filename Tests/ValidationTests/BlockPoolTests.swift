// Pools of what is dealt for running blocks: how large they are, and what happens at their end.

import Approximation
import Bytes
import Models
import Program
import TestSupport
import Testing
import Validation

struct BlockPoolTests {
  @Test func capacities() {
    let pool = BlockPool(expected: 640, spare: 512)
    // 2.5 a row and 2 for the root of the rows.
    #expect(pool.capacity(rowCount: 1, blockCount: 100) == 5)
    #expect(pool.capacity(rowCount: 16, blockCount: 100) == 48)
    #expect(pool.capacity(rowCount: 17, blockCount: 100) == 53)
    #expect(pool.capacity(rowCount: 16, blockCount: 2) == 32)
  }

  /// Pools are sized by what is stored of a calibration.
  @Test func countsAreStored() throws {
    let graph = TinyGraph(GraphKind.gates[0])
    let calibration = try Calibration.observe(
      FloatInterpreter(graph.model, weights: graph), texts: ConvertedGraph.texts, source: "texts")
    #expect(Set(calibration.blocks.keys) == ["layers.0.gate", "layers.1.gate"])
    #expect(calibration.blocks.values.allSatisfy { $0.rowCount == 25 && $0.sum > 0 })
    #expect(
      try Calibration(json: calibration.json, source: "test").blocks == calibration.blocks)
  }

  @Test func aUsedUpPoolEndsTheSession() throws {
    let converted = try ConvertedGraph(TinyGraph(GraphKind.gates[0]))
    let session = SessionShape(kind: .decoder, promptCapacity: 5, newCapacity: 3)
    var program = converted.program
    program.resizePools(BlockPool(expected: 1, spare: 0))
    try program.validate(source: "test")
    let run = try TwoPartyRun(
      program: program, weights: converted.weights, session: session, seed: SimulatedRun.seed)
    let prompt = [2, 5, 1, 7]
    do {
      _ = try run.run([(converted.oneHot(prompt), prompt.count)])
      Issue.record("more blocks run than were dealt")
    } catch let error as InputError {
      #expect(error.cause.contains("the pool of this session is used up"))
      #expect(error.place == "layers.0.gate")
    }
  }
}

extension SecureProgram {
  /// Gives all gates another pool.
  mutating func resizePools(_ pool: BlockPool) {
    for index in values.indices {
      if case .revealed = values[index].form { values[index].form = .revealed(pool) }
      if case .blocks(var columns) = values[index].shape.columns {
        columns.pool = pool
        values[index].shape.columns = .blocks(columns)
      }
    }
    for index in nodes.indices {
      if case .reveal(let x, _) = nodes[index].operation {
        nodes[index].operation = .reveal(x, pool)
      }
    }
  }
}
