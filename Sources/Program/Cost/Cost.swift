// The cost interpreter: flights, bytes and correlation sizes from shapes alone.

import Rings

/// What one step costs online.
public struct StepCost: Equatable, Sendable {
  /// Flights: exchanges between the parties, in which both or one of them sends; empty ones are not
  /// made.
  public var roundCount = 0
  /// Words that party 0 and party 1 send to the other: ring elements, or 64 bits of comparisons.
  public var sentWordCounts = [0, 0]
  /// Of these, what party 1 sends and has before the step, since it follows from what is dealt.
  public var aheadWordCount = 0
  /// Messages that party 0 and party 1 send.
  public var messageCounts = [0, 0]
  /// Words that travel one after the other: of each flight those of the party that sends more.
  public var openedWordCount = 0
  /// Words of each server that say what the client asked of it, in the first flight of a step.
  public var comparedWordCount = 0
  /// Comparison key evaluations of one party.
  public var comparisonCount = 0
  /// Comparisons by bits.
  public var bitComparisonCount = 0
  /// Cells of lookups at which one party evaluates a point key.
  public var lookupCellCount = 0
  /// Elements of permuted functions, which party 1 computes in the clear.
  public var permutedElementCount = 0
  /// Multiply-accumulates modulo 2^64 of one party, in products with weights and between secrets.
  public var productCount = 0

  public init() {}

  /// Bytes that travel one after the other, with `frameByteCount` bytes around each message: those
  /// that each party sends, where both send the same.
  public func byteCount(frameByteCount: Int) -> Int {
    (openedWordCount + comparedWordCount) * 8 + roundCount * frameByteCount
  }

  /// Bytes that `party` sends.
  public func byteCount(party: Int, frameByteCount: Int) -> Int {
    (sentWordCounts[party] + comparedWordCount) * 8 + messageCounts[party] * frameByteCount
  }
}

/// Correlated randomness of one session.
public struct CorrelationCost: Equatable, Sendable {
  /// Words of arrays stored in the file of party 0 and party 1, and their bytes.
  public var storedWordCount = [0, 0]
  public var storedWordByteCount = [0, 0]
  /// Bytes of comparison and point keys.
  public var keyByteCount = 0
  /// Bytes of keys, or of their digests, in the file of party 0 and party 1.
  public var storedKeyByteCount = [0, 0]
  /// Bytes of keys that party 0 and party 1 pass on to the other before the first step.
  public var passedKeyByteCount = [0, 0]
  /// Number of these keys.
  public var keyCount = 0
  /// Comparisons by bits: elements times knots.
  public var bitComparisonCount = 0
  /// Masks and shares that are never stored because a seed gives them.
  public var seededWordCount = 0

  /// Bytes of arrays in the file of `party`.
  public func byteCount(party: Int) -> Int {
    storedWordByteCount[party] + storedKeyByteCount[party]
  }
}

extension SecureProgram {
  /// The cost of one step.
  public func cost(of step: SessionStep, deployment: Deployment = .twoServer) -> StepCost {
    var cost = cost(of: step, deployment: deployment) { _ in true }
    if deployment != .providerUser, cost.roundCount > 0 { cost.comparedWordCount = 2 }
    return cost
  }

  /// The cost of those nodes of a step that satisfy the predicate.
  public func cost(
    of step: SessionStep, deployment: Deployment = .twoServer,
    where included: (ProgramNode) -> Bool
  ) -> StepCost {
    let step = expectingBlocks(step)
    var cost = StepCost()
    for flight in Timetable(self, deployment: deployment).flights {
      let messages = flight.filter { included(nodes[$0.node]) }
      let words = (0...1).map { party in
        messages.reduce(0) { $0 + wordCount($1, party: party, in: step) }
      }
      if words == [0, 0] { continue }
      cost.aheadWordCount += messages.reduce(0) {
        $0 + ($1.isAhead ? wordCount($1, party: 1, in: step) : 0)
      }
      cost.roundCount += 1
      cost.openedWordCount += max(words[0], words[1])
      for party in 0...1 where words[party] > 0 {
        cost.sentWordCounts[party] += words[party]
        cost.messageCounts[party] += 1
      }
    }
    for node in nodes where included(node) {
      func count(_ value: ValueID) -> Int { step.elementCount(values[value].shape) }
      switch node.operation {
      case .linear(let x, let weight):
        cost.productCount += step.rowCount(values[x].shape.rows) * weights[weight].elementCount
      case .blockLinear(_, _, let weight):
        cost.productCount += count(node.outputs.lowerBound) * weights[weight].inputCount
      case .scores(_, let key, let heads, let keyHeads, _),
        .mix(_, let key, let heads, let keyHeads):
        let width = (values[key].shape.width ?? 0) / keyHeads
        cost.productCount += 2 * width * count(node.reads(in: self, heads: heads))
      case .piecewiseLinear(let x, let function):
        switch function.comparison {
        case .keys: cost.comparisonCount += count(x) * function.knots.count
        case .bits: cost.bitComparisonCount += count(x) * function.knots.count
        }
      case .lookup(let x, let function):
        cost.lookupCellCount += count(x) * function.visitedCellCount
      case .exponential(let x, let function):
        // A cell of a lookup is two blocks, and a point one for each level and one for its value.
        cost.lookupCellCount +=
          count(x) * function.pointCount * (function.keyLayout.depth + 1) / 2
      case .permuted(let x, let function):
        cost.permutedElementCount += step.permutedCount(values[x].shape, function)
      case .input, .open, .widen, .reveal, .openBlocks, .selectBlocks, .spreadBlocks, .view,
        .truncate,
        .scale, .multiply,
        .polynomial,
        .coarseSteps,
        .combine, .addWeight, .addDistance, .rotate, .sum, .pairDifference, .pairMerge, .padKeys,
        .padRows, .lastRow,
        .firstRow, .meanRow, .output:
        break
      }
    }
    return cost
  }

  /// The correlated randomness of one session.
  public func correlationCost(
    of session: SessionShape, deployment: Deployment = .twoServer, keys: KeyCopies = .both,
    where included: (ProgramNode) -> Bool = { _ in true }
  ) -> CorrelationCost {
    var cost = CorrelationCost()
    let holders = KeyHolders(self, session, in: deployment, copies: keys)
    for (index, node) in nodes.enumerated() where included(node) {
      for (number, component) in correlationComponents(index).enumerated() {
        let count = component.wordCount(session)
        let party = holder(node: index, component: number, in: deployment)
        cost.storedWordCount[party] += count
        cost.storedWordByteCount[party] += count * component.wordByteCount
        cost.seededWordCount += count
      }
      if case .open(let x, _) = node.operation {
        cost.seededWordCount += 2 * session.dealtCount(values[x].shape)
      }
      if case .openBlocks = node.operation {
        cost.seededWordCount += 2 * session.dealtCount(values[node.outputs.lowerBound].shape)
      }
      if case .permuted(let x, let function) = node.operation {
        // Masks of operand and result, and the permutation; with a factor two more masks and two pads.
        let count = function.factor == nil ? 3 : 7
        cost.seededWordCount += count * session.dealtCount(values[x].shape)
      }
      if let (value, key) = node.operation.dealtKey {
        let count = session.dealtCount(values[value].shape)
        cost.keyCount += count
        cost.keyByteCount += count * key.byteCount
        for party in 0...1 {
          let isStored = holders.stores(index, party: party)
          cost.storedKeyByteCount[party] +=
            isStored ? count * key.byteCount : KeyHolders.digestByteCount
          if !isStored { cost.passedKeyByteCount[1 - party] += count * key.byteCount }
        }
      }
      if case .piecewiseLinear(let x, let function) = node.operation, function.comparison == .bits {
        let count = session.dealtCount(values[x].shape)
        cost.bitComparisonCount += count * function.knots.count
        cost.seededWordCount +=
          2 * BitTiles.tileCount(elements: count) * function.knots.count
          * function.circuit.maskCount
      }
    }
    return cost
  }
}

extension ProgramNode {
  /// The value whose elements are attention weights or scores of this node.
  fileprivate func reads(in program: SecureProgram, heads: Int) -> ValueID {
    if case .mix(let weights, _, _, _) = operation { return weights }
    return outputs.lowerBound
  }
}
