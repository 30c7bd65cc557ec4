// D, which hides the weights from whoever deals.

public import Program
public import Randomness

/// The masks D of the weights W: the dealer holds W - D, and both parties hold the seed of D.
public struct WeightMasks: Sendable {
  private let seed: Seed

  package init(_ seed: Seed) { self.seed = seed }

  /// Words of D for weight `id`, row-major.
  public func stream(_ id: WeightID) -> RandomStream {
    RandomStream(
      seed: seed,
      label: StreamLabel(
        session: PartyBundle.weightSession, party: 0, operation: UInt32(id),
        kind: StreamKind.weightMask.rawValue, index: 0))
  }
}
