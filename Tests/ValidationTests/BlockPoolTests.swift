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
    // Of 1, 2 and 3 keys: 2.5 for each of 6, and 2 for the root of 14.
    #expect(pool.capacity(rowLengths: [1, 2, 3], blockCount: 100) == 23)
    #expect(pool.capacity(rowLengths: [1, 2, 3], blockCount: 3) == 18)
    #expect(
      pool.capacity(rowLengths: [1, 1, 1], blockCount: 4)
        == pool.capacity(rowCount: 3, blockCount: 4))
    let columns = BlockColumns(gates: 0, count: 3, width: 1, pool: pool)
    let shape = SessionShape(kind: .decoder, promptCapacity: 2, newCapacity: 2)
    #expect(shape.dealtCount(ValueShape(.step, .blockKeys(columns))) == 18)
  }

  /// Elements of running heads lie one after the other, over rows and steps.
  @Test func keysOfHeadsHaveTheirPlaces() {
    let columns = BlockColumns(
      gates: 7, count: 3, width: 1, pool: BlockPool(expected: 768, spare: 0))
    let (keys, words) = (
      ValueShape(.step, .blockKeys(columns)), ValueShape(.step, .blocks(columns))
    )
    let session = SessionShape(kind: .decoder, promptCapacity: 2, newCapacity: 3)
    var step = SessionStep(session: session, rows: 0..<2, index: 0)
    step.patterns[7] = BlockPattern(rows: [[1], [0, 2]])
    #expect(step.elementCount(keys) == 5 && step.elementCount(words) == 3)
    #expect(step.blockPlaces(keys) == [1, 3, 4, 7, 8])
    #expect(step.gathered(Array(10..<19), keys) == [11, 13, 14, 17, 18])
    #expect(step.spread([1, 2, 3, 4, 5], keys) == [0, 1, 0, 2, 3, 0, 0, 4, 5])
    #expect(step.dealtRanges(keys) == [0..<5] && step.dealtRanges(words) == [0..<3])
    #expect(step.sum([1, 2, 3, 4, 5], keys, runs: 3) == [1, 5, 9])
    #expect(step.broadcast([1, 2, 3], words, to: keys) == [1, 2, 2, 3, 3])
    let used = step.used(step.pattern(columns))
    #expect(used == (3, 5))
    var next = SessionStep(session: session, rows: 2..<3, index: 1)
    next.patterns[7] = BlockPattern(bits: [1, 1, 0], count: 3, earlier: used)
    #expect(next.dealtRanges(keys) == [5..<11] && next.dealtRanges(words) == [3..<5])
    #expect(
      next.combine([([1, 2, 3, 4, 5, 6], keys, 1), ([10, 20], words, 2)], constant: 0)
        == [21, 22, 23, 44, 45, 46])
    next.patterns[7] = BlockPattern(bits: [0, 0, 0], count: 3, earlier: used)
    #expect(
      next.dealtRanges(keys).isEmpty && next.spread([], keys) == [UInt64](repeating: 0, count: 9))
    #expect(next.sum([], keys, runs: 3).isEmpty)
  }

  /// The pool of keys may be used up where that of heads is not.
  @Test func usedUpKeysEndTheSession() throws {
    let converted = try ConvertedGraph(TinyGraph(GraphKind.headGates[0]))
    let session = SessionShape(kind: .decoder, promptCapacity: 5, newCapacity: 3)
    var program = converted.program
    // Heads enough for all rows, and keys for few of them.
    for index in program.values.indices {
      if case .blockKeys(var columns) = program.values[index].shape.columns {
        columns.pool = BlockPool(expected: 64, spare: 0)
        program.values[index].shape.columns = .blockKeys(columns)
      }
    }
    let run = try TwoPartyRun(
      program: program, weights: converted.weights, session: session, seed: SimulatedRun.seed)
    let prompt = [2, 5, 1, 7, 3]
    let error = #expect(throws: InputError.self) {
      _ = try run.run([(converted.oneHot(prompt), prompt.count)])
    }
    // A quarter of a head for 28 keys.
    #expect(error?.cause.contains("keys of heads run, 7 were dealt") == true)
    #expect(error?.place == "layers.1.headGate")
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
      switch values[index].shape.columns {
      case .blocks(var columns):
        columns.pool = pool
        values[index].shape.columns = .blocks(columns)
      case .blockKeys(var columns):
        columns.pool = pool
        values[index].shape.columns = .blockKeys(columns)
      case .fixed, .keys, .pairs, .sessionKeys: break
      }
    }
    for index in nodes.indices {
      if case .reveal(let x, _) = nodes[index].operation {
        nodes[index].operation = .reveal(x, pool)
      }
    }
  }
}
