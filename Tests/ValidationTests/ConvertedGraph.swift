// A graph put together by hand, converted in memory and run in two parties.

import Approximation
import Bytes
import Foundation
import Models
import Program
import Randomness
import Sharing
import TestSupport
import Testing
import Validation

struct ConvertedGraph {
  let graph: TinyGraph
  let interpreter: FloatInterpreter
  let program: SecureProgram
  let weights: [[UInt64]]

  static let texts = [
    [2, 5, 1, 7, 3, 3, 0, 9, 10, 4, 6, 8], [1, 1, 6, 2, 8], [3], [10, 9, 0, 4, 4, 7, 5],
  ]

  init(_ graph: TinyGraph, recipe: Recipe = .accurate, texts: [[Int]] = Self.texts) throws {
    let texts = graph.model.texts(texts)
    self.graph = graph
    interpreter = try FloatInterpreter(graph.model, weights: graph)
    let calibration = try Calibration.observe(interpreter, texts: texts, source: "texts")
    program = try SecureProgram.lower(
      graph.model, recipe: recipe.resolved(for: graph.model, calibration: calibration),
      calibration: calibration)
    let encoder = WeightEncoder(source: "graph", weights: graph)
    weights = try program.weights.map { try encoder.encode($0) }
  }

  func oneHot(_ tokens: [Int]) -> [UInt64] {
    tokens.flatMap { token in (0..<program.vocabularySize).map { $0 == token ? 1 : 0 } }
  }

  /// Runs `steps` in two parties, which must give the simulator's words at the cost that the shapes
  /// tell, and returns how far their outputs are from those in float.
  func compare(
    _ session: SessionShape, steps: [[Int]], deployment: Deployment = .twoServer
  ) throws -> LogitDifference {
    let run = try SimulatedRun.compare(
      program, weights, session, steps: steps.map { (oneHot($0), $0.count) },
      deployment: deployment)
    let reference = try interpreter.run(tokens: steps.flatMap { $0 })
    var difference = LogitDifference()
    var row = 0
    for (tokens, output) in zip(steps, run.outputs) {
      row += tokens.count
      let isDecoder = program.kind.isDecoder
      difference.add(
        program.outputValues(output),
        isDecoder ? Array(reference.row(row - 1))[...] : reference.values[...])
    }
    return difference
  }
}

extension SecureProgram {
  /// Which blocks ran, of what two parties opened by node.
  func patterns(revealed opened: [Int: [UInt64]]) -> [ValueID: BlockPattern] {
    var patterns: [ValueID: BlockPattern] = [:]
    for (index, node) in nodes.enumerated() {
      guard case .reveal = node.operation, let bits = opened[index] else { continue }
      let gates = node.outputs.lowerBound
      patterns[gates] = BlockPattern(
        bits: bits, count: values[gates].shape.width ?? 1, earlier: (0, 0))
    }
    return patterns
  }
}

/// A session in two parties and in the simulator.
enum SimulatedRun {
  static let seed = Seed(bytes: (0..<32).map { UInt8(255 - $0) })

  /// Masks of a session that only the simulator runs.
  static func streams(party: Int) -> SessionStreams {
    BatchSeeds(seed: seed).streams(session: 0, party: party)
  }

  /// Runs `steps` in both, and checks results, costs and dealt sizes.
  static func compare(
    _ program: SecureProgram, _ weights: [[UInt64]], _ session: SessionShape,
    steps: [(words: [UInt64], rowCount: Int)], deployment: Deployment = .twoServer
  ) throws -> (run: TwoPartyRun, outputs: [[UInt64]]) {
    try compare(
      program, weights, session,
      steps: steps.map { (words: $0.words, request: StepRequest(rowCount: $0.rowCount)) },
      deployment: deployment)
  }

  /// The same for steps that may take rows back and ask for several outputs.
  static func compare(
    _ program: SecureProgram, _ weights: [[UInt64]], _ session: SessionShape,
    steps: [(words: [UInt64], request: StepRequest)], deployment: Deployment = .twoServer
  ) throws -> (run: TwoPartyRun, outputs: [[UInt64]]) {
    let run = try TwoPartyRun(
      program: program, weights: weights, session: session, seed: seed, deployment: deployment)
    let outputs = try run.run(steps)
    var simulator = RingSimulator(
      program: program, weights: weights,
      streams: (0...1).map { run.batch.streams(session: 0, party: $0) },
      comparisonKey: BatchSeeds.comparisonKey(batch: run.batch.identifier, session: 0),
      noise: run.batch.noise(session: 0))
    var progress = SessionProgress(session)
    var rounds = 0
    for (index, input) in steps.enumerated() {
      var step = try progress.next(input.request)
      simulator.opened = run.openings.withLock { $0[index] }
      #expect(outputs[index] == simulator.step(step, input: input.words))
      step.patterns = program.patterns(revealed: run.openings.withLock { $0[index] })
      let cost = program.cost(of: step, deployment: deployment)
      for (party, channel) in run.channels.enumerated() {
        let sent = channel.rounds[rounds..<rounds + cost.roundCount]
        #expect(sent.reduce(0) { $0 + $1.count } == cost.sentWordCounts[party])
        #expect(sent.count { !$0.isEmpty } == cost.messageCounts[party])
      }
      rounds += cost.roundCount
    }
    #expect(run.channels.allSatisfy { $0.rounds.count == rounds })
    // Sizes that the cost interpreter predicts are those that were dealt.
    let cost = program.correlationCost(of: session, deployment: deployment)
    for party in 0...1 {
      #expect(run.correlations.allWords(party: party).count == cost.storedWordCount[party])
    }
    let keyBytes = program.nodes.indices.reduce(0) {
      $0 + run.correlations.storedKeys(node: $1).count
    }
    #expect(keyBytes == cost.keyByteCount)
    return (run, outputs)
  }
}
