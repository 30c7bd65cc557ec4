// Dealing operation by operation: which values an operation reads, and how it is dealt.

import Bytes
import Program
import Randomness
import Rings
import Sharing

/// One session that is being dealt.
struct DealtSession<Sink: CorrelationSink>: Sendable {
  let program: SecureProgram
  let streams: [SessionStreams]
  let comparisonKey: [UInt8]
  let noise: SessionNoise
  let deployment: Deployment
  let sink: Sink

  init(
    number: Int, batch: BatchSeeds, program: SecureProgram, deployment: Deployment, sink: Sink
  ) {
    self.program = program
    streams = (0...1).map { batch.streams(session: number, party: $0) }
    comparisonKey = BatchSeeds.comparisonKey(batch: batch.identifier, session: number)
    noise = batch.noise(session: number)
    self.deployment = deployment
    self.sink = sink
  }

  /// Turns `words`, which are words `offset` and following of array `number`, into the share that no
  /// seed gives, in as many bytes as are stored.
  func hide(
    _ words: inout [UInt64], node: Int, _ component: CorrelationComponent, number: Int,
    at offset: Int
  ) {
    let holder = program.holder(node: node, component: number, in: deployment)
    let other = streams[1 - holder].correlation(node: node, component: number)
      .words(at: offset, count: words.count)
    switch component.layout {
    case .words:
      let stored = UInt64.max &>> UInt64(64 - 8 * component.wordByteCount)
      for index in words.indices { words[index] = (words[index] &- other[index]) & stored }
    case .lanes:
      // The lowest bit of a lane is the first that takes nothing from the one below.
      let top: UInt64 = 0x8000_8000_8000_8000
      for index in words.indices {
        let (a, b) = (words[index], other[index])
        words[index] = ((a | top) &- (b & ~top)) ^ ((a ^ ~b) & top)
      }
    case .tiles: for index in words.indices { words[index] ^= other[index] }
    }
  }

  /// Stores a share that `hide` has made.
  func store(_ share: [UInt64], node: Int, component: Int, at offset: Int) throws(InputError) {
    try sink.store(
      share, party: program.holder(node: node, component: component, in: deployment), node: node,
      component: component, at: offset)
  }
}

/// The sessions that are dealt together, one operation after the other.
struct GroupDealing<Sink: CorrelationSink>: Sendable {
  let program: SecureProgram
  let weights: any MultipliedWeights
  let shape: SessionShape
  let sessions: [DealtSession<Sink>]
  let plan: DealingPlan
  let arm: KernelArm
  /// See `SecureProgram.maskOpeners`.
  private let openers: [ValueID: Int]
  /// The permuted functions whose results are opened in silence, by the node that opens them.
  private let silent: [Int: Int]
  /// The opened value and shift behind each view.
  private let viewed: [ValueID: (opened: ValueID, shift: Int)]

  init(
    program: SecureProgram, weights: any MultipliedWeights, shape: SessionShape,
    sessions: [DealtSession<Sink>], plan: DealingPlan, arm: KernelArm
  ) {
    self.program = program
    self.weights = weights
    self.shape = shape
    self.sessions = sessions
    self.plan = plan
    self.arm = arm
    openers = program.maskOpeners
    var viewed: [ValueID: (ValueID, Int)] = [:]
    for node in program.nodes {
      if case .view(let x, let shift) = node.operation {
        viewed[node.outputs.lowerBound] = (x, shift)
      }
    }
    silent = program.silentOpenings
    self.viewed = viewed
  }

  /// Deals the correlations of operation `index` for all sessions.
  func deal(_ index: Int) throws(InputError) {
    switch program.nodes[index].operation {
    case .linear(let x, let id), .blockLinear(let x, _, let id): try dealLinear(index, x, id)
    case .scores(let query, let key, let heads, let keyHeads, _):
      try dealScores(index, query, key, heads: heads, keyHeads: keyHeads)
    case .mix(let weights, let value, let heads, let keyHeads):
      try dealMix(index, weights, value, heads: heads, keyHeads: keyHeads)
    case .scale(let x, let id):
      let columns = try weights.elements(id, in: 0..<program.weights[id].columnCount)
      try dealElements(index, like: x) { range, session in
        let mask = masks(of: x, session).words(in: range)
        return [zip(mask, range).map { $0 &* columns[$1 % columns.count] }]
      }
    case .multiply(let x, let y):
      let layout = BroadcastLayout(shape, shapeOf(y), to: shapeOf(x))
      let components = program.correlationComponents(index)
      try dealElements(index, like: x) { range, session in
        products(
          components, parts(of: x, session, range),
          parts(of: y, session, layout.narrowRange(range)).map { layout.repeated($0, range) })
      }
    case .view(let x, _):
      let components = program.correlationComponents(index)
      try dealElements(index, like: x) { range, session in
        maskComponents(components, [masks(of: x, session).words(in: range)])
      }
    case .widen(let x, _):
      let components = program.correlationComponents(index)
      if components.isEmpty { break }
      let widened = program.nodes[index].outputs.lowerBound
      try dealElements(index, like: x) { range, session in
        maskComponents(components, [masks(of: widened, session).words(in: range)])
      }
    case .polynomial(let x, _):
      let components = program.correlationComponents(index)
      try dealElements(index, like: x) { range, session in
        maskComponents(components, parts(of: x, session, range))
      }
    case .piecewiseLinear(let x, let function):
      switch function.comparison {
      case .keys: try dealKeys(index, x, function)
      case .bits: try dealBits(index, x, function)
      }
    case .exponential(let x, let function):
      try dealPoints(index, x, function.keyLayout) { mask, _ in
        (function.alpha(mask: mask), [function.beta(mask: mask)])
      }
    case .coarseSteps(let x, let function):
      try dealElements(index, like: x) { range, session in
        var words = [UInt64](repeating: 0, count: range.count * function.wordCount)
        for (element, mask) in masks(of: x, session).words(in: range).enumerated() {
          let cell = Int(mask &>> UInt64(function.cells.bits))
          words[element * function.wordCount + cell / 4] = 1 &<< UInt64(16 * (cell % 4))
        }
        return [words]
      }
    case .lookup(let x, let function):
      let layout = function.keyLayout
      try dealPoints(index, x, layout, factor: function.factor) { mask, parts in
        (function.place(mask).cell, function.payload(mask: mask, parts: parts, layout: layout))
      }
    case .permuted(let x, let function): try dealPermuted(index, x, function)
    case .input, .open, .openBlocks, .selectBlocks, .spreadBlocks, .reveal, .truncate, .combine,
      .addWeight,
      .addDistance, .rotate, .sum,
      .pairDifference, .pairMerge, .padKeys, .padRows, .lastRow, .firstRow, .meanRow, .output:
      break
    }
  }

  func shapeOf(_ value: ValueID) -> ValueShape { program.values[value].shape }

  // MARK: Masks

  /// The mask of an opened value in one session.
  func masks(of value: ValueID, _ session: DealtSession<Sink>) -> MaskStreams {
    guard let node = openers[value] else {
      preconditionFailure("value \(value) is not opened, which validation excludes")
    }
    let shares = session.streams.map {
      program.maskShare(
        node: node, $0, shape, comparisonKey: session.comparisonKey, ofResult: silent[node])
    }
    return MaskStreams(
      share0: shares[0], share1: shares[1],
      opening: Opening(shift: 0, bits: program.values[value].ringBits))
  }

  /// The mask parts of an opened value (r) or a view (t, h) at elements `range`.
  func parts(of value: ValueID, _ session: DealtSession<Sink>, _ range: Range<Int>)
    -> [[UInt64]]
  {
    guard let view = viewed[value] else { return [masks(of: value, session).words(in: range)] }
    let mask = masks(of: view.opened, session).words(in: range)
    let top = UInt64(program.values[view.opened].ringBits - 1)
    return [mask.map { $0 &>> UInt64(view.shift) }, mask.map { $0 &>> top }]
  }
}
