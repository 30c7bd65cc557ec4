// The dealer: computes every correlation of a session from the parties' seeds and the weights.

public import Bytes
public import Program
import Randomness
import Rings
public import Sharing

/// Where dealt arrays go: two session files, or memory in tests.
public protocol CorrelationSink: ~Copyable {
  /// Stores shares for `party` from element `offset` of component `component` of node `node`.
  func store(_ words: [UInt64], party: Int, node: Int, component: Int, at offset: Int)
    throws(InputError)
  /// Stores comparison keys from byte `offset` of node `node`, the same bytes for both parties.
  func storeKeys(_ bytes: [UInt8], node: Int, at offset: Int) throws(InputError)
}

/// Deals sessions of one program; session i depends on the batch seed and i only.
public struct Dealer: Sendable {
  let program: SecureProgram
  /// Weights of `linear` and `scale`, indexed as `program.weights`; others may be empty.
  let weights: [[UInt64]]
  let batch: BatchSeeds
  /// The node that opens each opened value.
  private let opener: [ValueID: Int]
  /// The opened value and shift behind each view.
  private let viewed: [ValueID: (opened: ValueID, shift: Int)]

  public init(program: SecureProgram, weights: [[UInt64]], batch: BatchSeeds) {
    self.program = program
    self.weights = weights
    self.batch = batch
    var opener: [ValueID: Int] = [:]
    var viewed: [ValueID: (ValueID, Int)] = [:]
    for (index, node) in program.nodes.enumerated() {
      switch node.operation {
      case .open: opener[node.outputs.lowerBound] = index
      case .view(let x, let shift): viewed[node.outputs.lowerBound] = (x, shift)
      default: break
      }
    }
    self.opener = opener
    self.viewed = viewed
  }

  /// Computes all correlations of session `number` and stores them in `sink`.
  public func deal(
    session number: Int, shape session: SessionShape,
    into sink: borrowing some CorrelationSink & ~Copyable,
    progress: (Int) -> Void = { _ in }
  ) throws(InputError) {
    let masks = SessionMasks(
      streams: (0...1).map { batch.streams(session: number, party: $0) }, session: session)
    for index in program.nodes.indices {
      let components = program.correlationComponents(index)
      if !components.isEmpty {
        let values = try self.components(index, components, masks)
        for (number, words) in values.enumerated() {
          try store(
            words, node: index, component: number, layout: components[number].layout, masks, sink)
        }
      }
      if case .piecewiseLinear(let x, let function) = program.nodes[index].operation,
        function.comparison == .keys
      {
        try dealKeys(
          index, function, masks: mask(of: x, masks), masks, sessionNumber: number, sink)
      }
      progress(index + 1)
    }
  }

  /// Splits `words` and stores the share that no seed gives.
  private func store(
    _ words: [UInt64], node: Int, component: Int, layout: CorrelationComponent.Layout,
    _ masks: SessionMasks, _ sink: borrowing some CorrelationSink & ~Copyable
  ) throws(InputError) {
    let holder = SecureProgram.holder(node: node, component: component)
    var share = masks.streams[1 - holder].correlation(node: node, component: component)
      .words(at: 0, count: words.count)
    switch layout {
    case .words: for index in words.indices { share[index] = words[index] &- share[index] }
    case .tiles: for index in words.indices { share[index] ^= words[index] }
    }
    try sink.store(share, party: holder, node: node, component: component, at: 0)
  }

  // MARK: Masks

  /// The mask of an opened value, both parties' shares added, in the dealt layout.
  private func mask(of value: ValueID, _ masks: SessionMasks) -> [UInt64] {
    guard let node = opener[value] else { return [] }
    return masks.mask(node: node, count: masks.session.dealtCount(program.values[value].shape))
  }

  /// The mask parts of an opened value (r) or a view (t, h).
  private func parts(of value: ValueID, _ masks: SessionMasks) -> [[UInt64]] {
    guard let view = viewed[value] else { return [mask(of: value, masks)] }
    let mask = mask(of: view.opened, masks)
    return [mask.map { $0 &>> UInt64(view.shift) }, mask.map { $0 &>> 63 }]
  }

  // MARK: Components

  /// What the shares of each correlated array of node `index` add up to.
  private func components(
    _ index: Int, _ components: [CorrelationComponent], _ masks: SessionMasks
  ) throws(InputError) -> [[UInt64]] {
    let node = program.nodes[index]
    func shape(_ value: ValueID) -> ValueShape { program.values[value].shape }
    switch node.operation {
    case .linear(let x, let id):
      return [program.weights[id].product(mask(of: x, masks), try multiplied(id))]
    case .scale(let x, let id):
      return [program.weights[id].scaled(mask(of: x, masks), try multiplied(id))]
    case .scores(let query, let key, let heads, let keyHeads):
      return [
        masks.step.scores(
          mask(of: query, masks), mask(of: key, masks), shape(node.outputs.lowerBound),
          heads: heads, keyHeads: keyHeads,
          headWidth: (shape(query).width ?? 0) / heads)
      ]
    case .mix(let weights, let value, let heads, let keyHeads):
      return [
        masks.step.mix(
          mask(of: weights, masks), shape(weights), mask(of: value, masks), heads: heads,
          keyHeads: keyHeads,
          headWidth: (shape(value).width ?? 0) / keyHeads)
      ]
    case .multiply(let x, let y):
      let left = parts(of: x, masks)
      let right = parts(of: y, masks).map {
        masks.step.broadcast($0, shape(y), to: shape(x))
      }
      return components.map { component in
        guard case .partProduct(let i, let j) = component.meaning else { return [] }
        return zip(left[i], right[j]).map { $0 &* $1 }
      }
    case .view(let x, _):
      return maskComponents(components, parts: [mask(of: x, masks)])
    case .polynomial(let x, _):
      return maskComponents(components, parts: parts(of: x, masks))
    case .piecewiseLinear(let x, let function):
      switch function.comparison {
      case .keys: return windowComponents(components, function, mask: mask(of: x, masks))
      case .bits:
        return bitComponents(
          components, function, node: index, mask: mask(of: x, masks), masks)
      }
    case .input, .open, .truncate, .combine, .addWeight, .rotate, .sum, .pairDifference, .pairMerge,
      .padKeys, .padRows, .lastRow, .output:
      return []
    }
  }

  private func maskComponents(_ components: [CorrelationComponent], parts: [[UInt64]])
    -> [[UInt64]]
  {
    components.map { component in
      switch component.meaning {
      case .shiftedMask(let shift): parts[0].map { $0 &>> UInt64(shift) }
      case .topBit: parts[0].map { $0 &>> 63 }
      case .maskPower(let power): parts[0].map { raised($0, to: power) }
      case .topBitTimesPower(let power):
        zip(parts[0], parts[1]).map { $1 &* raised($0, to: power) }
      case .maskProduct, .partProduct, .windowBit, .resultBit, .comparedBits: []
      }
    }
  }

  private func windowComponents(
    _ components: [CorrelationComponent], _ function: PiecewiseLinear, mask: [UInt64]
  ) -> [[UInt64]] {
    components.map { component in
      switch component.meaning {
      case .windowBit(let part):
        mask.map { function.maskParts($0)[part] &* function.windowTopBit($0) }
      case .shiftedMask(let shift): mask.map { $0 &>> UInt64(shift) }
      case .topBit: mask.map { $0 &>> 63 }
      case .maskProduct, .partProduct, .maskPower, .topBitTimesPower, .resultBit, .comparedBits: []
      }
    }
  }

  private func raised(_ word: UInt64, to power: Int) -> UInt64 {
    (1..<power).reduce(word) { product, _ in product &* word }
  }

  /// Elements of a weight that the dealer multiplies.
  private func multiplied(_ id: WeightID) throws(InputError) -> [UInt64] {
    let weight = program.weights[id]
    guard weights.indices.contains(id), weights[id].count == weight.elementCount else {
      throw InputError("dealer", place: weight.name, "the dealer has no such weight")
    }
    return weights[id]
  }

  // MARK: Comparison keys

  /// Keys made at a time; a few tens of megabytes.
  private static let keyChunkCount = 1 << 15

  private func dealKeys(
    _ node: Int, _ function: PiecewiseLinear, masks mask: [UInt64], _ masks: SessionMasks,
    sessionNumber: Int, _ sink: borrowing some CorrelationSink & ~Copyable
  ) throws(InputError) {
    let comparison = ComparisonFunction(
      fixedKey: BatchSeeds.comparisonKey(batch: batch.identifier, session: sessionNumber),
      levels: function.levels, payload: function.payload)
    let low = UInt64.max &>> UInt64(64 - function.levels)
    for start in stride(from: 0, to: mask.count, by: Dealer.keyChunkCount) {
      let range = start..<min(start + Dealer.keyChunkCount, mask.count)
      var betas: [UInt64] = []
      betas.reserveCapacity(range.count * function.payload)
      for word in mask[range] {
        let sign = 1 &- 2 &* function.windowTopBit(word)
        for part in function.maskParts(word) { betas.append(sign &* part) }
      }
      let roots = masks.streams.map {
        $0.comparisonRoots(node: node).words(at: 2 * range.lowerBound, count: 2 * range.count)
      }
      let keys = comparison.generated(
        alphas: mask[range].map { function.window($0) & low }, betas: betas,
        roots0: roots[0], roots1: roots[1])
      try sink.storeKeys(keys, node: node, at: start * function.keyByteCount)
    }
  }
}

/// The seeds and layout of a session that is being dealt.
struct SessionMasks {
  let streams: [SessionStreams]
  let session: SessionShape
  let step: SessionStep

  init(streams: [SessionStreams], session: SessionShape) {
    self.streams = streams
    self.session = session
    step = .dealing(session)
  }

  /// r = r_0 + r_1 of the value that node `node` opens.
  func mask(node: Int, count: Int) -> [UInt64] {
    var mask = streams[0].mask(node: node).words(at: 0, count: count)
    let other = streams[1].mask(node: node).words(at: 0, count: count)
    for index in mask.indices { mask[index] &+= other[index] }
    return mask
  }
}

extension PiecewiseLinear {
  /// Top bit of the compared window of a mask.
  func windowTopBit(_ mask: UInt64) -> UInt64 { window(mask) &>> UInt64(comparedBits - 1) }

  /// 1, then the mask parts of the argument: r, or t and h of its view.
  func maskParts(_ mask: UInt64) -> [UInt64] {
    shift == 0 ? [1, mask] : [1, mask &>> UInt64(shift), mask &>> 63]
  }
}
