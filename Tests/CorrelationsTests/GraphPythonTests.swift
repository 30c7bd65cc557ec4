// Graphs of every kind, dealt and run by the tools in Python, which are written from formats/ alone.

import Approximation
import Bytes
import Correlations
import Models
import Program
import Sharing
import TestSupport
import Testing
import Validation

@Suite(.needsPython) struct GraphPythonTests {
  static let kinds = [
    GraphKind.norms[1], GraphKind.norms[7], GraphKind.positions[1], GraphKind.positions[3],
    GraphKind.encoderPositions[1], GraphKind.encoderPositions[4], GraphKind.encoderPositions[5],
    GraphKind.heads[0], GraphKind.heads[1], GraphKind.prefixes[0], GraphKind.prefixes[1],
    GraphKind.gates[0], GraphKind.gates[1], GraphKind.encoderGates[0],
    GraphKind.headGates[0], GraphKind.headGates[1],
  ]

  /// The algebra of all operations, and the simulator's words of every step, by both parties in
  /// Python from the files.
  @Test(arguments: kinds) func dealtAndRun(kind: GraphKind) throws {
    _ = try Self.dealAndRun(kind)
  }

  /// Noise of gates, checked with the dealer's seed and without.
  @Test func noiseOfGates() throws {
    var recipe = Recipe.accurate
    recipe.noise = 300
    let program = try Self.dealAndRun(GraphKind.gates[0], recipe: recipe)
    let functions = program.nodes.compactMap { node -> PiecewiseLinear? in
      guard case .piecewiseLinear(_, let function) = node.operation, function.givesBits
      else { return nil }
      return function
    }
    #expect(!functions.isEmpty)
    #expect(functions.allSatisfy { $0.noise == 300 && $0.comparison == .bits })
  }

  /// The same of `kind` under `recipe`; returns its program.
  static func dealAndRun(_ kind: GraphKind, recipe: Recipe = .accurate) throws -> SecureProgram {
    let isDecoder = kind.kind.isDecoder
    let files = try ConversionFiles.tiny(TinyGraph(kind), recipe: recipe)
    let bundle = try DealerBundle(path: "\(files.folder)/dealer.bundle")
    let shape = SessionShape(
      kind: kind.kind, promptCapacity: 6, newCapacity: isDecoder ? 2 : 0)
    let batch = try Batch(
      folder: files.scratch.file("corr"), conversion: bundle.conversion, shape: shape)
    _ = try batch.deal(session: 0, program: bundle.program, weights: bundle)
    let arguments = SessionPythonTests.arguments(files, batch)
    let check = try SessionPythonTests.tool.run(
      arguments + ["--operations", "1000", "--keys", "1"])
    #expect(check.status == 0, "\(check.errors)")
    let checkWithSeed = try SessionPythonTests.tool.run(
      arguments + ["--operations", "1", "--keys", "1", "--dealer", "\(batch.folder)/dealer.batch"])
    #expect(checkWithSeed.status == 0, "\(checkWithSeed.errors)")

    let prompt = kind.contextMarkers == nil ? [7, 3, 0, 9, 2] : [7, 3, 0, 9, 10]
    let steps = isDecoder ? [prompt, [10]] : [prompt]
    let texts = "[" + steps.map { "\($0)" }.joined(separator: ",") + "]"
    let run = try PythonTool("run-session").run(
      arguments + ["--tokens", texts, "--openings", files.scratch.file("openings.json")])
    #expect(run.status == 0, "\(run.errors)")
    let words = run.output.split { $0 == " " || $0 == "\n" }.map { UInt64($0, radix: 16) }
    let openings = try SessionPythonTests.openings(files.scratch.file("openings.json"))
    var simulator = RingSimulator(
      program: files.program, weights: try files.sharedWeights(),
      streams: (0...1).map { batch.seeds.streams(session: 0, party: $0) },
      comparisonKey: BatchSeeds.comparisonKey(batch: batch.seeds.identifier, session: 0),
      noise: batch.seeds.noise(session: 0))
    var expected: [UInt64] = []
    var row = 0
    for (index, tokens) in steps.enumerated() {
      let step = SessionStep(
        session: shape, rows: row..<row + tokens.count, index: index, promptLength: prompt.count)
      simulator.opened = openings[index]
      expected += simulator.step(
        step,
        input: tokens.flatMap { token in
          (0..<files.program.vocabularySize).map { $0 == token ? 1 : 0 }
        })
      row += tokens.count
    }
    #expect(!expected.isEmpty && words == expected)
    return files.program
  }
}
