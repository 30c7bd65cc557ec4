// The exact fixed-point interpreter: the plaintext that two parties' shares add up to, bit for bit.

import Models
public import Program
public import Sharing

/// Evaluates a program on plaintext ring elements, with the masks of a session.
///
/// Masks matter in few places only: the possible +1 of a truncation, on which side of a knot or a
/// bound a value within the dropped bits falls, and the rounding of an exponential. Everything else
/// is plain arithmetic, which makes this interpreter independent of correlations and protocols. The
/// +1 of an opening that drops bits comes from the parties' shares, which are not here: it is
/// drawn, or taken from what two parties opened.
///
/// A copy shares the weights and has a key cache of its own.
public struct RingSimulator: Sendable {
  /// Called with every shared value of the program and its words, as soon as they are known, and
  /// with every opening of some bits that must hold the whole of a number, before it is reduced to
  /// them. Of one that is read in cells the largest stands for numbers outside of them, and of
  /// exponentials 0 for all others. Of an operand of a permuted function it is told the numbers that
  /// party 1 is to see, and of how many bits they may be; of all else `operandBits` is nil.
  public typealias Observer = (_ value: ValueID, _ words: [UInt64], _ operandBits: Int?) -> Void

  public let program: SecureProgram
  private let weights: [[UInt64]]
  private let streams: [SessionStreams]
  /// The node that reads each value last.
  private let lastUses: [Int]
  private let openers: [ValueID: Int]
  /// See `SecureProgram.silentOpenings`.
  private let silent: [Int: Int]
  private let cached: Set<ValueID>
  private let oneHotValue: ValueID?
  /// Openings that are read as numbers.
  private var numbers: Set<ValueID> = []
  /// The cells that openings are read in.
  private var cells: [ValueID: (cells: MaskCells, tops: [Int])] = [:]
  private var lookups: [ValueID: ClosedRange<Int>] = [:]
  private var keyCaches: [ValueID: [UInt64]] = [:]
  /// Blocks and keys of pools that earlier steps have used, by the value that decides.
  private var usedBlocks: [ValueID: (blocks: Int, keys: Int)] = [:]
  private let comparisonKey: [UInt8]
  private let noise: SessionNoise?
  /// The public words that two parties opened at a node in the step that is evaluated next, where
  /// their output is to be repeated bit for bit.
  public var opened: [Int: [UInt64]] = [:]

  /// `weights` in the order of `program.weights`, `streams` those of party 0 and party 1.
  ///
  /// Without weights, each step is given them when they are needed. `comparisonKey` is that of the
  /// session, which masks of blocks depend on, and `noise` what its dealer draws; without it gates
  /// open by their scores alone.
  public init(
    program: SecureProgram, weights: [[UInt64]] = [], streams: [SessionStreams],
    comparisonKey: [UInt8] = [UInt8](repeating: 0, count: 16), noise: SessionNoise? = nil
  ) {
    self.noise = noise
    self.comparisonKey = comparisonKey
    self.program = program
    self.weights = weights
    self.streams = streams
    var lastUses = [Int](repeating: -1, count: program.values.count)
    var oneHotValue: ValueID?
    for (index, node) in program.nodes.enumerated() {
      for value in node.operation.inputs { lastUses[value] = index }
      guard case .open(let x, _) = node.operation else { continue }
      if x == 0, program.clientInput == .oneHot { oneHotValue = node.outputs.lowerBound }
    }
    self.lastUses = lastUses
    openers = program.maskOpeners
    silent = program.silentOpenings
    self.oneHotValue = oneHotValue
    cached = program.kind.isDecoder ? program.cachedValues : []
    for node in program.nodes {
      switch node.operation {
      case .exponential(let x, let function): cells[x] = (function.cells, function.tops)
      case .coarseSteps(let x, let function): cells[x] = (function.cells, function.tops)
      case .lookup(let x, let function): lookups[x] = function.range
      case .view(let x, _), .widen(let x, _): numbers.insert(x)
      case .piecewiseLinear(let x, let function) where function.isLifted: numbers.insert(x)
      default: break
      }
    }
  }

  /// Runs one step on the input rows and returns the output rows.
  ///
  /// With `SessionStep.dealing` all steps of a session are one: the output has a row a step.
  public mutating func step(_ step: SessionStep, input: [UInt64], observe: Observer? = nil)
    -> [UInt64]
  {
    let weights = weights
    return self.step(step, input: input, observe: observe) { weights[$0] }
  }

  /// The same with the weights that `weight` gives.
  public mutating func step<Failure: Error>(
    _ step: SessionStep, input: [UInt64], observe: Observer? = nil,
    weight: (WeightID) throws(Failure) -> [UInt64]
  ) throws(Failure) -> [UInt64] {
    var step = step
    var values = [[UInt64]](repeating: [], count: program.values.count)
    var masks: [ValueID: [UInt64]] = [:]
    var output: [UInt64] = []
    func shape(_ value: ValueID) -> ValueShape { program.values[value].shape }
    /// The mask of an opened value, made when it is first asked for: most are never needed.
    func mask(_ value: ValueID) -> [UInt64] {
      if let mask = masks[value] { return mask }
      let mask = openers[value].map { self.mask($0, of: value, step) } ?? []
      masks[value] = mask
      return mask
    }
    for (index, node) in program.nodes.enumerated() {
      let first = node.outputs.lowerBound
      switch node.operation {
      case .input: values[first] = input
      case .open(let x, let opening):
        if opening == .whole {
          values[first] = values[x]
        } else {
          let seen = opening.shift > 0 ? opened[index] : nil
          values[first] = RingFunctions.opened(
            values[x], ringBits: program.values[x].ringBits, opening,
            shares: opening.shift > 0 && seen == nil
              ? streams[0].mask(node: index).words(in: step.dealtRanges(shape(x))) : [],
            mask: seen == nil ? [] : mask(first), opened: seen)
        }
        if let observe, opening != .whole,
          numbers.contains(first) || cells[first] != nil || lookups[first] != nil
        {
          var numbers = numbers(values[x], of: x, opening)
          if let (cells, tops) = cells[first] {
            numbers = step.underTops(numbers, shape(x), tops: tops) { word, top in
              cells.holds(Int64(bitPattern: word), top: top) ? 0 : UInt64(Int64.max)
            }
          }
          if let range = lookups[first] {
            numbers = numbers.map {
              range.contains(Int(Int64(bitPattern: $0))) ? $0 : UInt64(Int64.max)
            }
          }
          observe(first, numbers, nil)
        }
        if cached.contains(first) { keyCaches[first, default: []] += values[first] }
      case .widen(let x, let bits):
        let whole = Opening(shift: 0, bits: bits)
        let seen =
          program.values[x].form == .opened
          ? RingFunctions.view(
            values[x], mask: mask(x), shift: 0, bits: program.values[x].ringBits) : values[x]
        values[first] = seen.map { RingFunctions.signed(whole.reduced($0), bits: bits) }
        if cached.contains(first) { keyCaches[first, default: []] += values[first] }
      case .reveal(let x, _):
        let gates = BlockPattern(
          bits: values[x], count: shape(x).width ?? 1, earlier: usedBlocks[first] ?? (0, 0))
        step.patterns[first] = gates
        usedBlocks[first] = step.used(gates)
        observe?(first, values[x], nil)
      case .openBlocks(let x, let opening):
        let seen = opening.shift > 0 ? opened[index] : nil
        let running = RingFunctions.opened(
          values[x], ringBits: program.values[x].ringBits, opening,
          shares: opening.shift > 0 && seen == nil
            ? streams[0].mask(node: index).words(in: [0..<values[x].count]) : [],
          mask: seen == nil ? [] : step.gathered(mask(first), shape(x)),
          opened: seen.map { step.gathered($0, shape(x)) })
        values[first] = step.spread(running, shape(x))
      case .blockLinear(let x, _, let id):
        values[first] = step.blockProduct(
          values[x], shape(first), program.weights[id], try weight(id))
      case .selectBlocks(let x, _):
        values[first] = step.gathered(values[x], shape(first))
      case .spreadBlocks(let x): values[first] = step.spread(values[x], shape(x))
      case .view(let x, let shift):
        values[first] = RingFunctions.view(
          values[x], mask: mask(x), shift: shift, bits: program.values[x].ringBits)
      case .truncate(let x): values[first] = values[x]
      case .linear(let x, let id):
        values[first] =
          try x == oneHotValue
          ? program.weights[id].sparseProduct(values[x], weight(id))
          : program.weights[id].product(values[x], weight(id))
      case .scale(let x, let id):
        values[first] = try program.weights[id].scaled(values[x], weight(id))
      case .scores(let query, let key, let heads, let keyHeads, _):
        values[first] = step.scores(
          values[query],
          step.text.rows(of: keyCaches[key] ?? values[key], width: shape(key).width ?? 0),
          shape(first), heads: heads, keyHeads: keyHeads,
          headWidth: (shape(query).width ?? 0) / heads)
      case .mix(let weights, let value, let heads, let keyHeads):
        let width = shape(value).width ?? 0
        var rows = keyCaches[value] ?? values[value]
        // Columns of rows to come weigh nothing.
        let missing = step.mixedRowCount(shape(weights)) * width - rows.count
        if missing > 0 { rows += [UInt64](repeating: 0, count: missing) }
        values[first] = step.mix(
          values[weights], shape(weights), rows, heads: heads, keyHeads: keyHeads,
          headWidth: width / keyHeads)
      case .multiply(let x, let y):
        let right = step.broadcast(values[y], shape(y), to: shape(x))
        values[first] = zip(values[x], right).map { $0 &* $1 }
      case .polynomial(let x, let coefficients):
        for (output, polynomial) in zip(node.outputs, coefficients) {
          values[output] = RingFunctions.polynomial(polynomial, values[x])
        }
      case .piecewiseLinear(let x, let function):
        let quiet =
          function.noise == 0
          ? nil
          : noise?.quietBits(
            node: index, thousandths: function.noise, in: step.dealtRanges(shape(x)))
        let results = RingFunctions.piecewise(function, values[x], mask: mask(x), quiet: quiet)
        for (output, result) in zip(node.outputs, results) { values[output] = result }
      case .exponential(let x, let function):
        let mask = mask(x)
        values[first] = RingFunctions.exponential(
          function, mask: mask,
          places: step.cellPlaces(
            sum(values[x], mask), shape(x), function.cells, tops: function.tops))
      case .coarseSteps(let x, let function):
        let mask = mask(x)
        let places = step.cellPlaces(
          sum(values[x], mask), shape(x), function.cells, tops: function.tops)
        let results = RingFunctions.coarseSteps(function, mask: mask, places: places)
        for (output, result) in zip(node.outputs, results) { values[output] = result }
      case .lookup(let x, let function):
        let results = RingFunctions.lookup(function, values[x], mask: mask(x))
        values[first] =
          function.factor.map { zip(results, values[$0]).map(&*) } ?? results
      case .permuted(let x, let function):
        let shift = function.opening.shift
        let ranges = step.dealtRanges(shape(x))
        let seen = opened[index]
        var numbers = RingFunctions.opened(
          values[x], ringBits: program.values[x].ringBits, function.opening,
          shares: shift > 0 && seen == nil ? streams[0].mask(node: index).words(in: ranges) : [],
          // Party 0 sees x - a.
          mask: seen == nil
            ? [] : streams[1].permutedOperand(node: index).words(in: ranges).map { 0 &- $0 },
          opened: seen)
        if let observe {
          // Of so many bits a view has one less, either side of zero.
          observe(x, self.numbers(values[x], of: x, function.opening), function.opening.bits)
          if let factor = function.factor {
            observe(
              factor.value, self.numbers(values[factor.value], of: factor.value, factor.opening),
              factor.opening.bits - 1)
          }
        }
        step.markAbsent(&numbers, shape(x), function.absent)
        values[first] = function.results(
          numbers, in: step.permutedRanges(shape(x), function),
          inputBits: program.permutedBits(x, function))
        if let factor = function.factor {
          let factors = self.factors(index, values[factor.value], factor, ranges, opened: seen)
          for place in factors.indices { values[first][place] &*= factors[place] }
        }
      case .combine(let terms, let constant):
        values[first] = step.combine(
          terms.map { (values[$0.value], shape($0.value), $0.coefficient) }, constant: constant)
      case .addWeight(let x, let id, let rows):
        values[first] = try step.addWeight(values[x], shape(x), weight(id), rows: rows)
      case .addDistance(let x, let slopes):
        values[first] = step.addDistance(values[x], shape(x), slopes: slopes)
      case .rotate(let x, let rotation):
        values[first] = step.rotate(values[x], shape(x), rotation)
      case .sum(let x, let runs): values[first] = step.sum(values[x], shape(x), runs: runs)
      case .pairDifference(let x): values[first] = step.pairDifference(values[x], shape(x))
      case .pairMerge(let x, let y):
        values[first] = step.pairMerge(values[x], shape(x), pairs: values[y])
      case .padKeys(let x): values[first] = step.padKeys(values[x], shape(x))
      case .padRows(let x): values[first] = step.padRows(values[x], shape(x))
      case .lastRow(let x): values[first] = step.lastRow(values[x], shape(x))
      case .firstRow(let x): values[first] = step.firstRow(values[x], shape(x))
      case .meanRow(let x, let bits):
        values[first] = step.meanRow(values[x], shape(x), fractionalBits: bits)
      case .output(let x, let bits):
        output = values[x].map { RingFunctions.signed($0, bits: bits) }
      }
      if let observe {
        for value in node.outputs where program.values[value].form == .shared {
          let bits = program.values[value].ringBits
          observe(
            value,
            bits == 64
              ? values[value] : values[value].map { RingFunctions.signed($0, bits: bits) }, nil)
        }
      }
      for value in node.operation.inputs where lastUses[value] == index {
        values[value] = []
        masks[value] = nil
      }
    }
    opened = [:]
    return output
  }

  /// The numbers that the results of the permuted function at node `index` are multiplied with, as far
  /// as they are within their bits.
  private func factors(
    _ index: Int, _ words: [UInt64], _ factor: PermutedFunction.Factor, _ ranges: [Range<Int>],
    opened: [UInt64]?
  ) -> [UInt64] {
    let mask = streams[1].permutedOperand(node: index, ofFactor: true).words(in: ranges)
      .map(factor.opening.reduced)
    let seen = factor.opening.shift > 0 ? opened.map { Array($0[($0.count / 2)...]) } : nil
    let numbers = RingFunctions.opened(
      words, ringBits: program.values[factor.value].ringBits, factor.opening,
      shares: factor.opening.shift > 0 && seen == nil
        ? streams[0].permutedFactor(node: index).words(in: ranges) : [],
      mask: mask, opened: seen)
    return RingFunctions.view(numbers, mask: mask, shift: 0, bits: factor.opening.bits)
  }

  /// The mask of opened value `value`, which stands under that of node `opener`.
  private func mask(_ opener: Int, of value: ValueID, _ step: SessionStep) -> [UInt64] {
    let ranges = step.dealtRanges(program.values[value].shape)
    let opening = Opening(shift: 0, bits: program.values[value].ringBits)
    func share(_ party: Int) -> [UInt64] {
      let share = program.maskShare(
        node: opener, streams[party], step.session, comparisonKey: comparisonKey,
        ofResult: silent[opener])
      if case .stream(let stream) = share { return stream.words(in: ranges) }
      return ranges.flatMap { share.words(in: $0) }
    }
    var words = share(0)
    let other = share(1)
    for index in words.indices {
      words[index] = opening.reduced(words[index] &+ other[index])
    }
    return words
  }

  /// The numbers of which `opening` opens some bits, whole.
  private func numbers(_ words: [UInt64], of x: ValueID, _ opening: Opening) -> [UInt64] {
    let bits = program.values[x].ringBits
    return words.map {
      UInt64(
        bitPattern: Int64(bitPattern: RingFunctions.signed($0, bits: bits)) >> Int64(opening.shift))
    }
  }

  private func sum(_ left: [UInt64], _ right: [UInt64]) -> [UInt64] {
    left.indices.map { left[$0] &+ right[$0] }
  }
}

extension ProgramWeight {
  /// As `product`, for an x of which few elements are not zero: one-hot rows.
  fileprivate func sparseProduct(_ x: [UInt64], _ elements: [UInt64]) -> [UInt64] {
    guard isTransposed else { return product(x, elements) }
    let rowCount = x.count / inputCount
    var result = [UInt64](repeating: 0, count: rowCount * outputCount)
    for row in 0..<rowCount {
      for column in 0..<inputCount {
        let factor = x[row * inputCount + column]
        guard factor != 0 else { continue }
        for output in 0..<outputCount {
          result[row * outputCount + output] &+= factor &* elements[column * outputCount + output]
        }
      }
    }
    return result
  }
}
