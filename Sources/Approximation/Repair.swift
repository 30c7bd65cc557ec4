// Refits linear layers so that a model with replaced operations computes what the original did.

public import Bytes
public import Models

/// Repair without training: layer after layer, the weight and the bias of each linear layer are
/// fitted by ridge regression to what the original layer wrote on calibration text, given what the
/// layer reads now. Where the output is added to a residual stream, the sum is what is fitted, so
/// that a layer makes good for what those before it left.
///
/// A change is kept only where it brings the layer closer to the original on text it was not fitted
/// on.
public struct Repair: Sendable {
  /// What became of one layer; errors are relative to the size of the original outputs (of the sums
  /// that they are added to), on held-out rows, before those are fitted to as well.
  public struct Layer: Equatable, Sendable {
    public var node: String
    public var errorBefore: Double
    public var errorAfter: Double
    /// nil where the original weights were kept.
    public var penalty: Double?
  }

  /// The model's weights with the refitted ones.
  public let weights: ReplacedWeights
  public let layers: [Layer]

  /// Penalties that are tried, in units of the mean square of a layer's inputs.
  private static let penalties = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1]
  /// Every fifth text is held out, and of a few texts the last fifth of the rows.
  private static let heldOutPart = 5

  /// Repairs `model` under `functions`.
  ///
  /// - Throws: `InputError` for texts the model does not take, and where the activations of all of
  ///   them exceed the memory budget.
  public init(
    _ model: Model, weights source: any WeightSource, functions: FunctionTable, texts: [[Int]],
    source name: String, memory: MemoryBudget = .default,
    progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
  ) throws(InputError) {
    let targets = Repair.targets(model)
    let rowCount = texts.reduce(0) { $0 + $1.count }
    let kept = targets.reduce(0) { $0 + model.nodes[$1].width }
    guard rowCount * kept * MemoryLayout<Float>.size <= memory.byteCount / 2 else {
      throw InputError(
        name,
        "the outputs of \(targets.count) layers on \(rowCount) tokens exceed half of the memory",
        hint: "repair on fewer texts, or with a larger --memory")
    }
    let nodeCount = model.nodes.count
    // What a target is fitted to: its own output in the original, or the sum it becomes a term of.
    var outputs: [Int: Int] = [:]
    for target in targets { outputs[model.residualSum(of: target)?.sum ?? target] = target }
    var originals: [Int: [Float]] = [:]
    try FloatInterpreter(model, weights: source, memory: memory).run(
      texts: texts, source: name,
      observe: { node, kind, values in
        if kind == .output, let target = outputs[node] { originals[target, default: []] += values }
      },
      progress: { progress($0 * nodeCount / max($1, 1), 2 * nodeCount) })

    let isHeldOut = Repair.heldOutRows(texts)
    var weights = ReplacedWeights(source)
    var layers: [Layer] = []
    try FloatInterpreter(model, weights: source, functions: functions, memory: memory).refit(
      texts: texts, source: name
    ) { (node, input, residual, current) throws(InputError) in
      progress(nodeCount + node, 2 * nodeCount)
      guard let original = originals.removeValue(forKey: node),
        case .linear(_, let matrix, let bias) = model.nodes[node].operation
      else { return nil }
      let (layer, fitted) = Repair.fit(
        model.nodes[node].name, current, input: input, residual: residual, original: original,
        isHeldOut: isHeldOut)
      layers.append(layer)
      guard let fitted else { return nil }
      weights.replace(matrix, by: fitted.matrix)
      if let bias, let values = fitted.bias { weights.replace(bias, by: values) }
      return fitted
    }
    self.weights = weights
    self.layers = layers
  }

  /// Linear nodes with a weight of their own, that is all but a tied output matrix.
  private static func targets(_ model: Model) -> Set<Int> {
    var uses: [String: Int] = [:]
    for node in model.nodes {
      switch node.operation {
      case .embed(let tokens, _, _, _): uses[tokens, default: 0] += 1
      case .linear(_, let matrix, _): uses[matrix, default: 0] += 1
      default: break
      }
    }
    return Set(
      model.nodes.indices.filter { index in
        guard case .linear(_, let matrix, _) = model.nodes[index].operation else { return false }
        return uses[matrix] == 1
      })
  }

  private static func heldOutRows(_ texts: [[Int]]) -> [Bool] {
    let rowCount = texts.reduce(0) { $0 + $1.count }
    guard texts.count >= heldOutPart else {
      return (0..<rowCount).map { $0 >= rowCount - rowCount / heldOutPart }
    }
    return texts.enumerated().flatMap { index, text in
      [Bool](repeating: index % heldOutPart == heldOutPart - 1, count: text.count)
    }
  }

  private static func fit(
    _ name: String, _ current: LinearWeights, input: FloatMatrix, residual: [Float]?,
    original: [Float], isHeldOut: [Bool]
  ) -> (Layer, LinearWeights?) {
    let (inputs, outputs) = (input.columnCount, original.count / max(input.rowCount, 1))
    var present = MatrixProduct.affine(input, current)
    if let residual {
      for index in present.indices { present[index] += residual[index] }
    }
    var (fitted, held) = (Rows(), Rows())
    var size = 0.0
    for row in 0..<input.rowCount {
      let places = row * outputs..<(row + 1) * outputs
      let residual = places.map { Double(original[$0]) - Double(present[$0]) }
      if isHeldOut[row] {
        held.append(input.row(row), residual)
        size += places.reduce(0) { $0 + Double(original[$1]) * Double(original[$1]) }
      } else {
        fitted.append(input.row(row), residual)
      }
    }
    var regression = RidgeRegression(inputs: inputs, outputs: outputs, hasBias: current.bias != nil)
    regression.add(fitted.inputs, fitted.residuals, rowCount: fitted.count)
    let before = held.residuals.reduce(0) { $0 + $1 * $1 }
    var best: (error: Double, penalty: Double, change: [Double])?
    for penalty in penalties {
      guard let change = regression.solution(penalty: penalty) else { continue }
      let error = regression.error(
        of: change, held.inputs, held.residuals, rowCount: held.count)
      if error < (best?.error ?? before) { best = (error, penalty, change) }
    }
    func relative(_ error: Double) -> Double { (error / max(size, 1e-300)).squareRoot() }
    var layer = Layer(
      node: name, errorBefore: relative(before), errorAfter: relative(before), penalty: nil)
    guard let best else { return (layer, nil) }
    layer.errorAfter = relative(best.error)
    layer.penalty = best.penalty
    // The penalty is chosen; held-out rows have done their work, and are worth fitting to.
    regression.add(held.inputs, held.residuals, rowCount: held.count)
    let change = regression.solution(penalty: best.penalty) ?? best.change
    var result = current
    for output in 0..<outputs {
      for column in 0..<inputs {
        result.matrix[output * inputs + column] += Float(change[column * outputs + output])
      }
      result.bias?[output] += Float(change[inputs * outputs + output])
    }
    return (layer, result)
  }

  /// Some rows of a layer's inputs, and of what its outputs lack.
  private struct Rows {
    var inputs: [Double] = []
    var residuals: [Double] = []
    var count = 0

    mutating func append(_ input: ArraySlice<Float>, _ residual: [Double]) {
      inputs += input.lazy.map(Double.init)
      residuals += residual
      count += 1
    }
  }
}
