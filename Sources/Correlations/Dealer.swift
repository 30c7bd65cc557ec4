// The dealer: computes every correlation of sessions from the parties' seeds and the weights.

public import Bytes
import Foundation
public import Models
public import Program
public import Rings
public import Sharing

/// Where dealt arrays go: two session files, or memory in tests.
///
/// The parts of one array come in order and one after the other, those of different arrays at the
/// same time.
public protocol CorrelationSink: Sendable {
  /// Stores shares for `party` from element `offset` of component `component` of node `node`.
  func store(_ words: [UInt64], party: Int, node: Int, component: Int, at offset: Int)
    throws(InputError)
  /// Stores comparison keys from byte `offset` of node `node`, the same bytes for both parties.
  func storeKeys(_ bytes: [UInt8], node: Int, at offset: Int) throws(InputError)
}

/// Deals sessions of one program; session i depends on the batch seed and i only.
public struct Dealer: Sendable {
  private let program: SecureProgram
  private let deployment: Deployment
  private let weights: any MultipliedWeights
  private let batch: BatchSeeds
  private let memory: MemoryBudget
  private let arm: KernelArm

  /// What one dealer holds in memory unless it is told otherwise.
  public static let defaultMemory = MemoryBudget(byteCount: 2 << 30)

  /// `weights` are masked where the dealer of `deployment` is blind. Neither `memory` nor `arm` has
  /// an influence on what is dealt.
  public init(
    program: SecureProgram, deployment: Deployment = .twoServer,
    weights: some MultipliedWeights, batch: BatchSeeds,
    memory: MemoryBudget = Dealer.defaultMemory, arm: KernelArm = .best
  ) {
    self.program = program
    self.deployment = deployment
    self.weights = weights
    self.batch = batch
    self.memory = memory
    self.arm = arm
  }

  /// Computes all correlations of session `number` and stores them in `sink`.
  public func deal(
    session number: Int, shape: SessionShape, into sink: some CorrelationSink
  ) throws(InputError) {
    try deal(sessions: [(number, sink)], shape: shape)
  }

  /// Computes all correlations of several sessions, operation by operation: every weight is read
  /// and expanded once for all of them.
  ///
  /// - Parameter progress: Is called after every operation.
  /// - Throws: `InputError` when a part of a weight cannot be read or of an array not be stored,
  ///   and when the memory is too little for one row of an operation.
  public func deal<Sink: CorrelationSink>(
    sessions: [(number: Int, sink: Sink)], shape: SessionShape, progress: () -> Void = {}
  ) throws(InputError) {
    try deal(sessions: sessions, shape: shape, plan: plan(shape), progress: progress)
  }

  /// The same in the pieces that `plan` says.
  package func deal<Sink: CorrelationSink>(
    sessions: [(number: Int, sink: Sink)], shape: SessionShape, plan: DealingPlan,
    progress: () -> Void = {}
  ) throws(InputError) {
    let group = GroupDealing(
      program: program, weights: weights, shape: shape,
      sessions: sessions.map {
        DealtSession(
          number: $0.number, batch: batch, program: program, deployment: deployment,
          sink: $0.sink)
      },
      plan: plan, arm: arm)
    for index in program.nodes.indices {
      try group.deal(index)
      progress()
    }
  }

  /// Sessions that the memory allows to be dealt together.
  ///
  /// - Throws: `InputError` when the memory is too little for one row of an operation.
  public func sessionsPerGroup(_ shape: SessionShape) throws(InputError) -> Int {
    try plan(shape).sessionsPerGroup
  }

  /// What the memory allows.
  package func plan(_ shape: SessionShape) throws(InputError) -> DealingPlan {
    try DealingPlan(
      program, shape, memory, threadCount: ProcessInfo.processInfo.activeProcessorCount)
  }
}
