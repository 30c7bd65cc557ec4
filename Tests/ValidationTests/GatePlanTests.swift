// What gates save over networks, of the trained model that has some.

import Bytes
import Foundation
import Models
import Sparsity
import TestSupport
import Testing
import Validation

@Suite struct GatePlanTests {
  private static let folder = Repository.fixtures.appending(path: "opt-dickens-gated")

  /// Beside the model of which all layers are dense: seconds and bytes are saved, most where
  /// bandwidth is small, and the flights that are left count most where they take long.
  @Test func networksWeighGatesDifferently() throws {
    let path = Repository.fixtures.appending(path: "opt-dickens-5m/calibration.json").path
    let loaded = try ModelLoader.load(path: Self.folder.path)
    let texts = try ApproximatedModel.Texts(Array(TokenFile.read(path).prefix(4)), source: path)
    let weights = try EqualisedWeights(loaded.model, loaded)
    func saving(_ network: NetworkProfile) throws -> GateSaving {
      try GatePlan(loaded.model, weights: weights, texts: texts, network: network)
        .saving(gates: "layers.1.gate", dense: loaded.model.ungated)
    }
    let (near, far) = (try saving(.lan), try saving(.wan))
    for saving in [near, far] {
      #expect(saving.reason == nil, "\(saving)")
      #expect(saving.gated.seconds > 0 && saving.gate.seconds > 0)
      #expect(saving.gated.byteCount < saving.dense.byteCount && saving.gate.byteCount > 0)
    }
    #expect(far.savedSeconds > 2 * near.savedSeconds, "\(near), \(far)")
    // Most of what stays over the far one are flights, which no gate saves.
    #expect(far.savedSeconds / far.dense.seconds < near.savedSeconds / near.dense.seconds)
    #expect(near.circumstances == "a session of 64 + 32 tokens at \(NetworkProfile.lan.text)")
  }
}
