// The online interpreter of one party: its shares of every value, and one exchange a round.

public import Bytes
import Models
public import Program
import Randomness
import Rings
import Sharing

/// The way to the other party: one exchange opens all values of a round.
public protocol OpeningChannel {
  /// Sends `words` and returns as many words of the other party.
  func exchange(_ words: [UInt64]) throws(InputError) -> [UInt64]
}

/// Takes the public words of an opened value, by the node that opened it.
public typealias OpeningObserver = @Sendable (_ node: Int, _ words: [UInt64]) -> Void

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
  /// The opens of each round.
  private let openings: [[Int]]
  /// The different shapes of what is dealt.
  private let shapes: [ValueShape]
  private let cached: Set<ValueID>
  /// The node that opens each opened value.
  let openers: [ValueID: Int]
  /// By node the values that it is the last to read.
  private let released: [[ValueID]]
  var caches: [ValueID: MaskedWords] = [:]
  var shared: [[UInt64]] = []
  var masked: [MaskedWords?] = []
  /// Comparisons by bits that are not done, by node.
  var comparisons: [Int: PendingComparison] = [:]
  /// Where what is dealt for this step lies, by number of shape.
  var ranges: [[Range<Int>]] = []
  private var nextRow = 0
  private var promptLength = 0
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
    var shapes = ShapeNumbers()
    derived = program.nodes.indices.map { NodeMaterial($0, of: program, material, &shapes) }
    self.shapes = shapes.shapes
    constantFactor = material.party == 0 ? 1 : 0
    cached = program.kind.isDecoder ? program.cachedValues : []
    openers = Dictionary(
      uniqueKeysWithValues: program.nodes.enumerated().compactMap { index, node in
        node.operation.isOpen ? (node.outputs.lowerBound, index) : nil
      })
    let schedule = program.schedule()
    self.schedule = schedule
    openings = schedule.map { $0.filter { program.nodes[$0].operation.isOpen } }
    let lastUse = program.lastUses(in: schedule)
    released = program.nodes.enumerated().map { index, node in
      node.operation.inputs.filter { lastUse[$0] == index }
    }
  }

  /// Runs the next `rowCount` rows and returns this party's share of the output.
  ///
  /// - Throws: `InputError` when the session has no rows left or the peer fails.
  public mutating func step(
    inputShare: [UInt64], rowCount: Int, through channel: some OpeningChannel
  ) throws(InputError) -> [UInt64] {
    let session = material.session
    guard rowCount > 0, nextRow + rowCount <= session.rowCapacity,
      stepIndex < session.dealtRowCount(.last), stepIndex == 0 || session.kind.isDecoder
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
    if stepIndex == 0 { promptLength = rowCount }
    let step = SessionStep(
      session: session, rows: nextRow..<nextRow + rowCount, index: stepIndex,
      promptLength: promptLength)
    ranges = shapes.map(step.dealtRanges)
    nextRow += rowCount
    stepIndex += 1
    shared = [[UInt64]](repeating: [], count: program.values.count)
    masked = [MaskedWords?](repeating: nil, count: program.values.count)
    comparisons = [:]
    var output: [UInt64] = []
    for (round, indices) in schedule.enumerated() {
      if round > 0 { try open(openings[round - 1], channel) }
      for index in indices {
        let node = program.nodes[index]
        switch node.operation {
        case .open: continue  // in one exchange, at the start of the next round
        case .input: shared[node.outputs.lowerBound] = inputShare
        case .output(let x): output = shared[x]
        default: try evaluate(index, node, step)
        }
        release(after: index)
      }
    }
    shared = []
    masked = []
    return output
  }

  /// What one `open` sends and keeps for the answer.
  private struct PendingOpening {
    let node: Int
    let opening: Opening
    /// Under this party's share of the mask; with the other party's words the opened value.
    var words: [UInt64]
    let mask: [UInt64]
    /// Where the words lie among those of the exchange.
    let range: Range<Int>
  }

  /// Opens all values whose `open` stands in `indices`, and what pending comparisons open, in one
  /// exchange.
  private mutating func open(_ indices: [Int], _ channel: some OpeningChannel) throws(InputError) {
    var outgoing: [UInt64] = []
    var opened: [PendingOpening] = []
    opened.reserveCapacity(indices.count)
    var compared: [(node: Int, range: Range<Int>)] = []
    let nodes =
      comparisons.isEmpty ? indices : Set(indices).union(comparisons.keys).sorted()
    var wordCount = 0
    for index in indices {
      guard case .open(let x, let opening) = program.nodes[index].operation else { continue }
      wordCount += opening.wordCount(elements: shared[x].count)
    }
    outgoing.reserveCapacity(wordCount)
    for index in nodes {
      if let words = comparisons[index]?.outgoing() {
        compared.append((index, outgoing.count..<outgoing.count + words.count))
        outgoing += words
      }
      guard case .open(let x, let opening) = program.nodes[index].operation,
        let mask = derived[index].mask
      else { continue }
      let share = mask.stream.words(in: ranges[mask.shape])
      let words = opening.masked(
        shared[x], ringBits: program.values[x].ringBits, mask: share,
        constantFactor: constantFactor)
      let start = outgoing.count
      opening.pack(words, into: &outgoing)
      opened.append(
        PendingOpening(
          node: index, opening: opening, words: words, mask: share, range: start..<outgoing.count))
      release(after: index)
    }
    guard !outgoing.isEmpty else {
      for entry in opened {
        masked[program.nodes[entry.node].outputs.lowerBound] = MaskedWords(base: [], parts: [[]])
      }
      return
    }
    let incoming = try channel.exchange(outgoing)
    guard incoming.count == outgoing.count else {
      throw InputError("peer", "sent \(incoming.count) words where \(outgoing.count) were expected")
    }
    for entry in compared {
      let outputs = program.nodes[entry.node].outputs
      guard
        let results = comparisons[entry.node]?.receive(
          Array(incoming[entry.range]), constantFactor: constantFactor)
      else { continue }
      comparisons[entry.node] = nil
      for (output, result) in zip(outputs, results) { shared[output] = result }
    }
    for number in opened.indices {
      // Taken out of its entry, so that the sum takes its place.
      var base: [UInt64] = []
      swap(&base, &opened[number].words)
      let entry = opened[number]
      entry.opening.add(incoming[entry.range], to: &base)
      observe?(entry.node, base)
      let value = program.nodes[entry.node].outputs.lowerBound
      if cached.contains(value) {
        caches[value, default: MaskedWords(base: [], parts: [[]])].base += base
        caches[value]?.parts[0] += entry.mask
      }
      masked[value] = MaskedWords(base: base, parts: [entry.mask])
    }
  }

  /// Frees the values that node `index` was the last to read.
  private mutating func release(after index: Int) {
    for value in released[index] {
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
    func isOpen(_ index: Int) -> Bool { nodes[index].operation.isOpen }
    for indices in schedule {
      for index in indices.filter({ !isOpen($0) }) + indices.filter(isOpen) {
        for value in nodes[index].operation.inputs { result[value] = index }
      }
    }
    return result
  }
}

extension Operation {
  fileprivate var isOpen: Bool {
    if case .open = self { return true }
    return false
  }
}
