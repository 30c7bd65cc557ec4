// The online interpreter of one party: its shares of every value, and one exchange a round.

public import Bytes
import Models
public import Program
import Randomness
import Rings
import Sharing

/// The way to the other party: one exchange opens all values of a round.
public protocol OpeningChannel {
  /// Sends `words`, unless there are none, and returns `incomingCount` words of the other party.
  func exchange(_ words: [UInt64], incomingCount: Int) throws(InputError) -> [UInt64]
}

/// Takes the public words of an opened value, by the node that opened it.
public typealias OpeningObserver = @Sendable (_ node: Int, _ words: [UInt64]) -> Void

/// Evaluates a program on one party's shares, step by step.
///
/// Every row of the session's material is used at most once: steps must follow each other.
public struct PartyInterpreter<Material: SessionMaterial>: ~Copyable {
  let program: SecureProgram
  /// This party's shares of the weights, in the order of `program.weights`; empty where they are zero.
  let weights: [HeldWeight]
  let material: Material
  /// What the material gives for the whole session, by node.
  let derived: [NodeMaterial]
  /// Messages by flight.
  private let flights: [[Timetable.Message]]
  /// Operations that this party evaluates after so many flights, in program order.
  private let evaluated: [[Int]]
  /// Openings in which party 1 alone sends.
  private let oneWay: Set<Int>
  /// Openings of which this party need not send its share.
  private let kept: Set<Int>
  /// Openings of which the other party's share is there when this party evaluates them.
  private let openedAlone: Set<Int>
  /// The different shapes of what is dealt.
  private let shapes: [ValueShape]
  private let cached: Set<ValueID>
  /// See `SecureProgram.maskOpeners`.
  let openers: [ValueID: Int]
  /// By node the values that it is the last to read.
  private let released: [[ValueID]]
  var caches: [ValueID: MaskedWords] = [:]
  var shared: [[UInt64]] = []
  var masked: [MaskedWords?] = []
  /// Comparisons by bits and permuted functions that are not done, by node.
  var pending: [Int: any PendingExchange] = [:]
  /// What the other party has sent of operations that this party cannot evaluate yet, by node.
  var early: [Int: [UInt64]] = [:]
  /// Openings that wait for the other party's share, and what is still to be sent of others, by node.
  private var opened: [Int: PendingOpening] = [:]
  private var unsent: [Int: [UInt64]] = [:]
  /// Where what is dealt for this step lies, by number of shape.
  var ranges: [[Range<Int>]] = []
  /// Blocks and keys of pools that were used, by the value that decides.
  private var usedBlocks: [ValueID: (blocks: Int, keys: Int)] = [:]
  private var progress: SessionProgress
  /// Of all steps so far.
  public private(set) var strained = StrainedOperands()

  /// Is told what every `open` of a step reveals, both parties' words added: for checks of one
  /// interpreter against another.
  public var observe: OpeningObserver?

  /// Whether as many blocks run as pools expect, whatever is revealed: for measurements on shares that
  /// are made up.
  package var assumesExpectedBlocks = false

  /// 1 for party 0, which adds public constants, 0 for party 1.
  let constantFactor: UInt64

  public init(program: SecureProgram, weights: [HeldWeight], material: Material) {
    self.program = program
    self.weights = weights
    self.material = material
    progress = SessionProgress(material.session)
    var shapes = ShapeNumbers()
    let silent = program.silentOpenings
    derived = program.nodes.indices.map {
      NodeMaterial($0, of: program, material, silent: silent, &shapes)
    }
    self.shapes = shapes.shapes
    constantFactor = material.party == 0 ? 1 : 0
    cached = program.kind.isDecoder ? program.cachedValues : []
    openers = program.maskOpeners
    let timetable = Timetable(program, deployment: material.deployment)
    let oneWay = program.oneWayOpenings(in: material.deployment)
    let party = material.party
    let openedAlone = timetable.openedAlone[party]
    func waits(_ index: Int) -> Bool {
      program.nodes[index].operation.isOpen && !openedAlone.contains(index)
    }
    var evaluated = [[Int]](repeating: [], count: timetable.flights.count + 1)
    for index in program.nodes.indices where !waits(index) {
      evaluated[timetable.evaluations[party][index]].append(index)
    }
    // Openings that wait are put together after all that comes before the flight in which they are sent.
    var order: [Int] = []
    for (flight, nodes) in evaluated.enumerated() {
      order += nodes
      guard flight < timetable.flights.count else { continue }
      order += timetable.flights[flight].filter { $0.sender != 1 - party }.map(\.node).filter(waits)
    }
    flights = timetable.flights
    self.oneWay = oneWay
    let sent = timetable.flights.joined().filter { $0.sender != 1 - party }.map(\.node)
    kept = openedAlone.subtracting(sent)
    self.openedAlone = openedAlone
    self.evaluated = evaluated
    var lastUse = [Int](repeating: -1, count: program.values.count)
    for index in order {
      for value in program.nodes[index].operation.inputs { lastUse[value] = index }
    }
    released = program.nodes.enumerated().map { index, node in
      node.operation.inputs.filter { lastUse[$0] == index }
    }
  }

  /// Runs the next rows and returns this party's share of their outputs.
  ///
  /// - Throws: `InputError` when the session has no slots left or the peer fails.
  public mutating func step(
    inputShare: [UInt64], _ request: StepRequest, through channel: some OpeningChannel
  ) throws(InputError) -> [UInt64] {
    let width = program.inputValue?.shape.width ?? 0
    guard inputShare.count == request.rowCount * width else {
      throw InputError(
        "session", "input has \(inputShare.count) words, not \(request.rowCount * width)")
    }
    var step = try progress.next(request)
    guard step.text.isDense || program.allowsRejection else {
      throw InputError(
        "session", "rows of this model cannot be taken back",
        hint: "its attention has a window, or skips heads: ask without --draft")
    }
    ranges = shapes.map(step.dealtRanges)
    shared = [[UInt64]](repeating: [], count: program.values.count)
    masked = [MaskedWords?](repeating: nil, count: program.values.count)
    pending = [:]
    early = [:]
    opened = [:]
    unsent = [:]
    var output: [UInt64] = []
    for (flight, indices) in evaluated.enumerated() {
      if flight > 0 { try exchange(flights[flight - 1], &step, channel) }
      for index in indices {
        let node = program.nodes[index]
        switch node.operation {
        case .open, .widen: try finishAlone(index)
        case .input: shared[node.outputs.lowerBound] = inputShare
        case .output(let x, _): output = shared[x]
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
  struct PendingOpening {
    /// Under this party's share of the mask; with the other party's words the opened value.
    var words: [UInt64]
    let mask: [UInt64]
    /// Of what is widened, the number as the bits say that are opened already.
    var known: [UInt64] = []
  }

  /// This party's share of what node `index` opens, under its share of the mask.
  private func maskedShare(_ index: Int) throws(InputError) -> (
    opening: Opening, sent: PendingOpening
  )? {
    guard let opening = program.sentOpening(index), let mask = derived[index].mask else {
      return nil
    }
    let share = mask.stream.words(in: ranges[mask.shape])
    switch program.nodes[index].operation {
    case .widen(let x, let ringBits):
      guard let opened = masked[x] else { return nil }
      let bits = ringBits - opening.bits
      if opened.lift != nil {
        return (opening, widened(view: opened, bits: bits, opening, mask: share))
      }
      let parts = ViewParts(opened: opened.base, shift: 0, bits: bits)
      // [r >> bits] + B [h]: the bits of y + r above those that are opened.
      var words = try self.words(node: index, component: 0)
      let top = try self.words(node: index, component: 1)
      for place in words.indices {
        let isLifted = parts.lift[place] &>> UInt64(bits)
        words[place] = opening.reduced(words[place] &+ isLifted &* top[place])
      }
      return (opening, PendingOpening(words: words, mask: share, known: parts.base))
    case .open(let x, _):
      let words = opening.masked(
        shared[x], ringBits: program.values[x].ringBits, mask: share,
        constantFactor: constantFactor)
      return (opening, PendingOpening(words: words, mask: share))
    default: return nil
    }
  }

  /// The same of a view's share of y + r above the `bits` that are opened. Below them y + r is what was
  /// opened, so that party 0 sees whether the shares' low bits carry.
  private func widened(
    view: MaskedWords, bits: Int, _ opening: Opening, mask: [UInt64]
  ) -> PendingOpening {
    let low = UInt64.max &>> UInt64(64 - bits)
    let known = view.base.map { $0 & low }
    var words = view.share(factor: constantFactor)
    for place in words.indices {
      let word = words[place] &+ mask[place]
      let carry: UInt64 = word & low > known[place] ? constantFactor : 0
      words[place] = opening.reduced(word &>> UInt64(bits) &+ carry)
    }
    return PendingOpening(words: words, mask: mask, known: known)
  }

  /// Sends and receives the messages of one flight in one exchange.
  private mutating func exchange(
    _ messages: [Timetable.Message], _ step: inout SessionStep, _ channel: some OpeningChannel
  ) throws(InputError) {
    let party = material.party
    let counts = messages.map { message in
      (0...1).map { program.wordCount(message, party: $0, in: step) }
    }
    var outgoing: [UInt64] = []
    outgoing.reserveCapacity(counts.reduce(0) { $0 + $1[party] })
    for message in messages {
      if let words = pending[message.node]?.outgoing() { outgoing += words }
      if let sent = blockShare(message.node, step, into: &outgoing) {
        opened[message.node] = sent
        release(after: message.node)
      }
      guard message.sender != 1 - party else { continue }
      if openedAlone.contains(message.node) {
        outgoing += unsent.removeValue(forKey: message.node) ?? []
        continue
      }
      guard let (opening, sent) = try maskedShare(message.node) else { continue }
      opening.pack(sent.words, into: &outgoing)
      if !oneWay.contains(message.node) { opened[message.node] = sent }
      release(after: message.node)
    }
    let incomingCount = counts.reduce(0) { $0 + $1[1 - party] }
    var incoming: [UInt64] = []
    if !outgoing.isEmpty || incomingCount > 0 {
      incoming = try channel.exchange(outgoing, incomingCount: incomingCount)
    }
    guard incoming.count == incomingCount else {
      throw InputError("peer", "sent \(incoming.count) words where \(incomingCount) were expected")
    }
    var place = 0
    for (message, count) in zip(messages, counts) {
      let words = incoming[place..<place + count[1 - party]]
      place = words.endIndex
      let node = message.node
      if message.sender != party, let sent = opened.removeValue(forKey: node) {
        switch program.nodes[node].operation {
        case .reveal: try finishReveal(node, sent, words, &step)
        case .openBlocks: finishBlocks(node, sent, words, step)
        default: finish(node, sent, words)
        }
      } else if pending[node] != nil {
        advance(node, words)
      } else if !words.isEmpty {
        early[node] = Array(words)
      }
    }
  }

  /// Takes the words of one message of an operation that takes several.
  mutating func advance(_ node: Int, _ words: ArraySlice<UInt64>) {
    let results = pending[node]?.receive(Array(words), constantFactor: constantFactor)
    if let words = pending[node]?.observed { observe?(node, words) }
    if let (words, function) = pending[node]?.seen {
      strained.add(words, function, label: program.nodes[node].label)
    }
    guard let results else { return }
    pending[node] = nil
    for (output, result) in zip(program.nodes[node].outputs, results) { shared[output] = result }
  }

  /// Finds the places anew of what is dealt for the blocks that `gates` decides about.
  mutating func take(_ pattern: BlockPattern, of gates: ValueID, _ step: inout SessionStep)
    throws(InputError)
  {
    step.patterns[gates] = pattern
    let used = step.used(pattern)
    usedBlocks[gates] = used
    for (number, shape) in shapes.enumerated() {
      guard let columns = shape.columns.runningBlocks, columns.gates == gates else { continue }
      let dealt = step.session.dealtCount(shape) / columns.width
      let isOfKeys = if case .blockKeys = shape.columns { true } else { false }
      guard (isOfKeys ? used.keys : used.blocks) <= dealt else {
        let label = program.nodes.first { $0.outputs.contains(gates) }?.label ?? ""
        let what = isOfKeys ? "\(used.keys) keys of heads" : "\(used.blocks) blocks"
        throw InputError(
          "session", place: label,
          "the pool of this session is used up: \(what) run, \(dealt) were dealt",
          hint: "what was answered so far is right; begin another session")
      }
      ranges[number] = step.dealtRanges(shape)
    }
  }

  func usedBlocks(_ gates: ValueID) -> (blocks: Int, keys: Int) { usedBlocks[gates] ?? (0, 0) }

  /// Opens a value of which the other party has sent its share, or need not, and keeps what it is to be sent.
  private mutating func finishAlone(_ node: Int) throws(InputError) {
    guard let (opening, own) = try maskedShare(node) else { return }
    if !kept.contains(node) { opening.pack(own.words, into: &unsent[node, default: []]) }
    finish(node, own, (early.removeValue(forKey: node) ?? [])[...])
  }

  private mutating func finish(
    _ node: Int, _ own: consuming PendingOpening, _ words: ArraySlice<UInt64>
  ) {
    let value = program.nodes[node].outputs.lowerBound
    guard let opening = program.sentOpening(node), !own.words.isEmpty else {
      masked[value] = MaskedWords(base: [], parts: [[]])
      return
    }
    // Taken out of its entry, so that the sum takes its place.
    var base: [UInt64] = []
    swap(&base, &own.words)
    // In silence there are none.
    if !words.isEmpty { opening.add(words, to: &base) }
    if !own.known.isEmpty {
      let ringBits = program.values[value].ringBits
      let whole = Opening(shift: 0, bits: ringBits)
      let shift = UInt64(ringBits - opening.bits)
      for place in base.indices {
        base[place] = whole.reduced(own.known[place] &+ base[place] &<< shift)
      }
    }
    observe?(node, base)
    if cached.contains(value) {
      caches[value, default: MaskedWords(base: [], parts: [[]])].base += base
      caches[value]?.parts[0] += own.mask
    }
    masked[value] = MaskedWords(base: base, parts: [own.mask])
  }

  /// Frees the values that node `index` was the last to read.
  mutating func release(after index: Int) {
    for value in released[index] {
      shared[value] = []
      masked[value] = nil
    }
  }
}

extension Operation {
  fileprivate var isOpen: Bool {
    switch self {
    case .open, .widen, .openBlocks, .reveal: true
    default: false
    }
  }
}
