// Normalisations that divide by the root of the variance after the linear layers that read them.

import Approximation
import Bytes
import Foundation
import Models

/// (x - mean) * shrink of a normalisation, and what its rows are multiplied by later.
struct UnscaledRows {
  var wide: FixedValue
  /// As they were opened for their squares: whole, or a view.
  var opened: MaskedValue
  var bound: Double
  /// scale / (shrink * root of the variance plus epsilon), one a row.
  var root: FixedValue
  /// Binary logarithms of the smallest and largest shrink * root.
  var lowRoot: Double
  var highRoot: Double
  /// See `Lowering.smallness`.
  var smallness: Int
}

/// A linear function of unscaled rows, which is multiplied by `root` when it is read.
struct UnscaledProduct {
  var value: FixedValue
  var root: FixedValue
  var lowRoot: Double
  /// Added to the product: the name of the weight and what it is.
  var bias: (name: String, source: WeightFormula)?
  /// That of `value`, which the bias has not yet.
  var rotation: Rotation?
  /// Of the result.
  var bound: Double
  /// The node that it is of.
  var label: String
  /// What decides about the blocks of `value`, where these run or not.
  var gates: ValueID?
}

extension Lowering {
  /// Fractional bits of what a normalisation's reader gets.
  private var productPrecision: Int { bits - 1 }

  /// Whether the readers of normalisation `index` take its rows before they are scaled.
  ///
  /// A linear layer of unscaled rows is computed while the table for the root is, and its results are
  /// opened beside the root: a round less than to open the scaled rows. Where a layer has far more
  /// outputs than inputs, as an output head, those bytes would cost more than a round.
  func scalesLater(_ index: Int, _ settings: Normalisation) -> Bool {
    guard settings.groupCount == 1 else { return false }
    var hasReader = false
    for consumer in consumers(of: index) {
      guard case .linear = model.nodes[consumer].operation else { continue }
      hasReader = true
      if model.nodes[consumer].width > 8 * model.nodes[index].width { return false }
    }
    guard hasReader,
      let range = try? calibration.normalisedRange(
        model.nodes[index].name, epsilon: settings.epsilon, headroom: varianceHeadroom)
    else { return false }
    // The unscaled rows span as many bits as roots do.
    return range.upperBound / range.lowerBound < Calibration.tableReach
  }

  /// The centred rows of normalisation `index` in the whole ring, and the table of its root.
  mutating func unscaledRows(
    _ index: Int, _ x: FixedValue, _ settings: Normalisation, isCentred: Bool
  ) throws(InputError) -> UnscaledRows {
    let node = model.nodes[index]
    let width = Double(node.width)
    let widthBits = isCentred ? Int(log2(width).rounded(.up)) : 0
    let shrink = isCentred ? width / pow(2, Double(widthBits)) : 1
    let range = try calibration.normalisedRange(
      node.name, epsilon: settings.epsilon, headroom: varianceHeadroom)
    let (low, high) = (range.lowerBound, range.upperBound)
    let lowRoot = log2(low.squareRoot() * shrink)
    let highRoot = log2(high.squareRoot() * shrink)
    let smallness = try smallness(index, epsilon: settings.epsilon)
    // Without epsilon where that is most of it.
    let variance = min(high, high * varianceHeadroom * pow(4, Double(-smallness)))
    let bound = min(2 * x.bound, (width * variance).squareRoot()) * shrink
    var wide = x
    if isCentred {
      wide = try centred(x, width: node.width, groupCount: 1, bound: bound / shrink).value
    }
    // The sum of squares must fit.
    let sumBits = Int(log2(width * shrink * shrink * variance).rounded(.up))
    let centredBits = min(
      productPrecision + 2 - Int(lowRoot.rounded(.down)) + smallness, (61 - sumBits) / 2, 31,
      wide.bits)
    let centred = try builder.open(
      FixedValue(id: wide.id, bits: wide.bits, bound: bound), bits: centredBits)
    let squares = try builder.emit(
      .polynomial(centred.id, coefficients: [[0, 0, 1]]), bits: 2 * centred.bits,
      bound: width * shrink * shrink * variance)
    let total = try builder.emit(
      .sum(squares.id, runs: 1), bits: 2 * centred.bits, bound: squares.bound)
    let unit = 1 / (width * shrink * shrink * pow(2, Double(2 * centred.bits)))
    let scale = queryScale(index)
    let root = try builder.table(
      total, unit: unit, offset: settings.epsilon, range: range,
      tolerance: recipe.tableTolerance, leastSteps: Lowering.leastSteps
    ) { scale / (shrink * $0.squareRoot()) }
    return UnscaledRows(
      wide: wide, opened: centred, bound: bound, root: root, lowRoot: lowRoot, highRoot: highRoot,
      smallness: smallness)
  }

  /// The numerators of `rows` as a shared value.
  private mutating func numerator(_ rows: UnscaledRows) throws(InputError) -> FixedValue {
    guard case .view = builder.program.values[rows.opened.id].form else {
      return FixedValue(id: rows.wide.id, bits: rows.opened.bits, bound: rows.bound)
    }
    return try builder.truncated(rows.opened, bound: rows.bound)
  }

  /// The numerators opened modulo 2^`ringBits` or somewhat more, of the last row alone where `isCut`.
  private mutating func openAgain(_ rows: UnscaledRows, isCut: Bool, ringBits: Int)
    throws(InputError) -> MaskedValue
  {
    isCut
      ? try builder.openNarrow(cut(numerator(rows)), bits: rows.opened.bits, ringBits: ringBits)
      : try builder.widened(rows.opened, bound: rows.bound, ringBits: ringBits)
  }

  /// What linear layer `index` makes of the rows of normalisation `input`.
  mutating func linear(
    _ index: Int, _ rows: UnscaledRows, _ pending: PendingNormalisation, input: Int,
    weight: String, bias: String?
  ) throws(InputError) -> UnscaledProduct {
    let node = model.nodes[index]
    let rowBits = rows.opened.bits
    var ring = 0
    for consumer in consumers(of: input) {
      guard case .linear(_, let weight, let bias) = model.nodes[consumer].operation else {
        continue
      }
      let layer = try unscaledLayer(consumer, rows, pending, input, weight, bias)
      ring = max(ring, rowBits + layer.bits + layer.needed)
    }
    let layer = try unscaledLayer(index, rows, pending, input, weight, bias)
    // What attention opens of all rows serves the few columns of a gate, too.
    let opened = try openAgain(
      rows, isCut: !isGateProjection(index) && isCut(rows.opened.id), ringBits: min(ring, 64))
    let matrix = builder.weight(
      ProgramWeight(
        name: "\(node.name).weight", rowCount: node.width, columnCount: model.nodes[input].width,
        fractionalBits: layer.bits, source: layer.source))
    let blockGates = gateBits(of: index)
    let product = try builder.emit(
      blockGates.map { .blockLinear(opened.id, gates: $0, weight: matrix) }
        ?? .linear(opened.id, weight: matrix), bits: opened.bits + layer.bits, bound: layer.bound)
    return UnscaledProduct(
      value: product, root: try cut(rows.root), lowRoot: rows.lowRoot,
      bias: layer.bias.map { ("\(node.name).bias", $0) },
      bound: try outputBound(index) * queryScale(index), label: node.name,
      gates: blockGates ?? headGates.queries[index].flatMap { gateBits[$0] })
  }

  /// The weight of a linear layer of unscaled rows, its fractional bits, the bound of its results, and
  /// the ring bits that these need above the fractional ones.
  private func unscaledLayer(
    _ index: Int, _ rows: UnscaledRows, _ pending: PendingNormalisation, _ input: Int,
    _ weight: String, _ bias: String?
  ) throws(InputError) -> (
    source: WeightFormula, bias: WeightFormula?, bits: Int, bound: Double, needed: Int
  ) {
    let factor = queryScale(index)
    var source = WeightFormula(tensor: weight, columnScale: pending.gamma, factor: factor)
    source.rowBlocks = blockOrders(of: index).rows
    var biasSource = bias.map { WeightFormula(tensor: $0, factor: factor) }
    // What the layer adds to the product is at most what it gives and what is added.
    var reach = try outputBound(index)
    if let bias { reach += calibration.statistics(of: bias, columnScale: nil)?.largest ?? reach }
    if let beta = pending.beta {
      biasSource = WeightFormula(tensor: bias, matrix: weight, vector: beta, factor: factor)
      reach *= 2
    }
    biasSource?.columnBlocks = source.rowBlocks
    let bound = reach * factor * pow(2, rows.highRoot)
    let rotation = consumers(of: index).contains(where: isRotary) ? Lowering.rotationBits + 1 : 0
    let needed = max(magnitudeBits(bound), -rows.smallness) + rotation + 2
    let precision = self.precision(source)
    let room = 64 - ProgramBuilder.spareBits - rows.opened.bits - needed
    let weightBits = max(min(precision.wanted, room), min(bits, room))
    return (source, biasSource, weightBits, bound, needed)
  }

  /// Gamma times the unscaled rows, for readers that are not linear.
  mutating func materialise(_ index: Int, _ rows: UnscaledRows, _ pending: PendingNormalisation)
    throws(InputError) -> UnscaledProduct
  {
    let node = model.nodes[index]
    let value: FixedValue
    if let gamma = pending.gamma {
      let source = WeightFormula(tensor: gamma)
      var reach = try outputBound(index)
      if let beta = pending.beta {
        reach += calibration.statistics(of: beta, columnScale: nil)?.largest ?? reach
      }
      let bound = reach * pow(2, rows.highRoot)
      let rowBits = rows.opened.bits
      let room = 64 - ProgramBuilder.spareBits - rowBits - magnitudeBits(bound) - 2
      let gammaBits = max(min(precision(source).wanted, room), min(bits, room))
      let opened = try openAgain(
        rows, isCut: isCut(rows.opened.id),
        ringBits: rowBits + gammaBits + magnitudeBits(bound) + 2)
      let scale = builder.weight(
        ProgramWeight(
          name: "\(node.name).scale", rowCount: 1, columnCount: node.width,
          fractionalBits: gammaBits, source: source))
      value = try builder.emit(
        .scale(opened.id, weight: scale), bits: opened.bits + gammaBits, bound: bound)
    } else {
      value = try cut(numerator(rows))
    }
    var product = UnscaledProduct(
      value: value, root: try cut(rows.root), lowRoot: rows.lowRoot,
      bound: try outputBound(index) * pending.scale, label: node.name)
    if let beta = pending.beta {
      product.bias = (
        "\(node.name).shift", WeightFormula(tensor: beta, factor: pending.scale)
      )
    }
    return product
  }

  /// The product with its root and bias.
  mutating func scaled(_ product: UnscaledProduct) throws(InputError) -> FixedValue {
    let label = builder.label
    builder.label = product.label
    defer { builder.label = label }
    var value = try cut(product.value)
    let root = try cut(product.root)
    // Queries are turned in all heads at once.
    if let gates = product.gates { value = try selected(value, gates) }
    // Either factor's rounding is that of the result. What is seen of the rows is a factor of eight
    // below their bound, which has the headroom of variances and of the result.
    // Small results are as precise beside their size as those of 8.
    let precision = max(
      activationBits(bound: product.bound) - 1, bits + 2 - magnitudeBits(product.bound))
    let rest = precision + magnitudeBits(value.bound) - 3
    let most = ringBits(product.bound)
    var valueBits = min(value.bits, precision - Int(product.lowRoot.rounded(.down)))
    var rootBits = min(root.bits, rest)
    let excess = valueBits + rootBits - most
    if excess > 0 {
      valueBits -= excess / 2
      rootBits -= excess - excess / 2
    }
    // Roots belong to rows, and what is dealt for a pool does not: blocks are opened among all columns.
    let left = try builder.amongAllColumns { (builder) throws(InputError) in
      try builder.open(value, bits: valueBits)
    }
    let right = try builder.open(root, bits: rootBits)
    let result = try builder.emit(
      .multiply(left.id, right.id), bits: left.bits + right.bits, bound: product.bound)
    let all = try biased(result, product)
    guard let gates = product.gates else { return all }
    return try builder.emit(
      .selectBlocks(all.id, gates: gates), bits: all.bits, bound: all.bound)
  }

  /// `result` with the product's bias, which is turned as rows are where these were before.
  private mutating func biased(_ result: FixedValue, _ product: UnscaledProduct)
    throws(InputError) -> FixedValue
  {
    guard let bias = product.bias else { return result }
    let width = builder.shape(result.id).width ?? 1
    guard let rotation = product.rotation else {
      return try addBias(result, name: bias.name, source: bias.source, width: width)
    }
    var row = result
    row.bits -= rotation.fractionalBits
    row.id = try builder.emit(.combine([Term(result.id, 0)], constant: 0), bits: [row.bits])[0]
    row = try addBias(row, name: bias.name, source: bias.source, width: width)
    let turned = try builder.emit(
      .rotate(row.id, rotation), bits: result.bits, bound: result.bound)
    return try builder.add(result, turned, bound: result.bound)
  }
}
