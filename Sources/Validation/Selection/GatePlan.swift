// What the gates of each layer save over a network, from lowered programs.

import Approximation
public import Bytes
public import Models
import Program
public import Sparsity

/// Weighs gates: the program with all of them against those in which one layer has none.
public struct GatePlan: Sendable {
  private let weights: CostWeights
  private let network: NetworkProfile
  private let recipe: Recipe
  private let calibration: Calibration
  private let program: SecureProgram
  private let session: SessionShape

  /// Lowers `model`, whose layers have all gates that may stay, with recipe `accurate` as `texts`
  /// say.
  /// - Throws: `InputError` for texts that the model does not take, and values that leave the ring.
  public init(
    _ model: Model, weights: any WeightSource, texts: ApproximatedModel.Texts,
    network: NetworkProfile, memory: MemoryBudget = .default,
    progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
  ) throws(InputError) {
    let interpreter = try FloatInterpreter(model, weights: weights, memory: memory)
    let approximated = try ApproximatedModel(
      model, weights: weights, recipe: .accurate,
      calibration: .observe(
        interpreter, texts: texts.tokens, source: texts.source, progress: progress),
      texts: texts, memory: memory)
    recipe = approximated.recipe
    calibration = approximated.calibration
    program = approximated.program
    session = .reference(for: model)
    self.network = network
    self.weights = CostWeights(
      roundTripSeconds: network.roundTripSeconds, bitsPerSecond: network.bitsPerSecond)
  }

  /// What the gates of a layer save: those that nodes `name` and "`name`.…" decide with.
  ///
  /// - Parameter dense: the model in which that layer alone has no such gates.
  /// - Throws: `InputError` where it cannot be lowered.
  public func saving(gates name: String, dense: Model) throws(InputError) -> GateSaving {
    let other = try SecureProgram.lower(dense, recipe: recipe, calibration: calibration)
    // Flights of gates run beside others: those that do not are in the difference.
    var alone = weights
    alone.secondsPerRound = 0
    func costs(
      _ program: SecureProgram, _ weights: CostWeights,
      where included: (ProgramNode) -> Bool = { _ in true }
    ) -> GateSaving.Costs {
      GateSaving.Costs(
        seconds: weights.seconds(program, session, where: included),
        byteCount: program.byteCount(session, where: included))
    }
    let size =
      session.newCapacity > 0
      ? "\(session.promptCapacity) + \(session.newCapacity)" : "\(session.promptCapacity)"
    return GateSaving(
      dense: costs(other, weights), gated: costs(program, weights),
      gate: costs(program, alone) { $0.label == name || $0.label.hasPrefix("\(name).") },
      circumstances: "a session of \(size) tokens at \(network.text)")
  }
}

extension SecureProgram {
  /// Bytes that a party sends in a session, and of correlations in both files, of those nodes that
  /// satisfy the predicate.
  fileprivate func byteCount(
    _ session: SessionShape, where included: (ProgramNode) -> Bool
  ) -> Int {
    let dealt = correlationCost(of: session, where: included)
    let sent = session.steps().reduce(0) {
      $0 + cost(of: $1, where: included).openedWordCount * 8
    }
    return sent + dealt.byteCount(party: 0) + dealt.byteCount(party: 1)
  }
}
