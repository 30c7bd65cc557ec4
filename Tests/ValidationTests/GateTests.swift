// Layers of which some blocks run: two parties give the simulator's words, and what float gives.

import Approximation
import Models
import Program
import Rings
import Sharing
import TestSupport
import Testing
import Validation

struct GateTests {
  static let deployments: [Deployment] = [.twoServer, .blindDealer]

  @Test(arguments: deployments, GraphKind.gates + GraphKind.headGates)
  func decoders(deployment: Deployment, kind: GraphKind) throws {
    let converted = try ConvertedGraph(TinyGraph(kind))
    let session = SessionShape(kind: .decoder, promptCapacity: 5, newCapacity: 3)
    let difference = try converted.compare(
      session, steps: [[2, 5, 1, 7], [0], [9]], deployment: deployment)
    #expect(difference.mean < 0.005 && difference.maximum < 0.03)
  }

  @Test(arguments: deployments, GraphKind.encoderGates)
  func encoders(deployment: Deployment, kind: GraphKind) throws {
    let converted = try ConvertedGraph(TinyGraph(kind))
    let session = SessionShape(kind: .encoder, promptCapacity: 9, newCapacity: 0)
    let difference = try converted.compare(session, steps: [[2, 5, 1, 7]], deployment: deployment)
    #expect(difference.mean < 0.005 && difference.maximum < 0.03)
  }

  /// Gates are compared by bits where no flight is added, and by keys of one byte else: both give the
  /// simulator's words.
  @Test(arguments: deployments)
  func byKeysOfOneByte(deployment: Deployment) throws {
    let converted = try ConvertedGraph(TinyGraph(GraphKind.gates[0]))
    let session = SessionShape(kind: .decoder, promptCapacity: 5, newCapacity: 3)
    var byKeys = converted.program
    var count = 0
    for (index, node) in byKeys.nodes.enumerated() {
      guard case .piecewiseLinear(let x, var function) = node.operation, function.givesBits
      else { continue }
      #expect(function.comparison == .bits)
      function.comparison = .keys
      byKeys.nodes[index].operation = .piecewiseLinear(x, function)
      #expect(function.keyLayout.payload == 1 && function.keyLayout.wordByteCount == 1)
      count += 1
    }
    #expect(count == 2)
    try byKeys.validate(source: "test")
    func flights(_ program: SecureProgram) -> Int {
      Timetable(program, deployment: .twoServer).flights.count
    }
    #expect(flights(byKeys) == flights(converted.program))
    #expect(byKeys.comparing(preferring: .keys) == converted.program)
    let steps = [[2, 5, 1, 7], [0], [9]].map { (converted.oneHot($0), $0.count) }
    let outputs = try [byKeys, converted.program].map {
      try SimulatedRun.compare(
        $0, converted.weights, session, steps: steps, deployment: deployment
      ).outputs
    }
    #expect(outputs.count == 2)
  }

  /// With noise more blocks run than gates open: as the simulator says, by bits and by keys.
  @Test(arguments: deployments, ComparisonProtocol.allCases)
  func noise(deployment: Deployment, comparison: ComparisonProtocol) throws {
    var recipe = Recipe.accurate
    recipe.noise = 300
    let converted = try ConvertedGraph(TinyGraph(GraphKind.gates[0]), recipe: recipe)
    let quiet = try ConvertedGraph(TinyGraph(GraphKind.gates[0]))
    let session = SessionShape(kind: .decoder, promptCapacity: 5, newCapacity: 3)
    let steps = [[2, 5, 1, 7], [0], [9]].map { (converted.oneHot($0), $0.count) }
    func firstRevealed(_ graph: ConvertedGraph) throws -> [UInt64] {
      var program = graph.program
      for (index, node) in program.nodes.enumerated() {
        guard case .piecewiseLinear(let x, var function) = node.operation, function.givesBits
        else { continue }
        function.comparison = comparison
        program.nodes[index].operation = .piecewiseLinear(x, function)
      }
      let run = try SimulatedRun.compare(
        program, graph.weights, session, steps: steps, deployment: deployment
      ).run
      let node = try #require(
        program.nodes.firstIndex { if case .reveal = $0.operation { true } else { false } })
      return run.openings.withLock { steps in steps.flatMap { $0[node] ?? [] } }
    }
    let (noisy, plain) = (try firstRevealed(converted), try firstRevealed(quiet))
    #expect(noisy.count == plain.count)
    #expect(zip(noisy, plain).allSatisfy { $0 & 1 >= $1 & 1 })
    #expect(noisy.reduce(0, +) > plain.reduce(0, +))
    #expect(noisy.contains(0))
  }

  @Test(arguments: ["bits", "fitted"])
  func recipes(name: String) throws {
    var recipe = Recipe.accurate
    if name == "bits" { recipe.comparison = .bits } else { recipe = try Recipe.named(name) }
    for kind in [GraphKind.gates[0], GraphKind.gates[1]] {
      let converted = try ConvertedGraph(TinyGraph(kind), recipe: recipe)
      let session = SessionShape(kind: .decoder, promptCapacity: 6, newCapacity: 3)
      let difference = try converted.compare(session, steps: [[2, 5, 1, 7], [0], [9]])
      #expect(difference.mean < 0.02 && difference.maximum < 0.1)
    }
  }
}
