// Layers of which some blocks run: two parties give the simulator's words, and what float gives.

import Approximation
import Models
import Program
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
