// Every kind of graph with a blind dealer and between provider and user: the words of the simulator.

import Approximation
import Bytes
import Models
import Program
import Randomness
import Sharing
import TestSupport
import Testing

struct DeploymentTests {
  static let blind: [Deployment] = [.blindDealer, .providerUser]

  @Test(arguments: blind, GraphKind.norms + GraphKind.positions + GraphKind.skeletons)
  func decoders(deployment: Deployment, kind: GraphKind) throws {
    let converted = try ConvertedGraph(TinyGraph(kind))
    let session = SessionShape(kind: .decoder, promptCapacity: 5, newCapacity: 3)
    let difference = try converted.compare(
      session, steps: [[2, 5, 1, 7], [0], [9]], deployment: deployment)
    #expect(difference.mean < 0.005 && difference.maximum < 0.03)
  }

  @Test(arguments: blind, GraphKind.encoderPositions + GraphKind.heads)
  func encoders(deployment: Deployment, kind: GraphKind) throws {
    let converted = try ConvertedGraph(TinyGraph(kind))
    let session = SessionShape(kind: .encoder, promptCapacity: 9, newCapacity: 0)
    let difference = try converted.compare(
      session, steps: [[2, 5, 1, 7]], deployment: deployment)
    #expect(difference.mean < 0.005 && difference.maximum < 0.03)
  }

  /// Functions of permuted values, comparisons by bits and keys, beside messages in one direction.
  @Test(arguments: ["permllm", "affine", "elements", "fitted", "bits"])
  func recipes(name: String) throws {
    var recipe = Recipe.accurate
    switch name {
    case "bits": recipe.comparison = .bits
    case "affine": recipe = try Self.affine()
    default: recipe = try Recipe.named(name)
    }
    for kind in [GraphKind.norms[0], GraphKind.encoderPositions[0]] {
      let converted = try ConvertedGraph(TinyGraph(kind), recipe: recipe)
      let isDecoder = kind.kind == .decoder
      let session = SessionShape(
        kind: kind.kind, promptCapacity: 6, newCapacity: isDecoder ? 3 : 0)
      let difference = try converted.compare(
        session, steps: isDecoder ? [[2, 5, 1, 7], [0], [9]] : [[2, 5, 1, 7]],
        deployment: .providerUser)
      // Untrained, affine normalisations are another model than that in float.
      #expect(name == "affine" || difference.mean < 0.02 && difference.maximum < 0.1)
    }
  }

  /// `permllm` but for normalisations, which are affine: nothing of these is permuted.
  private static func affine() throws -> Recipe {
    guard case .object(var members) = try Recipe.named("permllm").json else {
      throw CancellationError()
    }
    members["name"] = "affine"
    for name in ["layerNorm", "rmsNorm"] { members[name] = ["replacement": "affine"] }
    return try Recipe(json: .object(members), source: "affine")
  }

  /// 12 flights a layer with all of it permuted, gated or not, and 8 with affine normalisations, although
  /// what follows attention must be truncated then before it can be multiplied.
  @Test(arguments: [("opt", "permllm", 12), ("llama", "permllm", 12), ("opt", "affine", 8)])
  func flightsOfALayer(family: String, name: String, expected: Int) throws {
    let recipe = name == "affine" ? try Self.affine() : try Recipe.named(name)
    let flights = try (2...3).map { layerCount in
      let folder = try ScratchFolder()
      let checkpoint =
        family == "opt"
        ? TinyCheckpoint.opt(layerCount: layerCount) : .llama(layerCount: layerCount)
      let path = try checkpoint.write(to: folder)
      let loaded = try ModelLoader.load(path: path)
      let program = try RecipeProgramTests.Whole(loaded.model, loaded, recipe: recipe).program
      let session = SessionShape(kind: .decoder, promptCapacity: 3, newCapacity: 2)
      return program.cost(of: session.lastStep, deployment: .providerUser).roundCount
    }
    #expect(flights[1] - flights[0] == expected, "\(flights)")
  }

  /// The product of a gated activation takes no message of its own, and is opened in silence.
  @Test(arguments: [Deployment.twoServer, .providerUser], [ModelKind.decoder, .encoder])
  func gatedActivations(deployment: Deployment, kind: ModelKind) throws {
    let gated = GraphKind("gated") {
      $0.kind = kind
      $0.usesRMS = true
      $0.isGated = true
      $0.activation = .silu
    }
    let converted = try ConvertedGraph(TinyGraph(gated), recipe: Recipe.named("permllm"))
    let program = converted.program
    let products = program.nodes.indices.filter {
      guard case .permuted(_, let function) = program.nodes[$0].operation else { return false }
      return function.factor != nil
    }
    #expect(products.count == 2)
    #expect(!program.nodes.contains { if case .multiply = $0.operation { true } else { false } })
    #expect(Set(products).isSubset(of: program.silentOpenings.values))
    let flights = Timetable(program, deployment: deployment).flights
    for product in products {
      let messages = flights.joined().filter { $0.node == product }
      #expect(messages.map(\.sender) == [1, 0, 1])
      #expect(messages[0].isAhead == (deployment == .providerUser))
    }
    let isDecoder = kind == .decoder
    let session = SessionShape(kind: kind, promptCapacity: 6, newCapacity: isDecoder ? 3 : 0)
    let difference = try converted.compare(
      session, steps: isDecoder ? [[2, 5, 1, 7], [0], [9]] : [[2, 5, 1, 7]],
      deployment: deployment)
    print("gated, \(kind), \(deployment): \(difference)")
    #expect(difference.mean < 1e-3 && difference.maximum < 1e-2)
  }

  /// What a user has before the step travels in the first flight, where only the token comes besides.
  @Test func whatIsDealtIsSentAhead() throws {
    let converted = try ConvertedGraph(
      TinyGraph(GraphKind.norms[0]), recipe: Recipe.named("permllm"))
    let program = converted.program
    let flights = Timetable(program, deployment: .providerUser).flights
    let sent = flights[0].filter { $0.sender == 1 }
    func readsToken(_ node: Int) -> Bool { program.nodes[node].label.hasPrefix("embed") }
    #expect(sent.contains { readsToken($0.node) } && sent.contains { !readsToken($0.node) })
    #expect(sent.allSatisfy { $0.isAhead != readsToken($0.node) })
    #expect(flights.dropFirst().joined().allSatisfy { !$0.isAhead })
    let session = SessionShape(kind: .decoder, promptCapacity: 5, newCapacity: 3)
    let cost = program.cost(of: session.lastStep, deployment: .providerUser)
    let ahead = sent.filter(\.isAhead).reduce(0) {
      $0 + program.wordCount($1, party: 1, in: session.lastStep)
    }
    #expect(cost.aheadWordCount == ahead && (1..<cost.sentWordCounts[1]).contains(ahead))
    #expect(program.cost(of: session.lastStep).aheadWordCount < ahead)
  }

  /// With a user nothing takes more flights or bytes than between two servers.
  @Test(arguments: ["accurate", "fitted", "permllm"])
  func aUserCostsNoMore(name: String) throws {
    let converted = try ConvertedGraph(
      TinyGraph(GraphKind.norms[0]), recipe: Recipe.named(name))
    let session = SessionShape(kind: .decoder, promptCapacity: 5, newCapacity: 3)
    let step = SessionStep(session: session, rows: 5..<6, index: 1)
    let servers = converted.program.cost(of: step)
    let user = converted.program.cost(of: step, deployment: .providerUser)
    #expect(user.roundCount <= servers.roundCount)
    #expect(user.sentWordCounts[0] < servers.sentWordCounts[0])
    #expect(user.sentWordCounts[1] <= servers.sentWordCounts[1])
    // The user stores no words at all.
    #expect(
      converted.program.correlationCost(of: session, deployment: .providerUser)
        .storedWordCount[1] == 0)
  }

  /// What a blind dealer deals tells of its masked weights alone; all else is the same for all models.
  @Test func aBlindDealerDealsTheSameForAllWeights() throws {
    let converted = try ConvertedGraph(TinyGraph(GraphKind.norms[0]))
    let session = SessionShape(kind: .decoder, promptCapacity: 4, newCapacity: 2)
    let other = converted.weights.map { $0.map { $0 &* 3 &+ 1 } }
    for deployment in Self.blind {
      let runs = try [converted.weights, other].map { weights in
        try TwoPartyRun(
          program: converted.program, weights: weights, session: session,
          seed: SimulatedRun.seed, deployment: deployment)
      }
      var differing = 0
      for index in converted.program.nodes.indices {
        #expect(
          runs[0].correlations.storedKeys(node: index)
            == runs[1].correlations.storedKeys(node: index))
        for component in converted.program.correlationComponents(index).indices {
          let words = runs.map { run in
            (0...1).map { run.correlations.stored(party: $0, node: index, component: component) }
          }
          switch converted.program.nodes[index].operation {
          case .linear, .scale:
            differing += 1
            #expect(words[0] != words[1])
          default: #expect(words[0] == words[1])
          }
        }
      }
      #expect(differing > 0)
    }
  }
}
