// Linear layers: what is opened of their input, and the fractional bits of their weights.

import Approximation
import Bytes
import Models

extension Lowering {
  /// Product with a dealt weight, with the LayerNorm's gains and offsets that wait in the input.
  mutating func linear(_ index: Int, _ input: ModelValue, weight: String, bias: String?)
    throws(InputError) -> LoweredValue
  {
    if case .unscaled(let rows, let pending) = lowered[input] {
      return .scaledLater(
        try linear(index, rows, pending, input: input, weight: weight, bias: bias))
    }
    let node = model.nodes[index]
    let factor = queryScale(index)
    let bound = try outputBound(index) * factor
    let isCentred = stream.centred.contains(index)
    var source = WeightFormula(tensor: weight, isColumnCentred: isCentred, factor: factor)
    var biasSource: WeightFormula?
    if let bias { biasSource = WeightFormula(tensor: bias, isCentred: isCentred, factor: factor) }
    var value: FixedValue
    var small = 1.0
    if case .normalised(let normalised, let pending) = lowered[input] {
      value = isGateProjection(index) ? normalised : try cut(normalised)
      source.columnScale = pending.gamma
      source.runCount = runCount(of: pending.gamma, width: model.nodes[input].width)
      source.isCentred = pending.isCentred
      source.factor = factor * pending.factor
      if let beta = pending.beta {
        biasSource = WeightFormula(
          tensor: bias, matrix: weight, vector: beta,
          runCount: runCount(of: beta, width: model.nodes[input].width), factor: factor)
      }
      small = pending.factor
    } else {
      value = try plain(input)
    }
    (source.rowBlocks, source.columnBlocks) = blockOrders(of: index)
    biasSource?.columnBlocks = source.rowBlocks
    let precision = self.precision(source, factor: small)
    let isProduct = isPermutedProduct(value)
    let narrow = isProduct ? value.bits : activationBits(value)
    let isResidual = consumers(of: index).contains(where: self.isResidual)
    let bitsBeside =
      isProduct ? { _ in precision.sufficient } : weightBits(index, precision, bound: bound)
    let inputWidth = model.nodes[input].width
    // A wide input is better truncated after the layer, when it has become narrow.
    let truncatesFirst =
      value.bits > narrow
      && (!builder.fits(bits: value.bits + bits, bound: bound)
        || ringBits(bound) - value.bits < precision.needed
        || (inputWidth <= node.width && isResidual))
    let opened: MaskedValue
    let weightBits: Int
    if let score = try openForScores(index, value, bits: narrow, precision, bound: bound) {
      (opened, weightBits) = score
    } else {
      opened =
        narrowSum(of: index) != nil
        ? try openIntoStream(
          index, value, bits: narrow, truncatesFirst: truncatesFirst, weightBits: bitsBeside)
        : try openForLinear(truncatesFirst ? truncated(value) : value)
      weightBits = bitsBeside(opened.bits)
    }
    let matrix = builder.weight(
      ProgramWeight(
        name: "\(node.name).weight", rowCount: node.width, columnCount: inputWidth,
        fractionalBits: weightBits, source: source))
    let product = try builder.emit(
      gateBits(of: index).map { .blockLinear(opened.id, gates: $0, weight: matrix) }
        ?? .linear(opened.id, weight: matrix), bits: opened.bits + weightBits, bound: bound)
    guard let biasSource else { return .plain(product) }
    return .plain(
      try addBias(
        product, name: "\(node.name).bias", source: biasSource, width: node.width))
  }

  /// Fractional bits of the weight of linear layer `index`, which has this `precision` and gives
  /// results up to `bound`, by those of the value that it is multiplied with.
  func weightBits(_ index: Int, _ precision: WeightPrecision, bound: Double) -> (Int) -> Int {
    let isResidual = consumers(of: index).contains(where: self.isResidual)
    let (bits, ringBits) = (bits, ringBits(bound))
    return { valueBits in
      let most = max(min(precision.wanted, ringBits - valueBits), bits)
      // The residual stream has twice the usual bits: more would have to be truncated.
      let target = 2 * bits - valueBits
      let isEnough = target >= precision.least && max(target, bits) >= precision.needed
      return isResidual && most > target && isEnough ? target : most
    }
  }

  /// Opens the input of linear layer `index`, which adds to the narrow stream, with at most `bits`
  /// fractional bits and no more ring than the sum needs.
  private mutating func openIntoStream(
    _ index: Int, _ value: FixedValue, bits: Int, truncatesFirst: Bool, weightBits: (Int) -> Int
  ) throws(InputError) -> MaskedValue {
    // The sum has 2 * bits fractional bits; what is shifted up to these needs fewer of the ring.
    let room = try streamRoom(of: index)
    func needed(_ valueBits: Int) -> Int { room + valueBits + weightBits(valueBits) }
    var value = value
    // What is dropped of an opening is dropped for nothing.
    var kept = min(value.bits, bits)
    if !builder.canOpen(value, bits: kept, ringBits: needed(kept)) {
      if truncatesFirst {
        value = try truncated(value)
      } else if builder.ringBits(value) < 64 {
        value = try builder.lift(value, to: value.bits)
      }
      kept = value.bits
    }
    let ringBits = min(needed(kept), builder.ringBits(value))
    return try builder.amongAllColumns { (builder) throws(InputError) in
      try builder.openNarrow(value, bits: kept, ringBits: ringBits)
    }
  }

  private mutating func openForLinear(_ value: FixedValue) throws(InputError) -> MaskedValue {
    try builder.amongAllColumns { (builder) throws(InputError) in try builder.open(value) }
  }
}
