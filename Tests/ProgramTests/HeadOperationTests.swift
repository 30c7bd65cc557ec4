// What operations on the columns of running heads demand, and what their messages are.

import Approximation
import Bytes
import Models
import Program
import TestSupport
import Testing

struct HeadOperationTests {
  /// With gates of heads and of blocks of neurons.
  private static func program(_ kind: GraphKind = GraphKind.headGates[1]) throws -> SecureProgram {
    try GraphKindProgramTests.program(kind)
  }

  private static func isOfKeys(_ value: ValueID, _ program: SecureProgram) -> Bool {
    if case .blockKeys = program.values[value].shape.columns { true } else { false }
  }

  private static func expect(
    _ cause: String, where isChanged: (ProgramNode, SecureProgram) -> Bool,
    _ change: (Operation, SecureProgram) -> Operation
  ) throws {
    var program = try program()
    let index = try #require(program.nodes.firstIndex { isChanged($0, program) })
    program.nodes[index].operation = change(program.nodes[index].operation, program)
    let error = try #require(inputError { try program.validate(source: "file") })
    #expect(error.cause.contains(cause), "\(error)")
    #expect(error.place.hasPrefix("operation \(index) "))
  }

  private static func gates(_ label: String, _ program: SecureProgram) -> ValueID {
    let node = program.nodes.first { node in
      if case .reveal = node.operation { node.label == label } else { false }
    }
    return node?.outputs.lowerBound ?? 0
  }

  @Test func operandsFit() throws {
    try Self.expect("6 blocks do not fit") { node, program in
      node.operation.name == "selectBlocks" && Self.isOfKeys(node.outputs.lowerBound, program)
    } _: { operation, program in
      .selectBlocks(operation.inputs[0], gates: Self.gates("layers.0.gate", program))
    }
    try Self.expect("has no 2 runs") { node, program in
      node.operation.name == "sum" && Self.isOfKeys(node.operation.inputs[0], program)
    } _: { operation, _ in
      .sum(operation.inputs[0], runs: 2)
    }
    try Self.expect("has no blocks") { node, _ in
      node.operation.name == "spreadBlocks"
    } _: { _, _ in
      .spreadBlocks(0)
    }
    // A word for each head serves its columns, but not its keys, of which every row has others.
    try Self.expect("blocks of keys") { node, program in
      guard case .multiply(let x, let y) = node.operation else { return false }
      return program.values[x].shape != program.values[y].shape
        && program.values[x].shape.columns.runningBlocks != nil
    } _: { operation, program in
      let keys = program.values.firstIndex { value in
        guard case .blockKeys(let columns) = value.shape.columns, value.form == .opened else {
          return false
        }
        return columns.gates
          == program.values[operation.inputs[0]].shape.columns.runningBlocks?.gates
      }
      return .multiply(keys ?? 0, operation.inputs[1])
    }
    // Nor does a head of one layer serve those of another.
    try Self.expect("do not serve") { node, program in
      guard case .multiply(let x, let y) = node.operation, node.label.hasPrefix("layers.2")
      else { return false }
      return program.values[x].shape != program.values[y].shape
        && program.values[x].shape.columns.runningBlocks != nil
    } _: { operation, program in
      let gates = Self.gates("layers.1.headGate", program)
      let other = program.values.firstIndex { value in
        guard case .blocks(let columns) = value.shape.columns, value.form != .shared else {
          return false
        }
        return columns.gates == gates && columns.width == 1
      }
      return .multiply(operation.inputs[0], other ?? 0)
    }
  }

  /// Heads that run are all that is opened of queries, scores, weights and mixes.
  @Test func whatIsOpenedFollowsTheHeads() throws {
    let program = try Self.program(GraphKind.headGates[0])
    let session = SessionShape(kind: .decoder, promptCapacity: 4, newCapacity: 3)
    let gates = Self.gates("layers.1.headGate", program)
    func cost(_ heads: [Int]) -> (sent: Int, softmax: Int) {
      var step = SessionStep(session: session, rows: 5..<6, index: 2)
      for (id, value) in program.values.enumerated() {
        if case .revealed = value.form { step.patterns[id] = BlockPattern(rows: [heads]) }
      }
      let keys = program.values.first {
        if case .blockKeys(let columns) = $0.shape.columns { columns.gates == gates } else { false }
      }
      return (
        program.cost(of: step) { $0.label.hasPrefix("layers.1.attention.mix") }.sentWordCounts[0],
        keys.map { step.elementCount($0.shape) } ?? -1
      )
    }
    #expect(cost([]).softmax == 0 && cost([1]).softmax == 6 && cost([0, 1, 3]).softmax == 18)
    #expect(cost([]).sent < cost([1]).sent && cost([1]).sent < cost([0, 1, 2, 3]).sent)
  }
}
