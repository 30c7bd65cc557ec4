// When each message of a step travels, and when each party can evaluate each operation.

/// The flights of a step: all that travels at the same time.
///
/// A party sends as soon as it can. What only the dealt randomness decides it knows before the step:
/// a user's shares of products with the provider's weights, and party 1's shares of permuted
/// functions; messages made of these travel in the first flight, and nobody waits for them.
public struct Timetable: Sendable {
  /// One message of an operation.
  public struct Message: Equatable, Sendable {
    public var node: Int
    /// Which of the operation's messages, from 0.
    public var stage: Int
    /// The party that sends it; nil where both do.
    public var sender: Int?
    /// Whether what is sent follows from what is dealt alone, party 1's: it is known before the step.
    public var isAhead = false
  }

  /// Messages by flight and, in a flight, in the order in which they are put together.
  public private(set) var flights: [[Message]] = []
  /// By party and node: after how many flights it has what the operation reads. Of an `open` that is
  /// when the opened value is known, where it is.
  public private(set) var evaluations: [[Int]]
  /// By party: the openings of which it has the other party's share before its own.
  public private(set) var openedAlone: [Set<Int>] = [[], []]

  public init(_ program: SecureProgram, deployment: Deployment) {
    evaluations = [[Int]](
      repeating: [Int](repeating: 0, count: program.nodes.count), count: 2)
    /// After how many flights each party has its share of a value, or the opened value.
    var known = [[Int]](
      repeating: [Int](repeating: 0, count: program.values.count), count: 2)
    /// Whether party 1's share of a value follows from what is dealt.
    var dealt = [Bool](repeating: false, count: program.values.count)
    let oneWay = program.oneWayOpenings(in: deployment)
    let silent = program.silentOpenings
    let lifted = program.liftedOpenings
    for (index, node) in program.nodes.enumerated() {
      var ready = (0...1).map { party in
        node.operation.inputs.reduce(0) { max($0, known[party][$1]) }
      }
      var results = ready
      let readsDealt =
        !node.operation.inputs.isEmpty && node.operation.inputs.allSatisfy { dealt[$0] }
      var givesDealt = readsDealt
      switch node.operation {
      case .open where silent[index] != nil:
        // Party 0's words are what is opened.
        openedAlone[0].insert(index)
        guard !oneWay.contains(index) else {
          results[1] = 0
          break
        }
        add(Message(node: index, stage: 0, sender: 0), to: ready[0] + 1)
        openedAlone[1].insert(index)
        ready[1] = max(ready[1], ready[0] + 1)
        results = ready
      case .open where oneWay.contains(index), .widen where oneWay.contains(index):
        add(
          Message(node: index, stage: 0, sender: 1, isAhead: readsDealt), to: ready[1] + 1)
        openedAlone[0].insert(index)
        ready = [max(ready[0], ready[1] + 1), ready[1]]
        results = [ready[0], 0]
      case .open where ready[0] < ready[1] || ready[1] < ready[0] && lifted.contains(index),
        .widen where ready[0] != ready[1]:
        // Each party sends its share when it has it, and knows the value when it has both.
        let sent = ready.map { $0 + 1 }
        for party in 0...1 {
          add(
            Message(node: index, stage: 0, sender: party, isAhead: party == 1 && readsDealt),
            to: sent[party])
        }
        openedAlone[sent[0] < sent[1] ? 1 : 0].insert(index)
        ready = [max(ready[0], sent[1]), max(ready[1], sent[0])]
        results = ready
      case .open, .widen, .openBlocks, .reveal:
        // Both at once, which takes less time than one after the other where the link is slow.
        let flight = max(ready[0], ready[1]) + 1
        add(Message(node: index, stage: 0), to: flight)
        ready = [flight, flight]
        results = ready
      case .linear, .scale:
        // The user's share of a product does not depend on what is opened.
        if deployment == .providerUser {
          ready[1] = 0
          results[1] = 0
          givesDealt = true
        }
      case .piecewiseLinear(_, let function):
        let start = max(ready[0], ready[1])
        for stage in 0..<function.roundCount {
          add(Message(node: index, stage: stage), to: start + stage + 1)
        }
        if function.roundCount > 0 {
          results = [Int](repeating: start + function.roundCount, count: 2)
        }
      case .permuted(_, let function):
        var flight = 0
        for (stage, message) in function.messages.enumerated() {
          flight = max(flight, ready[message.sender]) + 1
          add(
            Message(
              node: index, stage: stage, sender: message.sender, isAhead: stage == 0 && readsDealt),
            to: flight)
        }
        results[0] = flight
        givesDealt = true
      case .input, .blockLinear, .selectBlocks, .spreadBlocks, .view, .truncate, .scores, .mix,
        .multiply,
        .polynomial, .exponential,
        .coarseSteps, .lookup, .combine, .addWeight, .addDistance, .rotate, .sum, .pairDifference,
        .pairMerge, .padKeys, .padRows, .lastRow, .firstRow, .meanRow, .output:
        break
      }
      for party in 0...1 {
        evaluations[party][index] = ready[party]
        for output in node.outputs { known[party][output] = results[party] }
      }
      // What is opened is made of both shares.
      for output in node.outputs where program.values[output].form == .shared {
        dealt[output] = givesDealt
      }
    }
    for flight in flights.indices {
      flights[flight].sort { ($0.node, $0.stage) < ($1.node, $1.stage) }
    }
  }

  /// `flight` counts from 1.
  private mutating func add(_ message: Message, to flight: Int) {
    while flights.count < flight { flights.append([]) }
    flights[flight - 1].append(message)
  }
}

extension SecureProgram {
  /// The openings in which only a user sends: what is opened feeds products with the provider's
  /// weights alone, of which the user's share is dealt.
  public func oneWayOpenings(in deployment: Deployment) -> Set<Int> {
    guard deployment == .providerUser else { return [] }
    var others = Set<ValueID>()
    for node in nodes {
      switch node.operation {
      case .linear, .scale: break
      default: others.formUnion(node.operation.inputs)
      }
    }
    return Set(
      nodes.indices.filter { index in
        guard sentOpening(index) != nil else { return false }
        return !others.contains(nodes[index].outputs.lowerBound)
      })
  }

  /// The openings of the whole result of a permuted function, with its node: party 1's share is dealt, and
  /// so is its share of the mask, which takes it away, so that it has nothing to send.
  public var silentOpenings: [Int: Int] {
    var results: [ValueID: Int] = [:]
    var silent: [Int: Int] = [:]
    for (index, node) in nodes.enumerated() {
      switch node.operation {
      case .permuted: results[node.outputs.lowerBound] = index
      case .open(let x, let opening)
      where opening == Opening(shift: 0, bits: values[x].ringBits):
        silent[index] = results[x]
      default: break
      }
    }
    return silent
  }

  /// The openings whose values are truncated or widened and nothing else.
  var liftedOpenings: Set<Int> {
    var truncated = Set(values.indices)
    for node in nodes {
      switch node.operation {
      case .truncate, .widen: continue
      default: break
      }
      truncated.subtract(node.operation.inputs)
    }
    var viewed = Set(values.indices)
    for node in nodes {
      if case .widen = node.operation { continue }
      if case .view = node.operation, truncated.contains(node.outputs.lowerBound) { continue }
      viewed.subtract(node.operation.inputs)
    }
    return Set(
      nodes.indices.filter { index in
        guard case .open = nodes[index].operation else { return false }
        return viewed.contains(nodes[index].outputs.lowerBound)
      })
  }

  /// Words that `party` sends in `message` of a step.
  public func wordCount(_ message: Timetable.Message, party: Int, in step: SessionStep) -> Int {
    if let sender = message.sender, sender != party { return 0 }
    let operation = nodes[message.node].operation
    guard let x = operation.inputs.first else { return 0 }
    let count = step.elementCount(values[x].shape)
    switch operation {
    case .open, .widen: return sentOpening(message.node)?.wordCount(elements: count) ?? 0
    case .reveal: return Opening.bit.wordCount(elements: count)
    case .openBlocks(_, let opening):
      guard let columns = values[x].shape.columns.runningBlocks else { return 0 }
      return opening.wordCount(elements: count)
        + BlockTree(blockCount: columns.count).revealedWordCount(step.pattern(columns))
    case .piecewiseLinear(_, let function):
      return function.openedWordCounts(elements: count)[message.stage]
    case .permuted(_, let function):
      return function.wordCount(
        party: party, round: message.stage,
        elements: step.permutedCount(values[x].shape, function))
    default: return 0
    }
  }
}
