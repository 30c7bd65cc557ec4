// How many fractional bits a model gets: as few as save something, of those that its recipe allows.

public import Approximation
public import Bytes
public import Models

/// A recipe resolved for a model with each number of fractional bits that it allows, and the one that is
/// taken.
public struct PrecisionPlan: Sendable {
  /// What a session of the reference costs with as many fractional bits.
  public struct Candidate: Sendable {
    public let fractionalBits: Int
    /// Flights and bytes of each party's openings in the last step: a token, or a text.
    public let flightCount: Int
    public let openedByteCount: Int
    /// Of both files together.
    public let dealtByteCount: Int
    /// By the plan's weights.
    public let seconds: Double
    /// In which what is dealt is sent.
    public let deliverySeconds: Double

    package init(
      fractionalBits: Int, flightCount: Int, openedByteCount: Int, dealtByteCount: Int,
      seconds: Double, deliverySeconds: Double
    ) {
      self.fractionalBits = fractionalBits
      self.flightCount = flightCount
      self.openedByteCount = openedByteCount
      self.dealtByteCount = dealtByteCount
      self.seconds = seconds
      self.deliverySeconds = deliverySeconds
    }

    /// Whether these bits are taken in place of `old`, which are more, where `comparison` is made so.
    package func isBetter(than old: Candidate, comparison: Recipe.Comparison) -> Bool {
      let all = seconds + deliverySeconds
      if all <= (old.seconds + old.deliverySeconds) * (1 - PrecisionPlan.leastGain) {
        return true
      }
      let dealt = Double(old.dealtByteCount) * (1 - PrecisionPlan.leastDealtGain)
      return comparison != .keys && seconds <= old.seconds && Double(dealtByteCount) <= dealt
    }
  }

  public let recipe: Recipe
  public let program: SecureProgram
  /// With the most bits first; none where the recipe leaves nothing to plan.
  public private(set) var candidates: [Candidate] = []

  /// What fewer bits must save of the time of the session and its delivery with those taken so far.
  private static let leastGain = 0.003
  /// What they must save of what is dealt, and no time, where comparisons are not made by keys: who
  /// chooses that wants less to be dealt.
  private static let leastDealtGain = 0.02

  /// A plan that had nothing to choose.
  public init(recipe: Recipe, program: SecureProgram) {
    self.recipe = recipe
    self.program = program
  }

  /// Tries all numbers of bits from the most on, and takes fewer where these save time or, with
  /// comparisons by bits or lookups, something of what is dealt. Numbers with which `model` cannot be lowered are passed over.
  ///
  /// - Throws: `InputError` of the largest number of bits where none can be lowered.
  public init(
    _ model: Model, recipe: Recipe, calibration: Calibration, weights: CostWeights = .reference
  ) throws(InputError) {
    let range = recipe.leastFractionalBits...recipe.fractionalBits
    let session = SessionShape.reference(for: model)
    var best: (recipe: Recipe, program: SecureProgram, candidate: Candidate)?
    var failure: InputError?
    for bits in range.reversed() {
      var candidate = recipe
      candidate.fractionalBits = bits
      do throws(InputError) {
        let resolved = try candidate.resolved(
          for: model, calibration: calibration, weights: weights)
        let program = try SecureProgram.lower(model, recipe: resolved, calibration: calibration)
        let tried = Candidate(
          bits, program.cost(of: session.lastStep), program, session,
          weights)
        candidates.append(tried)
        if let best, !tried.isBetter(than: best.candidate, comparison: recipe.comparison) {
          continue
        }
        best = (resolved, program, tried)
      } catch {
        if failure == nil { failure = error }
      }
    }
    guard let best else {
      throw failure ?? InputError("recipe", place: recipe.name, "allows no fractional bits")
    }
    self.recipe = best.recipe
    program = best.program
    if range.count == 1 { candidates = [] }
  }
}

extension PrecisionPlan.Candidate {
  fileprivate init(
    _ fractionalBits: Int, _ step: StepCost, _ program: SecureProgram, _ session: SessionShape,
    _ weights: CostWeights
  ) {
    let dealt = program.correlationCost(of: session)
    let dealtByteCount = (0...1).reduce(0) { $0 + dealt.byteCount(party: $1) }
    self.init(
      fractionalBits: fractionalBits, flightCount: step.roundCount,
      openedByteCount: step.byteCount(frameByteCount: 0),
      dealtByteCount: dealtByteCount, seconds: weights.seconds(program, session),
      deliverySeconds: Double(dealtByteCount) * weights.secondsPerByte)
  }
}
