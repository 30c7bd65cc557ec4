// The online interpreter of one party: its shares of every value, and one exchange a round.

public import Bytes
import Models
public import Program
import Rings
import Sharing

/// The way to the other party: one exchange opens all values of a round.
public protocol OpeningChannel {
  /// Sends `words` and returns as many words of the other party.
  func exchange(_ words: [UInt64]) throws(InputError) -> [UInt64]
}

/// Takes the public words of an opened value, by the node that opened it.
public typealias OpeningObserver = @Sendable (_ node: Int, _ words: [UInt64]) -> Void

/// An opened value or view: x = base + sum over parts of coefficient * mask part.
struct MaskedWords {
  /// The public part.
  var base: [UInt64]
  /// This party's shares of the mask parts: r, or t and h of a view.
  var parts: [[UInt64]]
  /// Public coefficient of h, for views; those of r and t are -1.
  var lift: [UInt64]?

  /// This party's share of x - base.
  var rest: [UInt64] {
    guard let lift else { return parts[0].map { 0 &- $0 } }
    return base.indices.map { lift[$0] &* parts[1][$0] &- parts[0][$0] }
  }

  /// Public coefficient of part `part` at element `index`.
  @inline(__always)
  func coefficient(_ part: Int, _ index: Int) -> UInt64 {
    if part == 1, let lift { return lift[index] }
    return .max
  }
}

/// Evaluates a program on one party's shares, step by step.
///
/// Every row of the session's material is used at most once: steps must follow each other.
public struct PartyInterpreter<Material: SessionMaterial>: ~Copyable {
  let program: SecureProgram
  /// This party's shares of the weights, in the order of `program.weights`.
  let weights: [[UInt64]]
  let material: Material
  /// What the material gives for the whole session, by node.
  let derived: [NodeMaterial]
  /// Operations by the round after which they can run; opens come last.
  private let schedule: [[Int]]
  private let cached: Set<ValueID>
  private let lastUse: [Int]
  var caches: [ValueID: MaskedWords] = [:]
  var shared: [[UInt64]] = []
  var masked: [ValueID: MaskedWords] = [:]
  /// Comparisons by bits that are not done, by node.
  var comparisons: [Int: PendingComparison] = [:]
  private var nextRow = 0
  private var stepIndex = 0

  /// Is told what every `open` of a step reveals, both parties' words added: for checks of one
  /// interpreter against another.
  public var observe: OpeningObserver?

  /// 1 for party 0, which adds public constants, 0 for party 1.
  let constantFactor: UInt64

  public init(program: SecureProgram, weights: [[UInt64]], material: Material) {
    self.program = program
    self.weights = weights
    self.material = material
    derived = program.nodes.indices.map { NodeMaterial($0, of: program, material) }
    constantFactor = material.party == 0 ? 1 : 0
    cached = program.kind == .decoder ? program.cachedValues : []
    let schedule = program.schedule()
    self.schedule = schedule
    lastUse = program.lastUses(in: schedule)
  }

  /// Runs the next `rowCount` rows and returns this party's share of the output.
  ///
  /// - Throws: `InputError` when the session has no rows left or the peer fails.
  public mutating func step(
    inputShare: [UInt64], rowCount: Int, through channel: some OpeningChannel
  ) throws(InputError) -> [UInt64] {
    let session = material.session
    guard rowCount > 0, nextRow + rowCount <= session.rowCapacity,
      stepIndex < session.dealtRowCount(.last), stepIndex == 0 || session.kind == .decoder
    else {
      throw InputError(
        "session", "\(nextRow + rowCount) positions are more than the \(session.rowCapacity) dealt")
    }
    guard stepIndex > 0 || rowCount <= session.promptCapacity else {
      throw InputError(
        "session", "prompt has \(rowCount) tokens, sessions allow \(session.promptCapacity)")
    }
    let width = program.inputValue?.shape.width ?? 0
    guard inputShare.count == rowCount * width else {
      throw InputError("session", "input has \(inputShare.count) words, not \(rowCount * width)")
    }
    let step = SessionStep(session: session, rows: nextRow..<nextRow + rowCount, index: stepIndex)
    nextRow += rowCount
    stepIndex += 1
    shared = [[UInt64]](repeating: [], count: program.values.count)
    masked = [:]
    comparisons = [:]
    var output: [UInt64] = []
    for (round, indices) in schedule.enumerated() {
      if round > 0 { try open(schedule[round - 1], step, channel) }
      for index in indices {
        let node = program.nodes[index]
        switch node.operation {
        case .open: continue  // in one exchange, at the start of the next round
        case .input: shared[node.outputs.lowerBound] = inputShare
        case .output(let x): output = shared[x]
        default: try evaluate(index, node, step)
        }
        release(after: index, node)
      }
    }
    shared = []
    masked = [:]
    return output
  }

  /// Opens all values whose `open` stands in `indices`, and what pending comparisons open, in one
  /// exchange.
  private mutating func open(
    _ indices: [Int], _ step: SessionStep, _ channel: some OpeningChannel
  ) throws(InputError) {
    var outgoing: [UInt64] = []
    var opened:
      [(node: Int, opening: Opening, words: [UInt64], mask: [UInt64], range: Range<Int>)] =
        []
    var compared: [(node: Int, range: Range<Int>)] = []
    for index in Set(indices).union(comparisons.keys).sorted() {
      let node = program.nodes[index]
      if let words = comparisons[index]?.outgoing() {
        compared.append((index, outgoing.count..<outgoing.count + words.count))
        outgoing += words
      }
      guard case .open(let x, let opening) = node.operation, let stream = derived[index].mask
      else { continue }
      let mask = stream.words(in: step.dealtRanges(program.values[x].shape))
      let words = opening.masked(
        shared[x], ringBits: program.values[x].ringBits, mask: mask,
        constantFactor: constantFactor)
      let start = outgoing.count
      opening.pack(words, into: &outgoing)
      opened.append((index, opening, words, mask, start..<outgoing.count))
      release(after: index, node)
    }
    guard !outgoing.isEmpty else {
      for entry in opened {
        masked[program.nodes[entry.node].outputs.lowerBound] = MaskedWords(
          base: [], parts: [[]], lift: nil)
      }
      return
    }
    let incoming = try channel.exchange(outgoing)
    guard incoming.count == outgoing.count else {
      throw InputError("peer", "sent \(incoming.count) words where \(outgoing.count) were expected")
    }
    for entry in compared {
      let node = program.nodes[entry.node]
      guard
        let results = comparisons[entry.node]?.receive(
          Array(incoming[entry.range]), constantFactor: constantFactor)
      else { continue }
      comparisons[entry.node] = nil
      for (output, result) in zip(node.outputs, results) { shared[output] = result }
    }
    for entry in opened {
      var base = entry.words
      entry.opening.add(incoming[entry.range], to: &base)
      observe?(entry.node, base)
      let value = program.nodes[entry.node].outputs.lowerBound
      if cached.contains(value) {
        caches[value, default: MaskedWords(base: [], parts: [[]], lift: nil)].base += base
        caches[value]?.parts[0] += entry.mask
      }
      masked[value] = MaskedWords(base: base, parts: [entry.mask], lift: nil)
    }
  }

  /// Frees the values that node `index` was the last to read.
  private mutating func release(after index: Int, _ node: ProgramNode) {
    for value in node.operation.inputs where lastUse[value] == index {
      shared[value] = []
      masked[value] = nil
    }
  }
}

extension SecureProgram {
  /// Nodes by round: those that can run once a round's openings are known, in program order.
  ///
  /// An `open` stands in the round before the one in which its result is known.
  public func schedule() -> [[Int]] {
    let rounds = rounds()
    var schedule = [[Int]](repeating: [], count: (rounds.max() ?? 0) + 1)
    for (index, node) in nodes.enumerated() {
      schedule[node.operation.inputs.reduce(0) { max($0, rounds[$1]) }].append(index)
    }
    return schedule
  }

  /// For each value the node that reads it last in the order of `schedule`, or -1.
  ///
  /// Opens run after all other nodes of their round.
  func lastUses(in schedule: [[Int]]) -> [Int] {
    var result = [Int](repeating: -1, count: values.count)
    func isOpen(_ index: Int) -> Bool {
      if case .open = nodes[index].operation { return true }
      return false
    }
    for indices in schedule {
      for index in indices.filter({ !isOpen($0) }) + indices.filter(isOpen) {
        for value in nodes[index].operation.inputs { result[value] = index }
      }
    }
    return result
  }
}
