// Operations that are computed on permuted values: exact, with a truncation for nothing.

import Approximation
import Bytes
import Foundation
import Models

extension Lowering {
  /// Fractional bits of scores that softmax takes, and of its weights.
  private static let scoreBits = 13
  private static let weightBits = 17

  /// Bits before the point, sign included, of numbers up to `bound` and somewhat beyond.
  func wholeBits(_ bound: Double) -> Int { magnitudeBits(bound) + 1 + ProgramBuilder.spareBits }

  /// The bits of `x` with `bits` fractional ones, or all that it has, that party 1 sees.
  private func opening(_ x: FixedValue, bits: Int) -> Opening {
    let shift = max(x.bits - bits, 0)
    let wanted = x.bits - shift + wholeBits(x.bound)
    return Opening(shift: shift, bits: max(min(wanted, builder.ringBits(x) - shift, 62), 2))
  }

  /// `rule` of `x`, seen with `inputBits` fractional bits, with `bits` fractional bits modulo
  /// 2^`ringBits`.
  private mutating func permuted(
    _ x: FixedValue, _ rule: PermutedFunction.Rule, inputBits: Int, runCount: Int = 1, bits: Int,
    ringBits: Int, bound: Double
  ) throws(InputError) -> FixedValue {
    let function = PermutedFunction(
      rule, opening: opening(x, bits: inputBits), runCount: runCount, fractionalBits: bits,
      resultBits: min(ringBits, 64))
    return try builder.emit(.permuted(x.id, function), bits: bits, bound: bound)
  }

  /// The activation of node `index`.
  mutating func permutedActivation(_ index: Int, _ x: FixedValue, _ operationClass: OperationClass)
    throws(InputError) -> FixedValue
  {
    let (rule, bound) = activationRule(operationClass, inputBound: x.bound)
    let bits = activationBits(bound: bound)
    return try permuted(
      x, rule, inputBits: activationBits(x) + 1, bits: bits,
      ringBits: streamRing(index, bits: bits, bound: bound) ?? 64, bound: bound)
  }

  /// The rule of an activation, and how large its results are for inputs up to `inputBound`.
  private func activationRule(_ operationClass: OperationClass, inputBound: Double) -> (
    PermutedFunction.Rule, bound: Double
  ) {
    switch operationClass {
    case .relu: (.relu, inputBound)
    case .gelu: (.gelu, inputBound)
    case .geluTanh: (.geluTanh, inputBound)
    case .silu: (.silu, inputBound)
    case .tanh: (.tanh, min(1, inputBound))
    case .softmax, .layerNorm, .rmsNorm:
      preconditionFailure("\(operationClass.rawValue) is no activation")
    }
  }

  /// Whether node `index` is the product of a permuted activation and another value.
  private func isPermutedProduct(_ index: Int) -> Bool {
    guard case .multiply(let left, let right) = model.nodes[index].operation else { return false }
    return isPermutedActivation(left) != isPermutedActivation(right)
  }

  /// Node `index`, the product of an activation of `x` and another value in the messages of the
  /// activation, with all the bits that its reader takes; nil where these do not fit, or it has another
  /// reader than a layer that adds to a stream of which party 1 sees what it needs.
  mutating func permutedProduct(
    _ index: Int, _ x: FixedValue, _ operationClass: OperationClass, _ other: ModelValue
  ) throws(InputError) -> FixedValue? {
    guard let reader = streamReader(of: index), consumers(of: index) == [reader],
      let sum = narrowSum(of: reader), isSeenShortened(sum),
      case .linear(_, let weight, _) = model.nodes[reader].operation
    else { return nil }
    let factor = try plain(other)
    let value = try cut(x)
    let shape = builder.shape(value.id)
    guard shape.width != nil, shape == builder.shape(factor.id) else { return nil }
    let (rule, activeBound) = activationRule(operationClass, inputBound: value.bound)
    let weightBits = precision(WeightFormula(tensor: weight)).sufficient
    let (bound, sumBound) = (try outputBound(index), try outputBound(sum))
    let room = max(try streamRoom(of: reader) + weightBits, magnitudeBits(bound) + 2)
    for spared in Self.sparedBits {
      let resultBits = activationBits(bound: activeBound) - spared
      let factorBits = min(activationBits(factor) - spared, factor.bits)
      let bits = resultBits + factorBits
      let opening = Opening(
        shift: factor.bits - factorBits, bits: factorBits + wholeBits(factor.bound) + 1)
      guard room + bits <= 64, opening.bits < room + bits,
        builder.canOpen(factor, bits: factorBits, ringBits: opening.bits),
        builder.fits(bits: bits + weightBits, bound: sumBound)
      else { continue }
      let function = PermutedFunction(
        rule, opening: self.opening(value, bits: activationBits(value) + 1),
        fractionalBits: resultBits, resultBits: room + bits,
        factor: PermutedFunction.Factor(factor.id, opening: opening))
      return try builder.emit(.permuted(value.id, function), bits: bits, bound: bound)
    }
    return nil
  }

  /// Fractional bits that each side of a product has fewer where it is not shortened afterwards, as it
  /// is where it takes messages of its own: with the last of them it is about as precise.
  private static let sparedBits = 1...2

  /// Whether `value` is a product that has all the bits which its reader takes.
  func isPermutedProduct(_ value: FixedValue) -> Bool {
    guard let node = builder.program.nodes.last(where: { $0.outputs.contains(value.id) }),
      case .permuted(_, let function) = node.operation
    else { return false }
    return function.factor != nil
  }

  /// Node `index` of `x`, normalised; gamma, beta and the attention scale are left to its readers.
  mutating func permutedNormalisation(
    _ index: Int, _ x: FixedValue, _ settings: Normalisation, isCentred: Bool
  ) throws(InputError) -> LoweredValue {
    let node = model.nodes[index]
    let width = node.width / settings.groupCount
    let range = try calibration.normalisedRange(
      node.name, epsilon: settings.epsilon, headroom: varianceHeadroom)
    // As precise beside the smallest rows as results are.
    let wanted = bits + 4 - Int(log2(range.lowerBound.squareRoot()).rounded(.down))
    // Sums of squares are whole numbers of 127 bits.
    let most = 63 - (Int.bitWidth - (width - 1).leadingZeroBitCount) - wholeBits(x.bound)
    let smallness = try smallness(index, epsilon: settings.epsilon)
    let value = try permuted(
      x,
      isCentred
        ? .layerNorm(epsilon: settings.epsilon) : .rmsNorm(epsilon: settings.epsilon),
      inputBits: min(wanted + smallness, most), runCount: settings.groupCount,
      bits: bits + smallness,
      ringBits: readersRing(index, bits: bits + smallness, columnScale: settings.gamma),
      bound: Double(width).squareRoot() * pow(2, -Double(smallness)))
    let scale = queryScale(index)
    return .normalised(
      value,
      PendingNormalisation(
        gamma: settings.gamma, beta: settings.beta, scale: scale, factor: scale,
        groupCount: settings.groupCount))
  }

  /// Ring bits that the readers of normalisation `index` need of its rows: of linear layers whose results
  /// are permuted as many as these have, and of sums that party 1 alone sees as many as it sees.
  private func readersRing(_ index: Int, bits valueBits: Int, columnScale: String?)
    throws(InputError) -> Int
  {
    var ring = 0
    for consumer in consumers(of: index) {
      // What nothing reads is the output, of which as many bits are sent.
      let readers = consumers(of: consumer)
      if isSeenAlone(consumer), let columnScale {
        let gammaBits = precision(WeightFormula(tensor: columnScale)).wanted
        let room = max(
          wholeBits(try outputBound(consumer)), magnitudeBits(try outputBound(index)) + 2)
        ring = max(ring, valueBits + gammaBits + room)
        continue
      }
      guard case .linear(_, let weight, _) = model.nodes[consumer].operation,
        readers.allSatisfy({ isPermutedActivation($0) || isPermutedProduct($0) })
      else { return 64 }
      let bound = try outputBound(consumer)
      let wanted = precision(WeightFormula(tensor: weight, columnScale: columnScale)).wanted
      let weightBits = max(min(wanted, ringBits(bound) - valueBits), bits)
      // Factors are taken as views are, which need a bit more.
      let room = wholeBits(bound) + (readers.contains(where: isPermutedProduct) ? 1 : 0)
      ring = max(ring, valueBits + weightBits + room)
    }
    return ring == 0 ? 64 : min(ring, 64)
  }

  /// softmax(scores) v for each head, with weights that are divided already.
  mutating func permutedAttention(
    _ index: Int, scores: FixedValue, value: FixedValue, _ settings: AttentionSettings
  ) throws(InputError) -> FixedValue {
    let name = model.nodes[index].name
    builder.label = "\(name).softmax"
    let small = max(-magnitudeBits(value.bound), 0)
    let valueBits = min(
      max(bits + 1 - magnitudeBits(value.bound) + min(small, 3), bits - 2), 36, value.bits)
    let mixBits = Self.weightBits + valueBits
    // What the mix needs, and the linear layer that reads it as it is.
    let mixRing = mixBits + magnitudeBits(value.bound) + 2
    let needed = min(
      max(try streamRing(index, bits: mixBits, bound: value.bound) ?? 64, mixRing), 64)
    var padded = scores
    padded.id = try builder.emit(.padKeys(scores.id), bits: [scores.bits])[0]
    let weights = try permuted(
      padded, .softmax, inputBits: Self.scoreBits, bits: Self.weightBits, ringBits: needed,
      bound: 1)

    builder.label = "\(name).mix"
    let openedWeights = try builder.openNarrow(
      weights, bits: weights.bits, ringBits: min(needed, builder.ringBits(weights)))
    // Weights of rows that a text does not have are zero.
    var rows = value
    if model.kind == .encoder {
      rows.id = try builder.emit(.padRows(rows.id), bits: [rows.bits])[0]
    }
    // More of the ring than weights have says nothing of their product.
    let openedRows = try builder.openWide(rows, bits: valueBits, ringBits: needed, spareBits: 0)
    return try builder.emit(
      .mix(
        weights: openedWeights.id, value: openedRows.id, heads: settings.headCount,
        keyHeads: settings.keyHeadCount),
      bits: openedWeights.bits + openedRows.bits, bound: value.bound)
  }
}
